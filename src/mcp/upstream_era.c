/* Eras of servers, and initialize. */
#include "mcp/upstream_era.h"

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "json/jscan.h"
#include "mcp/hop_id.h"
#include "mcp/upstream_send.h"
#include "store/connections.h"

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

/* ---- probing ---- */

static enum era era_of_error(struct str error)
{
    struct jwant wants[] = {{.name = STR("code")}};
    struct err ignored;
    int64_t code;
    if (!jscan_object(error, wants, 1, &ignored) || !jscan_i64(wants[0].value, &code))
        return ERA_UNKNOWN;
    return code <= -32020 && code >= -32022 ? ERA_STATELESS : ERA_SESSION;
}

/* Reads the body of a probe's answer whatever its status: era evidence stands in JSON-RPC errors on
 * 400 and 404 too. */
static bool probe_judge(struct arena *a, struct http_exchange *x,
                        const struct http_answer_head *head, struct str id, enum era *out,
                        struct str *discover, struct err *e)
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

bool upstream_era_find(struct services *sv, struct arena *a, struct registry_entry *entry,
                       const struct credential *cred, enum era *out, struct str *discover,
                       struct err *e)
{
    if (discover)
        *discover = STR_NONE;
    if (!discover && entry->era != ERA_UNKNOWN &&
        clock_wall_ms() - entry->conn.era_at < ERA_KEPT_MS) {
        *out = entry->era;
        return true;
    }
    struct str id = hop_id_fresh(a, sv->worker);
    struct upstream_message m = {
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
        .first_byte_ms = LIMIT_PROBE_MS,
        .total_ms = LIMIT_PROBE_MS,
    };
    struct http_answer_head head;
    auto_free(http_closep) struct http_exchange *x = upstream_send(sv, a, &m, &head, e);
    if (!x || !probe_judge(a, x, &head, id, out, discover, e))
        return false;
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
    auto_free(http_closep) struct http_exchange *x = upstream_send(sv, a, &m, &head, e);
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
            "\"capabilities\":{},\"clientInfo\":{\"name\":\"tulle\",\"version\":\"%s\"}}}",
            STR_FMT(id), MCP_SESSION_LATEST, TULLE_VERSION),
        .era = ERA_SESSION,
        .first_byte_ms = LIMIT_PROBE_MS,
        .total_ms = (int64_t)2 * LIMIT_PROBE_MS,
    };
    struct http_answer_head head;
    struct upstream_response r;
    {
        auto_free(http_closep) struct http_exchange *x = upstream_send(sv, a, &m, &head, e);
        if (!x || !upstream_status_check(&head, false, e) ||
            !upstream_reply_read(a, x, &head, id, LIMIT_ANSWER_HELD, NULL, &r, e) ||
            !initialize_read(a, &head, &r, out, e))
            return false;
    }
    upstream_era_learn(sv, entry, ERA_SESSION);
    return initialized_send(sv, a, &m, out, e);
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
    http_close(upstream_send(sv, a, &m, &head, &ignored));
}
