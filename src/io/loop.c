/* The loop: epoll, timers on a heap, tasks of this thread, a mailbox for the other threads. */
#include "io/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    EVENTS_PER_TURN = 256,
    TASKS_PER_TURN = 1024, /* then the sockets get their turn again */
    ROUNDS_PER_TURN = 2,   /* of tasks and hooks that set each other off */
    SLOTS_AT_FIRST = 64,
};

/* Who may receive the events of one registration. A used-up generation makes fetched events fall on
 * the floor. */
struct slot {
    struct loop_fd *f; /* NULL when free */
    uint32_t generation;
    uint32_t next_free; /* slot number, 0 = end */
};

struct loop {
    int epoll_fd;
    int wake_fd; /* eventfd: readable while the mailbox may hold something */
    int64_t now_ms;

    struct slot *slots; /* [0] is not used, so that a zeroed loop_fd is not registered */
    uint32_t slots_cap;
    uint32_t slot_free;

    struct loop_timer **heap; /* [1..timers], smallest at_ms first */
    size_t timers;
    size_t heap_cap;

    struct loop_task *tasks;
    struct loop_task **tasks_end;
    struct loop_hook *hooks;
    struct loop_hook *hook_next; /* the one that is called next while they are called */
    bool are_hooks_due;          /* once more before the loop waits */

    _Atomic(struct loop_task *) mailbox; /* newest first */
    atomic_bool is_stopping;
};

static const uint64_t WAKE_TAG = UINT64_MAX;

static _Thread_local struct loop *running;

/* ---- life ---- */

static bool wake_fd_watch(struct loop *l)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = WAKE_TAG};
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) == 0;
}

struct loop *loop_new(struct err *e)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    l->tasks_end = &l->tasks;
    l->now_ms = clock_mono_ms();
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->epoll_fd < 0 || l->wake_fd < 0 || !wake_fd_watch(l)) {
        err_set(e, ERR_UNAVAILABLE, "an event loop cannot be made");
        err_detail(e, "epoll or eventfd: %m");
        loop_free(l);
        return NULL;
    }
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    if (running == l)
        bug("a loop is freed while it runs");
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    free(l->slots);
    free(l->heap);
    free(l);
}

struct loop *loop_self(void)
{
    return running;
}

int64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

/* ---- file descriptors ---- */

static bool slots_grow(struct loop *l)
{
    uint32_t cap = l->slots_cap ? l->slots_cap * 2 : SLOTS_AT_FIRST;
    struct slot *slots = calloc(cap, sizeof *slots);
    if (!slots)
        return false;
    if (l->slots_cap)
        memcpy(slots, l->slots, l->slots_cap * sizeof *slots);
    free(l->slots);
    l->slots = slots;
    for (uint32_t i = cap - 1; i >= l->slots_cap && i > 0; i--) {
        slots[i].next_free = l->slot_free;
        l->slot_free = i;
    }
    l->slots_cap = cap;
    return true;
}

static bool fd_is_registered(const struct loop *l, const struct loop_fd *f)
{
    return f->slot > 0 && f->slot < l->slots_cap && l->slots[f->slot].f == f;
}

static uint64_t slot_tag(const struct loop *l, uint32_t slot)
{
    return (uint64_t)l->slots[slot].generation << 32 | slot;
}

bool loop_fd_add(struct loop *l, struct loop_fd *f, uint32_t events, struct err *e)
{
    if (fd_is_registered(l, f))
        bug("loop_fd_add of what is registered");
    if (!l->slot_free && !slots_grow(l))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");

    uint32_t slot = l->slot_free;
    struct epoll_event ev = {.events = events, .data.u64 = slot_tag(l, slot)};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, f->fd, &ev) != 0) {
        if (errno == EEXIST)
            bug("loop_fd_add of a descriptor that is registered");
        err_set(e, ERR_UNAVAILABLE, "a descriptor cannot be watched");
        return err_detail(e, "epoll_ctl: %m");
    }
    l->slot_free = l->slots[slot].next_free;
    l->slots[slot].f = f;
    f->slot = slot;
    f->events = events;
    return true;
}

void loop_fd_change(struct loop *l, struct loop_fd *f, uint32_t events)
{
    if (!fd_is_registered(l, f))
        bug("loop_fd_change of what is not registered");
    if (f->events == events)
        return;
    struct epoll_event ev = {.events = events, .data.u64 = slot_tag(l, f->slot)};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, f->fd, &ev) != 0)
        bug("loop_fd_change of a descriptor that was closed");
    f->events = events;
}

