/* The event loop: descriptors, timers, tasks, letters from other threads. */
#include "io/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "io/thread.h"
#include "unit/dies.h"

static struct loop *loop;

static int setup(void **state)
{
    (void)state;
    struct err e;
    loop = loop_new(&e);
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

/* ---- descriptors ---- */

struct watch {
    struct loop_fd f;
    int events_seen;
    uint32_t ready;
    struct watch *victim; /* removed by this one's event */
    bool stops;
};

static void on_event(struct loop_fd *f, uint32_t ready)
{
    struct watch *w = CONTAINER_OF(f, struct watch, f);
    w->events_seen++;
    w->ready = ready;
    if (w->victim) {
        loop_fd_remove(loop, &w->victim->f);
        close(w->victim->f.fd);
        w->victim->f.fd = -1;
    }
    if (w->stops)
        loop_stop(loop);
}

static void watch_add(struct watch *w, unsigned count, uint32_t events)
{
    struct err e;
    w->f.fd = eventfd(count, EFD_NONBLOCK | EFD_CLOEXEC);
    w->f.on_event = on_event;
    assert_true(loop_fd_add(loop, &w->f, events, &e));
}

static void watch_end(struct watch *w)
{
    loop_fd_remove(loop, &w->f);
    if (w->f.fd >= 0)
        close(w->f.fd);
}

static void a_ready_descriptor_is_reported(void **state)
{
    (void)state;
    struct watch w = {.stops = true};
    watch_add(&w, 1, EPOLLIN);
    loop_run(loop);
    assert_int_equal(w.events_seen, 1);
    assert_int_equal(w.ready, EPOLLIN);
    watch_end(&w);
}

static void the_event_of_a_descriptor_removed_in_the_same_turn_is_hidden(void **state)
{
    (void)state;
    struct watch a = {.stops = true};
    struct watch b = {.stops = true};
    watch_add(&a, 1, EPOLLIN);
    watch_add(&b, 1, EPOLLIN);
    a.victim = &b;
    b.victim = &a;
    loop_run(loop);
    assert_int_equal(a.events_seen + b.events_seen, 1);
    watch_end(&a);
    watch_end(&b);
}

struct replacing {
    struct watch w;
    struct watch *old;
    struct watch *fresh;
};

static void replace_on_event(struct loop_fd *f, uint32_t ready)
{
    (void)ready;
    struct replacing *r = CONTAINER_OF(f, struct replacing, w.f);
    r->w.events_seen++;
    if (!r->old)
        return;
    loop_fd_remove(loop, &r->old->f);
    close(r->old->f.fd);
    r->old->f.fd = -1;
    r->old = NULL;
    watch_add(r->fresh, 0, EPOLLIN); /* the same number, the same slot, not ready */
    loop_stop(loop);
}

static void a_fresh_descriptor_in_a_removed_ones_place_does_not_get_its_event(void **state)
{
    (void)state;
    struct watch fresh = {0};
    struct watch old = {0};
    struct replacing r = {.old = &old, .fresh = &fresh};
    struct err e;
    watch_add(&old, 0, EPOLLIN);
    /* Ready in the order of their writes: the replacing one first. */
    r.w.f.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    r.w.f.on_event = replace_on_event;
    assert_true(loop_fd_add(loop, &r.w.f, EPOLLIN, &e));
    static const uint64_t one = 1;
    int old_fd = old.f.fd;
    assert_int_equal(write(r.w.f.fd, &one, sizeof one), sizeof one);
    assert_int_equal(write(old_fd, &one, sizeof one), sizeof one);
    loop_run(loop);
    assert_int_equal(r.w.events_seen, 1);
    assert_int_equal(old.events_seen, 0);
    assert_int_equal(fresh.f.fd, old_fd);
    assert_int_equal(fresh.events_seen, 0);
    watch_end(&fresh);
    watch_end(&r.w);
}

static void a_one_shot_watch_is_armed_again_by_the_same_events(void **state)
{
    (void)state;
    struct watch w = {.stops = true};
    watch_add(&w, 1, EPOLLIN | EPOLLONESHOT);
    loop_run(loop);
    loop_fd_change(loop, &w.f, EPOLLIN | EPOLLONESHOT);
    loop_run(loop);
    assert_int_equal(w.events_seen, 2);
    watch_end(&w);
}

static void changed_events_take_effect(void **state)
{
    (void)state;
    struct watch quiet = {0};
    struct watch w = {.stops = true};
    watch_add(&quiet, 1, EPOLLIN);
    loop_fd_change(loop, &quiet.f, 0);
    watch_add(&w, 0, EPOLLIN);
    loop_fd_change(loop, &w.f, EPOLLOUT);
    loop_run(loop);
    assert_int_equal(quiet.events_seen, 0);
    assert_int_equal(w.ready, EPOLLOUT);
    watch_end(&quiet);
    watch_end(&w);
}

static void many_descriptors_keep_their_own_events(void **state)
{
    (void)state;
    enum { MANY = 700 };
    struct watch *all = calloc(MANY, sizeof *all);
    assert_non_null(all);
    for (int i = 0; i < MANY; i++)
        watch_add(&all[i], (unsigned)i % 2, EPOLLIN | EPOLLONESHOT);
    struct watch last = {.stops = true};
    for (int turns = 0; turns < 4; turns++) { /* 350 events need two turns */
        watch_add(&last, 1, EPOLLIN | EPOLLONESHOT);
        loop_run(loop);
        watch_end(&last);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(all[i].events_seen, i % 2);
        watch_end(&all[i]);
    }
    free(all);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state)
{
    (void)state;
    struct err e;
    struct loop_fd f = {.fd = -1, .on_event = on_event};
    assert_false(loop_fd_add(loop, &f, EPOLLIN, &e));
    assert_int_equal(e.code, ERR_UNAVAILABLE);
}

static bool add_twice(void *arg)
{
    struct watch *w = arg;
    struct err e;
    return loop_fd_add(loop, &w->f, EPOLLIN, &e);
}

static bool add_by_another_record(void *arg)
{
    const struct watch *w = arg;
    struct err e;
    struct loop_fd other = {.fd = w->f.fd, .on_event = on_event};
    return loop_fd_add(loop, &other, EPOLLIN, &e);
}

static void adding_a_registered_descriptor_is_a_bug(void **state)
{
    (void)state;
    struct watch w = {0};
    watch_add(&w, 0, EPOLLIN);
    assert_true(dies(add_twice, &w));
    assert_true(dies(add_by_another_record, &w));
    watch_end(&w);
}

/* ---- timers ---- */

struct alarm {
    struct loop_timer t;
    int *order;
    int *count;
    int id;
    bool stops;
    struct loop_timer *stop_too;
    int again;
};

static void on_alarm(struct loop_timer *t)
{
    struct alarm *a = CONTAINER_OF(t, struct alarm, t);
    if (a->order)
        a->order[*a->count] = a->id;
    (*a->count)++;
    if (a->stop_too)
        loop_timer_stop(loop, a->stop_too);
    if (a->again-- > 0)
        loop_timer_set(loop, t, loop_now_ms(loop));
    else if (a->stops)
        loop_stop(loop);
}

static void timers_fire_in_the_order_of_their_times(void **state)
{
    (void)state;
    enum { MANY = 300 };
    int order[MANY + 1];
    int count = 0;
    struct alarm *all = calloc(MANY + 1, sizeof *all);
    assert_non_null(all);
    int64_t start = loop_now_ms(loop) - 1000;
    for (int i = 0; i < MANY; i++) {
        int place = (i * 7919) % MANY; /* a permutation: 7919 is prime to 300 */
        all[i] =
            (struct alarm){.t.on_fire = on_alarm, .order = order, .count = &count, .id = place};
        loop_timer_set(loop, &all[i].t, start + 5000);
        loop_timer_set(loop, &all[i].t, start + place);
    }
    int stopped = 0;
    for (int i = 0; i < MANY; i += 3, stopped++)
        loop_timer_stop(loop, &all[i].t);
    all[MANY] = (struct alarm){
        .t.on_fire = on_alarm, .order = order, .count = &count, .id = MANY, .stops = true};
    loop_timer_set(loop, &all[MANY].t, start + MANY);
    loop_run(loop);
    assert_int_equal(count, MANY - stopped + 1);
    for (int i = 1; i < count; i++)
        assert_true(order[i - 1] < order[i]);
    free(all);
}

static void a_timer_stopped_by_another_in_the_same_turn_does_not_fire(void **state)
{
    (void)state;
    int first = 0, second = 0;
    struct alarm b = {.t.on_fire = on_alarm, .count = &second};
    struct alarm a = {.t.on_fire = on_alarm, .count = &first, .stop_too = &b.t, .stops = true};
    loop_timer_set(loop, &a.t, 0);
    loop_timer_set(loop, &b.t, 1);
    loop_run(loop);
    assert_int_equal(first, 1);
    assert_int_equal(second, 0);
}

static void a_timer_that_sets_itself_for_now_does_not_starve_the_descriptors(void **state)
{
    (void)state;
    int count = 0;
    struct alarm a = {.t.on_fire = on_alarm, .count = &count, .again = INT32_MAX};
    struct watch w = {.stops = true};
    watch_add(&w, 1, EPOLLIN);
    loop_timer_set(loop, &a.t, 0);
    loop_run(loop);
    assert_int_equal(w.events_seen, 1);
    loop_timer_stop(loop, &a.t);
    watch_end(&w);
}

static void a_timer_never_fires_early(void **state)
{
    (void)state;
    int count = 0;
    struct alarm a = {.t.on_fire = on_alarm, .count = &count, .stops = true};
    int64_t at = clock_mono_ms() + 3;
    loop_timer_set(loop, &a.t, at);
    loop_run(loop);
    assert_true(clock_mono_ms() >= at);
    assert_true(loop_now_ms(loop) >= at);
}

/* ---- tasks ---- */

struct job {
    struct loop_task t;
    int *order;
    int *count;
    int id;
    struct job *then;
    bool stops;
    bool repeats;
    bool ran_inside;
    const struct loop *self;
};
static bool is_asking;

static void on_job(struct loop_task *t)
{
    struct job *j = CONTAINER_OF(t, struct job, t);
    j->ran_inside = is_asking;
    j->self = loop_self();
    if (j->order)
        j->order[(*j->count)++] = j->id;
    is_asking = true;
    if (j->then)
        loop_soon(loop, &j->then->t);
    if (j->repeats)
        loop_soon(loop, &j->t);
    is_asking = false;
    if (j->stops)
        loop_stop(loop);
}

static void tasks_run_in_order_and_never_inside_the_asking_call(void **state)
{
    (void)state;
    int order[3], count = 0;
    struct job c = {.t.run = on_job, .order = order, .count = &count, .id = 3, .stops = true};
    struct job a = {.t.run = on_job, .order = order, .count = &count, .id = 1, .then = &c};
    struct job b = {.t.run = on_job, .order = order, .count = &count, .id = 2};
    loop_soon(loop, &a.t);
    loop_soon(loop, &b.t);
    assert_int_equal(count, 0);
    loop_run(loop);
    assert_int_equal(count, 3);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[2], 3);
    assert_false(c.ran_inside);
}

