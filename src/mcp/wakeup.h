/*
 * Wakes a fiber from any thread: a fiber_wait that a loop_post reaches. Counted: the waiting fiber
 * holds one reference, and so does everyone who may wake it later.
 */
#pragma once

#include "io/fiber.h"

struct wakeup;

/* For the calling fiber. NULL: out of memory. */
struct wakeup *wakeup_new(void) must_use;
/* For a callback on the loop's own thread instead of a fiber; wakeup_mute ends the calls. */
struct wakeup *wakeup_for(struct loop *l, void (*fn)(void *arg), void *arg) must_use;
/* From the loop's own thread: the callback is not called any more. */
void wakeup_mute(struct wakeup *w);
struct wakeup *wakeup_ref(struct wakeup *w);
void wakeup_unref(struct wakeup *w); /* any thread; NULL is fine */
/* Any thread. One that comes while nobody waits is remembered. */
void wakeup_set(struct wakeup *w);
/* Waits for a wakeup_set and forgets it. Spurious returns are possible: look again. Errors as
 * fiber_wait. */
bool wakeup_wait(struct wakeup *w, int64_t deadline_mono_ms, struct err *e) must_use;
