/*
 * Fibers: functions that wait in place. Each has its own guarded stack (LIMIT_FIBER_STACK) from a
 * pool; it never changes thread. The waits below are the only way to park one; each has a deadline
 * and ends early when the fiber is cancelled.
 */
#pragma once

#include "base/err.h"
#include "io/loop.h"

struct fiber;

/*
 * Starts fn(arg) on a new fiber of this thread's loop; it first runs before this call returns, up
 * to its first wait. ERR_UNAVAILABLE beyond LIMIT_FIBERS or without memory. *out (may be NULL) is
 * valid until fn returns, which may be before this does: it is written before fn runs, never after.
 */
bool fiber_start(struct loop *l, void (*fn)(void *arg), void *arg, struct fiber **out,
                 struct err *e) must_use;
struct fiber *fiber_self(void); /* NULL outside of fibers */
struct loop *
fiber_loop(void); /* the loop of the calling fiber, running or not yet; NULL outside of fibers */
/* The present and every later wait of f returns ERR_CANCELLED (until fiber_shield). From the loop's
 * thread. */
void fiber_cancel(struct fiber *f);
bool fiber_is_cancelled(
    const struct fiber *f); /* a wait would say ERR_CANCELLED: false while shielded */
/* For clean-up that must wait once more (an audit row, ending a session): true ignores cancellation
 * until false, nests. Deadlines stay. */
void fiber_shield(bool on);

/* One thing to wait for. Zero-initialise; use once, or fiber_rearm between uses. Same thread only.
 */
struct fiber_wait {
    struct fiber *fiber; /* parked here, or NULL */
    bool is_done;
};
/*
 * Parks until fiber_wake(w), the deadline (ERR_TIMEOUT; INT64_MAX: none), or cancellation
 * (ERR_CANCELLED). True at once if already woken; true wins: what was handed over before this fiber
 * ran again is never lost to a timeout or cancellation.
 */
bool fiber_wait(struct fiber_wait *w, int64_t deadline_mono_ms, struct err *e) must_use;
/* Marks w done and lets its fiber run soon; harmless when nobody waits or the waiter gave up. */
void fiber_wake(struct fiber_wait *w);
void fiber_rearm(struct fiber_wait *w);
/* Parks for a time, which may have passed. ERR_CANCELLED. */
bool fiber_sleep_until(int64_t mono_ms, struct err *e) must_use;
/* Lets other fibers and the loop have a turn. Not a wait: cancellation only makes it shorter. */
void fiber_yield(void);

/* fn(pause) runs once, when the calling fiber next parks or ends: gives back what must not be held
 * across a wait. Zero-initialise; the caller's until then. Adding one that waits already, and
 * dropping one that does not, change nothing. Only in a fiber. */
struct fiber_pause {
    struct fiber_pause *next;
    void (*fn)(struct fiber_pause *p);
    bool is_added;
};
void fiber_pause_add(struct fiber_pause *p);
void fiber_pause_drop(struct fiber_pause *p);

int fiber_count(void); /* live fibers of the process */
/* Runs fn(arg) in a fiber of a fresh loop on this thread and returns when it has returned: command
 * line and tests. */
bool fiber_main(void (*fn)(void *arg), void *arg, struct err *e) must_use;