static void a_task_that_repeats_for_ever_does_not_starve_the_descriptors(void **state)
{
    (void)state;
    struct job a = {.t.run = on_job, .repeats = true};
    struct watch w = {.stops = true};
    watch_add(&w, 1, EPOLLIN);
    loop_soon(loop, &a.t);
    loop_run(loop);
    assert_int_equal(w.events_seen, 1);
    watch_end(&w);
}

static void loop_self_is_the_running_loop(void **state)
{
    (void)state;
    assert_null(loop_self());
    struct job a = {.t.run = on_job, .stops = true};
    loop_soon(loop, &a.t);
    loop_run(loop);
    assert_ptr_equal(a.self, loop);
    assert_null(loop_self());
}

/* ---- letters ---- */

enum { SENDERS = 4, LETTERS = 25000 };

struct letter {
    struct loop_task t;
    int sender;
    int number;
};
struct sender {
    pthread_t thread;
    struct letter *letters;
};
static int next_number[SENDERS];
static int arrived;
static bool out_of_order;

static void on_letter(struct loop_task *t)
{
    struct letter *m = CONTAINER_OF(t, struct letter, t);
    out_of_order |= m->number != next_number[m->sender]++;
    out_of_order |= loop_self() != loop;
    if (++arrived == SENDERS * LETTERS)
        loop_stop(loop);
}

