/* Workers: coming up together, going down together, being asked. */
#include "io/worker.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/limits.h"
#include "io/fiber.h"
#include "io/thread.h"

enum { MANY = 4 };

struct seen {
    char names[MANY][16];
    int started; /* atomically */
    int stopped; /* atomically */
    int failing; /* index, or -1 */
    bool takes_signals;
};
static struct seen seen;

static bool start(struct worker *w, void *arg, struct err *e)
{
    struct seen *s = arg;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (!sigismember(&mask, SIGTERM) || !sigismember(&mask, SIGHUP))
        s->takes_signals = true;
    pthread_getname_np(pthread_self(), s->names[w->index], sizeof s->names[0]);
    if (w->index == s->failing)
        return err_set(e, ERR_CONFLICT, "worker %d would not", w->index);
    w->context = malloc(1);
    __atomic_add_fetch(&s->started, 1, __ATOMIC_SEQ_CST);
    return true;
}

static void stop(struct worker *w)
{
    free(w->context);
    __atomic_add_fetch(&seen.stopped, 1, __ATOMIC_SEQ_CST);
}

static void workers_come_up_with_names_and_without_signals(void **state)
{
    (void)state;
    struct err e;
    seen = (struct seen){.failing = -1};
    struct workers *ws = workers_start(MANY, start, stop, &seen, &e);
    assert_non_null(ws);
    assert_int_equal(seen.started, MANY);
    assert_false(seen.takes_signals);
    for (int i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "tulle-w%d", i);
        assert_string_equal(seen.names[i], name);
    }
    workers_join(ws);
    assert_int_equal(seen.stopped, MANY);

    sigset_t mine; /* the caller's mask is as before */
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGTERM));
}

static void when_one_fails_all_are_stopped_and_its_error_is_told(void **state)
{
    (void)state;
    for (int failing = 0; failing < MANY; failing++) {
        struct err e;
        seen = (struct seen){.failing = failing};
        assert_null(workers_start(MANY, start, stop, &seen, &e));
        assert_int_equal(e.code, ERR_CONFLICT);
        assert_int_equal(seen.started, MANY - 1);
        assert_int_equal(seen.stopped, MANY - 1);
    }
}

struct round {
    int calls[MANY]; /* each written by its own worker */
    int foreign;     /* atomically */
};

static void count_call(struct worker *w, void *arg)
{
    struct round *r = arg;
    r->calls[w->index]++;
    if (loop_self() != w->loop)
        __atomic_add_fetch(&r->foreign, 1, __ATOMIC_SEQ_CST);
}

static void each_asks_every_worker_on_its_own_thread_and_waits(void **state)
{
    (void)state;
    struct err e;
    struct round r = {.foreign = 0};
    seen = (struct seen){.failing = -1};
    struct workers *ws = workers_start(MANY, start, stop, &seen, &e);
    assert_non_null(ws);
    for (int i = 1; i <= 200; i++) {
        workers_each(ws, count_call, &r);
        for (int k = 0; k < MANY; k++)
            assert_int_equal(r.calls[k], i);
    }
    assert_int_equal(r.foreign, 0);
    workers_join(ws);
}

static void yield_a_little(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++)
        fiber_yield();
}

static void start_fibers(struct worker *w, void *arg)
{
    (void)arg;
    struct err e;
    for (int i = 0; i < 10; i++)
        if (!fiber_start(w->loop, yield_a_little, NULL, NULL, &e))
            bug("no fiber");
}

static void do_nothing(struct worker *w, void *arg)
{
    (void)w;
    (void)arg;
}

static void workers_run_fibers_side_by_side(void **state)
{
    (void)state;
    struct err e;
    seen = (struct seen){.failing = -1};
    struct workers *ws = workers_start(MANY, start, stop, &seen, &e);
    assert_non_null(ws);
    workers_each(ws, start_fibers, NULL);
    while (fiber_count() > 0)
        workers_each(ws, do_nothing, NULL);
    workers_join(ws);
}

static void the_number_of_workers_is_bounded(void **state)
{
    (void)state;
    struct err e;
    assert_null(workers_start(0, start, stop, &seen, &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_null(workers_start(LIMIT_WORKERS + 1, start, stop, &seen, &e));
    assert_int_equal(e.code, ERR_INVALID);
    workers_join(NULL);
}

struct niceness {
    int before, after;
};

static void *into_the_background(void *arg)
{
    struct niceness *n = arg;
    id_t self = (id_t)gettid();
    (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + 1);
    n->before = getpriority(PRIO_PROCESS, self);
    thread_in_background();
    n->after = getpriority(PRIO_PROCESS, self);
    return NULL;
}

static void a_thread_in_the_background_is_as_nice_as_its_user_made_it(void **state)
{
    (void)state;
    struct err e;
    pthread_t thread;
    struct niceness n = {0, 0};
    assert_true(thread_start(&thread, "back", into_the_background, &n, &e));
    pthread_join(thread, NULL);
    assert_true(n.before > 0);
    assert_int_equal(n.after, n.before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_come_up_with_names_and_without_signals),
        cmocka_unit_test(when_one_fails_all_are_stopped_and_its_error_is_told),
        cmocka_unit_test(each_asks_every_worker_on_its_own_thread_and_waits),
        cmocka_unit_test(workers_run_fibers_side_by_side),
        cmocka_unit_test(the_number_of_workers_is_bounded),
        cmocka_unit_test(a_thread_in_the_background_is_as_nice_as_its_user_made_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
