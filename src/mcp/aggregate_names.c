#include "mcp/aggregate_names.h"

#include <stdlib.h>

#include "crypto/hash.h"

enum { PREFIX_MAX = 18, PREFIX_CUT = 11, HASH_SHORT = 6, HASH_LONG = 12 };

/* How much of its origin a name shows. */
enum level { LEVEL_BARE, LEVEL_PREFIXED, LEVEL_HASHED, LEVEL_FIXED };

struct work {
    struct named *thing;
    enum level level;
    bool is_lossy; /* its text is not its own: cut, or bytes replaced */
};

static struct str hash_of(struct arena *a, struct str text, size_t digits)
{
    struct sha256 digest = hash_sha256(text);
    char hex[65];
    hash_hex(&digest, hex);
    return arena_dup(a, str_slice(str_c(hex), 0, digits));
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static struct str plain_of(struct arena *a, struct str name)
{
    char *out = arena_alloc(a, name.n + 1);
    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < name.n; i++)
        out[i] = (char)(is_plain(name.p[i]) ? name.p[i] : '_');
    return (struct str){out, name.n};
}

struct str names_prefix(struct arena *a, struct str slug)
{
    if (slug.n <= PREFIX_MAX)
        return slug;
    struct str hash = hash_of(a, slug, HASH_SHORT);
    return arena_printf(a, "%.*s-%.*s", STR_FMT(str_slice(slug, 0, PREFIX_CUT)), STR_FMT(hash));
}

bool names_split(struct str given, struct str *prefix, struct str *rest)
{
    size_t at = str_find(given, STR("__"));
    if (at == SIZE_MAX || at == 0)
        return false;
    *prefix = str_slice(given, 0, at);
    *rest = str_slice(given, at + 2, SIZE_MAX);
    return rest->n > 0;
}

static struct str name_at_level(struct arena *a, struct work *w)
{
    const struct named *t = w->thing;
    if (w->level == LEVEL_FIXED)
        return t->fixed;
    struct str plain = plain_of(a, t->name), head = STR("");
    if (w->level != LEVEL_BARE)
        head = arena_printf(a, "%.*s__", STR_FMT(names_prefix(a, t->server)));
    struct str whole = arena_printf(a, "%.*s%.*s", STR_FMT(head), STR_FMT(plain));
    if (str_is_absent(plain) || str_is_absent(head) || str_is_absent(whole))
        return STR_NONE;
    w->is_lossy = whole.n > NAMES_MAX || !str_eq(plain, t->name);
    if (w->level != LEVEL_HASHED && whole.n <= NAMES_MAX)
        return whole;
    size_t digits = w->level == LEVEL_HASHED ? HASH_LONG : HASH_SHORT;
    struct str origin = arena_printf(a, "%.*s/%.*s", STR_FMT(t->server), STR_FMT(t->name));
    struct str hash = hash_of(a, origin, digits);
    return arena_printf(a, "%.*s_%.*s", STR_FMT(str_slice(whole, 0, NAMES_MAX - digits - 1)),
                        STR_FMT(hash));
}

static int by_given(const void *left, const void *right)
{
    const struct named *l = (*(struct work *const *)left)->thing,
                       *r = (*(struct work *const *)right)->thing;
    int order = str_cmp(l->given, r->given);
    if (order == 0)
        order = str_cmp(l->server, r->server);
    return order ? order : str_cmp(l->name, r->name);
}

/* Who of several with one name keeps it: an administrator's word, else the one whose own text it
 * is. NULL: nobody. */
static const struct work *keeper_of(struct work *const *group, size_t n)
{
    const struct work *keeper = NULL;
    for (size_t i = 0; i < n; i++) {
        if (group[i]->level == LEVEL_FIXED)
            return group[i];
        if (group[i]->level == LEVEL_PREFIXED && !group[i]->is_lossy)
            keeper = group[i];
    }
    return keeper;
}

/* Several things have one name. True when one of them moved on to another. */
static bool group_part(struct work *const *group, size_t n)
{
    const struct work *keeper = keeper_of(group, n);
    bool has_moved = false;
    for (size_t i = 0; i < n; i++) {
        if (group[i] == keeper || group[i]->level >= LEVEL_HASHED)
            continue;
        /* The same thing listed twice stays the same thing. */
        if (keeper && str_eq(keeper->thing->server, group[i]->thing->server) &&
            str_eq(keeper->thing->name, group[i]->thing->name))
            continue;
        group[i]->level++;
        has_moved = true;
    }
    return has_moved;
}

