/* The parts of a session that are no call: its beginning, notifications, and a client's answers to
 * a server's questions. */
#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "json/jscan.h"
#include "mcp/hop_id.h"
#include "mcp/legs.h"
#include "mcp/inflight.h"
#include "mcp/proxied.h"
#include "mcp/s2m.h"
#include "mcp/upstream.h"
#include "mcp/upstream_send.h"

struct session_ref proxied_session_ref(const struct proxied *p)
{
    return (struct session_ref){.org_id = p->caller->org_id,
                                .connection_id = p->entry->conn.id,
                                .user_id = p->caller->user_id,
                                .principal = p->caller->principal,
                                .downstream_id = p->session.downstream_id,
                                .version = p->session.version,
                                .client_version = p->session.client_version,
                                .caps = p->session.caps,
                                .hello = p->hello.n <= LIMIT_SESSION_HELLO ? p->hello : STR_NONE,
                                .connection_updated_at = p->entry->conn.updated_at};
}

/* ---- initialize ---- */

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
    upstream_era_note_session(p->sv, p->entry);
    p->session.version = version;
    if (id.n == 0) /* the server keeps no sessions: every later request stands alone */
        return true;
    p->session.downstream_id = arena_dup(p->a, id);
    struct session_ref ref = proxied_session_ref(p), evicted;
    struct str handle;
    if (!session_open(p->sv->sessions, p->a, &ref, clock_wall_ms(), &handle, &evicted, e)) {
        upstream_session_end(p->sv, p->a, p->entry, &p->cred, ref.downstream_id, version);
        return false;
    }
    http_set_header(p->rq, STR("Mcp-Session-Id"), handle);
    upstream_end_later(p->sv, &(struct pooled_ref){.org_id = evicted.org_id,
                                                   .connection_id = evicted.connection_id,
                                                   .user_id = evicted.user_id,
                                                   .session = {.id = evicted.downstream_id,
                                                               .version = evicted.version}});
    return true;
}

/* A 4xx to initialize may come from a server of the other era: ask it once. */
static bool refused_initialize(struct proxied *p, const struct http_answer_head *head,
                               struct err *e)
{
    bool may_be_era = head->status == 400 || head->status == 404 || head->status == 405;
    if (may_be_era && s2m_initialize(p, e)) {
        p->entry->refuses_sessions = true;
        return true;
    }
    if (may_be_era && p->era == ERA_STATELESS)
        return false; /* it is, and this initialize failed there */
    return upstream_status_check(head, false, e);
}

/* A server of both eras that keeps no session could never ask this client anything, nor tell it
 * anything: the stateless era, behind a session of ours, can. And one that refuses initialize
 * without an HTTP status to show for it (stdio) may have no other. */
static bool is_better_stateless(struct proxied *p, const struct http_answer_head *head,
                                const struct upstream_response *r)
{
    struct err ignored;
    struct str discover;
    enum era era;
    bool has_session = http_header_get(head->headers, head->n_headers, STR("Mcp-Session-Id")).n > 0;
    if ((has_session && !str_is_absent(r->result)) ||
        (p->entry->era == ERA_SESSION && p->entry->is_era_probed))
        return false;
    return upstream_era_find(p->sv, p->a, p->entry, &p->cred, &era, &discover, &ignored) &&
           era == ERA_STATELESS;
}

bool proxied_initialize(struct proxied *p, struct err *e)
{
    p->era = ERA_SESSION;
    if (p->entry->era == ERA_STATELESS && p->entry->refuses_sessions &&
        !(upstream_era_find(p->sv, p->a, p->entry, &p->cred, &p->era, NULL, e) &&
          p->era == ERA_SESSION))
        return p->era == ERA_STATELESS && s2m_initialize(p, e);

    struct upstream_message m;
    struct http_answer_head head;
    struct upstream_response r;
    struct str text;
    struct leg_hello hello;
    p->hop_id = hop_id_forth(p->a, p->in.msg.id);
    if (!leg_hello_read(p->a, p->in.msg.params, &hello, e))
        return false;
    p->hello = hello.params;
    p->session.client_version = hello.version;
    p->session.caps = hello.caps;
    proxied_message(p, &m);
    m.version = STR_NONE; /* it is what initialize negotiates */
    m.session_id = STR_NONE;
    struct rpc_edit edits[] = {{p->in.msg.id, p->hop_id}, {p->in.msg.params, hello.params}};
    m.body = rpc_replace(p->a, p->in.msg.raw, edits, ARRAY_LEN(edits));
    if (str_is_absent(m.body))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    auto_free(exchange_closep) struct exchange *x = upstream_send(p->sv, p->a, &m, &head, e);
    if (!x)
        return false;
    if (head.status >= 400 && head.status < 500 && head.status != 401 && head.status != 403)
        return refused_initialize(p, &head, e);
    if (!upstream_status_check(&head, false, e) ||
        !upstream_reply_read(p->a, x, &head, p->hop_id, LIMIT_ANSWER_HELD, NULL, &r, e))
        return false;
    if (is_better_stateless(p, &head, &r))
        return s2m_initialize(p, e);
    if (!session_register(p, &head, &r, e) || !proxied_rewrite(p, &r, &text, e))
        return false;
    if (!str_is_absent(r.result))
        text = leg_welcome(p->a, text, hello.version, p->session.version);
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!proxied_record(p, str_is_absent(r.error) ? "ok" : "failed", NULL, text.n, e))
        return false;
    http_answer(p->rq, 200, STR("application/json"), text);
    return true;
}

/* ---- notifications and responses ---- */

/* Sends a message that has no answer; the server's 202 is the client's. What was about a session
 * that the server has forgotten is about nothing. */
static bool deliver(struct proxied *p, struct str body, struct err *e)
{
    struct upstream_message m;
    struct http_answer_head head;
    proxied_message(p, &m);
    m.body = body;
    m.first_byte_ms = LIMIT_PROBE_MS;
    if (str_is_absent(body))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    auto_free(exchange_closep) struct exchange *x = upstream_send(p->sv, p->a, &m, &head, e);
    if (!x)
        return false;
    if (head.status == 404 && proxied_revive(p)) {
        inbound_accepted(p->rq);
        return true;
    }
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
    if (p->client)
        return s2m_notification(p, e);
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
    if (p->client)
        return s2m_response(p, e);
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
