/* A reference that parses has an origin that parses to itself, and resolving never yields what does
 * not parse. */
#include "base/err.h"
#include "base/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str s = {(const char *)bytes, n};
    struct uri u, again;
    auto_free(arena_endp) struct arena *a = arena_new(1 << 20);
    ensure(a);
    if (uri_parse(s, &u) && uri_is_http(&u)) {
        struct str origin = uri_origin(a, &u);
        ensure(n > (1 << 18) || origin.p);
        if (origin.p) {
            ensure(uri_parse(origin, &again));
            ensure(str_eq(uri_origin(a, &again), origin));
            ensure(uri_port(&again) == uri_port(&u));
            ensure(uri_host_is_loopback(u.host) == uri_host_is_loopback(again.host));
        }
    }
    struct str resolved = uri_resolve(a, STR("https://example.org/a/b?c"), s);
    ensure(!resolved.p || uri_parse(resolved, &again));
    /* The input in two halves: a base and a reference. */
    resolved = uri_resolve(a, str_slice(s, 0, n / 2), str_slice(s, n / 2, SIZE_MAX));
    ensure(!resolved.p || uri_parse(resolved, &again));
    return 0;
}
