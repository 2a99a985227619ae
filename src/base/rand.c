#include "base/rand.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/secret.h"

enum { REFILL = 256 }; /* bytes of one call to the kernel; it promises not to interrupt those */

static _Thread_local unsigned char ready[REFILL];
static _Thread_local size_t n_ready; /* unused bytes, at the end of `ready` */

static void from_kernel(unsigned char *out, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        ensure(got > 0);
        out += got;
        n -= (size_t)got;
    }
}

void rand_bytes(void *out, size_t n)
{
    if (n > REFILL / 2) {
        from_kernel(out, n);
        return;
    }
    if (n > n_ready) {
        from_kernel(ready, REFILL);
        n_ready = REFILL;
    }
    unsigned char *from = ready + REFILL - n_ready;
    if (n > 0)
        memcpy(out, from, n);
    secret_wipe(from, n); /* what was given out cannot be read again */
    n_ready -= n;
}

uint64_t rand_u64(void)
{
    uint64_t v;
    rand_bytes(&v, sizeof(v));
    return v;
}
