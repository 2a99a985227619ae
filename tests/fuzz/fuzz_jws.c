/* The first line is a token, the rest a key: whatever they are, taking apart and verifying end, and
 * a token that verifies does not verify once a byte of what is signed differs. */
#include "base/err.h"
#include "crypto/jws.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool verifies(struct arena *a, struct str token, const struct jvalue *jwk)
{
    struct jws t;
    struct err e;
    if (!jws_parse(a, token, &t, &e))
        return false;
    bool is_good = jws_verify(&t, jwk);
    ensure(!is_good || jws_is_algorithm(t.alg));
    jws_end(&t);
    return is_good;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str rest = {(const char *)bytes, n}, token;
    struct err e;
    auto_free(arena_endp) struct arena *a = arena_new(1 << 20);
    ensure(a);
    if (n == 0 || !str_next(&rest, '\n', &token))
        return 0;
    auto_free(jdoc_freep) struct jdoc *jwk = str_is_absent(rest) ? NULL : jdoc_parse(rest, &e);
    if (!jwk || !verifies(a, token, jdoc_root(jwk)))
        return 0;
    struct str changed = arena_dup(a, token);
    ensure(changed.p);
    char *p = (char *)(uintptr_t)changed.p;
    size_t dot = str_find_char(changed, '.');
    p[dot + 1] = p[dot + 1] == 'A' ? 'B' : 'A';
    ensure(!verifies(a, changed, jdoc_root(jwk)));
    return 0;
}
