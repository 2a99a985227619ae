/*
 * One epoll loop per worker thread. Everything here is called on the loop's own thread, but
 * loop_post and loop_stop. A callback never runs inside the call that asked for it. An fd removed
 * while its event is already fetched stays hidden for the rest of the turn.
 */
#pragma once

#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"

struct loop;

struct loop *loop_new(struct err *e) must_use;
void loop_free(struct loop *l);
/* Turns until loop_stop. The thread's loop_self() is l meanwhile. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l); /* any thread; what this thread posted before still runs */
struct loop *loop_self(void);   /* the running loop of this thread, or NULL */
int64_t loop_now_ms(const struct loop *l); /* clock_mono_ms() at the start of this turn */

struct loop_fd {
    int fd;
    void (*on_event)(struct loop_fd *f, uint32_t ready); /* EPOLLIN | EPOLLOUT | EPOLLHUP ... */
    uint32_t slot;                                       /* private */
    uint32_t events;
};
bool loop_fd_add(struct loop *l, struct loop_fd *f, uint32_t events, struct err *e) must_use;
void loop_fd_change(struct loop *l, struct loop_fd *f,
                    uint32_t events); /* no system call when nothing changes */
void loop_fd_remove(struct loop *l,
                    struct loop_fd *f); /* before close(fd); f may be freed at once */

/* One-shot timer on a heap; zero-initialise. Setting a set timer moves it. */
struct loop_timer {
    void (*on_fire)(struct loop_timer *t);
    int64_t at_ms;
    size_t heap_slot; /* private: 0 = not set */
};
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_mono_ms);
void loop_timer_stop(struct loop *l, struct loop_timer *t);

/* Work for later: loop_soon runs it in this turn's end or the next turn (same thread), loop_post
 * wakes another thread's loop. */
struct loop_task {
    void (*run)(struct loop_task *t);
    struct loop_task *next; /* private */
};
void loop_soon(struct loop *l, struct loop_task *t);
void loop_post(
    struct loop *l,
    struct loop_task *t); /* any thread; order kept per sender; t must not be posted already */

/* Called before every wait; returns the clock_mono_ms by which it wants the next turn (INT64_MAX:
 * no wish). */
struct loop_hook {
    int64_t (*before_wait)(struct loop_hook *h);
    struct loop_hook *next; /* private */
};
void loop_hook_add(struct loop *l, struct loop_hook *h);
/* Has all hooks called once more before the loop waits: the one that this is for may have been
 * already. */
void loop_hooks_again(struct loop *l);
void loop_hook_remove(struct loop *l, struct loop_hook *h);
