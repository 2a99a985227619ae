/* What the tests of fibers share: a fiber to run in, waiters, two fibers that take turns. */
#pragma once

#include "io/fiber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void in_fiber(void (*fn)(void *arg), void *arg)
{
    struct err e;
    int before = fiber_count();
    assert_true(fiber_main(fn, arg, &e));
    assert_int_equal(fiber_count(), before);
}

static int64_t soon(void)
{
    return loop_now_ms(fiber_loop()) + 2;
}

static int64_t late(void)
{
    return loop_now_ms(fiber_loop()) + 60000;
}

/* A fiber that waits once and keeps what came of it. */
struct waiter {
    struct fiber *fiber;
    struct fiber_wait wait;
    int64_t deadline_ms;
    bool result;
    bool has_ended;
    struct err e;
    struct fiber_wait *then_wake; /* when it has ended */
};

static void wait_once(void *arg)
{
    struct waiter *w = arg;
    w->result = fiber_wait(&w->wait, w->deadline_ms, &w->e);
    w->has_ended = true;
    if (w->then_wake)
        fiber_wake(w->then_wake);
}

static void waiter_start(struct waiter *w, int64_t deadline_ms)
{
    struct err e;
    w->deadline_ms = deadline_ms;
    assert_true(fiber_start(fiber_loop(), wait_once, w, &w->fiber, &e));
}

struct ping {
    struct fiber_wait a, b;
    int rounds;
    int answered;
};

static void answer_pings(void *arg)
{
    struct ping *p = arg;
    struct err e;
    for (int i = 0; i < p->rounds; i++) {
        assert_true(fiber_wait(&p->a, late(), &e));
        fiber_rearm(&p->a);
        p->answered++;
        fiber_wake(&p->b);
    }
}

static void pings(void *arg)
{
    struct ping *p = arg;
    struct err e;
    assert_true(fiber_start(fiber_loop(), answer_pings, p, NULL, &e));
    for (int i = 0; i < p->rounds; i++) {
        fiber_wake(&p->a);
        assert_true(fiber_wait(&p->b, late(), &e));
        fiber_rearm(&p->b);
        assert_int_equal(p->answered, i + 1);
    }
}
