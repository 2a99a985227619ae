#include "io/cookies.h"

#include "base/limits.h"

bool cookies_parse(struct arena *a, struct str header, struct cookies *out, struct err *e)
{
    struct cookies c = {arena_alloc(a, LIMIT_COOKIES * sizeof *c.pairs), 0};
    if (!c.pairs)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct str piece;
    while (str_next(&header, ';', &piece)) {
        piece = str_trim(piece);
        size_t equals = str_find_char(piece, '=');
        if (equals == SIZE_MAX || equals == 0)
            continue;
        if (c.n == LIMIT_COOKIES)
            return err_set(e, ERR_BAD_REQUEST, "more than %d cookies", LIMIT_COOKIES);
        c.pairs[c.n++] = (struct cookie_pair){str_trim(str_slice(piece, 0, equals)),
                                              str_trim(str_slice(piece, equals + 1, SIZE_MAX))};
    }
    *out = c;
    return true;
}

enum cookie_presence cookies_get(const struct cookies *c, struct str name, struct str *value)
{
    enum cookie_presence presence = COOKIE_ABSENT;
    *value = STR_NONE;
    for (size_t i = 0; i < c->n; i++) {
        if (!str_eq(c->pairs[i].name, name))
            continue;
        if (presence == COOKIE_ONCE)
            return COOKIE_REPEATED;
        presence = COOKIE_ONCE;
        *value = c->pairs[i].value;
    }
    return presence;
}

/* True when s is made of printable ASCII without space and none of `except`. */
static bool is_made_of(struct str s, const char *except)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7F || strchr(except, s.p[i]))
            return false;
    return true;
}

bool cookie_write(struct buf *out, const struct cookie *c)
{
    bool needs_secure =
        str_starts(c->name, STR("__Host-")) || str_starts(c->name, STR("__Secure-"));
    if (c->name.n == 0 || !is_made_of(c->name, "()<>@,;:\\\"/[]?={}") ||
        !is_made_of(c->value, "\",;\\") || (needs_secure && !c->is_secure) || c->max_age_s < -1)
        return false;
    buf_addf(out, "%.*s=%.*s; Path=/; HttpOnly; SameSite=Lax", STR_FMT(c->name), STR_FMT(c->value));
    if (c->is_secure)
        buf_add(out, STR("; Secure"));
    if (c->max_age_s >= 0)
        buf_addf(out, "; Max-Age=%lld", (long long)c->max_age_s);
    return buf_ok(out);
}
