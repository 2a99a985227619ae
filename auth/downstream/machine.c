#include "auth/downstream/machine.h"

#include <pthread.h>
#include <string.h>

#include "auth/downstream/client.h"
#include "auth/downstream/dpop.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "io/fiber.h"
#include "store/connections.h"

#define GRANT STR("client_credentials")

enum { SLOTS = 1024 };

bool downstream_machine_is(const struct downstream_grant *g)
{
    return str_eq(g->grant_type, GRANT);
}

void downstream_machine_form(struct buf *form, const struct downstream_grant *g, struct str scope)
{
    downstream_form_add(form, "grant_type", GRANT);
    if (scope.n > 0)
        downstream_form_add(form, "scope", scope);
    downstream_form_add(form, "resource", g->resource);
    downstream_form_add(form, "audience", g->audience);
}

/* ---- one at a time, and not too often ---- */

struct slot {
    uint64_t connection;
    bool is_running;
    int64_t failed_ms; /* 0: it did not */
};
static struct slot slots[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct slot *slot_of(uint64_t connection)
{
    return &slots[connection % SLOTS];
}

static uint64_t number_of(struct str id)
{
    struct sha256 digest = hash_sha256(id);
    uint64_t n;
    memcpy(&n, digest.b, sizeof(n));
    return n;
}

static enum machine_begun turn_take(uint64_t connection)
{
    enum machine_begun turn = MACHINE_DONE;
    pthread_mutex_lock(&lock);
    struct slot *s = slot_of(connection);
    if (s->is_running)
        turn = MACHINE_BUSY;
    else if (s->connection == connection && s->failed_ms &&
             clock_mono_ms() - s->failed_ms < LIMIT_REFRESH_PAUSE_MS)
        turn = MACHINE_FAILED;
    else
        *s = (struct slot){connection, true, 0};
    pthread_mutex_unlock(&lock);
    return turn;
}

static void turn_end(uint64_t connection, bool is_good)
{
    pthread_mutex_lock(&lock);
    *slot_of(connection) = (struct slot){connection, false, is_good ? 0 : clock_mono_ms()};
    pthread_mutex_unlock(&lock);
}

/* ---- the first token ---- */

static bool token_get(struct services *sv, struct arena *a, const struct downstream_grant *g,
                      struct str scope, struct downstream_tokens_got *got, struct err *e)
{
    struct buf form;
    buf_init(&form, LIMIT_OAUTH_DOCUMENT);
    downstream_machine_form(&form, g, scope);
    bool is_good = downstream_token_request(sv, a, g, &form, got, e);
    if (form.p)
        secret_wipe(form.p, form.n);
    buf_end(&form);
    return is_good;
}

static bool token_keep(struct services *sv, struct arena *a, const struct connection *conn,
                       struct downstream_token *row, struct downstream_grant *g,
                       const struct downstream_tokens_got *got, struct err *e)
{
    const struct connection_note note = {.status = STR("unknown"), .tool_count = -1};
    int64_t now = clock_wall_ms();
    struct err ignored;
    if (!str_is_absent(got->scope))
        row->scope = got->scope;
    row->expires_at = got->expires_in_s ? now + got->expires_in_s * 1000 : 0;
    row->generation = row->authorized_at = row->updated_at = now;
    downstream_grant_take(g, got);
    if (!got->is_bound)
        g->dpop_key = STR_NONE;
    if (!downstream_grant_seal(sv, a, conn->org_id, row, g, &row->sealed, e) ||
        !downstream_tokens_put(sv->db, a, conn->org_id, row, e))
        return false;
    if (str_eq(conn->status, STR("needs_authorization")))
        (void)!connections_note(sv->db, a, conn->org_id, conn->id, &note, now, &ignored);
    return true;
}

static bool authorize(struct services *sv, struct arena *a, const struct connection *conn,
                      const struct downstream_settings *settings, struct err *e)
{
    struct downstream_server server;
    struct downstream_tokens_got got;
    struct downstream_grant g = {.grant_type = GRANT, .origin = downstream_origin(a, conn)};
    if (!downstream_discover(sv, a, conn, settings, &server, e) ||
        !downstream_client_given(sv, a, conn, &server, &g.client, e))
        return false;
    if (str_is_absent(g.client.client_secret) && str_is_absent(g.client.private_key))
        return err_set(e, ERR_UPSTREAM,
                       "this server is used with client credentials: an administrator gives "
                       "client_id and client_secret or private_key with CONNECTION_CREDENTIAL_SET");
    struct downstream_token row = {.connection_id = conn->id,
                                   .user_id = STR(""),
                                   .authorized_by = STR(""),
                                   .issuer = server.issuer,
                                   .scope = str_is_absent(server.scope) ? STR("") : server.scope};
    g.issuer = server.issuer;
    g.token_endpoint = server.token_endpoint;
    g.revocation_endpoint = server.revocation_endpoint;
    g.resource = settings->omits_resource ? STR_NONE : server.resource;
    g.audience = settings->audience;
    if (server.uses_dpop) {
        g.dpop_key = dpop_key_make(a);
        if (str_is_absent(g.dpop_key))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (token_get(sv, a, &g, row.scope, &got, e))
        return token_keep(sv, a, conn, &row, &g, &got, e);
    /* No person can mend it: the administrator is told. */
    const struct err why = *e;
    return why.code == ERR_INVALID_CLIENT || why.code == ERR_INVALID_GRANT
               ? err_set(e, ERR_UPSTREAM,
                         "the authorization server does not accept the client credentials of this "
                         "connection: an administrator gives others with CONNECTION_CREDENTIAL_SET")
               : false;
}

enum machine_begun downstream_machine_begin(struct services *sv, struct arena *a,
                                            const struct connection *conn, struct err *e)
{
    struct downstream_settings settings;
    if (!downstream_settings_read(a, conn, &settings, e))
        return MACHINE_FAILED;
    if (!settings.is_machine)
        return MACHINE_NOT;
    uint64_t connection = number_of(conn->id);
    enum machine_begun turn = turn_take(connection);
    if (turn == MACHINE_FAILED)
        err_set(e, ERR_UPSTREAM, "this server could not be authorized; it is tried again soon");
    if (turn != MACHINE_DONE)
        return turn;
    fiber_shield(true);
    bool is_good = authorize(sv, a, conn, &settings, e);
    fiber_shield(false);
    turn_end(connection, is_good);
    return is_good ? MACHINE_DONE : MACHINE_FAILED;
}
