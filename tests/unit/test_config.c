#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "config.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* NOLINTBEGIN(concurrency-mt-unsafe): these tests have one thread and change their own environment.
 */

static char folder[] = "/tmp/tulle-config-XXXXXX";

static const char *const names[] = {
#define X(field, name, type, def, min, max, secret, sentence) name,
#include "config.def"
#undef X
};

static int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : 1;
}

static int leave_folder(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : 1;
}

/* Each test begins without settings. */
static int clear(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char name[64];
        unsetenv(names[i]);
        snprintf(name, sizeof(name), "%s_FILE", names[i]);
        unsetenv(name);
    }
    unlink("tulle.conf");
    unlink("other.conf");
    unlink("value");
    return 0;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})
#define NO_ARGS   ((char *[]){NULL})

static bool load(struct config *c, char **argv, struct err *e)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    memset(e, 0, sizeof(*e));
    return config_load(c, argc, argv, NULL, NULL, e);
}

static void refused(char **argv, const char *said)
{
    struct config c;
    struct err e;
    if (load(&c, argv, &e))
        fail_msg("accepted; expected: %s", said);
    assert_int_equal(e.code, ERR_INVALID);
    if (!strstr(e.msg, said))
        fail_msg("said: %s\nexpected: %s", e.msg, said);
    assert_null(strchr(e.msg, '\n'));
}

static void nothing_given_means_the_defaults(void **state)
{
    (void)state;
    struct config c;
    struct err e;
    assert_true(load(&c, NO_ARGS, &e));
    assert_null(c.host);
    assert_int_equal(c.port, 3000);
    assert_string_equal(c.base_url, "http://localhost:3000");
    assert_string_equal(c.origin, "http://localhost:3000");
    assert_string_equal(c.data_dir, "./data");
    assert_string_equal(c.database_url, "sqlite:./data/tulle.db");
    assert_null(c.encryption_key);
    assert_false(c.audit_sync);
    assert_true(c.host_is_loopback && c.base_is_loopback && c.allow_stdio_effective);
    assert_false(c.base_is_https);
}

static void flags_win_over_environment_over_file(void **state)
{
    (void)state;
    struct config c;
    struct err e;
    write_file("tulle.conf", "# a comment\n\nPORT = 1001\r\nWORKERS=3\nDRAIN_SECONDS=5");
    assert_true(load(&c, NO_ARGS, &e));
    assert_int_equal(c.port, 1001);
    setenv("PORT", "1002", 1);
    setenv("WORKERS", "", 1); /* empty: not given */
    assert_true(load(&c, NO_ARGS, &e));
    assert_int_equal(c.port, 1002);
    assert_int_equal(c.workers, 3);
    assert_true(load(&c, ARGS("--port", "1003", "--log-level=debug"), &e));
    assert_int_equal(c.port, 1003);
    assert_int_equal(c.drain_seconds, 5);
    assert_string_equal(c.log_level, "debug");
    assert_string_equal(c.base_url, "http://localhost:1003");
    write_file("other.conf", "DATA_DIR=/srv/tulle\n");
    assert_true(load(&c, ARGS("--config", "other.conf"), &e));
    assert_string_equal(c.database_url, "sqlite:/srv/tulle/tulle.db");
    assert_int_equal(c.workers, 0);
}

static void a_value_can_come_from_a_file(void **state)
{
    (void)state;
    struct config c;
    struct err e;
    write_file("value", KEY "\n");
    setenv("ENCRYPTION_KEY_FILE", "value", 1);
    assert_true(load(&c, NO_ARGS, &e));
    assert_string_equal(c.encryption_key, KEY);
    setenv("ENCRYPTION_KEY", KEY, 1);
    refused(NO_ARGS, "ENCRYPTION_KEY and ENCRYPTION_KEY_FILE");
    unsetenv("ENCRYPTION_KEY_FILE");
    assert_true(load(&c, ARGS("--metrics-token-file=value"), &e));
    assert_string_equal(c.metrics_token, KEY);
    refused(ARGS("--metrics-token-file", "missing"), "METRICS_TOKEN_FILE (flag "
                                                     "--metrics-token-file): given \"missing\"");
    write_file("value", "two\nlines\n");
    refused(ARGS("--metrics-token-file", "value"), "expected one line of text");
    write_file("value", "70000\n");
    refused(ARGS("--port-file", "value"), "PORT (PORT_FILE value): given \"70000\"");
    assert_true(load(&c, ARGS("--log-file", "x.log"), &e)); /* a setting of its own */
    assert_string_equal(c.log_file, "x.log");
}

