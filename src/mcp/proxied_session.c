/* The parts of a session that are no call: its beginning, notifications, and a client's answers to
 * a server's questions. */
#include "base/clock.h"
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/hop_id.h"
#include "mcp/inflight.h"
#include "mcp/proxied.h"
#include "mcp/upstream_send.h"

struct session_ref proxied_session_ref(const struct proxied *p)
{
    return (struct session_ref){.org_id = p->caller->org_id,
                                .connection_id = p->entry->conn.id,
                                .user_id = p->caller->user_id,
                                .principal = p->caller->principal,
                                .downstream_id = p->session.downstream_id,
                                .version = p->session.version,
                                .connection_updated_at = p->entry->conn.updated_at};
}

/* ---- initialize ---- */

/* A session of this principal that had to give way to the new one ends at the server too. */
static void evicted_end(struct proxied *p, const struct session_ref *evicted)
{
    if (str_is_absent(evicted->downstream_id))
        return;
    upstream_session_end(p->sv, p->a, p->entry, &p->cred, evicted->downstream_id, evicted->version);
}

/* What the server answered to initialize: with a session id, the client gets a sealed handle of its
 * own. */
static bool session_register(struct proxied *p, const struct http_answer_head *head,
                             const struct upstream_response *r, struct err *e)
{
    struct jwant wants[] = {{.name = STR("protocolVersion")}};
    struct str id = http_header_get(head->headers, head->n_headers, STR("Mcp-Session-Id"));
    struct str version;
    if (str_is_absent(r->result)) /* refused: there is no session */
        return true;
    if (!jscan_object(r->result, wants, 1, e) || str_is_absent(wants[0].value) ||
        !jscan_string(p->a, wants[0].value, &version) || era_of_version(version) != ERA_SESSION)
        return err_set(e, ERR_UPSTREAM,
                       "the server's initialize result names no known protocolVersion");
    upstream_era_learn(p->sv, p->entry, ERA_SESSION);
    if (id.n == 0) /* the server keeps no sessions: every later request stands alone */
        return true;
    p->session.downstream_id = arena_dup(p->a, id);
    p->session.version = version;
    struct session_ref ref = proxied_session_ref(p), evicted;
    struct str handle;
    if (!session_open(p->sv->sessions, p->a, &ref, clock_wall_ms(), &handle, &evicted, e)) {
        upstream_session_end(p->sv, p->a, p->entry, &p->cred, ref.downstream_id, version);
        return false;
    }
    http_set_header(p->rq, STR("Mcp-Session-Id"), handle);
    evicted_end(p, &evicted);
    return true;
}

/* A server of the stateless era has no initialize: the client hears which versions there are. */
static bool refuse_stateless(struct proxied *p, struct err *e)
{
    p->in.offered = ERA_STATELESS;
    return err_set(e, ERR_INVALID,
                   "this server speaks only protocol version " MCP_STATELESS_LATEST
                   ", which has no initialize");
}

/* A 4xx to initialize may come from a server of the other era: ask it once. */
static bool refused_initialize(struct proxied *p, const struct http_answer_head *head,
                               struct err *e)
{
    struct err probe_error;
    bool may_be_era = head->status == 400 || head->status == 404 || head->status == 405;
    if (may_be_era &&
        upstream_era_find(p->sv, p->a, p->entry, &p->cred, &p->era, NULL, &probe_error) &&
        p->era == ERA_STATELESS)
        return refuse_stateless(p, e);
    return upstream_status_check(head, false, e);
}

