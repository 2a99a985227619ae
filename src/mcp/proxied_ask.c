/* A request of a session server's to the session client of an aggregate: asked on the stream of the
 * call, answered into the pooled session that the call runs in. */
#include "base/clock.h"
#include "base/limits.h"
#include "mcp/client_sessions.h"
#include "mcp/m2s_caps.h"
#include "mcp/proxied.h"
#include "mcp/s2m.h"

static bool send_event(void *arg, struct str message, struct err *e)
{
    struct proxied *p = arg;
    return (p->is_stream_open || proxied_stream_open(p, e)) && proxied_event(p, message, e);
}

/* A question about a task says so in the client's words, and so does its answer in the server's. */
static bool question_show(struct proxied *p, struct str *params)
{
    struct rpc_edit edits[VIEW_TASK_EDITS];
    size_t n = 0;
    if (!p->view || str_is_absent(*params))
        return true;
    if (!proxied_view_tasks(p, *params, false, edits, &n))
        return false;
    if (n > 0)
        *params = rpc_replace(p->a, *params, edits, n);
    return !str_is_absent(*params);
}

static void answer_post(struct proxied *p, struct str id, const struct client_question *q)
{
    struct str result =
        str_is_absent(q->result) || !p->view ? q->result : proxied_view_task_back(p, q->result);
    struct upstream_message answer;
    struct http_answer_head head;
    struct err ignored; /* the server waits for its own time-out then */
    struct buf body;
    if (str_is_absent(result) && !str_is_absent(q->result))
        return; /* no memory: as if nobody had answered */
    proxied_message(p, &answer);
    buf_init(&body, (size_t)2 * LIMIT_BODY_MCP);
    if (!str_is_absent(result)) {
        rpc_write_result(&body, id, result);
    } else {
        buf_add(&body, STR("{\"jsonrpc\":\"2.0\",\"id\":"));
        buf_add(&body, id);
        buf_add(&body, STR(",\"error\":"));
        buf_add(&body, q->error);
        buf_add(&body, STR("}"));
    }
    answer.body = buf_str(&body);
    answer.first_byte_ms = answer.total_ms = LIMIT_PROBE_MS;
    if (buf_ok(&body))
        exchange_close(upstream_send(p->sv, p->a, &answer, &head, &ignored));
    buf_end(&body);
}

bool proxied_ask(struct proxied *p, const struct rpc_message *m, struct err *e)
{
    struct client_question q = {.method = m->method, .params = m->params};
    struct err why;
    bool can_ask = p->is_streaming || client_session_has_stream(p->client);
    if (!can_ask || !m2s_caps_allow(s2m_caps(p->client), m, &why) || !question_show(p, &q.params)) {
        proxied_refuse_request(p, m);
        return true;
    }
    if (!client_session_ask(p->client, p->a, &q, 1, clock_mono_ms() + LIMIT_ASK_MS,
                            p->is_streaming ? send_event : NULL, p, e)) {
        bool is_over = e->code == ERR_CANCELLED || e->code == ERR_SESSION_NOT_FOUND;
        proxied_refuse_request(p, m);
        return !is_over;
    }
    if (str_is_absent(q.result) && str_is_absent(q.error))
        proxied_refuse_request(p, m);
    else
        answer_post(p, m->id, &q);
    return true;
}
