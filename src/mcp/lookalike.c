/* Lookalikes of judged members. */
#include "mcp/lookalike.h"

#include "base/text.h"
#include "json/jscan.h"

enum { NAME_MAX_BYTES = 64 }; /* longer than any judged name even in three-byte letters */

/* Lower-cases ASCII and the two folding letters. False when the name is too long to be one of ours.
 */
static bool fold(struct str name, char out[NAME_MAX_BYTES], size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (*n == NAME_MAX_BYTES)
            return false;
        struct str rest = str_slice(name, i, SIZE_MAX);
        if (str_starts(rest, STR("\xC5\xBF"))) {
            out[(*n)++] = 's';
            i += 1;
        } else if (str_starts(rest, STR("\xE2\x84\xAA"))) {
            out[(*n)++] = 'k';
            i += 2;
        } else {
            out[(*n)++] = name.p[i];
        }
    }
    text_lower(out, *n);
    return true;
}

static bool is_lookalike(struct str name, const struct str *names, size_t n)
{
    char folded[NAME_MAX_BYTES], wanted[NAME_MAX_BYTES];
    size_t n_folded, n_wanted;
    bool is_ascii = true;
    for (size_t i = 0; i < name.n; i++)
        is_ascii = is_ascii && (unsigned char)name.p[i] < 0x80;
    if (is_ascii) { /* nearly every name there is: lengths tell most apart */
        for (size_t i = 0; i < n; i++)
            if (name.n == names[i].n && !str_eq(name, names[i]) && str_ieq(name, names[i]))
                return true;
        return false;
    }
    if (!fold(name, folded, &n_folded))
        return false;
    for (size_t i = 0; i < n; i++)
        if (fold(names[i], wanted, &n_wanted) && n_wanted == n_folded &&
            memcmp(folded, wanted, n_folded) == 0 && !str_eq(name, names[i]))
            return true;
    return false;
}

bool lookalike_check(struct arena *a, struct str object, const struct str *names, size_t n,
                     const char *where, struct err *e)
{
    struct jiter it;
    for (jscan_iter(&it, object); jscan_next(&it);) {
        struct str name;
        if (!jscan_string(a, it.key, &name))
            return err_set(e, ERR_BAD_REQUEST, "%s holds a member name with \\u0000", where);
        if (is_lookalike(name, names, n))
            return err_set(e, ERR_BAD_REQUEST,
                           "%s%s\"%.*s\" differs only in case from a member of the protocol", where,
                           where[0] ? ": " : "", STR_FMT(str_slice(name, 0, 60)));
    }
    return true;
}
