/* The proxy: one message of a client, from its bytes to its answer. */
#include "mcp/proxied_call.h"

#include "auth/oauth/challenge.h"
#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "io/sse.h"
#include "mcp/aggregate.h"
#include "mcp/batch.h"
#include "mcp/inflight.h"
#include "mcp/m2s.h"
#include "mcp/proxied.h"
#include "mcp/resume.h"
#include "mcp/s2m.h"
#include "mcp/upstream.h"
#include "mcp/upstream_send.h"

enum { CANCEL_MS = 1000 }; /* for telling a server that nobody waits any more */

/* ---- steps ---- */

/* An access token works at its own connection only; elsewhere it is no token, whatever is there. */
static bool wrong_audience(struct proxied *p, struct err *e)
{
    p->entry = NULL;
    err_set(e, ERR_UNAUTHENTICATED, "the access token is for another address");
    err_detail(e, "its audience is %.*s", STR_FMT(p->caller->audience_connection_id));
    return false;
}

static bool find_connection(struct proxied *p, struct err *e)
{
    struct str wanted = p->rq->params[0];
    bool is_bound = !str_is_absent(p->caller->audience_connection_id);
    if (!registry_get(p->sv, p->a, p->caller->org_id, wanted, &p->entry, e)) {
        if (e->code == ERR_NOT_FOUND && is_bound)
            return wrong_audience(p, e);
        if (e->code == ERR_NOT_FOUND)
            err_set(e, ERR_NOT_FOUND, "there is no such connection here");
        return false;
    }
    if (is_bound && !str_eq(p->caller->audience_connection_id, p->entry->conn.id))
        return wrong_audience(p, e);
    struct policy_target target = {.connection_id = p->entry->conn.id};
    struct policy_verdict verdict = policy_decide(p->caller, POLICY_CONNECT, &target);
    if (!verdict.is_allowed && verdict.reason == POLICY_SCOPE)
        return err_set(e, ERR_INSUFFICIENT_SCOPE, "this needs the scope mcp");
    if (!verdict.is_allowed) {
        struct str why = policy_explain(p->a, p->caller, &verdict);
        p->entry = NULL; /* not even the record may connect the two */
        err_set(e, ERR_NOT_FOUND, "there is no such connection here");
        err_detail(e, "denied: %.*s", STR_FMT(why));
        return false;
    }
    if (!p->entry->conn.enabled)
        return err_set(e, ERR_NOT_FOUND, "the connection \"%.*s\" is disabled",
                       STR_FMT(p->entry->conn.slug));
    return true;
}

static bool bind_session(struct proxied *p, struct str handle, struct err *e)
{
    /* A client that begins anew may still show the handle of a session that is gone. */
    if (str_is_absent(handle) || str_eq(p->in.msg.method, STR("initialize")))
        return true;
    struct session_ref who = proxied_session_ref(p);
    return session_lookup(p->sv->sessions, p->a, handle, &who, clock_wall_ms(), &p->session, e) ||
           (e->code == ERR_SESSION_NOT_FOUND && s2m_bind(p, handle, e));
}

/* Which era the server speaks, and whether this message can reach it. The four translators take
 * their places here. */
static bool choose_era(struct proxied *p, struct err *e)
{
    if (!str_is_absent(p->session.key)) {
        p->era = ERA_SESSION;
        return true;
    }
    if (p->in.era == ERA_STATELESS && p->entry->era == ERA_SESSION && !p->entry->is_era_probed)
        upstream_era_forget(p->entry); /* that initialize works does not tell */
    if (!upstream_era_find(p->sv, p->a, p->entry, &p->cred, &p->era, NULL, e))
        return false;
    p->is_pooled = p->era == ERA_SESSION;
    return true;
}

