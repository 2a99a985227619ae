#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/map.h"
#include "base/secret.h"

static void a_secret_is_copied_replaced_and_ended_twice(void **state)
{
    (void)state;
    struct secret s = {0};
    char text[] = "hunter2";
    assert_true(secret_set(&s, text, 7));
    text[0] = 'x';
    assert_true(str_eq(secret_reveal(&s), STR("hunter2")));
    assert_true(secret_set(&s, "n", 1));
    assert_true(str_eq(secret_reveal(&s), STR("n")));
    assert_true(secret_set(&s, s.bytes, s.n)); /* itself */
    assert_true(str_eq(secret_reveal(&s), STR("n")));
    secret_end(&s);
    secret_end(&s);
    assert_true(str_is_absent(secret_reveal(&s)));
    char wiped[4] = "abc";
    secret_wipe(wiped, 4);
    assert_memory_equal(wiped, "\0\0\0\0", 4);
}

static void values_are_set_found_replaced_and_taken(void **state)
{
    (void)state;
    int a = 1, b = 2;
    void *old = &a;
    struct map *m = map_new();
    char key[] = "k\0y";
    assert_true(map_set(m, (struct str){key, 3}, &a, &old));
    assert_null(old);
    key[2] = 'z';
    assert_null(map_get(m, (struct str){key, 3}));
    assert_ptr_equal(map_get(m, STR("k\0y")), &a);
    assert_null(map_get(m, STR("k")));
    assert_true(map_set(m, STR("k\0y"), &b, &old));
    assert_ptr_equal(old, &a);
    assert_int_equal(map_count(m), 1);
    assert_true(map_set(m, STR(""), &a, NULL));
    assert_ptr_equal(map_get(m, STR_NONE), &a);
    assert_ptr_equal(map_take(m, STR("k\0y")), &b);
    assert_null(map_take(m, STR("k\0y")));
    assert_int_equal(map_count(m), 1);
    map_free(m, NULL);
    map_free(NULL, NULL);
}

static void keys_of_every_length_are_told_apart(void **state)
{
    (void)state;
    char bytes[64], other[64];
    struct map *m = map_new();
    memset(bytes, 'k', sizeof bytes);
    for (size_t n = 0; n <= sizeof bytes; n++)
        assert_true(map_set(m, (struct str){bytes, n}, &bytes[n % sizeof bytes], NULL));
    assert_int_equal(map_count(m), sizeof bytes + 1);
    for (size_t n = 1; n <= sizeof bytes; n++) {
        memcpy(other, bytes, sizeof bytes);
        assert_ptr_equal(map_get(m, (struct str){other, n}), &bytes[n % sizeof bytes]);
        for (size_t at = 0; at < n; at++) {
            other[at] ^= 1;
            assert_null(map_get(m, (struct str){other, n}));
            other[at] ^= 1;
        }
    }
    map_free(m, NULL);
}

static bool remove_even(struct str key, void *value, void *arg)
{
    (void)key;
    int number = *(int *)value;
    *(int *)arg += number;
    if (number % 2 != 0)
        return false;
    free(value);
    return true;
}

static void walking_may_remove_and_the_rest_is_freed(void **state)
{
    (void)state;
    struct map *m = map_new();
    int sum = 0;
    for (int i = 0; i < 1000; i++) {
        int *value = malloc(sizeof(*value));
        *value = i;
        assert_true(map_set(m, (struct str){(char *)&i, sizeof(i)}, value, NULL));
    }
    map_each(m, remove_even, &sum);
    assert_int_equal(sum, 999 * 500);
    assert_int_equal(map_count(m), 500);
    int odd = 501;
    assert_int_equal(*(int *)map_get(m, (struct str){(char *)&odd, sizeof(odd)}), 501);
    map_free(m, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_copied_replaced_and_ended_twice),
        cmocka_unit_test(values_are_set_found_replaced_and_taken),
        cmocka_unit_test(keys_of_every_length_are_told_apart),
        cmocka_unit_test(walking_may_remove_and_the_rest_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
