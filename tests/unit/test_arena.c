#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/arena.h"
#include "base/buf.h"

static void memory_is_zeroed_and_aligned_even_when_chunks_are_reused(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        auto_free(arena_endp) struct arena *a = arena_new(1 << 20);
        for (size_t n = 1; n < 3000; n += 97) {
            unsigned char *p = arena_alloc(a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xAA, n);
        }
    }
}

static void the_maximum_refuses_and_small_requests_still_fit(void **state)
{
    (void)state;
    auto_free(arena_endp) struct arena *a = arena_new(1024);
    assert_null(arena_alloc(a, 1025));
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_non_null(arena_alloc(a, 1000));
    assert_null(arena_alloc(a, 17));
    assert_non_null(arena_alloc(a, 16));
    assert_int_equal(arena_used(a), 1024);
}

static void strings_are_copied_and_ended(void **state)
{
    (void)state;
    auto_free(arena_endp) struct arena *a = arena_new(1 << 20);
    char text[] = "abc";
    struct str copy = arena_dup(a, str_c(text));
    text[0] = 'x';
    assert_string_equal(copy.p, "abc");
    assert_true(str_is_absent(arena_dup(a, STR_NONE)));
    assert_false(str_is_absent(arena_dup(a, STR(""))));
    assert_string_equal(arena_cstr(a, str_slice(STR("abcdef"), 0, 2)), "ab");
    assert_string_equal(arena_cstr(a, STR_NONE), "");
    assert_null(arena_cstr(a, STR("a\0b")));
    struct str made = arena_printf(a, "%d %s", 42, "x");
    assert_string_equal(made.p, "42 x");
    assert_int_equal(made.n, 4);
}

static void note(void *arg)
{
    struct buf *order = arg;
    buf_add_char(order, (char)('a' + order->n));
}
static void note_first(void *arg)
{
    buf_add_char(arg, '1');
}

static void end_hooks_run_newest_first_and_once(void **state)
{
    (void)state;
    struct buf order;
    buf_init(&order, 10);
    struct arena *a = arena_new(1 << 20);
    assert_true(arena_on_end(a, note, &order));
    assert_true(arena_on_end(a, note_first, &order));
    arena_end(a);
    assert_string_equal(order.p, "1b");
    buf_end(&order);
    arena_end(NULL);
}

static void a_hook_that_does_not_fit_is_not_run(void **state)
{
    (void)state;
    struct buf order;
    buf_init(&order, 10);
    struct arena *a = arena_new(8);
    assert_false(arena_on_end(a, note, &order));
    arena_end(a);
    assert_int_equal(order.n, 0);
}

static void *use_arenas(void *arg)
{
    (void)arg;
    struct arena *many[300];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = arena_new(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        if (!arena_alloc(many[i], 20000))
            return arg;
        arena_end(many[i]);
    }
    return NULL;
}

static void a_thread_that_ends_gives_its_pool_back(void **state) /* the leak checker judges */
{
    (void)state;
    pthread_t thread;
    int token = 0;
    void *failed = &token;
    assert_int_equal(pthread_create(&thread, NULL, use_arenas, &token), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
}

static void parts_are_joined_and_ended(void **state)
{
    (void)state;
    struct arena *a = arena_new(4096);
    struct str joined = ARENA_JOIN(a, STR("a"), STR_NONE, STR("bc"), STR(""));
    assert_true(str_eq(joined, STR("abc")));
    assert_int_equal(joined.p[joined.n], '\0');
    assert_true(str_is_absent(ARENA_JOIN(a, (struct str){"", SIZE_MAX}, STR("x"))));
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned_even_when_chunks_are_reused),
        cmocka_unit_test(the_maximum_refuses_and_small_requests_still_fit),
        cmocka_unit_test(strings_are_copied_and_ended),
        cmocka_unit_test(parts_are_joined_and_ended),
        cmocka_unit_test(end_hooks_run_newest_first_and_once),
        cmocka_unit_test(a_hook_that_does_not_fit_is_not_run),
        cmocka_unit_test(a_thread_that_ends_gives_its_pool_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
