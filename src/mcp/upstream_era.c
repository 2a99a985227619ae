/* Eras of servers, and initialize. */
#include "mcp/upstream_era.h"

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "json/jscan.h"
#include "mcp/hop_id.h"
#include "mcp/upstream_send.h"
#include "store/connections.h"

enum { ERA_DOUBT_MS = 2000 }; /* a server that refuses everything is not asked each time */
enum { ERA_KEPT_MS = 24 * 60 * 60 * 1000 }; /* a server may be upgraded: look again after a day */

/* ---- remembering ---- */

struct era_note {
    struct services *sv;
    struct arena *arena;
    struct str org_id, connection_id;
    enum era era;
};

static void note_run(void *arg)
{
    struct era_note *note = arg;
    struct err ignored; /* it is found out again next time */
    struct arena *arena = note->arena;
    struct connection_note learned = {.era = era_name(note->era), .tool_count = -1};
    (void)!connections_note(note->sv->db, arena, note->org_id, note->connection_id, &learned,
                            clock_wall_ms(), &ignored);
    arena_end(arena);
}

void upstream_era_learn(struct services *sv, struct registry_entry *entry, enum era era)
{
    bool is_news = entry->era != era || clock_wall_ms() - entry->conn.era_at > ERA_KEPT_MS;
    entry->era = era;
    entry->is_era_doubted = false;
    entry->conn.era_at = clock_wall_ms();
    if (!is_news)
        return;
    struct arena *a = arena_new((size_t)64 * 1024);
    struct era_note *note = a ? arena_alloc(a, sizeof(*note)) : NULL;
    if (!note) {
        arena_end(a);
        return;
    }
    *note = (struct era_note){sv, a, arena_dup(a, entry->conn.org_id), arena_dup(a, entry->conn.id),
                              era};
    if (!fiber_start(sv->loop, note_run, note, NULL, NULL))
        arena_end(a);
}

void upstream_era_forget(struct registry_entry *entry)
{
    entry->is_era_doubted = true;
    entry->era_doubted_at = clock_mono_ms();
}

bool upstream_era_may_doubt(const struct registry_entry *entry)
{
    return entry->era_doubted_at == 0 || clock_mono_ms() - entry->era_doubted_at > ERA_DOUBT_MS;
}

void upstream_era_note_session(struct services *sv, struct registry_entry *entry)
{
    entry->refuses_sessions = false;
    if (entry->era != ERA_STATELESS)
        upstream_era_learn(sv, entry, ERA_SESSION);
}

/* ---- probing ---- */

bool upstream_era_is_refused(const struct http_answer_head *head, struct err *e)
{
    if (head->status != 400)
        return false;
    err_set(e, ERR_UNSUPPORTED_VERSION, "the server answered HTTP 400");
    return true;
}

static int64_t code_of(struct str error)
{
    struct jwant wants[] = {{.name = STR("code")}};
    struct err ignored;
    int64_t code;
    return !str_is_absent(error) && jscan_object(error, wants, 1, &ignored) &&
                   !str_is_absent(wants[0].value) && jscan_i64(wants[0].value, &code)
               ? code
               : 0;
}

bool upstream_era_is_doubtful(struct str error)
{
    int64_t code = code_of(error);
    bool is_known = (code <= -32601 && code >= -32603) || code == -32020 || code == -32021;
    return !is_known;
}

/* A server that knows the code of unsupported versions may still have only older ones. */
static enum era era_of_error(struct str error)
{
    int64_t code = code_of(error);
    if (code == 0)
        return ERA_UNKNOWN;
    bool is_ours = str_find(error, STR("\"" MCP_STATELESS_LATEST "\"")) != SIZE_MAX;
    if (code == -32022)
        return is_ours || str_find(error, STR("\"supported\"")) == SIZE_MAX ? ERA_STATELESS
                                                                            : ERA_SESSION;
    return code == -32020 || code == -32021 ? ERA_STATELESS : ERA_SESSION;
}

/* Reads the body of a probe's answer whatever its status: era evidence stands in JSON-RPC errors on
 * 400 and 404 too. */
static bool probe_judge(struct arena *a, struct exchange *x, const struct http_answer_head *head,
                        struct str id, enum era *out, struct str *discover, struct err *e)
{
    if (head->status == 401 || head->status == 403 || head->status >= 500 ||
        (head->status >= 300 && head->status < 400) || head->status == 429)
        return upstream_status_check(head, false, e);
    struct upstream_response r;
    bool is_rpc = upstream_reply_read(a, x, head, id, LIMIT_ANSWER_HELD, NULL, &r, e);
    if (!is_rpc && (e->code == ERR_CANCELLED || e->code == ERR_TIMEOUT))
        return false;
    *out = ERA_SESSION;
    if (is_rpc && !str_is_absent(r.result)) {
        *out = ERA_STATELESS;
        if (discover)
            *discover = r.result;
    } else if (is_rpc && era_of_error(r.error) == ERA_STATELESS) {
        *out = ERA_STATELESS;
    } else if (!is_rpc && head->status == 200) {
        return false; /* success without an answer is a broken server, not an old one */
    }
    return true;
}

void upstream_discover_message(struct arena *a, struct registry_entry *entry,
                               const struct credential *cred, struct str id, int64_t limit_ms,
                               struct upstream_message *out)
{
    *out = (struct upstream_message){
        .entry = entry,
        .credential = cred,
        .http_method = STR("POST"),
        .body = arena_printf(a,
                             "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":\"server/"
                             "discover\",\"params\":{\"_meta\":%s}}",
                             STR_FMT(id), UPSTREAM_META),
        .era = ERA_STATELESS,
        .version = STR(MCP_STATELESS_LATEST),
        .method = STR("server/discover"),
        .is_repeatable = true,
        .first_byte_ms = limit_ms,
        .total_ms = limit_ms,
    };
}

