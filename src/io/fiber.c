/* Fibers: their life, and the waits that park them. The record of a fiber lies at the top of its
 * own stack. */
#include "io/fiber.h"

#include <stdatomic.h>
#include <string.h>

#include "base/limits.h"
#include "io/fiber_stack.h"
#include "io/fiber_switch.h"
#include "log/metrics.h"

#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* A stack that can be left and come back to: a fiber's, or the thread's own. */
struct context {
    void *place; /* for fiber_switch */
#ifdef FIBER_ASAN
    void *fake_stack;
    const void *low;
    size_t bytes;
#endif
#ifdef FIBER_TSAN
    void *tsan;
#endif
};

struct fiber {
    struct context context;
    struct context *resumer; /* who gets the thread back when this one parks or ends */
    struct loop *loop;
    void (*fn)(void *arg);
    void *arg;
    char *stack;
    struct loop_task run;
    struct loop_timer timer;
    int shields;
    bool is_parked;
    bool is_runnable; /* run is queued */
    bool is_cancelled;
    bool has_ended;
};

static _Thread_local struct fiber *current;
static _Thread_local struct context thread_context;
static _Thread_local struct fiber_pause *pauses; /* of the fiber that runs */
static atomic_int live;

/* ---- switching ---- */

/* is_last: from will never be come back to. */
static void context_switch(struct context *from, struct context *to, bool is_last)
{
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(is_last ? NULL : &from->fake_stack, to->low, to->bytes);
#else
    (void)is_last;
#endif
#ifdef FIBER_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    fiber_switch(&from->place, to->place);
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

static void fiber_entry(void *arg)
{
    struct fiber *f = arg;
#ifdef FIBER_ASAN
    /* Also the only way to learn where the thread's own stack lies. */
    __sanitizer_finish_switch_fiber(NULL, &f->resumer->low, &f->resumer->bytes);
#endif
    f->fn(f->arg);
    f->has_ended = true;
    context_switch(&f->context, f->resumer, true);
    bug("a fiber that ended was resumed");
}

static void fiber_free(struct fiber *f)
{
    loop_timer_stop(f->loop, &f->timer);
#ifdef FIBER_TSAN
    __tsan_destroy_fiber(f->context.tsan);
#endif
    fiber_stack_give(f->stack);
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    metric_add(M_FIBERS, -1);
}

/* Before another fiber runs on this thread: also when this one starts it. */
static void pauses_run(void)
{
    while (pauses) {
        struct fiber_pause *p = pauses;
        fiber_pause_drop(p);
        p->fn(p);
    }
}

/* Runs f until it parks or ends. */
static void fiber_resume(struct fiber *f)
{
    struct fiber *before = current;
    pauses_run();
    f->resumer = before ? &before->context : &thread_context;
#ifdef FIBER_TSAN
    if (!before)
        thread_context.tsan = __tsan_get_current_fiber();
#endif
    current = f;
    context_switch(f->resumer, &f->context, false);
    pauses_run();
    current = before;
    if (f->has_ended)
        fiber_free(f);
}

static void fiber_park(struct fiber *f)
{
    f->is_parked = true;
    context_switch(&f->context, f->resumer, false);
    f->is_parked = false;
}

static void fiber_make_runnable(struct fiber *f)
{
    if (f->is_runnable || !f->is_parked)
        return;
    f->is_runnable = true;
    loop_soon(f->loop, &f->run);
}

static void on_run(struct loop_task *t)
{
    struct fiber *f = CONTAINER_OF(t, struct fiber, run);
    f->is_runnable = false;
    fiber_resume(f);
}

static void on_deadline(struct loop_timer *t)
{
    fiber_make_runnable(CONTAINER_OF(t, struct fiber, timer));
}

/* ---- life ---- */

/* Room for the record at the top of the stack, which stays 64-aligned below it. */
static size_t record_bytes(void)
{
    return (sizeof(struct fiber) + 63) & ~(size_t)63;
}

static struct fiber *fiber_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
    char *stack = fiber_stack_take();
    if (!stack)
        return NULL;
    size_t bytes = fiber_stack_bytes() - record_bytes();
    struct fiber *f = (void *)(stack + bytes);
    memset(f, 0, sizeof *f);
    f->loop = l;
    f->fn = fn;
    f->arg = arg;
    f->stack = stack;
    f->run.run = on_run;
    f->timer.on_fire = on_deadline;
    f->context.place = fiber_switch_prepare(stack, bytes, fiber_entry, f);
#ifdef FIBER_ASAN
    f->context.low = stack;
    f->context.bytes = bytes;
#endif
#ifdef FIBER_TSAN
    f->context.tsan = __tsan_create_fiber(0);
#endif
    return f;
}