static bool ask_server(struct proxied *p, struct err *e)
{
    struct http_answer_head head;
    struct exchange *x = proxied_forward(p, &head, e);
    if (!x)
        return false;
    /* What has no connection of its own has no stream that could outlive it. */
    if (p->kind == METHOD_LISTEN && !p->rq->inner && head.status == 200 &&
        upstream_body_kind(&head) == UPSTREAM_EVENTS) {
        if (proxied_record(p, "ok", NULL, 0, e))
            return proxied_relay(p, x, e);
        exchange_close(x);
        return false;
    }
    bool is_refused = p->is_pooled && upstream_era_is_refused(&head, e);
    if (is_refused) {
        struct pool_who who = proxied_pool_who(p);
        session_pool_drop(p->sv, p->a, p->entry, &p->cred, &who, p->pooled.id);
    }
    bool is_answered = !is_refused && proxied_answer(p, x, &head, e);
    exchange_close(x);
    return is_answered;
}

static bool pass_once(struct proxied *p, struct err *e)
{
    if (p->kind == METHOD_INITIALIZE && p->in.era == ERA_STATELESS)
        return err_set(e, ERR_METHOD_NOT_FOUND, "Method not found: initialize");
    if (p->kind == METHOD_INITIALIZE)
        return proxied_initialize(p, e);
    if (p->client && !p->view && !proxied_connect_passes(p))
        return s2m_request(p, e);
    bool is_answered = false;
    if (!choose_era(p, e))
        return false;
    if (p->client && p->view && aggregate_is_subscription(p->in.msg.method))
        return aggregate_subscription(p, e);
    if (p->client && p->era == ERA_STATELESS)
        return s2m_call(p, e);
    if (p->in.era == ERA_STATELESS && p->era == ERA_SESSION && !m2s_request(p, &is_answered, e))
        return false;
    if (is_answered)
        return true;
    if (!ask_server(p, e))
        return false;
    if (p->waiting)
        proxied_remember(p);
    return true;
}

/* A server that refused the request as one of another era may have been upgraded, or set back: its
 * era is looked up anew, and when it is another, the request, which was never accepted, is sent
 * once more. */
static bool pass_request(struct proxied *p, struct err *e)
{
    enum era now;
    struct err again;
    if (pass_once(p, e))
        return true;
    if (e->code != ERR_UNSUPPORTED_VERSION || p->era == ERA_UNKNOWN ||
        !str_is_absent(p->session.key))
        return false;
    enum era before = p->era;
    e->code = ERR_UPSTREAM;
    if (!upstream_era_may_doubt(p->entry))
        return false;
    upstream_era_forget(p->entry);
    if (!upstream_era_find(p->sv, p->a, p->entry, &p->cred, &now, NULL, &again) || now == before)
        return false;
    p->is_pooled = p->is_m2s = p->is_streaming = false;
    p->pooled = (struct upstream_session){0};
    p->hop_id = p->hop_token = STR_NONE;
    if (pass_once(p, e))
        return true;
    if (e->code == ERR_UNSUPPORTED_VERSION)
        e->code = ERR_UPSTREAM;
    return false;
}

/* Who lists, begins or looks around is not limited: a client that reconnects does nothing else. */
static bool limits_enter(struct proxied *p, struct err *e)
{
    int64_t retry_ms;
    bool is_call =
        p->in.msg.kind == RPC_REQUEST &&
        (p->kind == METHOD_TOOL_CALL || p->kind == METHOD_RESOURCE || p->kind == METHOD_PROMPT ||
         p->kind == METHOD_COMPLETE || p->kind == METHOD_OTHER);
    if (!is_call ||
        call_limits_enter(p->sv, p->a, p->caller, &p->entry->conn, &p->limits, &retry_ms, e))
        return true;
    if (e->code == ERR_RATE_LIMITED)
        call_limits_say(p->rq, retry_ms);
    return false;
}

/* The server refuses our token before it says what it is: a stateless client hears where to mend
 * that. */
static bool discover_anyway(struct proxied *p, struct err *e)
{
    return str_eq(p->in.msg.method, STR("server/discover")) && !p->is_stream_open &&
           proxied_connect_waits(p, e);
}

/* A server over stdio sees no headers: what a stateless client repeats in them is compared in its
 * place (MCP 2026-07-28, "Mcp-Param-*"). */