void loop_fd_remove(struct loop *l, struct loop_fd *f)
{
    if (!fd_is_registered(l, f))
        return;
    /* Failing means that a library closed the descriptor first: then the kernel has forgotten it
     * too. */
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, f->fd, NULL);

    struct slot *s = &l->slots[f->slot];
    s->f = NULL;
    s->generation++;
    s->next_free = l->slot_free;
    l->slot_free = f->slot;
    f->slot = 0;
}

/* ---- timers ---- */

static void heap_put(struct loop *l, size_t at, struct loop_timer *t)
{
    l->heap[at] = t;
    t->heap_slot = at;
}

static void heap_rise(struct loop *l, size_t at, struct loop_timer *t)
{
    while (at > 1 && l->heap[at / 2]->at_ms > t->at_ms) {
        heap_put(l, at, l->heap[at / 2]);
        at /= 2;
    }
    heap_put(l, at, t);
}

static void heap_sink(struct loop *l, size_t at, struct loop_timer *t)
{
    for (size_t child; (child = at * 2) <= l->timers; at = child) {
        if (child < l->timers && l->heap[child + 1]->at_ms < l->heap[child]->at_ms)
            child++;
        if (l->heap[child]->at_ms >= t->at_ms)
            break;
        heap_put(l, at, l->heap[child]);
    }
    heap_put(l, at, t);
}

/* No caller could go on without its deadline: out of memory ends the program here. */
static void heap_grow(struct loop *l)
{
    size_t cap = l->heap_cap ? l->heap_cap * 2 : 64;
    struct loop_timer **heap = calloc(cap, sizeof(struct loop_timer *));
    if (!heap)
        bug("out of memory for timers");
    for (size_t i = 1; i <= l->timers; i++)
        heap[i] = l->heap[i];
    free(l->heap);
    l->heap = heap;
    l->heap_cap = cap;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_mono_ms)
{
    int64_t before_ms = t->at_ms;
    t->at_ms = at_mono_ms;
    if (!t->heap_slot) {
        if (l->timers + 1 >= l->heap_cap)
            heap_grow(l);
        heap_rise(l, ++l->timers, t);
    } else if (at_mono_ms < before_ms) {
        heap_rise(l, t->heap_slot, t);
    } else {
        heap_sink(l, t->heap_slot, t);
    }
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
    size_t at = t->heap_slot;
    if (!at)
        return;
    t->heap_slot = 0;
    struct loop_timer *last = l->heap[l->timers--];
    if (last == t)
        return;
    if (at > 1 && l->heap[at / 2]->at_ms > last->at_ms)
        heap_rise(l, at, last);
    else
        heap_sink(l, at, last);
}

static void timers_fire(struct loop *l)
{
    /* As many as there are now: one that sets itself again for now waits for the next turn. */
    for (size_t n = l->timers; n > 0 && l->timers > 0; n--) {
        struct loop_timer *t = l->heap[1];
        if (t->at_ms > l->now_ms)
            return;
        loop_timer_stop(l, t);
        t->on_fire(t);
    }
}

/* ---- tasks and mailbox ---- */

void loop_soon(struct loop *l, struct loop_task *t)
{
    t->next = NULL;
    *l->tasks_end = t;
    l->tasks_end = &t->next;
}

static void wake_write(struct loop *l)
{
    static const uint64_t one = 1;
    ssize_t n;
    do
        n = write(l->wake_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
    /* EAGAIN: the counter is full, so the loop is being woken anyway. */
}

void loop_post(struct loop *l, struct loop_task *t)
{
    struct loop_task *head = atomic_load_explicit(&l->mailbox, memory_order_relaxed);
    do
        t->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->mailbox, &head, t, memory_order_release,
                                                  memory_order_relaxed));
    if (!head)
        wake_write(l);
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->is_stopping, true, memory_order_release);
    wake_write(l);
}

/* Moves what other threads posted behind this thread's own tasks, oldest first. */
static void mailbox_take(struct loop *l)
{
    struct loop_task *newest = atomic_exchange_explicit(&l->mailbox, NULL, memory_order_acquire);
    struct loop_task *oldest = NULL;
    while (newest) {
        struct loop_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct loop_task *next = oldest->next;
        loop_soon(l, oldest);
        oldest = next;
    }
}

