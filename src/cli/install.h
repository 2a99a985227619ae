/*
 * What the server and the administrative commands open alike: settings, data folder, keys, store
 * (migrated), and the services of one thread.
 */
#pragma once

#include "core/services.h"
#include "crypto/keyring.h"
#include "store/audit.h"
#include "store/db.h"

struct install {
    struct config config;
    struct keyring keys;
    struct offload *offload;
    struct db_store *store;
    struct http_guard *guard;
    char database_host[256]; /* of a postgresql URL: outgoing calls keep away from it */
    struct audit_log *audit;
    struct session_table *sessions;
    struct inflight_table *inflight;
    struct replay_table *replays;
    struct sse_clients *sse_clients;
    struct upstream_health *health;
    struct channel_table *channels;
    struct client_sessions *clients;
    struct session_pool *pool;
    struct m2s_table *m2s;
    struct rates *rates;
    struct mail_settings *mail;
    bool is_draining;
    int n_migrated; /* migrations that install_open applied */
    int n_rest;
    char **rest; /* arguments that are no settings */
};

/* Reads the settings from the arguments after the subcommand; what is none is left in in->rest. */
bool install_configure(struct install *in, int argc, char **argv, struct err *e) must_use;
/* Makes DATA_DIR (0700) when it is not there. */
bool install_make_data_dir(const struct install *in, struct err *e) must_use;
/* Opens all that the settings name; migrates; proves the encryption key. install_close either way.
 */
bool install_open(struct install *in, struct err *e) must_use;
void install_close(struct install *in);

/* The services of one worker or command, on its thread. */
bool services_open(struct install *in, int worker, struct loop *l, struct services *out,
                   struct err *e) must_use;
void services_close(struct services *sv);

/* Runs fn in a fiber with services of its own: what an administrative command is. */
bool install_run(struct install *in,
                 bool (*fn)(struct services *sv, struct arena *a, void *arg, struct err *e),
                 void *arg, struct err *e) must_use;
/* "tulle: MESSAGE" on stderr; returns 1. */
int command_failed(const struct err *e);
