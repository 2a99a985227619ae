#include "auth/oauth/upkeep.h"

#include "auth/login/domain_proof.h"
#include "base/clock.h"
#include "core/signing_key.h"
#include "io/fiber.h"
#include "store/oauth_clients.h"

enum { EVERY_MS = 60 * 60 * 1000, ARENA_BYTES = 1024 * 1024 };
#define DAY_MS      (INT64_C(24) * 60 * 60 * 1000)
#define KEY_LIFE_MS (90 * DAY_MS)
#define IDLE_MS     (90 * DAY_MS)
#define UNASKED_MS  DAY_MS /* a registration that nobody has consented to */

/* Each of these is right whichever node does it, and when all do. */
static void look(struct services *sv, struct arena *a)
{
    const struct signing signing = {sv->keys, sv->db, sv->offload, a};
    int64_t now = clock_wall_ms();
    struct err ignored; /* it is tried again in an hour */
    (void)!signing_key_renew_old(&signing, KEY_LIFE_MS, &ignored);
    (void)!oauth_clients_purge(sv->db, a, now - UNASKED_MS, &ignored);
    (void)!oauth_clients_purge_idle(sv->db, a, now - IDLE_MS, &ignored);
}

static void run(void *arg)
{
    struct services *sv = arg;
    struct err e;
    do {
        struct arena *a = arena_new(ARENA_BYTES);
        if (a)
            look(sv, a);
        arena_end(a);
        domain_proof_recheck(sv);
    } while (fiber_sleep_until(clock_mono_ms() + EVERY_MS, &e));
}

bool upkeep_start(struct services *sv, struct err *e)
{
    return fiber_start(sv->loop, run, sv, &sv->upkeep, e);
}