static void what_is_unknown_is_named(void **state)
{
    (void)state;
    refused(ARGS("--prot", "3000"), "--prot: given");
    refused(ARGS("serve"), "serve: given");
    refused(ARGS("--PORT", "1"), "--PORT: given");
    refused(ARGS("--port"), "--port: given nothing");
    refused(ARGS("--port", "--host"), "--port: given nothing");
    refused(ARGS("--config", "missing.conf"), "missing.conf");
    write_file("tulle.conf", "PORT=1\nENCRYPTON_KEY=hunter2\n");
    refused(NO_ARGS, "tulle.conf line 2: given \"ENCRYPTON_KEY\", expected the name of a setting");
    write_file("tulle.conf", "PORT\n");
    refused(NO_ARGS, "tulle.conf line 1: given no '='");
    write_file("tulle.conf", "PORT=1\nHOST=::1\nPORT=2\n");
    refused(NO_ARGS, "PORT: given in tulle.conf line 1 and tulle.conf line 3, expected once");
}

static void ill_formed_values_are_named_with_what_is_expected(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"--port", "0", "PORT (flag --port): given \"0\", expected an integer from 1 to 65535"},
        {"--port", "80x", "an integer from 1 to 65535"},
        {"--allow-stdio", "-1", "an integer from 0 to 1"},
        {"--audit-sync", "maybe", "AUDIT_SYNC (flag --audit-sync): given \"maybe\", expected true"},
        {"--host", "example.org", "localhost or an IP address"},
        {"--base-url", "http://tulle.example.org", "BASE_URL (flag --base-url)"},
        {"--base-url", "https://tulle.example.org/mcp", "an https origin without a path"},
        {"--base-url", "https://u:p@tulle.example.org", "an https origin"},
        {"--base-url", "https://tulle.example.org?x", "an https origin"},
        {"--base-url", "tulle.example.org", "an https origin"},
        {"--database-url", "mysql://x", "DATABASE_URL (flag --database-url): given a value of 9"},
        {"--database-url", "sqlite:", "sqlite:PATH"},
        {"--log-level", "loud", "debug, info, warn or error"},
        {"--cimd", "perhaps", "on, off or auto"},
        {"--allow-org-creation", "nobody", "operator or everyone"},
        {"--audit-stream", "file:", "stdout, file:PATH or syslog"},
        {"--smtp-url", "http://mail", "smtp://"},
        {"--mail-from", "nobody", "e-mail address"},
        {"--admin-email", "a b@c", "e-mail address"},
        {"--trusted-proxies", "10.0.0.0/33", "addresses or CIDRs"},
        {"--trusted-proxies", "proxy", "addresses or CIDRs"},
        {"--cors-origins", "https://a.example,b", "origins"},
        {"--egress-allow", "10.0.0.0/8, http://x", "CIDR[:port]"},
        {"--egress-allow", "host:0", "CIDR[:port]"},
        {"--egress-allow", "*", "CIDR[:port]"},
        {"--egress-allow", "", NULL},
        {"--otel-exporter-otlp-endpoint", "collector", "http or https"},
        {"--encryption-key", "short", "key 1 is ill-formed"},
        {"--tls-cert", "x.pem", "TLS_CERT: given without TLS_KEY"},
        {"--admin-password", "hunter2", "ADMIN_PASSWORD: given without ADMIN_EMAIL"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char flag[128];
        snprintf(flag, sizeof(flag), "%s=%s", cases[i][0], cases[i][1]);
        struct config c;
        struct err e;
        if (cases[i][2])
            refused(ARGS(flag), cases[i][2]);
        else
            assert_true(load(&c, ARGS(flag), &e));
    }
}

