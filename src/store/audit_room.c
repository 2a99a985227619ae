/* Places in the audit's queue. A place that becomes free goes to who has waited longest. */
#include "base/clock.h"
#include "base/limits.h"
#include "log/metrics.h"
#include "store/audit_queue.h"

/* One who waits, on its fiber's stack. Under the log's lock, but for wait. */
struct room_wait {
    struct list node;
    struct loop *loop;
    struct loop_task back; /* posted once it is told */
    bool is_told, has_place;
    struct fiber_wait wait;
};

static bool place_take(struct audit_log *log)
{
    int n = atomic_load(&log->n_taken);
    while (n < LIMIT_AUDIT_QUEUE)
        if (atomic_compare_exchange_weak(&log->n_taken, &n, n + 1))
            return true;
    return false;
}

static void on_told(struct loop_task *t)
{
    fiber_wake(&CONTAINER_OF(t, struct room_wait, back)->wait);
}

/* Under the log's lock. */
static void tell_first(struct audit_log *log, bool has_place)
{
    struct room_wait *w = CONTAINER_OF(log->room.next, struct room_wait, node);
    list_remove(&w->node);
    log->n_room--;
    w->is_told = true;
    w->has_place = has_place;
    loop_post(w->loop, &w->back);
}

/* False: there is a place after all, or no sense in waiting. Whoever frees a place takes the lock,
 * too, and sees w. */
static bool wait_begin(struct audit_log *log, struct room_wait *w)
{
    w->loop = loop_self();
    w->back.run = on_told;
    pthread_mutex_lock(&log->lock);
    w->has_place = place_take(log);
    bool is_waiting = !w->has_place && !log->is_store_away && log->n_room < LIMIT_AUDIT_WAITERS;
    if (is_waiting) {
        list_push(&log->room, &w->node);
        log->n_room++;
    }
    pthread_mutex_unlock(&log->lock);
    return is_waiting;
}

/* Gives up, unless what w was told is on its way: that comes, and nothing else ends this wait. */
static void wait_end(struct audit_log *log, struct room_wait *w)
{
    struct err e;
    pthread_mutex_lock(&log->lock);
    bool is_told = w->is_told;
    if (!is_told) {
        list_remove(&w->node);
        log->n_room--;
    }
    pthread_mutex_unlock(&log->lock);
    if (!is_told)
        return;
    fiber_shield(true);
    (void)!fiber_wait(&w->wait, INT64_MAX, &e);
    fiber_shield(false);
}

bool audit_reserve(struct audit_log *log, struct err *e)
{
    struct room_wait w = {0};
    struct err why = {0};
    if (place_take(log))
        return true;
    if (wait_begin(log, &w)) {
        metric_add(M_AUDIT_WAITS, 1);
        (void)!fiber_wait(&w.wait, clock_mono_ms() + LIMIT_AUDIT_WAIT_MS, &why);
        wait_end(log, &w);
    }
    if (w.has_place)
        return true;
    if (why.code == ERR_CANCELLED)
        return err_set(e, ERR_CANCELLED, "cancelled");
    metric_add(M_AUDIT_REFUSED, 1);
    return err_set(e, ERR_UNAVAILABLE, "calls cannot be recorded now");
}

void audit_release(struct audit_log *log)
{
    audit_room_free(log, 1);
}

void audit_room_free(struct audit_log *log, int n)
{
    pthread_mutex_lock(&log->lock);
    for (; n > 0 && !list_is_empty(&log->room); n--)
        tell_first(log, true);
    atomic_fetch_sub(&log->n_taken, n);
    pthread_mutex_unlock(&log->lock);
}

void audit_room_store_away(struct audit_log *log, bool is_away)
{
    pthread_mutex_lock(&log->lock);
    log->is_store_away = is_away;
    while (is_away && !list_is_empty(&log->room))
        tell_first(log, false);
    pthread_mutex_unlock(&log->lock);
}
