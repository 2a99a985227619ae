/* What the audit may keep of arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/limits.h"
#include "core/redact.h"
#include "json/jscan.h"

static void names_that_speak_of_secrets_are_found(void **state)
{
    (void)state;
    static const char *const secret[] = {
        "password",      "PASSWORD",   "userPassword", "client_secret", "access_token",
        "accessToken",   "apiKey",     "api_key",      "API-Key",       "key",
        "Authorization", "Set-Cookie", "private_key",  "X-Auth-Token",  "pin",
        "sshKeys",       "bearer",     "credentials"};
    static const char *const plain[] = {"name", "monkey", "keyboard", "author", "spinner",
                                        "path", "query",  "url",      ""};
    for (size_t i = 0; i < ARRAY_LEN(secret); i++)
        if (!redact_name_is_secret(str_c(secret[i])))
            fail_msg("%s", secret[i]);
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (redact_name_is_secret(str_c(plain[i])))
            fail_msg("%s", plain[i]);
}

static void shapes_of_secrets_are_found(void **state)
{
    (void)state;
    static const char *const secret[] = {
        "tulle_key_abcdefghijklmnopqrstuvwxyz",
        "use ghp_0123456789abcdefghij please",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "Bearer abcdefgh12",
        "postgresql://user:hunter2@db/x",
        "?token=AKIAABCDEFGHIJKLMNOP",
        "aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3",
    };
    static const char *const plain[] = {"hello",
                                        "",
                                        "conn_00000000000000000000000000000001",
                                        "https://example.com/a@b:c",
                                        "the bearer of news",
                                        "2026-11-21T03:58:13.123Z"};
    for (size_t i = 0; i < ARRAY_LEN(secret); i++)
        if (!redact_text_is_secret(str_c(secret[i])))
            fail_msg("%s", secret[i]);
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (redact_text_is_secret(str_c(plain[i])))
            fail_msg("%s", plain[i]);
}

static void values_are_replaced_at_every_level(void **state)
{
    (void)state;
    struct arena *a = arena_new(4 << 20);
    struct str out =
        redact_json(a, STR("{\"a\":1,\"password\":\"p\",\"b\":{\"tokens\":[\"x\"],\"c\":[\"Bearer "
                           "0123456789\",true,null,2.5]},\"api_key\":null}"));
    assert_true(str_eq(
        out, STR("{\"a\":1,\"password\":\"[redacted]\",\"b\":{\"tokens\":\"[redacted]\",\"c\":["
                 "\"[redacted]\",true,null,2.5]},\"api_key\":null}")));
    assert_true(str_is_absent(redact_json(a, STR("{\"password\":\"p\""))));
    arena_end(a);
}

static void a_long_text_is_cut_and_stays_json(void **state)
{
    (void)state;
    struct arena *a = arena_new(4 << 20);
    char *text = arena_alloc(a, 100000);
    static const char entry[] = {'"', '\\', '"', 'x', '"', ','};
    size_t n = 0;
    text[n++] = '[';
    while (n < 90000) {
        memcpy(text + n, entry, sizeof entry);
        n += sizeof entry;
    }
    text[n - 1] = ']';
    struct str out = redact_json(a, (struct str){text, n});
    struct err e = {0};
    assert_true(out.n > 1000 && out.n <= LIMIT_AUDIT_ARGUMENTS);
    assert_true(jscan_valid(out, &e));
    assert_true(str_starts(out, STR("{\"cut\":")));
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_speak_of_secrets_are_found),
        cmocka_unit_test(shapes_of_secrets_are_found),
        cmocka_unit_test(values_are_replaced_at_every_level),
        cmocka_unit_test(a_long_text_is_cut_and_stays_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