static void secrets_are_not_repeated_in_messages(void **state)
{
    (void)state;
    static const char *const flags[] = {"--encryption-key=hunter2", "--database-url=hunter2",
                                        "--smtp-url=hunter2", "--admin-password=hunter2",
                                        "--https-proxy=hunter2"};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        struct config c;
        struct err e;
        char flag[64];
        snprintf(flag, sizeof(flag), "%s", flags[i]);
        assert_false(load(&c, ARGS(flag), &e));
        assert_null(strstr(e.msg, "hunter2"));
        assert_null(strstr(e.detail, "hunter2"));
    }
}

static void well_formed_values_pass(void **state)
{
    (void)state;
    struct config c;
    struct err e;
    assert_true(load(
        &c,
        ARGS("--host", "0.0.0.0", "--base-url", "https://Tulle.Example.org:443/", "--database-url",
             "postgresql://u:p@db/tulle", "--egress-allow",
             "10.0.0.0/8:443, db.internal:5432,*.corp,[fd00::/8]:80,fd00::/8,::1,host",
             "--trusted-proxies", "127.0.0.1, 10.0.0.0/8,::1/128", "--mail-from",
             "Tulle <no-reply@example.org>", "--smtp-url", "smtp://u:p%40@mail.example.org:587",
             "--audit-stream", "file:/var/log/audit", "--cors-origins", "https://a.example",
             "--encryption-key", KEY, "--dns-server", "10.0.0.1:53", "--audit-sync", "1"),
        &e));
    assert_string_equal(c.origin, "https://tulle.example.org");
    assert_true(c.base_is_https && c.audit_sync);
    assert_false(c.host_is_loopback || c.base_is_loopback || c.allow_stdio_effective);
    assert_true(load(&c, ARGS("--base-url", "http://127.0.0.1:8080/", "--allow-stdio=0"), &e));
    assert_string_equal(c.origin, "http://127.0.0.1:8080");
    assert_false(c.allow_stdio_effective);
}

static void what_is_not_a_setting_is_left_for_the_subcommand(void **state)
{
    (void)state;
    struct config c;
    struct err e;
    char **rest;
    int n_rest;
    char *args[] = {"FILE", "--name", "N", "--port", "4000", "--help", "--", "--port", "x", NULL};
    assert_true(config_load(&c, (int)ARRAY_LEN(args) - 1, args, &n_rest, &rest, &e));
    static const char *const expected[] = {"FILE", "--name", "N", "--help", "--", "--port", "x"};
    assert_int_equal(n_rest, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_string_equal(rest[i], expected[i]);
    assert_null(rest[n_rest]);
    assert_int_equal(c.port, 4000);
}

static void the_help_names_every_setting(void **state)
{
    (void)state;
    struct buf text, table;
    buf_init(&text, 1 << 16);
    buf_init(&table, 1 << 16);
    config_help(&text, false);
    config_help(&table, true);
    assert_true(buf_ok(&text) && buf_ok(&table));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char cell[80];
        snprintf(cell, sizeof(cell), "\n| `%s` | `--", names[i]);
        assert_non_null(strstr(table.p, cell));
    }
    assert_non_null(strstr(text.p, "--data-dir "));
    assert_non_null(strstr(text.p, "[./data]"));
    buf_end(&text);
    buf_end(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_given_means_the_defaults, clear, clear),
        cmocka_unit_test_setup_teardown(flags_win_over_environment_over_file, clear, clear),
        cmocka_unit_test_setup_teardown(a_value_can_come_from_a_file, clear, clear),
        cmocka_unit_test_setup_teardown(what_is_unknown_is_named, clear, clear),
        cmocka_unit_test_setup_teardown(ill_formed_values_are_named_with_what_is_expected, clear,
                                        clear),
        cmocka_unit_test_setup_teardown(secrets_are_not_repeated_in_messages, clear, clear),
        cmocka_unit_test_setup_teardown(well_formed_values_pass, clear, clear),
        cmocka_unit_test_setup_teardown(what_is_not_a_setting_is_left_for_the_subcommand, clear,
                                        clear),
        cmocka_unit_test_setup_teardown(the_help_names_every_setting, clear, clear),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
/* NOLINTEND(concurrency-mt-unsafe) */
