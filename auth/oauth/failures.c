#include "auth/oauth/failures.h"

#include <pthread.h>

#include "base/clock.h"
#include "crypto/hash.h"

enum { SLOTS = 4096, WINDOW_MS = 60 * 1000, FAILURES_MAX = 20 };

/* Two that share a slot take turns in it: the table bounds memory, it does not judge exactly. */
struct slot {
    uint64_t name;
    int64_t since_ms;
    int n;
};
static struct slot slots[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool failures_count(const struct http_request *rq, struct str client_id, struct err *e)
{
    /* Behind a shared address may be everybody: then the client alone counts. */
    struct str address = rq->peer_is_shared ? STR("") : str_c(rq->peer);
    struct str parts[] = {client_id, STR("|"), address};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    uint64_t name;
    int64_t now = clock_mono_ms();
    memcpy(&name, digest.b, sizeof(name));
    pthread_mutex_lock(&lock);
    struct slot *s = &slots[name % SLOTS];
    if (s->name != name || now - s->since_ms >= WINDOW_MS)
        *s = (struct slot){name, now, 0};
    bool is_over = ++s->n > FAILURES_MAX;
    pthread_mutex_unlock(&lock);
    if (is_over)
        err_set(e, ERR_RATE_LIMITED, "too many failed requests of this client; wait a minute");
    return false;
}
