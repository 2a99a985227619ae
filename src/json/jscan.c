/* The scanner proper: one pass, a bit stack instead of recursion. Keys and unescaping stand in
 * jscan_keys.c. */
#include "json/jscan.h"

#include <stdio.h>

#include "base/limits.h"
#include "json/jchars.h"
#include "json/jscan_keys.h"

struct scan {
    const unsigned char *start, *p, *end;
    const char *expected; /* set on failure, p stands at the offending byte */
    bool has_escape;      /* a backslash was passed since this was last cleared */
};

/* How one step of the value loop ended. */
enum step { STEP_FAILED, STEP_VALUE_DONE, STEP_OBJECT, STEP_ARRAY };

static struct scan scan_begin(struct str text)
{
    const unsigned char *p = (const unsigned char *)(text.p ? text.p : "");
    return (struct scan){.start = p, .p = p, .end = p + text.n};
}

static bool expected(struct scan *s, const char *what)
{
    s->expected = what;
    return false;
}

/* Turns the scanner's position into the public message. */
static bool parse_error(const struct scan *s, struct err *e)
{
    size_t at = (size_t)(s->p - s->start);
    if (s->p >= s->end)
        return err_set(e, ERR_PARSE, "JSON: byte %zu: the text ends, expected %s", at, s->expected);
    if (*s->p > 0x20 && *s->p < 0x7F)
        return err_set(e, ERR_PARSE, "JSON: byte %zu: given '%c', expected %s", at, *s->p,
                       s->expected);
    return err_set(e, ERR_PARSE, "JSON: byte %zu: given 0x%02x, expected %s", at, *s->p,
                   s->expected);
}

static inline void skip_space(struct scan *s)
{
    while (s->p < s->end && jchars_is_space(*s->p))
        s->p++;
}

static inline bool at(const struct scan *s, unsigned char c)
{
    return s->p < s->end && *s->p == c;
}

/* Four hexadecimal digits; the scanner stands at the first. */
static bool scan_hex4(struct scan *s, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, s->p++) {
        int digit = s->p < s->end ? jchars_hex(*s->p) : -1;
        if (digit < 0)
            return expected(s, "a hexadecimal digit");
        *unit = *unit << 4 | (unsigned)digit;
    }
    return true;
}

/* After a backslash. Surrogates must come in pairs: a lone one has no UTF-8 form and readers differ
 * on it. */
static bool scan_escape(struct scan *s)
{
    s->has_escape = true;
    if (s->p < s->end && jchars_is_simple_escape(*s->p)) {
        s->p++;
        return true;
    }
    if (!at(s, 'u'))
        return expected(s, "an escape character");
    s->p++;
    unsigned unit;
    if (!scan_hex4(s, &unit))
        return false;
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    if (unit > 0xDBFF) {
        s->p -= 4;
        return expected(s, "no low surrogate without a high one before it");
    }
    if (!at(s, '\\'))
        return expected(s, "the escaped low surrogate of a pair");
    s->p++;
    if (!at(s, 'u'))
        return expected(s, "the escaped low surrogate of a pair");
    s->p++;
    if (!scan_hex4(s, &unit))
        return false;
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return true;
    s->p -= 4;
    return expected(s, "the escaped low surrogate of a pair");
}

static bool scan_utf8(struct scan *s)
{
    unsigned char low, high;
    int more = jchars_utf8_lead(*s->p, &low, &high);
    if (more < 0)
        return expected(s, "valid UTF-8");
    for (s->p++; more > 0; more--, s->p++) {
        if (s->p >= s->end || *s->p < low || *s->p > high)
            return expected(s, "valid UTF-8");
        low = 0x80;
        high = 0xBF;
    }
    return true;
}

/* The rest of a string from its first byte that is not plain. */
static bool scan_string_rest(struct scan *s)
{
    for (;;) {
        s->p = jchars_plain(s->p, s->end);
        if (s->p >= s->end)
            return expected(s, "the end of a string");
        if (*s->p == '"') {
            s->p++;
            return true;
        }
        if (*s->p == '\\') {
            s->p++;
            if (!scan_escape(s))
                return false;
        } else if (*s->p < 0x20) {
            return expected(s, "an escape instead of a control character");
        } else {
            while (s->p < s->end && *s->p >= 0x80)
                if (!scan_utf8(s))
                    return false;
        }
    }
}

/* The scanner stands behind the opening quote; ends behind the closing one. Nearly every string is
 * plain up to there. */
static inline bool scan_string_body(struct scan *s)
{
    s->p = jchars_plain(s->p, s->end);
    if (!at(s, '"'))
        return scan_string_rest(s);
    s->p++;
    return true;
}

static bool scan_digits(struct scan *s)
{
    if (s->p >= s->end || !jchars_is_digit(*s->p))
        return expected(s, "a digit");
    while (s->p < s->end && jchars_is_digit(*s->p))
        s->p++;
    return true;
}

