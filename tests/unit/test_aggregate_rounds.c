/* Who hears of changes is looked at again after each; a look that failed is made again. */
#include "mcp/aggregate_rounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

struct rig {
    struct list head;
    struct round_item items[3];
    int looks[3];
    bool fails[3];
    int leaves; /* an item that leaves while it is looked at; -1: none */
};

static void rig_begin(struct rig *r, uint64_t epoch)
{
    *r = (struct rig){.leaves = -1};
    list_init(&r->head);
    for (size_t i = 0; i < 3; i++)
        round_join(&r->head, &r->items[i], epoch);
}

static bool look(void *arg, struct round_item *item)
{
    struct rig *r = arg;
    int i = (int)(item - r->items);
    r->looks[i]++;
    if (r->leaves == i)
        round_leave(item);
    return !r->fails[i];
}

static void expect_looks(const struct rig *r, int first, int second, int third)
{
    assert_int_equal(r->looks[0], first);
    assert_int_equal(r->looks[1], second);
    assert_int_equal(r->looks[2], third);
}

static void each_is_looked_at_once_for_each_epoch(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, 7);
    round_run(&r.head, 7, look, &r);
    expect_looks(&r, 0, 0, 0);
    round_run(&r.head, 8, look, &r);
    round_run(&r.head, 8, look, &r);
    expect_looks(&r, 1, 1, 1);
    round_run(&r.head, 9, look, &r);
    expect_looks(&r, 2, 2, 2);
}

static void a_look_that_failed_is_made_again_in_the_next_round(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, 1);
    r.fails[1] = true;
    round_run(&r.head, 2, look, &r);
    expect_looks(&r, 1, 1, 1); /* and not again and again in the same */
    round_run(&r.head, 2, look, &r);
    expect_looks(&r, 1, 2, 1);
    r.fails[1] = false;
    round_run(&r.head, 2, look, &r);
    round_run(&r.head, 2, look, &r);
    expect_looks(&r, 1, 3, 1);
}

static void who_leaves_during_its_look_keeps_nobody_from_theirs(void **state)
{
    (void)state;
    struct rig r;
    rig_begin(&r, 1);
    r.leaves = 0;
    round_run(&r.head, 2, look, &r);
    expect_looks(&r, 1, 1, 1);
    assert_null(round_find(&r.head, r.items[0].serial));
    assert_ptr_equal(round_find(&r.head, r.items[1].serial), &r.items[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_looked_at_once_for_each_epoch),
        cmocka_unit_test(a_look_that_failed_is_made_again_in_the_next_round),
        cmocka_unit_test(who_leaves_during_its_look_keeps_nobody_from_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
