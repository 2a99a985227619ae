/* migrate, doctor, config, version. */
#include <stdio.h>
#include <sys/stat.h>

#include "auth/sso/installation_providers.h"
#include "auth/sso/oidc.h"
#include "base/buf.h"
#include "cli/command.h"
#include "cli/install.h"
#include "io/http_server.h"
#include "store/migrate.h"

static bool wants_help(int argc, char **argv)
{
    return argc > 1 && (str_eq(str_c(argv[1]), STR("--help")) || str_eq(str_c(argv[1]), STR("-h")));
}

int command_version(int argc, char **argv)
{
    if (wants_help(argc, argv))
        (void)printf("usage: tulle version\n");
    else
        (void)printf("tulle %s\n", TULLE_VERSION);
    return 0;
}

int command_config(int argc, char **argv)
{
    struct buf text;
    bool is_markdown = argc > 1 && str_eq(str_c(argv[1]), STR("--markdown"));
    buf_init(&text, (size_t)256 * 1024);
    config_help(&text, is_markdown);
    if (!is_markdown)
        (void)printf("usage: tulle %s [settings]\n\nEvery setting is an environment variable, a "
                     "flag, or a line of tulle.conf:\n\n",
                     argv[0]);
    (void)printf("%.*s", STR_FMT(buf_str(&text)));
    buf_end(&text);
    return 0;
}

int command_migrate(int argc, char **argv)
{
    struct install in = {0};
    struct err e = {.code = ERR_NONE};
    if (wants_help(argc, argv)) {
        (void)printf("usage: tulle migrate [settings]\nBrings the database up to date under one "
                     "lock, as serve does at start.\n");
        return 0;
    }
    bool is_good = install_configure(&in, argc - 1, argv + 1, &e) && install_open(&in, &e);
    if (is_good)
        (void)printf("the database is up to date\n");
    install_close(&in);
    return is_good ? 0 : command_failed(&e);
}

/* One line of the doctor: what was looked at, and what was found. */
static bool report(const char *what, bool is_good, const char *found)
{
    (void)printf("%-4s %-16s %s\n", is_good ? "ok" : "FAIL", what, found);
    return is_good;
}

static bool ping(struct services *sv, struct arena *a unused_arg, void *arg unused_arg,
                 struct err *e)
{
    return db_ping(sv->db, e);
}

static bool data_dir_is_private(const struct config *c, struct err *e)
{
    struct stat st;
    if (stat(c->data_dir, &st) != 0)
        return err_set(e, ERR_UNAVAILABLE, "%.200s cannot be read", c->data_dir);
    return (st.st_mode & 07) == 0 ||
           err_set(e, ERR_INVALID, "%.200s is open to everybody; chmod 700 it", c->data_dir);
}

/* One provider: what to register there, and whether it answers. */
static bool provider_report(struct services *sv, struct arena *a, const struct sso_provider *p)
{
    struct oidc_provider complete = {.row = *p};
    struct err e = {.code = ERR_NONE};
    bool is_good = oidc_provider_complete(sv, a, &complete, &e);
    const char *what = arena_cstr(a, arena_printf(a, "provider %.*s", STR_FMT(p->slot)));
    struct str uri =
        str_is_absent(p->id)
            ? STR("has an address to come back to from the first start of the server on")
            : arena_printf(a, "comes back to %.*s", STR_FMT(oidc_redirect_uri(sv, a, p->id)));
    const char *found =
        arena_cstr(a, is_good ? uri : arena_printf(a, "%s; %.*s", e.msg, STR_FMT(uri)));
    return report(what ? what : "provider", is_good, found ? found : "out of memory");
}

static bool providers_report(struct services *sv, struct arena *a, void *arg unused_arg,
                             struct err *e)
{
    struct sso_provider *list;
    size_t n;
    bool is_good = true;
    if (!installation_providers_read(sv, a, &list, &n, e)) {
        report("sign-in", false, e->msg);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        is_good = provider_report(sv, a, &list[i]) && is_good;
    return is_good;
}

int command_doctor(int argc, char **argv)
{
    struct install in = {0};
    struct err e = {.code = ERR_NONE};
    if (wants_help(argc, argv)) {
        (void)printf(
            "usage: tulle doctor [settings]\nChecks settings, data folder, keys, database, "
            "port and the sign-in providers of AUTH_CONFIG; each failure names its "
            "mend.\n");
        return 0;
    }
    bool is_good = install_configure(&in, argc - 1, argv + 1, &e) && install_open(&in, &e);
    report("settings and keys", is_good, is_good ? "every value is well-formed" : e.msg);
    if (is_good) {
        is_good = data_dir_is_private(&in.config, &e);
        report("data folder", is_good, is_good ? in.config.data_dir : e.msg);
        e.code = ERR_NONE;
        bool answers = install_run(&in, ping, NULL, &e);
        is_good =
            report("database", answers,
                   answers ? "answers, is up to date, and the encryption key is its own" : e.msg) &&
            is_good;
        const char *addresses[] = {
            in.config.host && !str_eq(str_c(in.config.host), STR("localhost")) ? in.config.host
                                                                               : "127.0.0.1"};
        bool is_free = http_server_probe_port(addresses, 1, (int)in.config.port, &e);
        report("port", true, is_free ? "free" : e.msg); /* taken is right while the server runs */
        report("address", true, in.config.origin);
        is_good = install_run(&in, providers_report, NULL, &e) && is_good;
    }
    install_close(&in);
    return is_good ? 0 : 1;
}
