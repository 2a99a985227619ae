/* Domains that may be claimed, and the domain of an address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/domain_rules.h"

static struct arena *arena;

static enum err_code judged(const char *given, struct str *out)
{
    struct err e = {.code = ERR_NONE};
    return domain_rules_read(arena, str_c(given), out, &e) ? ERR_NONE : e.code;
}

static void a_domain_is_stored_in_one_form(void **state unused_arg)
{
    struct str out;
    assert_int_equal(judged(" Corp.Example. ", &out), ERR_NONE);
    assert_true(str_eq(out, STR("corp.example")));
    assert_int_equal(judged("xn--bcher-kva.example", &out), ERR_NONE);
    assert_int_equal(judged("a.b.c.d.example", &out), ERR_NONE);
}

static void what_is_no_domain_is_refused(void **state unused_arg)
{
    struct str out;
    static const char *const bad[] = {"",        "example", "a..b",         ".a.b",   "a.b..",
                                      "1.2.3.4", "-a.b",    "a-.b",         "a_b.c",  "a b.c",
                                      "a.b/c",   "a@b.c",   "b\xc3\xbc.de", "a.b:80", "*.a.b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (judged(bad[i], &out) != ERR_INVALID)
            fail_msg("\"%s\" was taken", bad[i]);
}

static void what_anybody_has_names_in_is_refused(void **state unused_arg)
{
    struct str out;
    static const char *const bad[] = {"gmail.com", "GMAIL.com.",  "yahoo.co.uk",   "co.uk",
                                      "github.io", "a.localhost", "printer.local", "x.onion"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (judged(bad[i], &out) != ERR_UNPROCESSABLE)
            fail_msg("\"%s\" was taken", bad[i]);
    assert_int_equal(judged("corp.github.io", &out), ERR_NONE);
    assert_int_equal(judged("notgmail.com", &out), ERR_NONE);
}

static void an_address_has_the_domain_behind_its_last_at(void **state unused_arg)
{
    assert_true(str_eq(domain_rules_of_email(arena, STR("A.B@Corp.Example")), STR("corp.example")));
    assert_true(str_eq(domain_rules_of_email(arena, STR("\"x@corp.example\"@evil.example")),
                       STR("evil.example")));
    static const char *const none[] = {"",   "corp.example", "@corp.example",
                                       "a@", "a@corp",       "a@corp example.org"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_true(str_is_absent(domain_rules_of_email(arena, str_c(none[i]))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_is_stored_in_one_form),
        cmocka_unit_test(what_is_no_domain_is_refused),
        cmocka_unit_test(what_anybody_has_names_in_is_refused),
        cmocka_unit_test(an_address_has_the_domain_behind_its_last_at),
    };
    arena = arena_new(1024 * 1024);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_end(arena);
    return failed;
}
