/* Waking across threads. */
#include "mcp/wakeup.h"

#include <stdatomic.h>
#include <stdlib.h>

struct wakeup {
    atomic_int refs;
    atomic_bool is_posted;
    struct loop *loop;
    struct loop_task task;
    void (*fn)(void *arg); /* on the loop's thread only, like wait */
    void *arg;
    struct fiber_wait wait;
};

static void arrive(struct loop_task *task)
{
    struct wakeup *w = CONTAINER_OF(task, struct wakeup, task);
    atomic_store(&w->is_posted, false);
    if (w->fn)
        w->fn(w->arg);
    else
        fiber_wake(&w->wait);
    wakeup_unref(w);
}

struct wakeup *wakeup_for(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct wakeup *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    atomic_init(&w->refs, 1);
    w->loop = l;
    w->task.run = arrive;
    w->fn = fn;
    w->arg = arg;
    return w;
}

struct wakeup *wakeup_new(void)
{
    return wakeup_for(fiber_loop(), NULL, NULL);
}

void wakeup_mute(struct wakeup *w)
{
    w->fn = NULL;
}

struct wakeup *wakeup_ref(struct wakeup *w)
{
    atomic_fetch_add(&w->refs, 1);
    return w;
}

void wakeup_unref(struct wakeup *w)
{
    if (w && atomic_fetch_sub(&w->refs, 1) == 1)
        free(w);
}

void wakeup_set(struct wakeup *w)
{
    if (atomic_exchange(&w->is_posted, true))
        return;
    loop_post(w->loop, &wakeup_ref(w)->task);
}

bool wakeup_wait(struct wakeup *w, int64_t deadline_mono_ms, struct err *e)
{
    bool is_woken = fiber_wait(&w->wait, deadline_mono_ms, e);
    if (is_woken)
        fiber_rearm(&w->wait);
    return is_woken;
}
