/* Threads for blocking work (password hashes, list queries, files). Copies in, copies out. */
#pragma once

#include "base/err.h"
#include "io/fiber.h"

struct offload; /* the pool, one per process */

/* n threads; queue of LIMIT_OFFLOAD_QUEUE jobs. */
struct offload *offload_new(int n, struct err *e) must_use;
/* Finishes what is queued, joins. To be called while the loops of all waiters still exist. */
void offload_free(struct offload *o);

/* Embed as the first member of a heap struct with copies of the input and room for the output. */
struct offload_job {
    void (*run)(struct offload_job *j); /* on an offload thread */
    /* Frees the whole; called by the pool when the waiter gave up, on any thread. */
    void (*free)(struct offload_job *j);
    struct offload_job *next; /* private from here on */
    struct loop *loop;
    struct fiber_wait *wait;
    struct loop_task back;
    int refs;
};
/*
 * Runs j and waits for it in the calling fiber. True: j is the caller's again (to read and to
 * free). False: ERR_TIMEOUT, ERR_CANCELLED, or ERR_UNAVAILABLE (queue full): the pool owns j and
 * frees it when its run has ended. A job whose fiber was cancelled before, or that found the queue
 * full, is freed without having run.
 */
bool offload_run(struct offload *o, struct offload_job *j, int64_t deadline_mono_ms,
                 struct err *e) must_use;