static void *send_letters(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < LETTERS; i++)
        loop_post(loop, &s->letters[i].t);
    return NULL;
}

static void letters_of_each_sender_arrive_once_and_in_order(void **state)
{
    (void)state;
    struct sender senders[SENDERS];
    struct err e;
    for (int s = 0; s < SENDERS; s++) {
        senders[s].letters = calloc(LETTERS, sizeof(struct letter));
        assert_non_null(senders[s].letters);
        for (int i = 0; i < LETTERS; i++)
            senders[s].letters[i] = (struct letter){.t.run = on_letter, .sender = s, .number = i};
        assert_true(thread_start(&senders[s].thread, "sender", send_letters, &senders[s], &e));
    }
    loop_run(loop);
    assert_int_equal(arrived, SENDERS * LETTERS);
    assert_false(out_of_order);
    for (int s = 0; s < SENDERS; s++) {
        pthread_join(senders[s].thread, NULL);
        free(senders[s].letters);
    }
}

static void what_is_posted_before_the_stop_still_runs(void **state)
{
    (void)state;
    int order[2], count = 0;
    struct job second = {.t.run = on_job, .order = order, .count = &count, .id = 2};
    struct job first = {.t.run = on_job, .order = order, .count = &count, .id = 1};
    loop_post(loop, &first.t);
    loop_post(loop, &second.t);
    loop_stop(loop);
    loop_run(loop);
    assert_int_equal(count, 2);
    assert_int_equal(order[0], 1);
}