static bool headers_fit(struct proxied *p, struct err *e)
{
    if (p->kind != METHOD_TOOL_CALL || p->in.era != ERA_STATELESS || p->view ||
        !str_eq(p->entry->conn.transport, STR("stdio")))
        return true;
    struct str name = p->tool ? p->tool->name : p->in.msg.name_text;
    return s2m_params_match(p->a, registry_definition(p->sv, p->a, p->entry, name),
                            p->in.msg.arguments, p->rq, e);
}

/* Within a session the client may cancel a request, and may not ask again under its id meanwhile:
 * from before the first wait. */
static bool waiting_begin(struct proxied *p)
{
    struct str key = p->client ? client_session_key(p->client) : p->session.key;
    if (p->in.msg.kind != RPC_REQUEST || p->kind == METHOD_INITIALIZE || str_is_absent(key))
        return true;
    p->waiting = inflight_begin(p->sv->inflight, p->sv->loop, key, p->in.msg.id);
    return p->waiting != NULL;
}

static bool pass_on(struct proxied *p, struct err *e)
{
    p->is_in_call = true;
    bool is_id_free = waiting_begin(p);
    if (!proxied_reserve(p, e))
        return false;
    if (!is_id_free)
        return err_set(e, ERR_BAD_REQUEST,
                       "a request with this id is still waiting for its answer in this session");
    if (!proxied_connect_read(p, e) || !proxied_decide(p, e) || !headers_fit(p, e) ||
        !limits_enter(p, e))
        return false;
    if (!credential_load(p->sv, p->a, p->entry, p->caller->user_id, &p->cred, e))
        return proxied_connect_waits(p, e);
    switch (p->in.msg.kind) {
    case RPC_NOTIFICATION:
        return proxied_notification(p, e);
    case RPC_RESPONSE:
        return proxied_response(p, e);
    default:
        return pass_request(p, e) || discover_anyway(p, e);
    }
}

static bool pass(struct proxied *p, struct err *e)
{
    return inbound_read(p->rq, &p->in, e) && find_connection(p, e) &&
           bind_session(p, p->in.session_handle, e) && pass_on(p, e);
}

/* ---- failure ---- */

/* Failures of a call are read by the client's program, in-band; those of the transport have their
 * own statuses. */
static int failure_status(const struct proxied *p, const struct err *e)
{
    switch (e->code) {
    case ERR_SESSION_NOT_FOUND:
    case ERR_UNAVAILABLE:
    case ERR_INSUFFICIENT_SCOPE:
    case ERR_UNAUTHENTICATED:
    case ERR_UNSUPPORTED_VERSION:
    case ERR_BAD_REQUEST:
    case ERR_HEADER_MISMATCH:
    case ERR_RATE_LIMITED:
        return 0;
    case ERR_METHOD_NOT_FOUND:
        return p->in.era == ERA_STATELESS ? 404 : 200;
    default:
        return p->is_in_call ? 200 : 0;
    }
}

static const char *failure_outcome(const struct err *e)
{
    if (e->code == ERR_CANCELLED)
        return "cancelled";
    return e->code == ERR_NOT_FOUND || e->code == ERR_INSUFFICIENT_SCOPE ||
                   e->code == ERR_UNAUTHENTICATED
               ? "denied"
               : "failed";
}

static void challenge(struct http_request *rq, const struct err *e)
{
    if (e->code == ERR_INSUFFICIENT_SCOPE)
        challenge_set(rq, CHALLENGE_INSUFFICIENT);
    else if (e->code == ERR_UNAUTHENTICATED)
        challenge_set(rq, CHALLENGE_INVALID);
}

/* What our own bearer was refused for never reads like the server refusing ours, and the reverse.
 */
