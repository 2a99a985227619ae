/* When to stop calling a server that does not answer. */
#include "mcp/breaker.h"

bool breaker_admit(struct breaker *b, int64_t now_ms)
{
    if (b->state == BREAKER_CLOSED)
        return true;
    if (now_ms < b->retry_at_ms)
        return false;
    b->state = BREAKER_HALF_OPEN;
    b->retry_at_ms = now_ms + BREAKER_PROBE_MS;
    return true;
}

bool breaker_succeed(struct breaker *b)
{
    bool was_open = b->state != BREAKER_CLOSED;
    *b = (struct breaker){.state = BREAKER_CLOSED};
    return was_open;
}

/* Jittered, so that the nodes of an installation do not come back all at once. */
static int64_t pause_of(int openings, uint64_t dice)
{
    int64_t pause_ms = BREAKER_PAUSE_MS;
    for (int i = 1; i < openings && pause_ms < BREAKER_PAUSE_MAX_MS; i++)
        pause_ms *= 2;
    if (pause_ms > BREAKER_PAUSE_MAX_MS)
        pause_ms = BREAKER_PAUSE_MAX_MS;
    return pause_ms / 2 + (int64_t)(dice % (uint64_t)(pause_ms / 2));
}

bool breaker_fail(struct breaker *b, int64_t now_ms, uint64_t dice)
{
    if (b->state == BREAKER_OPEN) /* a call that had passed before */
        return false;
    bool was_closed = b->state == BREAKER_CLOSED;
    if (was_closed && b->failures > 0 && now_ms - b->first_ms > BREAKER_WINDOW_MS)
        b->failures = 0;
    if (b->failures == 0)
        b->first_ms = now_ms;
    b->failures++;
    if (was_closed && b->failures < BREAKER_FAILURES)
        return false;
    b->state = BREAKER_OPEN;
    b->openings++;
    b->retry_at_ms = now_ms + pause_of(b->openings, dice);
    return was_closed;
}
