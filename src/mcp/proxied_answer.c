/* The server's answer on its way to the client. */
#include "base/limits.h"
#include "io/sse.h"
#include "json/jscan.h"
#include "mcp/client_sessions.h"
#include "mcp/hop_id.h"
#include "mcp/legs.h"
#include "mcp/m2s_caps.h"
#include "mcp/m2s_parts.h"
#include "mcp/m2s_result.h"
#include "mcp/proxied.h"
#include "mcp/resume.h"
#include "mcp/upstream_resume.h"

/* Up to here an answer is held and judged whole; beyond, it streams through the filter in bounded
 * memory. */
enum { HELD_BYTES = 256 * 1024 };

/* A tool's own failure is its own outcome; a JSON-RPC error is a failed call. */
static const char *outcome_of(const struct upstream_response *r)
{
    struct jwant wants[] = {{.name = STR("isError")}};
    struct err ignored;
    if (!str_is_absent(r->error))
        return "failed";
    bool is_object = jscan_object(r->result, wants, 1, &ignored);
    return is_object && !str_is_absent(wants[0].value) && jscan_type(wants[0].value) == JTYPE_TRUE
               ? "tool_error"
               : "ok";
}

/* The code of the server's error, for the record; its text may hold anything and stays out of it.
 */
static void error_note(const struct upstream_response *r, struct err *why)
{
    struct jwant wants[] = {{.name = STR("code")}};
    int64_t code;
    if (!jscan_object(r->error, wants, 1, why) || str_is_absent(wants[0].value) ||
        !jscan_i64(wants[0].value, &code))
        code = 0;
    err_set(why, ERR_UPSTREAM, "the server answered with JSON-RPC error %lld", (long long)code);
}

static bool response_record(struct proxied *p, const struct upstream_response *r, size_t bytes,
                            struct err *e)
{
    struct err why;
    if (str_is_absent(r->error))
        return proxied_record(p, outcome_of(r), NULL, bytes, e);
    error_note(r, &why);
    return proxied_record(p, "failed", &why, bytes, e);
}

/* Events of a short stream are gathered and answered in one piece; the stream to the client begins
 * when the server makes us wait. */
bool proxied_event(struct proxied *p, struct str message, struct err *e)
{
    if (!p->is_stream_open) {
        sse_write_event(&p->early, STR("message"), STR_NONE, message);
        return buf_ok(&p->early) ||
               err_set(e, ERR_TOO_LARGE, "the server's events are larger than %zu bytes",
                       (size_t)2 * LIMIT_SSE_EVENT);
    }
    if (p->replay)
        return resume_event(p, message, e);
    struct buf out;
    buf_init(&out, (size_t)2 * LIMIT_SSE_EVENT);
    sse_write_event(&out, STR("message"), STR_NONE, message);
    bool is_written = buf_ok(&out)
                          ? http_stream_write(p->rq, buf_str(&out), e)
                          : err_set(e, ERR_TOO_LARGE, "an event of the server is too large");
    buf_end(&out);
    return is_written;
}

static void stream_headers(struct proxied *p)
{
    http_set_header(p->rq, STR("Cache-Control"), STR("no-cache, no-transform"));
    http_set_header(p->rq, STR("X-Accel-Buffering"), STR("no"));
}

bool proxied_stream_open(struct proxied *p, struct err *e)
{
    if (!p->is_streaming)
        return true;
    stream_headers(p);
    if (!http_stream_begin(p->rq, 200, STR("text/event-stream"), -1, e))
        return false;
    p->is_stream_open = true;
    http_stream_keepalive(p->rq, LIMIT_KEEPALIVE_MS, STR(": ping\n\n"));
    return (p->early.n == 0 || http_stream_write(p->rq, buf_str(&p->early), e)) &&
           resume_begin(p, e);
}

static bool on_wait(void *arg, struct err *e)
{
    struct proxied *p = arg;
    /* That a method is unknown is said with 404, and an open stream has its status already. */
    bool may_be_unknown = p->in.era == ERA_STATELESS && p->kind == METHOD_OTHER;
    return p->is_stream_open || may_be_unknown || /* a question may have opened it */
           proxied_stream_open(p, e);
}

