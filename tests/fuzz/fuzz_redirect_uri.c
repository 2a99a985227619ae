/* What may be registered matches itself, is shown by a host, and puts nothing but an origin or a
 * scheme into a policy; a URI that matches another one differs from it in the port at most. */
#include "auth/oauth/redirect_uri.h"
#include "auth/oauth/resource.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool may_follow(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == ';' || s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\'')
            return false;
    return s.n > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const struct config config = {.origin = "https://tulle.example"};
    struct str whole = {(const char *)bytes, n};
    struct str first = str_slice(whole, 0, str_find_char(whole, '\n'));
    struct str second = str_slice(whole, first.n + 1, SIZE_MAX);
    struct resource_ref ref;
    struct err e;
    auto_free(arena_endp) struct arena *a = arena_new(1 << 20);
    ensure(a);
    if (redirect_uri_check(first, &e)) {
        ensure(redirect_uri_matches(first, first));
        ensure(redirect_uri_host(a, first).n > 0);
        ensure(may_follow(redirect_uri_origin(a, first)));
        if (redirect_uri_matches(first, second) && !str_eq(first, second)) {
            ensure(!redirect_uri_is_remote(second));
            ensure(str_eq(redirect_uri_host(a, first), redirect_uri_host(a, second)));
            ensure(redirect_uri_matches(second, first));
        }
    }
    if (resource_parse(&config, first, &ref, &e) && ref.kind == RESOURCE_CONNECTION)
        ensure(ref.connection.n > 0 && ref.connection.n <= 64);
    return 0;
}
