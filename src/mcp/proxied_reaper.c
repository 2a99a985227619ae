/* Ends downstream sessions that nobody used for a while: servers keep memory for each. */
#include <malloc.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "log/log.h"
#include "mcp/client_sessions.h"
#include "mcp/channel.h"
#include "mcp/proxied_call.h"
#include "mcp/replay.h"
#include "mcp/sessions.h"
#include "mcp/upstream.h"
#include "mcp/upstream_pool.h"

enum { REAP_EVERY_MS = 60 * 1000, REAP_AT_ONCE = 64, TRIM_KEEP_BYTES = 1024 * 1024 };

static void end_client_session(struct services *sv, struct arena *a, const struct session_ref *ref)
{
    struct registry_entry *entry;
    struct pooled_ref pooled = {.user_id = ref->user_id,
                                .session = {.id = ref->downstream_id, .version = ref->version}};
    struct err ignored; /* a connection that is gone cannot be asked */
    if (registry_get(sv, a, ref->org_id, ref->connection_id, &entry, &ignored))
        upstream_end_sessions(sv, a, entry, &pooled, 1);
    LOG(EV_SESSION_REAPED, LF_STR("connection_id", ref->connection_id));
}

static void reap_once(struct services *sv)
{
    struct arena *a = arena_new(8 * 1024 * 1024);
    struct session_ref *clients = a ? arena_alloc(a, REAP_AT_ONCE * sizeof(*clients)) : NULL;
    struct pooled_ref *pooled = a ? arena_alloc(a, REAP_AT_ONCE * sizeof(*pooled)) : NULL;
    struct err ignored;
    if (clients && pooled) {
        size_t n = sv->worker == 0
                       ? session_take_idle(sv->sessions, a, clock_wall_ms(), clients, REAP_AT_ONCE)
                       : 0;
        for (size_t i = 0; i < n; i++)
            end_client_session(sv, a, &clients[i]);
        n = session_pool_take(sv, a, STR_NONE, clock_mono_ms(), pooled, REAP_AT_ONCE);
        for (size_t i = 0; i < n; i++) {
            struct registry_entry *entry;
            if (registry_get(sv, a, pooled[i].org_id, pooled[i].connection_id, &entry, &ignored))
                upstream_end_sessions(sv, a, entry, &pooled[i], 1);
        }
    }
    arena_end(a);
}

static void reaper_run(void *arg)
{
    struct services *sv = arg;
    struct err e;
    /* Ends when the worker's shutdown cancels it. */
    while (fiber_sleep_until(clock_mono_ms() + REAP_EVERY_MS, &e)) {
        reap_once(sv);
        if (sv->worker == 0) {
            (void)client_sessions_reap(sv->clients, clock_wall_ms());
            replay_reap(sv->replays, clock_mono_ms());
        }
        /* What a burst of large answers left in the allocator goes back to the system. */
        if (sv->worker == 0)
            (void)malloc_trim(TRIM_KEEP_BYTES);
    }
}

bool proxied_reaper_start(struct services *sv, struct err *e)
{
    return fiber_start(sv->loop, reaper_run, sv, &sv->reaper, e);
}
