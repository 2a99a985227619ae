/* Opening an installation. */
#include "cli/install.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "auth/mail/mail_settings.h"
#include "auth/token_check.h"
#include "base/limits.h"
#include "base/uri.h"
#include "cli/printable.h"
#include "core/row_cache.h"
#include "core/rates.h"
#include "core/vault.h"
#include "io/fiber.h"
#include "io/http_client.h"
#include "io/offload.h"
#include "log/log.h"
#include "management-tools/registry.h"
#include "mcp/client_sessions.h"
#include "mcp/channel.h"
#include "mcp/inflight.h"
#include "mcp/replay.h"
#include "mcp/sse_client.h"
#include "mcp/m2s.h"
#include "mcp/list_cache.h"
#include "mcp/registry_cache.h"
#include "mcp/sessions.h"
#include "mcp/upstream_pool.h"
#include "mcp/upstream_health.h"
#include "store/migrate.h"

enum {
    OFFLOAD_THREADS = 3,
    PATH_MAX_BYTES = 4096,
    COMMAND_ARENA = 64 * 1024 * 1024,
    POSTGRES_PORT = 5432
};

int command_failed(const struct err *e)
{
    struct err said = *e; /* perhaps by another machine */
    printable_make(said.msg, strlen(said.msg));
    (void)fprintf(stderr, "tulle: %s\n", said.msg[0] ? said.msg : err_text(e->code));
    return 1;
}

bool install_configure(struct install *in, int argc, char **argv, struct err *e)
{
    *in = (struct install){0};
    enum log_level level;
    if (!config_load(&in->config, argc, argv, &in->n_rest, &in->rest, e))
        return false;
    if (!log_level_parse(str_c(in->config.log_level), &level))
        return err_set(e, ERR_INVALID, "LOG_LEVEL is \"%s\", expected debug, info, warn or error",
                       in->config.log_level);
    return log_start(level, in->config.log_file, e);
}

bool install_make_data_dir(const struct install *in, struct err *e)
{
    const char *path = in->config.data_dir;
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    return err_set(e, ERR_UNAVAILABLE, "DATA_DIR \"%.200s\" cannot be made: %s", path,
                   strerrordesc_np(errno));
}

static bool keys_open(struct install *in, struct err *e)
{
    char path[PATH_MAX_BYTES];
    if (in->config.encryption_key)
        return keyring_parse(&in->keys, str_c(in->config.encryption_key), e);
    if (snprintf(path, sizeof(path), "%s/encryption.key", in->config.data_dir) >= (int)sizeof(path))
        return err_set(e, ERR_INVALID, "DATA_DIR is longer than %d bytes", PATH_MAX_BYTES - 32);
    return keyring_load_or_make(&in->keys, path, e);
}

static bool guard_open(struct install *in, struct err *e)
{
    struct uri database;
    struct http_guard_config c = {.egress_allow = in->config.egress_allow,
                                  .allow_loopback =
                                      in->config.host_is_loopback && in->config.base_is_loopback,
                                  .own_port = (int)in->config.port};
    /* "sqlite:" stores have no address to protect. */
    if (in->config.database_url && uri_parse(str_c(in->config.database_url), &database) &&
        database.host.n > 0 &&
        snprintf(in->database_host, sizeof(in->database_host), "%.*s", STR_FMT(database.host)) <
            (int)sizeof(in->database_host)) {
        c.database_host = in->database_host;
        c.database_port = database.port >= 0 ? database.port : POSTGRES_PORT;
    }
    in->guard = http_guard_new(&c, e);
    return in->guard != NULL;
}

static bool store_open(struct install *in, struct err *e)
{
    char url[PATH_MAX_BYTES];
    const char *wanted = in->config.database_url;
    if (!wanted) {
        if (snprintf(url, sizeof(url), "sqlite:%s/tulle.db", in->config.data_dir) >=
            (int)sizeof(url))
            return err_set(e, ERR_INVALID, "DATA_DIR is longer than %d bytes", PATH_MAX_BYTES - 32);
        wanted = url;
    }
    struct db_config c = {.url = wanted, .offload = in->offload};
    in->store = db_open(&c, e);
    return in->store && migrate_run(in->store, &in->n_migrated, e);
}

static bool audit_open(struct install *in, struct err *e)
{
    struct audit_config c = {.store = in->store,
                             .sync = in->config.audit_sync,
                             .stream = in->config.audit_stream,
                             .retention_days = in->config.audit_retention_days,
                             .flush_ms = 100};
    in->audit = audit_start(&c, e);
    return in->audit != NULL;
}

static bool check_keys(struct services *sv, struct arena *a, void *arg unused_arg, struct err *e)
{
    return vault_check(sv->keys, sv->db, a, e);
}

