/* Worker threads, each with its loop. The thread that starts them waits until every one has come up
 * or failed. */
#include "io/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "io/thread.h"

struct one {
    struct worker worker;
    struct workers *all;
    pthread_t thread;
    bool has_started;
    struct err e; /* why not */
};

struct workers {
    bool (*start)(struct worker *w, void *arg, struct err *e);
    void (*stop)(struct worker *w);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t has_changed;
    int undecided; /* threads that neither started nor failed yet */
    int threads;
    struct one one[];
};

static void start_report(struct one *o)
{
    pthread_mutex_lock(&o->all->lock);
    o->all->undecided--;
    pthread_cond_signal(&o->all->has_changed);
    pthread_mutex_unlock(&o->all->lock);
}

static void *thread_main(void *arg)
{
    struct one *o = arg;
    struct workers *ws = o->all;
    o->has_started = ws->start(&o->worker, ws->arg, &o->e);
    bool has_started = o->has_started;
    start_report(o);
    if (!has_started)
        return NULL;
    loop_run(o->worker.loop);
    if (ws->stop)
        ws->stop(&o->worker);
    return NULL;
}

static bool one_start(struct workers *ws, int index, struct err *e)
{
    struct one *o = &ws->one[index];
    o->all = ws;
    o->worker.index = index;
    o->worker.loop = loop_new(e);
    if (!o->worker.loop)
        return false;
    char name[32];
    snprintf(name, sizeof name, "tulle-w%d", index);
    if (!thread_start(&o->thread, name, thread_main, o, e)) {
        loop_free(o->worker.loop);
        return false;
    }
    return true;
}

static void undecided_wait(struct workers *ws)
{
    pthread_mutex_lock(&ws->lock);
    while (ws->undecided > 0)
        pthread_cond_wait(&ws->has_changed, &ws->lock);
    pthread_mutex_unlock(&ws->lock);
}

/* True when all have come up; else *e is the first one's reason. */
static bool all_started(const struct workers *ws, struct err *e)
{
    for (int i = 0; i < ws->threads; i++) {
        if (!ws->one[i].has_started) {
            if (e)
                *e = ws->one[i].e;
            return false;
        }
    }
    return true;
}

struct workers *workers_start(int n, bool (*start)(struct worker *w, void *arg, struct err *e),
                              void (*stop)(struct worker *w), void *arg, struct err *e)
{
    if (n < 1 || n > LIMIT_WORKERS) {
        err_set(e, ERR_INVALID, "workers: 1 to %d", (int)LIMIT_WORKERS);
        return NULL;
    }
    struct workers *ws = calloc(1, sizeof *ws + (size_t)n * sizeof ws->one[0]);
    if (!ws) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    ws->start = start;
    ws->stop = stop;
    ws->arg = arg;
    pthread_mutex_init(&ws->lock, NULL);
    pthread_cond_init(&ws->has_changed, NULL);

    ws->undecided = n;
    bool has_all = true;
    while (has_all && ws->threads < n) {
        has_all = one_start(ws, ws->threads, e);
        if (has_all)
            ws->threads++;
    }
    pthread_mutex_lock(&ws->lock);
    ws->undecided -= n - ws->threads;
    pthread_mutex_unlock(&ws->lock);
    undecided_wait(ws);

    if (has_all && all_started(ws, e))
        return ws;
    workers_join(ws);
    return NULL;
}

/* ---- asking every worker ---- */

struct asking {
    void (*fn)(struct worker *w, void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t has_answer;
    int unanswered;
};

struct question {
    struct loop_task task;
    struct asking *asking;
    struct worker *worker;
};

static void on_question(struct loop_task *t)
{
    const struct question *q = CONTAINER_OF(t, struct question, task);
    struct asking *a = q->asking;
    a->fn(q->worker, a->arg);
    /* Under the lock to the end: with the last answer the asking thread's stack goes. */
    pthread_mutex_lock(&a->lock);
    a->unanswered--;
    pthread_cond_signal(&a->has_answer);
    pthread_mutex_unlock(&a->lock);
}

void workers_each(struct workers *ws, void (*fn)(struct worker *w, void *arg), void *arg)
{
    if (loop_self())
        bug("workers_each from a loop's thread");
    struct asking a = {.fn = fn, .arg = arg, .unanswered = ws->threads};
    struct question questions[LIMIT_WORKERS];
    pthread_mutex_init(&a.lock, NULL);
    pthread_cond_init(&a.has_answer, NULL);
    for (int i = 0; i < ws->threads; i++) {
        questions[i] =
            (struct question){.task.run = on_question, .asking = &a, .worker = &ws->one[i].worker};
        loop_post(ws->one[i].worker.loop, &questions[i].task);
    }
    pthread_mutex_lock(&a.lock);
    while (a.unanswered > 0)
        pthread_cond_wait(&a.has_answer, &a.lock);
    pthread_mutex_unlock(&a.lock);
    pthread_cond_destroy(&a.has_answer);
    pthread_mutex_destroy(&a.lock);
}

void workers_join(struct workers *ws)
{
    if (!ws)
        return;
    for (int i = 0; i < ws->threads; i++)
        if (ws->one[i].has_started)
            loop_stop(ws->one[i].worker.loop);
    for (int i = 0; i < ws->threads; i++)
        pthread_join(ws->one[i].thread, NULL);
    for (int i = 0; i < ws->threads; i++)
        loop_free(ws->one[i].worker.loop);
    pthread_cond_destroy(&ws->has_changed);
    pthread_mutex_destroy(&ws->lock);
    free(ws);
}
