/* Sealed states of rounds. */
#include "mcp/m2s_state.h"

#include <stdlib.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "json/jout.h"
#include "json/jscan.h"

#define PURPOSE "mcp-request-state"
enum { STATE_MAX = 4096 };

/* ---- one spelling ---- */

struct member {
    struct str name; /* unescaped where it can be */
    struct str value;
};

static int member_order(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

static bool canonical_write(struct arena *a, struct str json, struct jout *j);

/* U+0000 has no unescaped form here: such a string stays as it was written. */
static void string_write(struct arena *a, struct str raw, struct jout *j)
{
    struct str text;
    if (jscan_string(a, raw, &text))
        jout_str(j, text);
    else
        jout_raw(j, raw);
}

static bool object_write(struct arena *a, struct str object, struct jout *j)
{
    struct jiter it;
    size_t n = 0, used = 0;
    for (jscan_iter(&it, object); jscan_next(&it);)
        n++;
    struct member *members = arena_alloc(a, (n + 1) * sizeof(*members));
    if (!members)
        return false;
    for (jscan_iter(&it, object); jscan_next(&it); used++) {
        if (!jscan_string(a, it.key, &members[used].name))
            members[used].name = it.key;
        members[used].value = it.value;
    }
    qsort(members, n, sizeof(*members), member_order);
    jout_object(j);
    bool is_good = true;
    for (size_t i = 0; is_good && i < n; i++) {
        jout_key(j, members[i].name);
        is_good = canonical_write(a, members[i].value, j);
    }
    jout_object_end(j);
    return is_good;
}

/* As deep as LIMIT_JSON_DEPTH allows. NOLINTNEXTLINE(misc-no-recursion) */
static bool canonical_write(struct arena *a, struct str json, struct jout *j)
{
    struct jiter it;
    bool is_good = true;
    switch (jscan_type(json)) {
    case JTYPE_OBJECT:
        return object_write(a, json, j);
    case JTYPE_ARRAY:
        jout_array(j);
        for (jscan_iter(&it, json); is_good && jscan_next(&it);)
            is_good = canonical_write(a, it.value, j);
        jout_array_end(j);
        return is_good;
    case JTYPE_STRING:
        string_write(a, json, j);
        return true;
    default:
        jout_raw(j, json);
        return true;
    }
}

struct str m2s_canonical(struct arena *a, struct str json)
{
    struct buf out;
    struct jout j;
    buf_init(&out, (size_t)2 * LIMIT_BODY_MCP);
    jout_init(&j, &out);
    bool is_good = canonical_write(a, json, &j) && buf_ok(&out);
    struct str text = is_good ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

/* ---- sealing: "handle|round|expiry", the binding as associated data ---- */

static struct str associated(struct arena *a, const struct m2s_binding *b)
{
    const struct rpc_message *m = b->message;
    struct str name = str_is_absent(m->name_text) ? m->uri_text : m->name_text;
    struct str arguments = str_is_absent(m->arguments) ? STR("") : m2s_canonical(a, m->arguments);
    if (str_is_absent(arguments))
        return STR_NONE;
    struct sha256 digest = hash_sha256(arguments);
    char hex[65];
    hash_hex(&digest, hex);
    return arena_printf(a, "%.*s|%.*s|%.*s|%s|%.*s", STR_FMT(b->principal),
                        STR_FMT(b->connection_id), STR_FMT(m->method), hex, STR_FMT(name));
}

bool m2s_state_seal(const struct keyring *keys, struct arena *a, const struct m2s_binding *b,
                    struct str handle, int round, int64_t expires_at, struct buf *out)
{
    struct str aad = associated(a, b);
    struct str plain =
        arena_printf(a, "%.*s|%d|%lld", STR_FMT(handle), round, (long long)expires_at);
    if (str_is_absent(aad) || str_is_absent(plain))
        return false;
    buf_add_char(out, '"');
    bool is_sealed = keyring_seal(keys, STR(PURPOSE), aad, plain, out);
    buf_add_char(out, '"');
    return is_sealed && buf_ok(out);
}

bool m2s_state_open(const struct keyring *keys, struct arena *a, const struct m2s_binding *b,
                    struct str raw, int64_t now, struct str *handle, int *round, struct err *e)
{
    struct str sealed, aad = associated(a, b), rest, piece;
    struct buf plain;
    int64_t number = 0, expires_at = 0;
    if (str_is_absent(aad))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    buf_init(&plain, STATE_MAX);
    bool is_open = raw.n <= STATE_MAX && jscan_type(raw) == JTYPE_STRING &&
                   jscan_string(a, raw, &sealed) &&
                   keyring_open(keys, STR(PURPOSE), aad, sealed, &plain);
    rest = is_open ? arena_dup(a, buf_str(&plain)) : STR_NONE;
    buf_end(&plain);
    is_open = str_next(&rest, '|', handle) && str_next(&rest, '|', &piece) &&
              str_to_i64(piece, 0, INT32_MAX, &number) &&
              str_to_i64(rest, 0, INT64_MAX, &expires_at);
    *round = (int)number;
    if (!is_open)
        return err_set(e, ERR_INVALID,
                       "params.requestState is not one that this request was given");
    return expires_at > now ||
           err_set(e, ERR_INVALID, "the request state has expired; start again");
}
