#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ids.h"
#include "base/rand.h"

static void an_id_is_its_prefix_and_32_hex_digits(void **state)
{
    (void)state;
    struct id a = id_new("conn");
    struct id b = id_new("conn");
    assert_true(id_is(id_str(&a), "conn"));
    assert_string_not_equal(a.s, b.s);
    struct id longest = id_new("abcdefghijklmn");
    assert_true(id_is(id_str(&longest), "abcdefghijklmn"));
}

static void other_texts_are_no_ids(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "org_",
        "org_0123456789abcdef0123456789abcde",
        "org_0123456789abcdef0123456789abcdef0",
        "org_0123456789ABCDEF0123456789abcdef",
        "org_0123456789abcdef0123456789abcdeg",
        "orgx0123456789abcdef0123456789abcdef",
        "usr_0123456789abcdef0123456789abcdef",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(id_is(str_c(bad[i]), "org"));
    assert_true(id_is(STR("org_0123456789abcdef0123456789abcdef"), "org"));
    assert_false(id_is(STR_NONE, "org"));
}

static void random_bytes_differ_across_refills_and_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {8, 16, 100, 128, 129, 300, 1000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t a[1000] = {0};
        uint8_t b[1000] = {0};
        rand_bytes(a, sizes[i]);
        rand_bytes(b, sizes[i]);
        assert_memory_not_equal(a, b, sizes[i]);
        for (size_t k = sizes[i]; k < sizeof(a); k++)
            assert_int_equal(a[k], 0);
    }
    uint64_t seen[200];
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        seen[i] = rand_u64();
        for (size_t k = 0; k < i; k++)
            assert_true(seen[k] != seen[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_its_prefix_and_32_hex_digits),
        cmocka_unit_test(other_texts_are_no_ids),
        cmocka_unit_test(random_bytes_differ_across_refills_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
