/* Offload threads: handing work out and back, and every way in which the waiter may be gone. */
#include "io/offload.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/limits.h"
#include "io/fiber_stack.h"
#include "log/metrics.h"
#include "unit/dies.h"

static int runs;  /* atomically */
static int frees; /* atomically */
static sem_t gate;

static int count_of(const int *n)
{
    return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

struct square {
    struct offload_job job;
    int n;
    bool waits_at_gate;
    int64_t result;
    bool ran_elsewhere;
    pthread_t home;
};

static void square_run(struct offload_job *j)
{
    struct square *s = CONTAINER_OF(j, struct square, job);
    if (s->waits_at_gate)
        while (sem_wait(&gate) != 0)
            ;
    s->result = (int64_t)s->n * s->n;
    s->ran_elsewhere = !pthread_equal(s->home, pthread_self()) && !fiber_self() && !loop_self();
    __atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
}

static void square_free(struct offload_job *j)
{
    __atomic_add_fetch(&frees, 1, __ATOMIC_SEQ_CST);
    free(CONTAINER_OF(j, struct square, job));
}

static struct square *square_new(int n, bool waits_at_gate)
{
    struct square *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->job.run = square_run;
    s->job.free = square_free;
    s->n = n;
    s->waits_at_gate = waits_at_gate;
    s->home = pthread_self();
    return s;
}

static struct offload *pool;

static void in_fiber_with_pool(int threads, void (*fn)(void *arg))
{
    struct err e;
    runs = frees = 0;
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    pool = offload_new(threads, &e);
    assert_non_null(pool);
    assert_true(fiber_main(fn, NULL, &e));
    offload_free(pool);
    pool = NULL;
    sem_destroy(&gate);
    assert_int_equal(fiber_count(), 0);
    assert_int_equal(metric_value(M_OFFLOAD_QUEUE), 0);
}

static int64_t in_ms(int ms)
{
    return loop_now_ms(fiber_loop()) + ms;
}

static void rest(void)
{
    struct err e;
    assert_true(fiber_sleep_until(in_ms(1), &e));
}

/* ---- in and out ---- */

static void asks(void *arg)
{
    (void)arg;
    struct err e;
    for (int i = 0; i < 500; i++) {
        struct square *s = square_new(i, false);
        assert_true(offload_run(pool, &s->job, in_ms(60000), &e));
        assert_int_equal(s->result, i * i);
        assert_true(s->ran_elsewhere);
        square_free(&s->job);
    }
}

static void a_job_runs_on_another_thread_and_comes_back(void **state)
{
    (void)state;
    in_fiber_with_pool(2, asks);
    assert_int_equal(runs, 500);
    assert_int_equal(frees, 500);
}

/* ---- waiters that leave ---- */

struct asker {
    struct fiber *fiber;
    int64_t deadline_ms;
    bool waits_at_gate;
    bool result;
    bool has_ended;
    struct err e;
};

static void ask_once(void *arg)
{
    struct asker *a = arg;
    struct square *s = square_new(3, a->waits_at_gate);
    a->result = offload_run(pool, &s->job, a->deadline_ms, &a->e);
    if (a->result)
        square_free(&s->job);
    a->has_ended = true;
}

static void asker_start(struct asker *a, int64_t deadline_ms)
{
    struct err e;
    a->deadline_ms = deadline_ms;
    assert_true(fiber_start(fiber_loop(), ask_once, a, &a->fiber, &e));
}

static void asker_join(const struct asker *a)
{
    while (!a->has_ended)
        rest();
}

static void leaves_at_deadline(void *arg)
{
    (void)arg;
    struct asker a = {.waits_at_gate = true};
    asker_start(&a, in_ms(2));
    asker_join(&a);
    assert_false(a.result);
    assert_int_equal(a.e.code, ERR_TIMEOUT);
    assert_int_equal(count_of(&frees), 0); /* the pool still works on it */
    sem_post(&gate);
}

static void a_job_whose_waiter_timed_out_is_freed_when_it_has_run(void **state)
{
    (void)state;
    in_fiber_with_pool(1, leaves_at_deadline);
    assert_int_equal(runs, 1);
    assert_int_equal(frees, 1);
}

static void is_cancelled(void *arg)
{
    (void)arg;
    struct asker running = {.waits_at_gate = true};
    struct asker queued = {.waits_at_gate = true};
    asker_start(&running, in_ms(60000));
    asker_start(&queued, in_ms(60000));
    fiber_cancel(queued.fiber);
    fiber_cancel(running.fiber);
    asker_join(&running);
    asker_join(&queued);
    assert_int_equal(running.e.code, ERR_CANCELLED);
    assert_int_equal(queued.e.code, ERR_CANCELLED);
    assert_int_equal(count_of(&frees), 0);
    sem_post(&gate);
    sem_post(&gate);
}

static void jobs_of_cancelled_waiters_run_and_are_freed(void **state)
{
    (void)state;
    in_fiber_with_pool(1, is_cancelled);
    assert_int_equal(runs, 2);
    assert_int_equal(frees, 2);
}

static void is_cancelled_on_the_way_back(void *arg)
{
    (void)arg;
    struct asker a = {0};
    asker_start(&a, in_ms(60000));
    offload_free(
        pool); /* joins: the job has been posted to this loop, which has not turned since */
    pool = NULL;
    assert_int_equal(count_of(&runs), 1);
    fiber_cancel(a.fiber);
    asker_join(&a);
    assert_int_equal(a.e.code, ERR_CANCELLED);
    while (count_of(&frees) == 0)
        rest();
}

static void a_finished_job_that_nobody_waits_for_any_more_is_freed(void **state)
{
    (void)state;
    in_fiber_with_pool(1, is_cancelled_on_the_way_back);
    assert_int_equal(frees, 1);
}

static void asks_though_cancelled(void *arg)
{
    (void)arg;
    struct err e;
    struct square *s = square_new(1, false);
    fiber_cancel(fiber_self());
    assert_false(offload_run(pool, &s->job, in_ms(60000), &e));
    assert_int_equal(e.code, ERR_CANCELLED);
    fiber_shield(true);
    s = square_new(4, false);
    assert_true(offload_run(pool, &s->job, in_ms(60000), &e));
    assert_int_equal(s->result, 16);
    square_free(&s->job);
    fiber_shield(false);
}

static void a_cancelled_fiber_begins_no_work_unless_shielded(void **state)
{
    (void)state;
    in_fiber_with_pool(1, asks_though_cancelled);
    assert_int_equal(runs, 1);
    assert_int_equal(frees, 2);
}

enum { STORM = 400 };

static void storms(void *arg)
{
    (void)arg;
    struct asker *all = calloc(STORM, sizeof *all);
    assert_non_null(all);
    for (int i = 0; i < STORM; i++) {
        asker_start(&all[i], in_ms(60000));
        if (i % 3 == 0)
            fiber_cancel(all[i].fiber);
        if (i % 16 == 0)
            rest();
    }
    for (int i = 0; i < STORM; i++)
        asker_join(&all[i]);
    free(all);
}

static void cancelling_at_any_moment_frees_every_job_once(void **state)
{
    (void)state;
    in_fiber_with_pool(4, storms);
    assert_int_equal(runs, STORM);
    assert_int_equal(frees, STORM);
}

/* ---- bounds ---- */

static void floods(void *arg)
{
    (void)arg;
    struct asker *all = calloc(LIMIT_OFFLOAD_QUEUE + 2, sizeof *all);
    assert_non_null(all);
    all[0].waits_at_gate = true;
    asker_start(&all[0], in_ms(60000));
    while (metric_value(M_OFFLOAD_QUEUE) > 0) /* until the only thread has taken it */
        rest();
    for (int i = 1; i <= LIMIT_OFFLOAD_QUEUE + 1; i++)
        asker_start(&all[i], in_ms(60000));
    const struct asker *last = &all[LIMIT_OFFLOAD_QUEUE + 1];
    assert_true(last->has_ended);
    assert_int_equal(last->e.code, ERR_UNAVAILABLE);
    assert_int_equal(count_of(&frees), 1);
    sem_post(&gate);
    for (int i = 0; i <= LIMIT_OFFLOAD_QUEUE; i++) {
        asker_join(&all[i]);
        assert_true(all[i].result);
    }
    free(all);
}

static void a_full_queue_refuses_and_frees_the_job(void **state)
{
    (void)state;
#ifdef FIBER_TSAN
    skip(); /* TSan's own record of a fiber is too large for that many */
#endif
    in_fiber_with_pool(1, floods);
    assert_int_equal(frees, LIMIT_OFFLOAD_QUEUE + 2);
}

static void a_pool_needs_a_sensible_number_of_threads(void **state)
{
    (void)state;
    struct err e;
    assert_null(offload_new(0, &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_null(offload_new(LIMIT_OFFLOAD_THREADS + 1, &e));
    offload_free(NULL);
}

static bool run_outside(void *arg)
{
    (void)arg;
    struct err e;
    struct square *s = square_new(1, false);
    return offload_run(offload_new(1, &e), &s->job, INT64_MAX, &e);
}

static void running_a_job_outside_of_a_fiber_is_a_bug(void **state)
{
    (void)state;
    assert_true(dies(run_outside, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_runs_on_another_thread_and_comes_back),
        cmocka_unit_test(a_job_whose_waiter_timed_out_is_freed_when_it_has_run),
        cmocka_unit_test(jobs_of_cancelled_waiters_run_and_are_freed),
        cmocka_unit_test(a_finished_job_that_nobody_waits_for_any_more_is_freed),
        cmocka_unit_test(a_cancelled_fiber_begins_no_work_unless_shielded),
        cmocka_unit_test(cancelling_at_any_moment_frees_every_job_once),
        cmocka_unit_test(a_full_queue_refuses_and_frees_the_job),
        cmocka_unit_test(a_pool_needs_a_sensible_number_of_threads),
        cmocka_unit_test(running_a_job_outside_of_a_fiber_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