bool proxied_initialize(struct proxied *p, struct err *e)
{
    p->era = ERA_SESSION;
    if (p->entry->era == ERA_STATELESS &&
        !(upstream_era_find(p->sv, p->a, p->entry, &p->cred, &p->era, NULL, e) &&
          p->era == ERA_SESSION))
        return p->era == ERA_STATELESS ? refuse_stateless(p, e) : false;

    struct upstream_message m;
    struct http_answer_head head;
    struct upstream_response r;
    struct str text;
    p->hop_id = hop_id_forth(p->a, p->in.msg.id);
    proxied_message(p, &m);
    m.version = STR_NONE; /* it is what initialize negotiates */
    m.session_id = STR_NONE;
    m.body = rpc_replace(p->a, p->in.msg.raw, &(struct rpc_edit){p->in.msg.id, p->hop_id}, 1);
    if (str_is_absent(m.body))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    auto_free(http_closep) struct http_exchange *x = upstream_send(p->sv, p->a, &m, &head, e);
    if (!x)
        return false;
    if (head.status >= 400 && head.status < 500 && head.status != 401 && head.status != 403)
        return refused_initialize(p, &head, e);
    if (!upstream_status_check(&head, false, e) ||
        !upstream_reply_read(p->a, x, &head, p->hop_id, LIMIT_ANSWER_HELD, NULL, &r, e) ||
        !session_register(p, &head, &r, e) || !proxied_rewrite(p, &r, &text, e) ||
        !proxied_record(p, str_is_absent(r.error) ? "ok" : "failed", NULL, text.n, e))
        return false;
    http_answer(p->rq, 200, STR("application/json"), text);
    return true;
}

/* ---- notifications and responses ---- */

/* Sends a message that has no answer; the server's 202 is the client's. */
static bool deliver(struct proxied *p, struct str body, struct err *e)
{
    struct upstream_message m;
    struct http_answer_head head;
    proxied_message(p, &m);
    m.body = body;
    m.first_byte_ms = LIMIT_PROBE_MS;
    if (str_is_absent(body))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    auto_free(http_closep) struct http_exchange *x = upstream_send(p->sv, p->a, &m, &head, e);
    if (!x)
        return false;
    if (!upstream_status_check(&head, true, e)) {
        if (e->code == ERR_SESSION_NOT_FOUND)
            session_forget(p->sv->sessions, p->session.key);
        return false;
    }
    inbound_accepted(p->rq);
    return true;
}

/* The notifications that clients send (MCP 2025-11-25, schema ClientNotification). */
static bool is_client_notification(struct str method)
{
    static const struct str known[] = {
        STR("notifications/initialized"), STR("notifications/cancelled"),
        STR("notifications/progress"), STR("notifications/roots/list_changed"),
        STR("notifications/tasks/status")};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i], method))
            return true;
    return false;
}

bool proxied_notification(struct proxied *p, struct err *e)
{
    const struct rpc_message *m = &p->in.msg;
    if (str_is_absent(p->session.key)) {
        /* Nothing is waiting that it could be about: stateless clients cancel by closing, bare ones
         * have no session. */
        inbound_accepted(p->rq);
        return true;
    }
    if (!is_client_notification(m->method)) {
        /* Judged is what has an id. A request without one is not run, and nothing waits for it. */
        inbound_accepted(p->rq);
        return true;
    }
    struct str body = m->raw;
    if (str_eq(m->method, STR("notifications/cancelled")) && !str_is_absent(m->request_id)) {
        /* Servers need not answer a cancelled request: nobody is to wait for it any more. */
        inflight_cancel(p->sv->inflight, p->session.key, m->request_id);
        body = rpc_replace(p->a, m->raw,
                           &(struct rpc_edit){m->request_id, hop_id_forth(p->a, m->request_id)}, 1);
    }
    return deliver(p, body, e);
}

bool proxied_response(struct proxied *p, struct err *e)
{
    const struct rpc_message *m = &p->in.msg;
    if (str_is_absent(p->session.key))
        return err_set(e, ERR_BAD_REQUEST, "a response was posted outside of a session");
    struct str id = hop_id_back(p->a, m->id);
    if (str_is_absent(id)) {
        /* An answer to nothing we asked is accepted and dropped (MCP 2025-11-25, Streamable HTTP).
         */
        inbound_accepted(p->rq);
        return true;
    }
    return deliver(p, rpc_replace(p->a, m->raw, &(struct rpc_edit){m->id, id}, 1), e);
}
