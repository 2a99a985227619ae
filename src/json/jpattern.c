#include "json/jpattern.h"

enum { ATOMS_MAX = 256, REPEAT_MAX = 256 };

/* One character of the text. Quantifiers are written out: x{2,4} is x x x? x?. */
struct atom {
    uint64_t set[2];  /* ASCII characters that match */
    bool is_optional; /* may match nothing */
    bool is_loop;     /* may match again */
};

struct jpattern {
    size_t n;
    struct atom atoms[];
};

struct parse {
    const char *p, *end;
    struct atom atoms[ATOMS_MAX];
    size_t n;
};

static void set_add(uint64_t set[2], unsigned char c)
{
    set[c >> 6] |= UINT64_C(1) << (c & 63);
}

static bool set_has(const uint64_t set[2], unsigned char c)
{
    return c < 128 && (set[c >> 6] >> (c & 63) & 1);
}

static bool is_plain(char c)
{
    return c > 0x20 && c < 0x7F && !strchr(".*+?()|{}[]^$\\", c);
}

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* After a backslash: \d or a punctuation mark. *single is 0 for \d. */
static bool parse_escape(struct parse *ps, uint64_t set[2], char *single)
{
    if (ps->p == ps->end)
        return false;
    char c = *ps->p++;
    *single = c;
    if (c == 'd')
        *single = 0;
    if (c == 'd') {
        for (int digit = '0'; digit <= '9'; digit++)
            set_add(set, (unsigned char)digit);
        return true;
    }
    if (c <= 0x20 || c >= 0x7F || is_letter_or_digit(c))
        return false;
    set_add(set, (unsigned char)c);
    return true;
}

/* One character of a class, plain or escaped. */
static bool parse_class_char(struct parse *ps, uint64_t set[2], char *single)
{
    char c = *ps->p++;
    if (c == '\\')
        return parse_escape(ps, set, single);
    if (c < 0x20 || c >= 0x7F || c == '[' || c == '^')
        return false;
    *single = c;
    set_add(set, (unsigned char)c);
    return true;
}

/* Behind '['; up to and with ']'. */
static bool parse_class(struct parse *ps, uint64_t set[2])
{
    const char *start = ps->p;
    while (ps->p < ps->end && *ps->p != ']') {
        char low, high;
        if (!parse_class_char(ps, set, &low))
            return false;
        if (ps->end - ps->p < 2 || ps->p[0] != '-' || ps->p[1] == ']')
            continue;
        ps->p++;
        if (!parse_class_char(ps, set, &high) || !low || !high || high < low)
            return false;
        for (int c = (unsigned char)low; c <= high; c++)
            set_add(set, (unsigned char)c);
    }
    if (ps->p == ps->end || ps->p == start)
        return false;
    ps->p++;
    return true;
}

static bool parse_count(struct parse *ps, int *out)
{
    const char *start = ps->p;
    *out = 0;
    for (; ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9'; ps->p++) {
        *out = *out * 10 + (*ps->p - '0');
        if (*out > REPEAT_MAX)
            return false;
    }
    return ps->p > start;
}

static bool take(struct parse *ps, char c)
{
    bool is_here = ps->p < ps->end && *ps->p == c;
    ps->p += is_here;
    return is_here;
}

/* How often the atom before may stand; max -1: any number of times. */
static bool parse_quantifier(struct parse *ps, int *min, int *max)
{
    *min = *max = 1;
    if (take(ps, '?')) {
        *min = 0;
    } else if (take(ps, '*')) {
        *min = 0;
        *max = -1;
    } else if (take(ps, '+')) {
        *max = -1;
    } else if (take(ps, '{')) {
        if (!parse_count(ps, min))
            return false;
        *max = *min;
        if (take(ps, ',') && !take(ps, '}'))
            return parse_count(ps, max) && *max >= *min && *max > 0 && take(ps, '}');
        if (ps->p[-1] == '}') {
            *max = -1;
            return true;
        }
        return *max > 0 && take(ps, '}');
    }
    return true;
}

static bool push(struct parse *ps, const struct atom *atom, int min, int max)
{
    int n = max > 0 ? max : min > 0 ? min : 1;
    for (int i = 0; i < n; i++) {
        if (ps->n == ATOMS_MAX)
            return false;
        ps->atoms[ps->n] = *atom;
        ps->atoms[ps->n].is_optional = i >= min;
        ps->atoms[ps->n].is_loop = max < 0 && i == n - 1;
        ps->n++;
    }
    return true;
}

static bool parse_atom(struct parse *ps, struct atom *atom)
{
    char c = *ps->p++, single;
    if (c == '[')
        return parse_class(ps, atom->set);
    if (c == '\\')
        return parse_escape(ps, atom->set, &single);
    set_add(atom->set, (unsigned char)c & 127);
    return is_plain(c);
}

static bool parse_all(struct parse *ps)
{
    if (!take(ps, '^'))
        return false;
    while (ps->p < ps->end && *ps->p != '$') {
        struct atom atom = {0};
        int min, max;
        if (!parse_atom(ps, &atom) || !parse_quantifier(ps, &min, &max) ||
            !push(ps, &atom, min, max))
            return false;
    }
    return take(ps, '$') && ps->p == ps->end;
}

struct jpattern *jpattern_compile(struct arena *a, struct str text, struct err *e)
{
    struct parse ps = {.p = text.p, .end = text.p + text.n};
    if (!parse_all(&ps)) {
        err_set(e, ERR_INTERNAL, "schema: pattern \"%.*s\" is not supported", STR_FMT(text));
        return NULL;
    }
    struct jpattern *p = arena_alloc(a, sizeof *p + ps.n * sizeof p->atoms[0]);
    if (!p) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    p->n = ps.n;
    memcpy(p->atoms, ps.atoms, ps.n * sizeof p->atoms[0]);
    return p;
}

/* Marks position i, and what may be skipped to from there. */
static void reach(const struct jpattern *p, bool *reached, size_t i)
{
    reached[i] = true;
    while (i < p->n && p->atoms[i].is_optional && !reached[i + 1])
        reached[++i] = true;
}

bool jpattern_match(const struct jpattern *p, struct str s)
{
    bool now[ATOMS_MAX + 1] = {
        false}; /* before atom i, for each i that the text so far can lead to */
    reach(p, now, 0);
    for (size_t at = 0; at < s.n; at++) {
        bool next[ATOMS_MAX + 1] = {false};
        bool any = false;
        for (size_t i = 0; i < p->n; i++) {
            if (!now[i] || !set_has(p->atoms[i].set, (unsigned char)s.p[at]))
                continue;
            reach(p, next, i + 1);
            if (p->atoms[i].is_loop)
                reach(p, next, i);
            any = true;
        }
        if (!any)
            return false;
        memcpy(now, next, sizeof now);
    }
    return now[p->n];
}