/* ---- messages before the response ---- */

/* What one message of the server's says otherwise to this client. */
struct translation {
    struct rpc_edit edits[1 + VIEW_TASK_EDITS];
    size_t n;
    bool is_dropped;
};

static void edit_set(struct translation *t, struct str span, struct str with)
{
    t->edits[t->n++] = (struct rpc_edit){span, with};
    t->is_dropped = t->is_dropped || str_is_absent(with);
}

static void notification_edit(const struct proxied *p, struct arena *a, const struct rpc_message *m,
                              struct translation *t)
{
    if (str_eq(m->method, STR("notifications/progress"))) {
        /* Only of this request, and only if its sender asked for it. */
        if (str_is_absent(p->in.msg.progress_token) || str_is_absent(m->params_progress_token) ||
            !hop_id_same(a, m->params_progress_token, p->hop_token))
            t->is_dropped = true;
        else
            edit_set(t, m->params_progress_token, p->in.msg.progress_token);
    } else if (str_eq(m->method, STR("notifications/cancelled")) && !str_is_absent(m->request_id)) {
        edit_set(t, m->request_id, hop_id_forth(a, m->request_id));
    } else if (str_eq(m->method, STR("notifications/resources/updated")) &&
               !str_is_absent(m->uri_text) &&
               !proxied_may_see(p, POLICY_RESOURCE, m->uri_text, NULL)) {
        t->is_dropped = true;
    } else if (str_eq(m->method, STR("notifications/resources/updated")) && p->view) {
        edit_set(t, m->uri, proxied_view_uri(p, a, m->uri));
    }
}

/* Through an aggregate a task has the id that was given there, or cannot be spoken of. */
static void tasks_edit(struct proxied *p, const struct rpc_message *m, struct translation *t)
{
    size_t n = 0;
    bool is_status = str_eq(m->method, STR("notifications/tasks/status")) ||
                     str_eq(m->method, STR("notifications/tasks"));
    if (!p->view || str_is_absent(m->params))
        return;
    if (!proxied_view_tasks(p, m->params, is_status, t->edits + t->n, &n))
        t->is_dropped = true;
    t->n += n;
}

static void translate_notification(struct proxied *p, struct arena *a, const struct rpc_message *m,
                                   struct str *out)
{
    struct translation t = {.is_dropped = p->is_m2s && !m2s_is_for_client(p, m)};
    if (!t.is_dropped)
        notification_edit(p, a, m, &t);
    if (!t.is_dropped)
        tasks_edit(p, m, &t);
    *out = t.is_dropped ? STR_NONE : t.n ? rpc_replace(a, m->raw, t.edits, t.n) : m->raw;
}

/* Requests that need a capability of the client's (MCP 2025-11-25, schema ServerRequest). */
static bool is_question(const struct rpc_message *m)
{
    return str_eq(m->method, STR("sampling/createMessage")) ||
           str_eq(m->method, STR("elicitation/create")) || str_eq(m->method, STR("roots/list"));
}

