/* Resuming streams. */
#include "mcp/upstream_resume.h"

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "mcp/upstream_reply.h"

struct exchange *upstream_resume(struct services *sv, struct arena *a,
                                 const struct upstream_message *base, struct str last_id,
                                 int64_t retry_ms, struct err *e)
{
    int64_t wait_ms = retry_ms < 0 ? LIMIT_RETRY_USUAL_MS : retry_ms;
    if (wait_ms < LIMIT_RETRY_MIN_MS)
        wait_ms = LIMIT_RETRY_MIN_MS;
    if (wait_ms > LIMIT_RETRY_MAX_MS)
        wait_ms = LIMIT_RETRY_MAX_MS;
    if (!fiber_sleep_until(clock_mono_ms() + wait_ms, e))
        return NULL;
    struct upstream_message m = *base;
    m.http_method = STR("GET");
    m.body = STR_NONE;
    m.last_event_id = last_id;
    struct http_answer_head head;
    struct exchange *x = upstream_send(sv, a, &m, &head, e);
    if (!x || (head.status == 200 && upstream_body_kind(&head) == UPSTREAM_EVENTS))
        return x;
    exchange_close(x);
    err_set(e, ERR_UPSTREAM,
            "the server's event stream ended before it had answered, and it did not go on with it "
            "(HTTP %d)",
            head.status);
    return NULL;
}
