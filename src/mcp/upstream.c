/* Tulle's own requests to a server: one question, one answer. */
#include "mcp/upstream.h"

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "json/jscan.h"
#include "mcp/channel.h"
#include "mcp/hop_id.h"
#include "mcp/upstream_era.h"
#include "mcp/upstream_pool.h"
#include "mcp/upstream_send.h"

enum { ENDING_ARENA = 4 * 1024 * 1024 };

/* The session that lists are fetched with: the organization's own, or the person's where
 * credentials are personal. */
static struct str principal_of(struct arena *a, const struct connection *conn,
                               const struct upstream_ask *ask)
{
    const struct caller *caller = ask->caller;
    bool is_list =
        str_ends(ask->method, STR("/list")) || str_eq(ask->method, STR("server/discover"));
    if (caller && (!is_list || str_eq(conn->credential_scope, STR("user"))))
        return caller->principal;
    return arena_printf(a, "%.*s||", STR_FMT(conn->org_id));
}

static struct str body_build(struct arena *a, const struct upstream_ask *ask, struct str id,
                             enum era era)
{
    struct str params = str_is_absent(ask->params) ? STR("{}") : ask->params;
    if (era != ERA_STATELESS)
        return arena_printf(a,
                            "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":\"%.*s\",\"params\":%.*s}",
                            STR_FMT(id), STR_FMT(ask->method), STR_FMT(params));
    struct str inside = str_trim(str_slice(params, 1, params.n - 2));
    return arena_printf(
        a, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":\"%.*s\",\"params\":{\"_meta\":%s%s%.*s}}",
        STR_FMT(id), STR_FMT(ask->method), UPSTREAM_META, inside.n ? "," : "", STR_FMT(inside));
}

struct asking {
    struct services *sv;
    struct arena *arena;
    const struct upstream_ask *ask;
    struct registry_entry *entry;
    const struct credential *cred;
    enum era era;
    struct str principal;
    struct upstream_session session;
};

static bool ask_once(struct asking *q, struct upstream_reply *out, struct err *e)
{
    struct arena *a = q->arena;
    struct str id = hop_id_fresh(a, q->sv->worker);
    struct upstream_message m = {.entry = q->entry,
                                 .credential = q->cred,
                                 .principal = q->principal,
                                 .http_method = STR("POST"),
                                 .body = body_build(a, q->ask, id, q->era),
                                 .era = q->era,
                                 .version = q->era == ERA_STATELESS ? STR(MCP_STATELESS_LATEST)
                                                                    : q->session.version,
                                 .session_id = q->session.id,
                                 .method = q->ask->method,
                                 .is_repeatable = !str_eq(q->ask->method, STR("tools/call")),
                                 .name = q->ask->name,
                                 .first_byte_ms = q->ask->timeout_ms,
                                 .total_ms = q->ask->timeout_ms};
    if (str_is_absent(m.body))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct http_answer_head head;
    struct upstream_response r;
    auto_free(exchange_closep) struct exchange *x = upstream_send(q->sv, a, &m, &head, e);
    if (!x)
        return false;
    /* Stateless servers put JSON-RPC errors on 400 and 404. */
    bool is_judged_by_body = q->era == ERA_STATELESS && (head.status == 400 || head.status == 404);
    if (q->era == ERA_SESSION && upstream_era_is_refused(&head, e))
        return false;
    if (!is_judged_by_body && !upstream_status_check(&head, !str_is_absent(q->session.id), e))
        return false;
    bool is_read = upstream_reply_read(a, x, &head, id, LIMIT_ANSWER_HELD, NULL, &r, e);
    if (is_judged_by_body &&
        (is_read ? upstream_era_is_doubtful(r.error) : e->code == ERR_UPSTREAM))
        return err_set(e, ERR_UNSUPPORTED_VERSION, "the server answered HTTP %d", head.status);
    if (!is_read)
        return false;
    *out = (struct upstream_reply){.result = r.result, .error = r.error};
    return true;
}

/* A server that lost our session (restart, idle) gets a new one and the question once more: it
 * never accepted the first. */
static bool ask_in_session(struct asking *q, struct upstream_reply *out, struct err *e)
{
    struct pool_who who = {.principal = q->principal};
    for (int attempt = 0;; attempt++) {
        if (!session_pool_get(q->sv, q->arena, q->entry, q->cred, &who, &q->session, e))
            return false;
        if (ask_once(q, out, e))
            return true;
        if (e->code != ERR_SESSION_NOT_FOUND)
            return false;
        session_pool_drop(q->sv, q->arena, q->entry, q->cred, &who, q->session.id);
        if (attempt > 0)
            return err_set(e, ERR_UPSTREAM, "the server forgets its sessions at once");
    }
}

