/*
 * A circuit breaker: after a row of failures a server is not called any more but for one probe at a
 * time, until one succeeds. Pure: the clock and the dice are arguments.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum breaker_state {
    BREAKER_CLOSED,   /* calls pass */
    BREAKER_OPEN,     /* calls are refused until retry_at_ms */
    BREAKER_HALF_OPEN /* one probe is on its way; the rest is refused */
};

struct breaker {
    enum breaker_state state;
    int failures;        /* in a row */
    int openings;        /* in a row */
    int64_t first_ms;    /* of the row of failures */
    int64_t retry_at_ms; /* open: when a probe may pass; half-open: when another one may */
};

enum {
    BREAKER_FAILURES = 5,          /* in a row open it ... */
    BREAKER_WINDOW_MS = 60 * 1000, /* ... if they are not older than this */
    BREAKER_PAUSE_MS = 1000, /* at first; doubled at each failed probe, half of it by chance */
    BREAKER_PAUSE_MAX_MS = 60 * 1000,
    BREAKER_PROBE_MS = 30 * 1000, /* a probe that says nothing for so long is given up */
};

/* May a call pass now? The call that finds the pause over is the probe. */
bool breaker_admit(struct breaker *b, int64_t now_ms);
/* True when it was open and is not any more. */
bool breaker_succeed(struct breaker *b);
/* dice: a random number. True when this failure opened it. */
bool breaker_fail(struct breaker *b, int64_t now_ms, uint64_t dice);