static bool scan_number(struct scan *s)
{
    if (at(s, '-'))
        s->p++;
    if (at(s, '0')) {
        s->p++;
    } else if (!scan_digits(s)) {
        return false;
    }
    if (at(s, '.')) {
        s->p++;
        if (!scan_digits(s))
            return false;
    }
    if (at(s, 'e') || at(s, 'E')) {
        s->p++;
        if (at(s, '+') || at(s, '-'))
            s->p++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_literal(struct scan *s, struct str word, const char *what)
{
    for (size_t i = 0; i < word.n; i++, s->p++)
        if (!at(s, (unsigned char)word.p[i]))
            return expected(s, what);
    return true;
}

static struct str span(const unsigned char *from, const unsigned char *to)
{
    return (struct str){(const char *)from, (size_t)(to - from)};
}

/* A member's name, with its quotes, and the colon. */
static inline bool scan_key(struct scan *s, struct str *key)
{
    const unsigned char *from = s->p;
    if (!at(s, '"'))
        return expected(s, "a member name in quotes");
    s->p++;
    if (!scan_string_body(s))
        return false;
    *key = span(from, s->p);
    skip_space(s);
    if (!at(s, ':'))
        return expected(s, "':'");
    s->p++;
    return true;
}

static inline enum step done_if(bool is_good)
{
    return is_good ? STEP_VALUE_DONE : STEP_FAILED;
}

/* A whole scalar, a whole empty container, or the opening of a container with its first key. */
static enum step scan_value_start(struct scan *s, int room)
{
    skip_space(s);
    unsigned char c = s->p < s->end ? *s->p : 0;
    if (c == '"') {
        s->p++;
        return done_if(scan_string_body(s));
    }
    if (c == '{' || c == '[') {
        if (room <= 0)
            return done_if(expected(s, "no deeper nesting"));
        s->p++;
        skip_space(s);
        if (at(s, c == '{' ? '}' : ']')) {
            s->p++;
            return STEP_VALUE_DONE;
        }
        if (c == '[')
            return STEP_ARRAY;
        struct str key;
        return scan_key(s, &key) ? STEP_OBJECT : STEP_FAILED;
    }
    if (c == '-' || jchars_is_digit(c))
        return done_if(scan_number(s));
    if (c == 't')
        return done_if(scan_literal(s, STR("true"), "\"true\""));
    if (c == 'f')
        return done_if(scan_literal(s, STR("false"), "\"false\""));
    if (c == 'n')
        return done_if(scan_literal(s, STR("null"), "\"null\""));
    return done_if(expected(s, "a value"));
}

/* After a value: leaves the containers that end here, and the key of the next member if one
 * follows. Depth 0: all is read. */
static inline bool scan_after(struct scan *s, uint64_t *objects, int *depth)
{
    for (; *depth > 0; (*depth)--, *objects >>= 1) {
        skip_space(s);
        bool is_object = *objects & 1;
        if (at(s, ',')) {
            s->p++;
            if (!is_object)
                return true;
            struct str key;
            skip_space(s);
            return scan_key(s, &key);
        }
        if (!at(s, is_object ? '}' : ']'))
            return expected(s, is_object ? "',' or '}'" : "',' or ']'");
        s->p++;
    }
    return true;
}

/* One value with everything in it, at most max_depth containers deep (64 at most: one bit each, set
 * for objects). */
static bool scan_value(struct scan *s, int max_depth)
{
    uint64_t objects = 0;
    int depth = 0;
    for (;;) {
        enum step step = scan_value_start(s, max_depth - depth);
        if (step == STEP_FAILED)
            return false;
        if (step != STEP_VALUE_DONE) {
            objects = objects << 1 | (step == STEP_OBJECT);
            depth++;
            continue;
        }
        if (!scan_after(s, &objects, &depth))
            return false;
        if (depth == 0)
            return true;
    }
}

static bool scan_end(struct scan *s)
{
    skip_space(s);
    return s->p == s->end || expected(s, "the end of the text");
}

_Static_assert(LIMIT_JSON_DEPTH <= 64, "the stack of containers is one 64-bit word");

bool jscan_valid(struct str text, struct err *e)
{
    struct scan s = scan_begin(text);
    if (scan_value(&s, LIMIT_JSON_DEPTH) && scan_end(&s))
        return true;
    return parse_error(&s, e);
}

/* A member of the top level. */
struct member {
    struct str key; /* with its quotes */
    struct str value;
    bool is_plain; /* nothing is escaped in the key */
};

/* The scanner stands at the key. */
static bool scan_member(struct scan *s, struct member *m)
{
    s->has_escape = false;
    if (!scan_key(s, &m->key))
        return false;
    m->is_plain = !s->has_escape;
    skip_space(s);
    const unsigned char *from = s->p;
    bool is_string = at(s, '"');
    s->p += is_string;
    if (is_string ? !scan_string_body(s) : !scan_value(s, LIMIT_JSON_DEPTH - 1))
        return false;
    m->value = span(from, s->p);
    return true;
}

/* The members asked for at the top level of an object. */
struct search {
    struct jwant *wants;
    size_t n_wants;
    size_t n_others; /* members that were not asked for */
};

static void search_match(struct search *q, const struct member *m)
{
    struct str name = {m->key.p + 1, m->key.n - 2};
    bool is_wanted = false;
    for (size_t i = 0; i < q->n_wants; i++) {
        struct jwant *w = &q->wants[i];
        if (m->is_plain ? str_eq(name, w->name) : jscan_string_eq(m->key, w->name)) {
            w->value = m->value;
            is_wanted = true;
        }
    }
    q->n_others += !is_wanted;
}

/* All members up to the closing brace; the scanner stands behind the opening one. */
static bool scan_members(struct scan *s, struct jscan_keys *keys, struct search *q, struct err *e)
{
    skip_space(s);
    if (at(s, '}')) {
        s->p++;
        return true;
    }
    for (;;) {
        struct member m;
        skip_space(s);
        if (!scan_member(s, &m))
            return parse_error(s, e);
        if (!jscan_keys_add(keys, m.key, m.is_plain, e))
            return false;
        search_match(q, &m);
        skip_space(s);
        bool is_end = at(s, '}');
        if (!is_end && !at(s, ','))
            return expected(s, "',' or '}'") || parse_error(s, e);
        s->p++;
        if (is_end)
            return true;
    }
}

bool jscan_object(struct str text, struct jwant *wants, size_t n_wants, struct err *e)
{
    size_t n_others;
    return jscan_object_others(text, wants, n_wants, &n_others, e);
}

bool jscan_object_others(struct str text, struct jwant *wants, size_t n_wants, size_t *n_others,
                         struct err *e)
{
    struct search q = {wants, n_wants, 0};
    for (size_t i = 0; i < n_wants; i++)
        wants[i].value = STR_NONE;
    struct scan s = scan_begin(text);
    skip_space(&s);
    if (!at(&s, '{')) {
        static const char *const names[] = {"null",     "false",    "true",     "a number",
                                            "a string", "an array", "an object"};
        struct str value = span(s.p, s.end);
        return jscan_valid(text, e) &&
               err_set(e, ERR_BAD_REQUEST, "JSON: given %s, expected an object",
                       names[jscan_type(value)]);
    }
    s.p++;
    struct jscan_keys keys;
    jscan_keys_init(&keys);
    bool is_good = scan_members(&s, &keys, &q, e);
    *n_others = q.n_others;
    jscan_keys_end(&keys);
    return is_good && (scan_end(&s) || parse_error(&s, e));
}

enum jtype jscan_type(struct str value)
{
    switch (value.n > 0 ? value.p[0] : 'n') {
    case '{':
        return JTYPE_OBJECT;
    case '[':
        return JTYPE_ARRAY;
    case '"':
        return JTYPE_STRING;
    case 't':
        return JTYPE_TRUE;
    case 'f':
        return JTYPE_FALSE;
    case 'n':
        return JTYPE_NULL;
    default:
        return JTYPE_NUMBER;
    }
}

struct str jscan_member(struct str object, struct str name)
{
    struct jwant want = {.name = name};
    struct err ignored;
    bool is_read = !str_is_absent(object) && jscan_type(object) == JTYPE_OBJECT &&
                   jscan_object(object, &want, 1, &ignored);
    return is_read ? want.value : STR_NONE;
}

void jscan_iter(struct jiter *it, struct str container)
{
    struct scan s = scan_begin(container);
    skip_space(&s);
    *it = (struct jiter){.rest = span(s.p, s.end)};
}

bool jscan_next(struct jiter *it)
{
    if (it->rest.n == 0)
        return false;
    struct scan s = scan_begin(it->rest);
    /* The first byte is '{' or '[' at the start, then ',' or the closing byte; which of the two
     * containers: is there a key. */
    bool is_first = str_is_absent(it->value);
    bool is_object = is_first ? *s.p == '{' : !str_is_absent(it->key);
    bool is_open = is_first ? is_object || *s.p == '[' : *s.p == ',';
    s.p += is_open;
    skip_space(&s);
    bool is_good = is_open;
    if (is_good && is_object) {
        struct member m;
        is_good = scan_member(&s, &m);
        if (is_good) {
            it->key = m.key;
            it->value = m.value;
        }
    } else if (is_good) {
        const unsigned char *from = s.p;
        is_good = scan_value(&s, LIMIT_JSON_DEPTH);
        it->value = span(from, s.p);
    }
    skip_space(&s);
    it->rest = is_good ? span(s.p, s.end) : STR_NONE;
    return is_good;
}

bool jscan_i64(struct str raw, int64_t *out)
{
    bool is_negative = raw.n > 0 && raw.p[0] == '-';
    int64_t v = 0;
    if (raw.n <= (size_t)is_negative)
        return false;
    for (size_t i = is_negative; i < raw.n; i++) {
        int digit = (unsigned char)raw.p[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, is_negative ? digit : -digit, &v))
            return false;
    }
    *out = v;
    return true;
}
