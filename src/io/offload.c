/*
 * The pool of threads for blocking work.
 *
 * A job has two holders while it is out, counted in refs: the waiter and the pool. A finished job
 * travels back to the waiter's loop, and only that thread touches j->wait, so a waiter that gave up
 * is never written to. Whoever lets go first leaves the job to the other: the waiter gave up first:
 * the pool's thread frees it when it has run, and the loop never hears of it; the pool finished
 * first:   the task that is on its way to the loop hands it over, or frees it when nobody waits.
 */
#include "io/offload.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "io/thread.h"
#include "log/metrics.h"

struct offload {
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct offload_job *first;
    struct offload_job **end;
    int queued;
    bool is_ending;
    int threads;
    pthread_t thread[];
};

/* ---- the pool's side ---- */

static struct offload_job *queue_take(struct offload *o)
{
    pthread_mutex_lock(&o->lock);
    while (!o->first && !o->is_ending)
        pthread_cond_wait(&o->has_work, &o->lock);
    struct offload_job *j = o->first;
    if (j) {
        o->first = j->next;
        if (!o->first)
            o->end = &o->first;
        o->queued--;
    }
    pthread_mutex_unlock(&o->lock);
    if (j)
        metric_add(M_OFFLOAD_QUEUE, -1);
    return j;
}

static bool queue_put(struct offload *o, struct offload_job *j)
{
    pthread_mutex_lock(&o->lock);
    bool has_room = o->queued < LIMIT_OFFLOAD_QUEUE && !o->is_ending;
    if (has_room) {
        j->next = NULL;
        *o->end = j;
        o->end = &j->next;
        o->queued++;
        pthread_cond_signal(&o->has_work);
    }
    pthread_mutex_unlock(&o->lock);
    if (has_room)
        metric_add(M_OFFLOAD_QUEUE, 1);
    return has_room;
}

/* Lets go of one hold; true when it was the last. */
static bool job_drop(struct offload_job *j)
{
    return __atomic_sub_fetch(&j->refs, 1, __ATOMIC_ACQ_REL) == 0;
}

static void *thread_main(void *arg)
{
    struct offload *o = arg;
    for (struct offload_job *j; (j = queue_take(o));) {
        struct loop *waiter = j->loop;
        j->run(j);
        if (job_drop(j))
            j->free(j);
        else
            loop_post(waiter, &j->back);
    }
    return NULL;
}

/* ---- the waiter's side ---- */

static void on_back(struct loop_task *t)
{
    struct offload_job *j = CONTAINER_OF(t, struct offload_job, back);
    if (j->wait)
        fiber_wake(j->wait);
    else
        j->free(j);
}

bool offload_run(struct offload *o, struct offload_job *j, int64_t deadline_mono_ms, struct err *e)
{
    if (!fiber_self())
        bug("offload_run outside of a fiber");
    if (fiber_is_cancelled(fiber_self())) {
        j->free(j);
        return err_set(e, ERR_CANCELLED, "cancelled");
    }
    struct fiber_wait wait = {0};
    j->loop = fiber_loop();
    j->wait = &wait;
    j->back.run = on_back;
    j->refs = 2;
    if (!queue_put(o, j)) {
        j->free(j);
        return err_set(e, ERR_UNAVAILABLE, "too much work is waiting");
    }
    if (fiber_wait(&wait, deadline_mono_ms, e))
        return true;
    /* When this is the last hold, on_back is on its way: it frees the job. */
    j->wait = NULL;
    (void)job_drop(j);
    return false;
}

/* ---- life ---- */

struct offload *offload_new(int n, struct err *e)
{
    if (n < 1 || n > LIMIT_OFFLOAD_THREADS) {
        err_set(e, ERR_INVALID, "offload threads: 1 to %d", (int)LIMIT_OFFLOAD_THREADS);
        return NULL;
    }
    struct offload *o = calloc(1, sizeof *o + (size_t)n * sizeof o->thread[0]);
    if (!o) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    o->end = &o->first;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->has_work, NULL);
    while (o->threads < n) {
        char name[32];
        snprintf(name, sizeof name, "tulle-off%d", o->threads);
        if (!thread_start(&o->thread[o->threads], name, thread_main, o, e)) {
            offload_free(o);
            return NULL;
        }
        o->threads++;
    }
    return o;
}

void offload_free(struct offload *o)
{
    if (!o)
        return;
    pthread_mutex_lock(&o->lock);
    o->is_ending = true;
    pthread_cond_broadcast(&o->has_work);
    pthread_mutex_unlock(&o->lock);
    for (int i = 0; i < o->threads; i++)
        pthread_join(o->thread[i], NULL);
    pthread_cond_destroy(&o->has_work);
    pthread_mutex_destroy(&o->lock);
    free(o);
}