/* ---- hooks ---- */

struct hook {
    struct loop_hook h;
    int calls;
    int64_t wish_ms;
    struct hook *remove_too;
    int stop_at;
};

static int64_t on_hook(struct loop_hook *h)
{
    struct hook *k = CONTAINER_OF(h, struct hook, h);
    k->calls++;
    if (k->remove_too) {
        loop_hook_remove(loop, &k->remove_too->h);
        loop_hook_remove(loop, h);
    }
    if (k->calls == k->stop_at)
        loop_stop(loop);
    return k->wish_ms;
}

static void a_hooks_wish_ends_the_wait(void **state)
{
    (void)state;
    struct hook k = {.h.before_wait = on_hook, .wish_ms = 0, .stop_at = 3};
    loop_hook_add(loop, &k.h);
    loop_run(loop);
    assert_int_equal(k.calls, 3);
    loop_hook_remove(loop, &k.h);
}

static void a_hook_may_remove_itself_and_the_next(void **state)
{
    (void)state;
    struct hook last = {.h.before_wait = on_hook, .stop_at = 2};
    struct hook gone = {.h.before_wait = on_hook};
    struct hook k = {.h.before_wait = on_hook, .remove_too = &gone};
    loop_hook_add(loop, &last.h);
    loop_hook_add(loop, &gone.h);
    loop_hook_add(loop, &k.h);
    loop_run(loop);
    assert_int_equal(k.calls, 1);
    assert_int_equal(gone.calls, 0);
    assert_int_equal(last.calls, 2);
    loop_hook_remove(loop, &last.h);
}

/* The first of two hooks is given work by the second, after its turn. */
struct late_work {
    struct loop_hook first, second;
    bool is_given, is_done;
};

static int64_t on_first(struct loop_hook *h)
{
    struct late_work *w = CONTAINER_OF(h, struct late_work, first);
    w->is_done = w->is_given;
    if (w->is_done)
        loop_stop(loop);
    return INT64_MAX;
}

static int64_t on_second(struct loop_hook *h)
{
    struct late_work *w = CONTAINER_OF(h, struct late_work, second);
    if (!w->is_given)
        loop_hooks_again(loop);
    w->is_given = true;
    return INT64_MAX;
}

static void hooks_that_are_asked_again_are_called_before_the_wait(void **state)
{
    (void)state;
    struct late_work w = {.first.before_wait = on_first, .second.before_wait = on_second};
    int ended = 0;
    struct alarm end = {.t.on_fire = on_alarm, .count = &ended, .stops = true};
    loop_hook_add(loop, &w.second);
    loop_hook_add(loop, &w.first);
    loop_timer_set(loop, &end.t, clock_mono_ms() + 5000); /* instead of waiting for ever */
    loop_run(loop);
    assert_true(w.is_done);
    assert_int_equal(ended, 0);
    loop_timer_stop(loop, &end.t);
    loop_hook_remove(loop, &w.first);
    loop_hook_remove(loop, &w.second);
}

#define IN_LOOP(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_LOOP(a_ready_descriptor_is_reported),
        IN_LOOP(the_event_of_a_descriptor_removed_in_the_same_turn_is_hidden),
        IN_LOOP(a_fresh_descriptor_in_a_removed_ones_place_does_not_get_its_event),
        IN_LOOP(a_one_shot_watch_is_armed_again_by_the_same_events),
        IN_LOOP(changed_events_take_effect),
        IN_LOOP(many_descriptors_keep_their_own_events),
        IN_LOOP(a_descriptor_that_cannot_be_watched_is_an_error),
        IN_LOOP(adding_a_registered_descriptor_is_a_bug),
        IN_LOOP(timers_fire_in_the_order_of_their_times),
        IN_LOOP(a_timer_stopped_by_another_in_the_same_turn_does_not_fire),
        IN_LOOP(a_timer_that_sets_itself_for_now_does_not_starve_the_descriptors),
        IN_LOOP(a_timer_never_fires_early),
        IN_LOOP(tasks_run_in_order_and_never_inside_the_asking_call),
        IN_LOOP(a_task_that_repeats_for_ever_does_not_starve_the_descriptors),
        IN_LOOP(loop_self_is_the_running_loop),
        IN_LOOP(letters_of_each_sender_arrive_once_and_in_order),
        IN_LOOP(what_is_posted_before_the_stop_still_runs),
        IN_LOOP(a_hooks_wish_ends_the_wait),
        IN_LOOP(a_hook_may_remove_itself_and_the_next),
        IN_LOOP(hooks_that_are_asked_again_are_called_before_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
