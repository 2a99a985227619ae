/* A challenge of a server's is read within its bytes, and what is read of it came from it. */
#include "auth/downstream/discover.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct downstream_challenge c;
    auto_free(arena_endp) struct arena *a = arena_new(1 << 24);
    ensure(a);
    if (n > 64 * 1024)
        return 0;
    if (!downstream_challenge_read(a, (struct str){(const char *)bytes, n}, &c))
        return 0;
    ensure(c.resource_metadata.n + c.scope.n + c.error.n <= n);
    ensure(c.dpop_algs.n + c.dpop_error.n <= n && (c.has_dpop || c.dpop_error.n == 0));
    return 0;
}