void proxied_fail(struct proxied *p, struct err *e)
{
    struct err record_error;
    if (p->is_in_call && e->code == ERR_TOO_LARGE)
        e->code = ERR_UPSTREAM; /* the client's own message was small enough to be read */
    /* A refusal before the call began (an unknown connection) is recorded too, if there is a
     * message to speak of. */
    if (!p->is_reserved && !p->is_in_call && p->in.msg.kind == RPC_REQUEST &&
        !str_is_absent(p->in.msg.method))
        p->is_reserved = audit_reserve(p->sv->audit, &record_error);
    fiber_shield(true);
    if (!proxied_record(p, failure_outcome(e), e, 0, &record_error) && p->sv->config->audit_sync)
        *e = record_error;
    fiber_shield(false);
    if (http_is_answered(p->rq) && !p->is_stream_open)
        return;
    if (p->is_stream_open) {
        struct buf out, event;
        http_note_failure(p->rq, e);
        buf_init(&out, LIMIT_BODY_SMALL);
        buf_init(&event, LIMIT_BODY_SMALL);
        rpc_error_from(&out, p->in.msg.id, p->in.era != ERA_STATELESS, e);
        sse_write_event(&event, STR("message"), STR_NONE, buf_str(&out));
        struct err ignored;
        if (p->replay && !p->is_cancelled)
            (void)!resume_event(p, buf_str(&out), &ignored);
        else if (!p->is_cancelled) /* who cancelled wants no answer (MCP 2025-11-25, Cancellation)
                                    */
            (void)!http_stream_push(p->rq, buf_str(&event)); /* nor does a client that left */
        buf_end(&out);
        buf_end(&event);
        http_stream_end(p->rq);
        return;
    }
    if (proxied_connect(p, e))
        return;
    challenge(p->rq, e);
    inbound_fail(p->rq, &p->in, failure_status(p, e), e);
}

/* A pooled session is ours: when nobody waits for the answer any more, the server may stop working
 * on it. */
static void cancel_pooled(struct proxied *p)
{
    struct upstream_message m;
    struct http_answer_head head;
    struct err ignored;
    if (!p->is_pooled || str_is_absent(p->hop_id))
        return;
    proxied_message(p, &m);
    m.body = arena_printf(p->a,
                          "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
                          "cancelled\",\"params\":{\"requestId\":%.*s}}",
                          STR_FMT(p->hop_id));
    m.first_byte_ms = m.total_ms = CANCEL_MS;
    if (str_is_absent(m.body))
        return;
    fiber_shield(true);
    exchange_close(upstream_send(p->sv, p->a, &m, &head, &ignored));
    fiber_shield(false);
}

/* ---- handlers ---- */

static void run(struct proxied *p, bool (*step)(struct proxied *p, struct err *e))
{
    struct err e = {.code = ERR_NONE};
    bool is_answered = step(p, &e);
    p->is_cancelled = inflight_end(p->sv->inflight, p->waiting);
    if (!is_answered) {
        bool is_over = e.code == ERR_CANCELLED || e.code == ERR_TIMEOUT;
        proxied_fail(p, &e);
        if (is_over)
            cancel_pooled(
                p); /* after the record and the answer: the server may be slow to take it */
    }
    resume_end(p);
    call_limits_leave(&p->limits);
    if (p->is_reserved)
        audit_release(p->sv->audit);
    credential_end(&p->cred);
}

void proxied_run(struct proxied *p)
{
    run(p, pass_on);
}

static void post_one(struct http_request *rq)
{
    struct proxied p = {.rq = rq, .sv = rq->context, .a = rq->arena, .caller = rq->user};
    run(&p, pass);
}

bool proxied_admit(struct http_request *rq, struct str *version, struct err *e)
{
    *version = STR_NONE;
    struct proxied p = {.rq = rq, .sv = rq->context, .a = rq->arena, .caller = rq->user};
    struct str handle = str_trim(http_request_header(rq, STR("Mcp-Session-Id")));
    p.in.era = ERA_SESSION;
    if (!find_connection(&p, e) || (handle.n > 0 && !bind_session(&p, handle, e))) {
        challenge(rq, e);
        return false;
    }
    *version = p.client ? client_session_hello(p.client)->version : p.session.client_version;
    return true;
}

void proxied_post(struct http_request *rq)
{
    if (rpc_is_batch(rq->body))
        batch_post(rq, proxied_admit, post_one);
    else
        post_one(rq);
}