static size_t group_end(struct work *const *sorted, size_t from, size_t n)
{
    size_t to = from + 1;
    while (to < n && str_eq(sorted[to]->thing->given, sorted[from]->thing->given))
        to++;
    return to;
}

static bool round_run(struct arena *a, struct work **sorted, size_t n, bool *has_moved)
{
    for (size_t i = 0; i < n; i++) {
        sorted[i]->thing->given = name_at_level(a, sorted[i]);
        if (str_is_absent(sorted[i]->thing->given))
            return false;
    }
    qsort(sorted, n, sizeof(*sorted), by_given);
    *has_moved = false;
    for (size_t from = 0, to; from < n; from = to) {
        to = group_end(sorted, from, n);
        if (to - from > 1 && group_part(&sorted[from], to - from))
            *has_moved = true;
    }
    return true;
}

/* What still shares a name is shown once. */
static void rest_drop(struct work *const *sorted, size_t n)
{
    for (size_t from = 0, to; from < n; from = to) {
        to = group_end(sorted, from, n);
        if (to - from == 1)
            continue;
        const struct work *keeper = keeper_of(&sorted[from], to - from);
        keeper = keeper ? keeper : sorted[from];
        for (size_t i = from; i < to; i++)
            if (sorted[i] != keeper)
                sorted[i]->thing->given = STR_NONE;
    }
}

bool names_give(struct arena *a, struct named *list, size_t n, enum names_mode mode, struct err *e)
{
    struct work *all = arena_alloc(a, (n + 1) * sizeof(*all));
    struct work **sorted = arena_alloc(a, (n + 1) * sizeof(*sorted));
    bool has_moved = n > 0;
    if (!all || !sorted)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < n; i++) {
        all[i] = (struct work){.thing = &list[i],
                               .level = !str_is_absent(list[i].fixed) ? LEVEL_FIXED
                                        : mode == NAMES_ALWAYS        ? LEVEL_PREFIXED
                                                                      : LEVEL_BARE};
        sorted[i] = &all[i];
    }
    while (has_moved) /* each turn raises a level, and there are few */
        if (!round_run(a, sorted, n, &has_moved))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
    rest_drop(sorted, n);
    return true;
}

/* ---- URIs ---- */

/* Where the slug goes: after "scheme:" or "scheme://"; SIZE_MAX: no scheme (RFC 3986 section 3.1).
 */
static size_t uri_place(struct str uri)
{
    size_t colon = str_find_char(uri, ':');
    if (colon == SIZE_MAX || colon == 0)
        return SIZE_MAX;
    for (size_t i = 0; i < colon; i++) {
        char c = uri.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!is_letter && (i == 0 || !is_other))
            return SIZE_MAX;
    }
    return str_starts(str_slice(uri, colon + 1, SIZE_MAX), STR("//")) ? colon + 3 : colon + 1;
}

struct str names_uri(struct arena *a, struct str slug, struct str uri)
{
    size_t at = uri_place(uri);
    if (at == SIZE_MAX)
        return STR_NONE;
    return arena_printf(a, "%.*s%.*s/%.*s", STR_FMT(str_slice(uri, 0, at)), STR_FMT(slug),
                        STR_FMT(str_slice(uri, at, SIZE_MAX)));
}

bool names_uri_split(struct arena *a, struct str given, struct str *slug, struct str *uri)
{
    size_t at = uri_place(given);
    if (at == SIZE_MAX)
        return false;
    struct str rest = str_slice(given, at, SIZE_MAX);
    size_t slash = str_find_char(rest, '/');
    if (slash == SIZE_MAX || slash == 0)
        return false;
    *slug = str_slice(rest, 0, slash);
    *uri = arena_printf(a, "%.*s%.*s", STR_FMT(str_slice(given, 0, at)),
                        STR_FMT(str_slice(rest, slash + 1, SIZE_MAX)));
    return !str_is_absent(*uri);
}