bool upstream_era_find(struct services *sv, struct arena *a, struct registry_entry *entry,
                       const struct credential *cred, enum era *out, struct str *discover,
                       struct err *e)
{
    if (discover)
        *discover = STR_NONE;
    if (!discover && entry->era != ERA_UNKNOWN && !entry->is_era_doubted &&
        clock_wall_ms() - entry->conn.era_at < ERA_KEPT_MS) {
        *out = entry->era;
        return true;
    }
    struct str id = hop_id_fresh(a, sv->worker);
    struct upstream_message m;
    upstream_discover_message(a, entry, cred, id, LIMIT_PROBE_MS, &m);
    struct http_answer_head head;
    auto_free(exchange_closep) struct exchange *x = upstream_send(sv, a, &m, &head, e);
    if (!x || !probe_judge(a, x, &head, id, out, discover, e))
        return false;
    entry->is_era_probed = true;
    upstream_era_learn(sv, entry, *out);
    return true;
}

/* ---- sessions of our own ---- */

static bool initialized_send(struct services *sv, struct arena *a,
                             const struct upstream_message *base, const struct upstream_session *s,
                             struct err *e)
{
    struct upstream_message m = *base;
    m.body = STR("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    m.version = s->version;
    m.session_id = s->id;
    struct http_answer_head head;
    auto_free(exchange_closep) struct exchange *x = upstream_send(sv, a, &m, &head, e);
    return x && upstream_status_check(&head, false, e);
}

static bool initialize_read(struct arena *a, const struct http_answer_head *head,
                            const struct upstream_response *r, struct upstream_session *out,
                            struct err *e)
{
    struct jwant wants[] = {{.name = STR("protocolVersion")}};
    if (str_is_absent(r->result))
        return err_set(e, ERR_UPSTREAM, "the server refused initialize");
    if (!jscan_object(r->result, wants, 1, e) || str_is_absent(wants[0].value) ||
        !jscan_string(a, wants[0].value, &out->version) ||
        era_of_version(out->version) != ERA_SESSION)
        return err_set(e, ERR_UPSTREAM,
                       "the server's initialize result names no known protocolVersion");
    out->initialize = r->result;
    struct str id = http_header_get(head->headers, head->n_headers, STR("Mcp-Session-Id"));
    out->id = id.n ? arena_dup(a, id) : STR_NONE;
    return true;
}

bool upstream_session_start(struct services *sv, struct arena *a, struct registry_entry *entry,
                            const struct credential *cred, struct upstream_session *out,
                            struct err *e)
{
    return upstream_session_start_as(sv, a, entry, cred, STR_NONE, out, e);
}

bool upstream_session_start_as(struct services *sv, struct arena *a, struct registry_entry *entry,
                               const struct credential *cred, struct str capabilities,
                               struct upstream_session *out, struct err *e)
{
    *out = (struct upstream_session){0};
    struct str id = hop_id_fresh(a, sv->worker);
    struct upstream_message m = {
        .entry = entry,
        .credential = cred,
        .http_method = STR("POST"),
        .body = arena_printf(
            a,
            "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":\"initialize\",\"params\":{"
            "\"protocolVersion\":\"%s\","
            "\"capabilities\":%.*s,\"clientInfo\":{\"name\":\"tulle\",\"version\":\"%s\"}}}",
            STR_FMT(id), MCP_SESSION_LATEST,
            STR_FMT(str_is_absent(capabilities) ? STR("{}") : capabilities), TULLE_VERSION),
        .era = ERA_SESSION,
        .is_repeatable = true,
        .first_byte_ms = LIMIT_PROBE_MS,
        .total_ms = (int64_t)2 * LIMIT_PROBE_MS,
    };
    struct http_answer_head head;
    struct upstream_response r;
    {
        auto_free(exchange_closep) struct exchange *x = upstream_send(sv, a, &m, &head, e);
        if (x && (head.status == 400 || head.status == 404 || head.status == 405))
            return err_set(e, ERR_UNSUPPORTED_VERSION,
                           "the server answered initialize with HTTP %d", head.status);
        if (!x || !upstream_status_check(&head, false, e) ||
            !upstream_reply_read(a, x, &head, id, LIMIT_ANSWER_HELD, NULL, &r, e) ||
            !initialize_read(a, &head, &r, out, e))
            return false;
    }
    upstream_era_note_session(sv, entry);
    if (initialized_send(sv, a, &m, out, e))
        return true;
    if (!str_is_absent(out->id))
        upstream_session_end(sv, a, entry, cred, out->id, out->version);
    return false;
}

void upstream_session_end(struct services *sv, struct arena *a, struct registry_entry *entry,
                          const struct credential *cred, struct str id, struct str version)
{
    struct upstream_message m = {.entry = entry,
                                 .credential = cred,
                                 .http_method = STR("DELETE"),
                                 .era = ERA_SESSION,
                                 .version = version,
                                 .session_id = id,
                                 .first_byte_ms = LIMIT_PROBE_MS,
                                 .total_ms = LIMIT_PROBE_MS};
    struct http_answer_head head;
    struct err ignored;
    exchange_close(upstream_send(sv, a, &m, &head, &ignored));
}