/* The steps that GET and DELETE share: who, which connection, which session. */
static bool find_session(struct proxied *p, struct err *e)
{
    struct str handle = http_request_header(p->rq, STR("Mcp-Session-Id"));
    p->era = ERA_SESSION;
    if (!find_connection(p, e))
        return false;
    if (handle.n == 0)
        return err_set(e, ERR_METHOD_NOT_ALLOWED,
                       "%.*s needs the Mcp-Session-Id of an initialized session; use POST",
                       STR_FMT(p->rq->method_name));
    return bind_session(p, handle, e) &&
           (p->client || /* kept here: it needs no credential */
            credential_load(p->sv, p->a, p->entry, p->caller->user_id, &p->cred, e));
}

/* Where the server's stream broke off, if the client wants to go on from there. */
static struct str origin_of(struct proxied *p)
{
    struct replay *r;
    struct str origin = STR_NONE;
    if (resume_is_get(p->rq, p->session.key, &r))
        origin = replay_origin(r, p->a);
    replay_release(r);
    return origin;
}

static struct exchange *stream_ask(struct proxied *p, struct str last_event_id,
                                   struct http_answer_head *head, struct err *e)
{
    struct upstream_message m;
    proxied_message(p, &m);
    m.last_event_id = last_event_id;
    m.http_method = STR("GET");
    m.idle_ms = m.total_ms = -1;
    return upstream_send(p->sv, p->a, &m, head, e);
}

static bool open_stream(struct proxied *p, struct err *e)
{
    struct http_answer_head head;
    bool is_done;
    if (!find_session(p, e))
        return false;
    struct str key = p->client ? client_session_key(p->client) : p->session.key;
    if (!resume_call(p->rq, key, p->entry->conn.id, &is_done, e))
        return false;
    if (is_done)
        return true;
    if (p->client)
        return s2m_stream(p, e);
    struct exchange *x = stream_ask(p, origin_of(p), &head, e);
    if (x && ((head.status == 404 && proxied_revive(p)) || head.status == 400)) {
        exchange_close(x);
        x = stream_ask(p, STR_NONE, &head, e);
    }
    if (!x)
        return false;
    if (head.status == 200 && upstream_body_kind(&head) == UPSTREAM_EVENTS)
        return proxied_relay(p, x, e);
    bool is_good =
        head.status == 405 || head.status == 400 || head.status == 501
            ? err_set(e, ERR_METHOD_NOT_ALLOWED, "this server offers no stream of its own")
            : upstream_status_check(&head, true, e);
    if (is_good)
        is_good = err_set(e, ERR_UPSTREAM, "the server answered GET with no event stream");
    exchange_close(x);
    return is_good;
}

static bool end_session(struct proxied *p, struct err *e)
{
    if (!find_session(p, e))
        return false;
    if (p->client)
        return s2m_end(p, e);
    session_kill(p->sv->sessions, p->session.key); /* whatever the server thinks of it */
    inflight_cancel_session(p->sv->inflight, p->session.key);
    replay_forget(p->sv->replays, p->session.key);
    upstream_session_end(p->sv, p->a, p->entry, &p->cred, p->session.downstream_id,
                         p->session.version);
    http_answer(p->rq, 204, STR_NONE, STR_NONE);
    return true;
}

static void run_without_body(struct http_request *rq,
                             bool (*step)(struct proxied *p, struct err *e))
{
    struct err e = {.code = ERR_NONE};
    struct proxied p = {.rq = rq, .sv = rq->context, .a = rq->arena, .caller = rq->user};
    p.in.era = ERA_SESSION;
    if (!step(&p, &e) && !http_is_answered(rq)) {
        if (e.code == ERR_METHOD_NOT_ALLOWED)
            http_set_header(rq, STR("Allow"), STR("POST"));
        challenge(rq, &e);
        inbound_fail(rq, &p.in, 0, &e);
    }
    credential_end(&p.cred);
}

void proxied_get(struct http_request *rq)
{
    run_without_body(rq, open_stream);
}

void proxied_delete(struct http_request *rq)
{
    run_without_body(rq, end_session);
}
