/*
 * Requests of session clients that wait for their server, so that notifications/cancelled, which
 * may arrive on another connection and so at another worker, ends the wait. One table for the
 * process; its lock is held for map operations only.
 */
#pragma once

#include "base/err.h"
#include "io/fiber.h"

struct inflight_table;
struct inflight;

struct inflight_table *inflight_table_new(void) must_use;
void inflight_table_free(struct inflight_table *t);

/* Puts the calling fiber's request in, under its session and raw JSON id. NULL: out of memory, or
 * the session uses the id already. */
struct inflight *inflight_begin(struct inflight_table *t, struct loop *l, struct str session_key,
                                struct str id) must_use;
/* Takes it out again; true when it was cancelled meanwhile. NULL is fine. */
bool inflight_end(struct inflight_table *t, struct inflight *f);
/* Cancels the fiber that waits for this request, on its own thread, soon. Nothing when there is
 * none: it has been answered. */
void inflight_cancel(struct inflight_table *t, struct str session_key, struct str id);
/* The same for all of a session that has ended; inflight_end does not call them cancelled by the
 * client: it still reads, and is told why. */
void inflight_cancel_session(struct inflight_table *t, struct str session_key);