bool install_open(struct install *in, struct err *e)
{
    if (!registry_start(e) || !install_make_data_dir(in, e) || !keys_open(in, e) ||
        !guard_open(in, e))
        return false;
    in->mail = mail_settings_load(&in->config, e);
    if (!in->mail)
        return false;
    in->offload = offload_new(OFFLOAD_THREADS, e);
    in->sessions = session_table_new(&in->keys);
    in->inflight = inflight_table_new();
    in->replays = replay_table_new();
    in->sse_clients = sse_clients_new(&in->keys);
    in->health = upstream_health_new();
    in->channels = channel_table_new();
    in->clients = client_sessions_new(&in->keys);
    in->pool = session_pool_new();
    in->m2s = m2s_table_new();
    in->rates = rates_new();
    if (!in->health || !in->offload || !in->sessions || !in->inflight || !in->replays ||
        !in->sse_clients || !in->channels || !in->pool || !in->m2s || !in->clients || !in->rates)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return store_open(in, e) && audit_open(in, e) && install_run(in, check_keys, NULL, e);
}

void install_close(struct install *in)
{
    if (in->audit)
        audit_stop(in->audit);
    if (in->store)
        db_close(in->store);
    if (in->offload)
        offload_free(in->offload);
    session_table_free(in->sessions);
    inflight_table_free(in->inflight);
    sse_clients_free(in->sse_clients);
    replay_table_free(in->replays);
    upstream_health_free(in->health);
    channel_table_free(in->channels);
    client_sessions_free(in->clients);
    m2s_table_free(in->m2s);
    rates_free(in->rates);
    session_pool_free(in->pool);
    mail_settings_free(in->mail);
    if (in->guard)
        http_guard_free(in->guard);
    keyring_end(&in->keys);
}

bool services_open(struct install *in, int worker, struct loop *l, struct services *out,
                   struct err *e)
{
    struct services sv = {.worker = worker,
                          .loop = l,
                          .config = &in->config,
                          .keys = &in->keys,
                          .offload = in->offload,
                          .guard = in->guard,
                          .audit = in->audit,
                          .sessions = in->sessions,
                          .inflight = in->inflight,
                          .replays = in->replays,
                          .sse_clients = in->sse_clients,
                          .health = in->health,
                          .channels = in->channels,
                          .clients = in->clients,
                          .pool = in->pool,
                          .m2s = in->m2s,
                          .rates = in->rates,
                          .mail = in->mail,
                          .tools = &registry_source,
                          .is_draining = &in->is_draining};
    struct http_client_config http = {.guard = in->guard,
                                      .offload = in->offload,
                                      .proxy = in->config.https_proxy,
                                      .no_proxy = in->config.no_proxy,
                                      .ca_bundle = in->config.ca_bundle};
    sv.tokens = token_cache_new();
    sv.registry = row_cache_new();
    sv.rows = row_cache_new();
    sv.lists = list_cache_new();
    if (!sv.tokens || !sv.registry || !sv.rows || !sv.lists)
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    else if ((sv.db = db_attach(in->store, l, e)) != NULL &&
             (sv.vault = vault_new(&in->keys, sv.db, e)) != NULL &&
             (sv.http = http_client_new(l, &http, e)) != NULL) {
        *out = sv;
        list_init(&out->relays); /* at its final place */
        list_init(&out->client_streams);
        list_init(&out->list_watches);
        list_init(&out->aggregate_streams);
        list_init(&out->client_listens);
        list_init(&out->uri_hearings);
        return true;
    }
    services_close(&sv);
    return false;
}

void services_close(struct services *sv)
{
    if (sv->channels)
        channels_abandon(sv);
    if (sv->http)
        http_client_free(sv->http);
    if (sv->vault)
        vault_free(sv->vault);
    if (sv->db)
        db_detach(sv->db);
    list_cache_free(sv->lists);
    row_cache_free(sv->registry);
    row_cache_free(sv->rows);
    token_cache_free(sv->tokens);
    *sv = (struct services){0};
}

struct run {
    struct install *in;
    bool (*fn)(struct services *sv, struct arena *a, void *arg, struct err *e);
    void *arg;
    struct err *e;
    bool is_good;
};

static void run_in_fiber(void *arg)
{
    struct run *r = arg;
    struct services sv;
    struct arena *a = arena_new(COMMAND_ARENA);
    if (!a) {
        err_set(r->e, ERR_UNAVAILABLE, "out of memory");
        return;
    }
    if (services_open(r->in, 0, loop_self(), &sv, r->e)) {
        r->is_good = r->fn(&sv, a, r->arg, r->e);
        services_close(&sv);
    }
    arena_end(a);
}

bool install_run(struct install *in,
                 bool (*fn)(struct services *sv, struct arena *a, void *arg, struct err *e),
                 void *arg, struct err *e)
{
    struct run r = {.in = in, .fn = fn, .arg = arg, .e = e};
    return fiber_main(run_in_fiber, &r, e) && r.is_good;
}