/* Runs tasks, also those that they add, but not more than max. */
static void tasks_run(struct loop *l, size_t max)
{
    while (l->tasks && max-- > 0) {
        struct loop_task *t = l->tasks;
        l->tasks = t->next;
        if (!l->tasks)
            l->tasks_end = &l->tasks;
        t->run(t);
    }
}

static void tasks_run_last(struct loop *l)
{
    mailbox_take(l);
    size_t n = 0;
    for (const struct loop_task *t = l->tasks; t; t = t->next)
        n++;
    tasks_run(l, n);
}

/* ---- hooks ---- */

void loop_hook_add(struct loop *l, struct loop_hook *h)
{
    h->next = l->hooks;
    l->hooks = h;
}

void loop_hook_remove(struct loop *l, struct loop_hook *h)
{
    for (struct loop_hook **p = &l->hooks; *p; p = &(*p)->next) {
        if (*p != h)
            continue;
        *p = h->next;
        if (l->hook_next == h)
            l->hook_next = h->next;
        return;
    }
}

void loop_hooks_again(struct loop *l)
{
    l->are_hooks_due = true;
}

/* The earliest wish. */
static int64_t hooks_call(struct loop *l)
{
    int64_t at_ms = INT64_MAX;
    l->are_hooks_due = false;
    l->hook_next = l->hooks;
    while (l->hook_next) {
        struct loop_hook *h = l->hook_next;
        l->hook_next = h->next;
        int64_t wish_ms = h->before_wait(h);
        if (wish_ms < at_ms)
            at_ms = wish_ms;
    }
    return at_ms;
}

/* ---- the turn ---- */

static int wait_timeout_ms(const struct loop *l, int64_t wish_ms)
{
    if (l->tasks || l->are_hooks_due)
        return 0;
    int64_t at_ms = wish_ms;
    if (l->timers && l->heap[1]->at_ms < at_ms)
        at_ms = l->heap[1]->at_ms;
    if (at_ms == INT64_MAX)
        return -1;
    /* Not l->now_ms: this turn's work has taken time. */
    int64_t now_ms = clock_mono_ms();
    if (at_ms <= now_ms)
        return 0;
    return at_ms - now_ms > INT32_MAX ? INT32_MAX : (int)(at_ms - now_ms);
}

static void event_give(struct loop *l, const struct epoll_event *ev)
{
    if (ev->data.u64 == WAKE_TAG) {
        /* Emptied before the mailbox, so that a letter that comes between the two wakes us again.
         */
        uint64_t count;
        ssize_t n = read(l->wake_fd, &count, sizeof count);
        (void)n;
        mailbox_take(l);
        return;
    }
    const struct slot *s = &l->slots[(uint32_t)ev->data.u64];
    if (!s->f || s->generation != (uint32_t)(ev->data.u64 >> 32))
        return;
    if (s->f->events & EPOLLONESHOT)
        s->f->events = 0; /* the kernel has disarmed it: the same events again are a change */
    s->f->on_event(s->f, ev->events);
}

/* What the hooks set off is done, and told to them, before the loop waits. */
static int64_t finish_turn(struct loop *l)
{
    int64_t wish_ms = hooks_call(l);
    for (int i = 0; (l->tasks || l->are_hooks_due) && i < ROUNDS_PER_TURN; i++) {
        tasks_run(l, TASKS_PER_TURN);
        wish_ms = hooks_call(l);
    }
    return wish_ms;
}

static void turn(struct loop *l)
{
    struct epoll_event ready[EVENTS_PER_TURN];
    int timeout_ms = wait_timeout_ms(l, finish_turn(l));
    if (atomic_load_explicit(&l->is_stopping, memory_order_acquire))
        timeout_ms = 0;
    int n = epoll_wait(l->epoll_fd, ready, EVENTS_PER_TURN, timeout_ms);
    if (n < 0 && errno != EINTR)
        bug("epoll_wait failed");
    l->now_ms = clock_mono_ms();
    for (int i = 0; i < n; i++)
        event_give(l, &ready[i]);
    timers_fire(l);
    tasks_run(l, TASKS_PER_TURN);
}

void loop_run(struct loop *l)
{
    if (running)
        bug("a loop runs within a loop");
    running = l;
    while (!atomic_load_explicit(&l->is_stopping, memory_order_acquire))
        turn(l);
    tasks_run_last(l);
    atomic_store_explicit(&l->is_stopping, false, memory_order_release);
    running = NULL;
}