bool proxied_translate(struct proxied *p, struct arena *a, const struct rpc_message *m,
                       struct str *out, struct err *e)
{
    struct err why;
    *out = STR_NONE;
    if (m->kind == RPC_NOTIFICATION) {
        translate_notification(p, a, m, out);
        return true;
    }
    if (m->kind == RPC_RESPONSE)
        return err_set(e, ERR_UPSTREAM, "the server answered a request that was not asked");
    if (str_is_absent(
            p->session.key)) /* nobody to ask: a bare or stateless client has no way to answer */
        return true;
    if (is_question(m) && !m2s_caps_allow(p->session.caps, m, &why))
        return true; /* it never said that it could be asked that */
    *out = rpc_replace(a, m->raw, &(struct rpc_edit){m->id, hop_id_forth(a, m->id)}, 1);
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool on_message(void *arg, const struct rpc_message *m, struct err *e)
{
    struct proxied *p = arg;
    struct arena *a = arena_new((size_t)2 * LIMIT_SSE_EVENT);
    if (!a)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct str text;
    bool is_good = proxied_translate(p, a, m, &text, e);
    if (is_good && m->kind == RPC_REQUEST && p->client && (p->view || p->is_pooled))
        is_good = proxied_ask(p, m, e);
    else if (is_good && m->kind == RPC_REQUEST && (str_is_absent(text) || !p->is_streaming))
        proxied_refuse_request(p, m);
    else if (is_good && !str_is_absent(text) && p->is_streaming)
        is_good = proxied_event(p, text, e);
    arena_end(a);
    return is_good;
}

/* ---- whole answers ---- */

/* Absent: a client that negotiated nothing. */
static struct str client_version(const struct proxied *p)
{
    return p->client ? client_session_hello(p->client)->version : p->session.client_version;
}

/* Must its content be looked through, because the client's revision does not know all kinds? */
static bool needs_content(const struct proxied *p)
{
    return (p->kind == METHOD_TOOL_CALL || p->kind == METHOD_PROMPT) &&
           !leg_knows_all_content(client_version(p));
}

/* Some errors have a status of their own for stateless clients (MCP 2026-07-28, Streamable HTTP).
 * Servers over stdio and of the session era do not know it. */
static int status_of(const struct proxied *p, const struct upstream_response *r, int status)
{
    static const enum err_code own[] = {ERR_METHOD_NOT_FOUND, ERR_HEADER_MISMATCH,
                                        ERR_MISSING_CAPABILITY, ERR_UNSUPPORTED_VERSION};
    if (p->answer_status)
        return p->answer_status;
    if (p->in.era != ERA_STATELESS || str_is_absent(r->error) || status != 200)
        return status;
    int64_t code = m2s_error_code(r->error);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (code == err_rpc(own[i]))
            return err_http(own[i]);
    return status;
}

bool proxied_finish(struct proxied *p, const struct upstream_response *r, int status, struct err *e)
{
    struct str text;
    if (!proxied_rewrite(p, r, &text, e))
        return false;
    if (needs_content(p))
        text = leg_content(p->a, text, client_version(p));
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return response_record(p, r, text.n, e) && proxied_send(p, text, status_of(p, r, status), e);
}

bool proxied_send(struct proxied *p, struct str text, int status, struct err *e)
{
    bool must_be_json = status != 200 && !p->is_stream_open && p->early.n == 0;
    if (!p->is_streaming || must_be_json) {
        http_answer(p->rq, status, STR("application/json"), text);
        return true;
    }
    if (!proxied_event(p, text, e))
        return false;
    if (p->is_stream_open) {
        http_stream_end(p->rq);
        return true;
    }
    struct str events = arena_dup(p->a, buf_str(&p->early));
    if (str_is_absent(events))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    stream_headers(p);
    http_answer(p->rq, 200, STR("text/event-stream"), events);
    return true;
}

/* ---- JSON ---- */

static bool answer_json(struct proxied *p, struct exchange *x, const struct http_answer_head *head,
                        int status, struct err *e)
{
    bool is_held_whole =
        (p->kind >= METHOD_LIST_TOOLS && p->kind <= METHOD_LIST_PROMPTS) || needs_content(p);
    size_t held_max = is_held_whole ? LIMIT_ANSWER_HELD : HELD_BYTES;
    struct buf held;
    struct str chunk = STR("");
    buf_init(&held, LIMIT_ANSWER_HELD + HELD_BYTES);
    bool is_good, is_large = false;
    while ((is_good = exchange_read(x, &chunk, 0, e)) && chunk.n > 0) {
        buf_add(&held, chunk);
        is_large = held.n > held_max;
        if (is_large || !buf_ok(&held))
            break;
    }
    struct upstream_response r;
    if (is_good && (!buf_ok(&held) || (is_large && is_held_whole)))
        is_good =
            err_set(e, ERR_TOO_LARGE, "the server's answer is larger than %zu bytes", held_max);
    else if (is_good && is_large)
        is_good = proxied_pass_large(p, x, head, buf_str(&held), e);
    else if (is_good)
        is_good = upstream_response_parse(p->a, buf_str(&held), p->hop_id, &r, e) &&
                  proxied_finish(p, &r, status, e);
    buf_end(&held);
    return is_good;
}

/* ---- event streams ---- */

static struct exchange *resume(void *arg, struct str last_id, int64_t retry_ms, struct err *e)
{
    struct proxied *p = arg;
    struct upstream_message m;
    proxied_message(p, &m);
    return upstream_resume(p->sv, p->a, &m, last_id, retry_ms, e);
}

static bool answer_events(struct proxied *p, struct exchange *x,
                          const struct http_answer_head *head, struct err *e)
{
    struct upstream_response r;
    struct upstream_listener listener = {.on_message = on_message, .on_wait = on_wait, .arg = p};
    if (p->era == ERA_SESSION) /* the stateless revision has no resumption */
        listener.resume = resume;
    p->is_streaming = p->in.accepts_sse;
    buf_init(&p->early, (size_t)2 * LIMIT_SSE_EVENT);
    bool is_good =
        upstream_reply_read(p->a, x, head, p->hop_id, LIMIT_SSE_EVENT, &listener, &r, e) &&
        proxied_finish(p, &r, 200, e);
    buf_end(&p->early);
    return is_good;
}

/* Stateless servers put JSON-RPC errors on 400 and 404; status and error are the client's to read.
 */
static bool answer_refusal(struct proxied *p, struct exchange *x,
                           const struct http_answer_head *head, struct err *e)
{
    struct buf held;
    struct str chunk;
    buf_init(&held, LIMIT_BODY_MCP);
    bool is_good;
    while ((is_good = exchange_read(x, &chunk, 0, e)) && chunk.n > 0)
        buf_add(&held, chunk);
    struct jwant wants[] = {{.name = STR("error")}};
    is_good =
        is_good && jscan_object(buf_str(&held), wants, 1, e) && !str_is_absent(wants[0].value);
    if (!is_good || upstream_era_is_doubtful(wants[0].value)) {
        buf_end(&held);
        return err_set(e, ERR_UNSUPPORTED_VERSION, "the server answered HTTP %d", head->status);
    }
    struct buf out;
    buf_init(&out, LIMIT_BODY_MCP * 2);
    buf_add(&out, STR("{\"jsonrpc\":\"2.0\",\"id\":"));
    buf_add(&out, p->in.msg.id);
    buf_add(&out, STR(",\"error\":"));
    buf_add(&out, wants[0].value);
    buf_add(&out, STR("}"));
    struct upstream_response r = {.error = wants[0].value};
    struct str body = arena_dup(p->a, buf_str(&out));
    is_good = response_record(p, &r, body.n, e);
    buf_end(&out);
    buf_end(&held);
    /* A bare client does not know the statuses of the stateless era. */
    int status = p->in.era == ERA_STATELESS ? head->status : 200;
    if (is_good)
        http_answer(p->rq, status, STR("application/json"), body);
    return is_good;
}

bool proxied_answer(struct proxied *p, struct exchange *x, const struct http_answer_head *head,
                    struct err *e)
{
    enum upstream_body kind = upstream_body_kind(head);
    if (p->era == ERA_STATELESS && (head->status == 400 || head->status == 404) &&
        kind == UPSTREAM_JSON)
        return answer_refusal(p, x, head, e);
    if (p->era == ERA_STATELESS &&
        (head->status == 400 || head->status == 404 || head->status == 405))
        return err_set(e, ERR_UNSUPPORTED_VERSION, "the server answered HTTP %d", head->status);
    bool has_session = !str_is_absent(p->session.key);
    if (!upstream_status_check(head, has_session, e)) {
        if (e->code == ERR_SESSION_NOT_FOUND)
            session_forget(p->sv->sessions, p->session.key);
        return false;
    }
    if (kind == UPSTREAM_EVENTS)
        return answer_events(p, x, head, e);
    if (kind == UPSTREAM_JSON)
        return answer_json(p, x, head, 200, e);
    return err_set(e, ERR_UPSTREAM, "the server answered with neither JSON nor an event stream");
}