bool fiber_start(struct loop *l, void (*fn)(void *arg), void *arg, struct fiber **out,
                 struct err *e)
{
    struct fiber *f = NULL;
    bool has_room = atomic_fetch_add_explicit(&live, 1, memory_order_relaxed) < LIMIT_FIBERS;
    if (has_room)
        f = fiber_new(l, fn, arg);
    if (!f) {
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
        return err_set(e, ERR_UNAVAILABLE,
                       has_room ? "out of memory" : "too many requests at once");
    }
    metric_add(M_FIBERS, 1);
    /* Before it runs: fn may end at once and take what holds *out with it. */
    if (out)
        *out = f;
    fiber_resume(f);
    return true;
}

struct fiber *fiber_self(void)
{
    return current;
}

struct loop *fiber_loop(void)
{
    return current ? current->loop : NULL;
}

void fiber_pause_add(struct fiber_pause *p)
{
    if (p->is_added)
        return;
    p->is_added = true;
    p->next = pauses;
    pauses = p;
}

void fiber_pause_drop(struct fiber_pause *p)
{
    if (!p->is_added)
        return;
    struct fiber_pause **at = &pauses;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    p->is_added = false;
}

int fiber_count(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}

/* ---- cancellation ---- */

void fiber_cancel(struct fiber *f)
{
    f->is_cancelled = true;
    if (!f->shields)
        fiber_make_runnable(f);
}

bool fiber_is_cancelled(const struct fiber *f)
{
    return f->is_cancelled && !f->shields;
}

void fiber_shield(bool on)
{
    struct fiber *f = current;
    if (!f)
        bug("fiber_shield outside of a fiber");
    if (!on && !f->shields)
        bug("fiber_shield(false) without its fiber_shield(true)");
    f->shields += on ? 1 : -1;
}

/* ---- waits ---- */

bool fiber_wait(struct fiber_wait *w, int64_t deadline_mono_ms, struct err *e)
{
    struct fiber *f = current;
    if (!f)
        bug("fiber_wait outside of a fiber");
    if (w->fiber)
        bug("two fibers wait for one thing");
    if (w->is_done)
        return true;
    if (fiber_is_cancelled(f))
        return err_set(e, ERR_CANCELLED, "cancelled");
    if (deadline_mono_ms <= loop_now_ms(f->loop))
        return err_set(e, ERR_TIMEOUT, "timed out");

    w->fiber = f;
    if (deadline_mono_ms != INT64_MAX)
        loop_timer_set(f->loop, &f->timer, deadline_mono_ms);
    fiber_park(f);
    loop_timer_stop(f->loop, &f->timer);
    w->fiber = NULL;

    /* What has been handed over counts, whatever else happened before this fiber could run. */
    if (w->is_done)
        return true;
    if (fiber_is_cancelled(f))
        return err_set(e, ERR_CANCELLED, "cancelled");
    return err_set(e, ERR_TIMEOUT, "timed out");
}

void fiber_wake(struct fiber_wait *w)
{
    w->is_done = true;
    if (w->fiber)
        fiber_make_runnable(w->fiber);
}

void fiber_rearm(struct fiber_wait *w)
{
    if (w->fiber)
        bug("fiber_rearm of what is waited for");
    w->is_done = false;
}

void fiber_yield(void)
{
    struct fiber *f = current;
    if (!f)
        bug("fiber_yield outside of a fiber");
    /* Timers fire after the loop has looked at its descriptors. */
    loop_timer_set(f->loop, &f->timer, loop_now_ms(f->loop));
    fiber_park(f);
    loop_timer_stop(f->loop, &f->timer);
}

bool fiber_sleep_until(int64_t mono_ms, struct err *e)
{
    struct fiber *f = current;
    if (!f)
        bug("fiber_sleep_until outside of a fiber");
    if (!fiber_is_cancelled(f)) {
        loop_timer_set(f->loop, &f->timer, mono_ms);
        fiber_park(f);
        loop_timer_stop(f->loop, &f->timer);
    }
    if (fiber_is_cancelled(f))
        return err_set(e, ERR_CANCELLED, "cancelled");
    return true;
}

/* ---- a loop of its own ---- */

struct main_call {
    struct loop_task task;
    struct loop *loop;
    void (*fn)(void *arg);
    void *arg;
    struct err *e;
    bool has_started;
};

static void main_fiber(void *arg)
{
    const struct main_call *call = arg;
    call->fn(call->arg);
    loop_stop(call->loop);
}

static void main_start(struct loop_task *t)
{
    struct main_call *call = CONTAINER_OF(t, struct main_call, task);
    call->has_started = fiber_start(call->loop, main_fiber, call, NULL, call->e);
    if (!call->has_started)
        loop_stop(call->loop);
}

bool fiber_main(void (*fn)(void *arg), void *arg, struct err *e)
{
    struct loop *l = loop_new(e);
    if (!l)
        return false;
    struct main_call call = {.task.run = main_start, .loop = l, .fn = fn, .arg = arg, .e = e};
    loop_soon(l, &call.task);
    loop_run(l);
    loop_free(l);
    return call.has_started;
}