bool upstream_ask(struct services *sv, struct arena *a, const struct upstream_ask *ask,
                  struct upstream_reply *out, struct err *e)
{
    struct registry_entry *entry;
    auto_free(credential_end) struct credential cred = {0};
    if (!registry_get(sv, a, ask->conn->org_id, ask->conn->id, &entry, e) ||
        !credential_load(sv, a, entry, ask->caller ? ask->caller->user_id : STR(""), &cred, e))
        return false;
    struct asking q = {.sv = sv,
                       .arena = a,
                       .ask = ask,
                       .entry = entry,
                       .cred = &cred,
                       .principal = principal_of(a, &entry->conn, ask)};
    for (int attempt = 0;; attempt++) {
        enum era before = q.era;
        if (!upstream_era_find(sv, a, entry, &cred, &q.era, NULL, e))
            return false;
        if (attempt > 0 && q.era == before)
            return err_set(e, ERR_UPSTREAM, "the server refuses what it is asked as another era's");
        if (q.era == ERA_STATELESS ? ask_once(&q, out, e) : ask_in_session(&q, out, e))
            return true;
        bool is_doubtful = e->code == ERR_UNSUPPORTED_VERSION;
        if (is_doubtful)
            e->code = ERR_UPSTREAM;
        if (!is_doubtful || attempt > 0 || !upstream_era_may_doubt(entry))
            return false;
        upstream_era_forget(entry); /* upgraded, or set back: never accepted */
    }
}

bool upstream_capabilities(struct services *sv, struct arena *a, const struct connection *conn,
                           const struct caller *caller, struct str *out, struct err *e)
{
    struct upstream_ask ask = {.conn = conn,
                               .caller = caller,
                               .method = STR("server/discover"),
                               .timeout_ms = LIMIT_PROBE_MS};
    struct upstream_reply reply = {0};
    struct upstream_session session = {0};
    struct registry_entry *entry;
    auto_free(credential_end) struct credential cred = {0};
    enum era era;
    if (!registry_get(sv, a, conn->org_id, conn->id, &entry, e) ||
        !credential_load(sv, a, entry, caller ? caller->user_id : STR(""), &cred, e) ||
        !upstream_era_find(sv, a, entry, &cred, &era, NULL, e))
        return false;
    struct pool_who who = {.principal = principal_of(a, &entry->conn, &ask)};
    bool is_known = era == ERA_STATELESS ? upstream_ask(sv, a, &ask, &reply, e)
                                         : session_pool_get(sv, a, entry, &cred, &who, &session, e);
    struct str said = era == ERA_STATELESS ? reply.result : session.initialize;
    *out = is_known ? jscan_member(said, STR("capabilities")) : STR_NONE;
    if (str_is_absent(*out) || jscan_type(*out) != JTYPE_OBJECT)
        *out = STR("{}");
    return is_known;
}

void upstream_forget(struct services *sv, struct str org_id, struct str connection_id)
{
    struct arena *a = arena_new((size_t)1024 * 1024);
    if (!a)
        return;
    struct pooled_ref refs[LIMIT_SESSIONS_PRINCIPAL];
    struct registry_entry *entry;
    struct err ignored;
    size_t n = session_pool_take(sv, a, connection_id, clock_mono_ms(), refs, ARRAY_LEN(refs));
    /* A connection that is already gone cannot be asked to end its sessions; they time out at the
     * server. */
    if (n > 0 && registry_get(sv, a, org_id, connection_id, &entry, &ignored))
        upstream_end_sessions(sv, a, entry, refs, n);
    channels_forget(sv, connection_id);
    arena_end(a);
}

void upstream_end_sessions(struct services *sv, struct arena *a, struct registry_entry *entry,
                           const struct pooled_ref *refs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        auto_free(credential_end) struct credential cred = {0};
        struct err ignored;
        if (!str_is_absent(refs[i].session.id) &&
            credential_load(sv, a, entry, refs[i].user_id, &cred, &ignored))
            upstream_session_end(sv, a, entry, &cred, refs[i].session.id, refs[i].session.version);
    }
}

struct ending {
    struct services *sv;
    struct arena *arena;
    struct pooled_ref ref;
};

static void ending_run(void *arg)
{
    struct ending *v = arg;
    struct arena *a = v->arena;
    struct registry_entry *entry;
    struct err ignored; /* a connection that is gone cannot be asked */
    if (registry_get(v->sv, a, v->ref.org_id, v->ref.connection_id, &entry, &ignored))
        upstream_end_sessions(v->sv, a, entry, &v->ref, 1);
    arena_end(a);
}

void upstream_end_later(struct services *sv, const struct pooled_ref *ref)
{
    if (str_is_absent(ref->session.id))
        return;
    struct arena *a = arena_new(ENDING_ARENA);
    struct ending *v = a ? arena_alloc(a, sizeof(*v)) : NULL;
    if (!v) {
        arena_end(a); /* the server ends it when it is idle */
        return;
    }
    *v = (struct ending){.sv = sv,
                         .arena = a,
                         .ref = {.org_id = arena_dup(a, ref->org_id),
                                 .connection_id = arena_dup(a, ref->connection_id),
                                 .user_id = arena_dup(a, ref->user_id),
                                 .session = {.id = arena_dup(a, ref->session.id),
                                             .version = arena_dup(a, ref->session.version)}}};
    if (!fiber_start(sv->loop, ending_run, v, NULL, NULL))
        arena_end(a);
}
