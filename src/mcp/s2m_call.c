/* One request of a session client at a stateless server: as many rounds as the server needs. */
#include "base/clock.h"
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/hop_id.h"
#include "mcp/s2m.h"
#include "mcp/upstream.h"
#include "mcp/upstream_era.h"
#include "mcp/upstream_send.h"

enum { ERROR_BYTES = 256 * 1024, TOOLS_ASKED_MS = 30 * 1000 };

enum step {
    STEP_DONE,  /* *text is the response for the client, with the hop's id */
    STEP_ASK,   /* *text is an input_required result */
    STEP_AGAIN, /* the tool's schema was stale and has been fetched */
    STEP_FAILED,
};

/* ---- the called tool ---- */

static struct str called_name(const struct proxied *p)
{
    return p->tool ? p->tool->name : p->in.msg.name_text;
}

/* Asks the server for its tools, as it says that ours are not its own, or we know none. */
static bool definition_fetch(struct proxied *p)
{
    struct str tools;
    struct err ignored;
    p->entry->tools_asked_at = clock_mono_ms();
    if (!upstream_tools(p->sv, p->a, &p->entry->conn, p->caller, &tools, &ignored))
        return false;
    registry_definition_forget(p->entry, called_name(p));
    p->definition = registry_definition(p->sv, p->a, p->entry, called_name(p));
    return !str_is_absent(p->definition);
}

/* The definition tells which arguments go into headers and how the output is shown. A tool that
 * nobody has listed yet is asked for, but names that do not exist cost the server little. */
static void definition_find(struct proxied *p)
{
    if (p->kind != METHOD_TOOL_CALL)
        return;
    p->definition = registry_definition(p->sv, p->a, p->entry, called_name(p));
    bool may_ask = p->entry->tools_asked_at == 0 ||
                   clock_mono_ms() - p->entry->tools_asked_at > TOOLS_ASKED_MS;
    if (str_is_absent(p->definition) && may_ask)
        (void)definition_fetch(p);
}

/* ---- one exchange ---- */

static bool on_message(void *arg, const struct rpc_message *m, struct err *e)
{
    struct proxied *p = arg;
    if (m->kind != RPC_NOTIFICATION) /* this revision has no requests to clients */
        return true;
    struct arena *a = arena_new((size_t)2 * LIMIT_SSE_EVENT);
    struct str text;
    bool is_good = a != NULL || err_set(e, ERR_UNAVAILABLE, "out of memory");
    is_good = is_good && proxied_translate(p, a, m, &text, e);
    if (is_good && !str_is_absent(text) && p->is_streaming)
        is_good = proxied_event(p, text, e);
    arena_end(a);
    return is_good;
}

static bool on_wait(void *arg, struct err *e)
{
    struct proxied *p = arg;
    return p->is_stream_open || proxied_stream_open(p, e);
}

static struct exchange *request_send(struct proxied *p, const struct s2m_round *round,
                                     struct http_answer_head *head, struct err *e)
{
    struct upstream_message m;
    struct http_header *headers = arena_alloc(p->a, LIMIT_PARAM_HEADERS * sizeof(*headers));
    p->hop_id = p->hop_token = hop_id_fresh(p->a, p->sv->worker);
    if (!headers || str_is_absent(p->hop_id)) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    proxied_message(p, &m);
    m.version = STR(MCP_STATELESS_LATEST);
    m.params = headers;
    if (!s2m_params(p->a, p->definition, p->in.msg.arguments, headers, &m.n_params, e) ||
        !s2m_body(p, round, &m.body, e))
        return NULL;
    return upstream_send(p->sv, p->a, &m, head, e);
}

/* JSON-RPC errors stand on 400 and 404, with or without an id. */
static bool refusal_read(struct proxied *p, struct exchange *x, const struct http_answer_head *head,
                         struct str *error, struct err *e)
{
    struct buf held;
    struct str chunk;
    struct jwant wants[] = {{.name = STR("error")}};
    struct err ignored;
    buf_init(&held, ERROR_BYTES);
    bool is_read;
    while ((is_read = exchange_read(x, &chunk, 0, e)) && chunk.n > 0)
        buf_add(&held, chunk);
    struct str text = is_read && buf_ok(&held) ? arena_dup(p->a, buf_str(&held)) : STR_NONE;
    buf_end(&held);
    if (!is_read)
        return false;
    if (!str_is_absent(text) && jscan_object(text, wants, 1, &ignored) &&
        !str_is_absent(wants[0].value) && jscan_type(wants[0].value) == JTYPE_OBJECT) {
        *error = wants[0].value;
        return true;
    }
    return upstream_status_check(head, false, e);
}

static bool exchange_run(struct proxied *p, const struct s2m_round *round,
                         struct upstream_response *r, int *status, struct err *e)
{
    struct http_answer_head head;
    struct upstream_listener listener = {.on_message = on_message, .on_wait = on_wait, .arg = p};
    auto_free(exchange_closep) struct exchange *x = request_send(p, round, &head, e);
    *status = x ? head.status : 0;
    if (!x)
        return false;
    enum upstream_body kind = upstream_body_kind(&head);
    *r = (struct upstream_response){0};
    if ((head.status == 400 || head.status == 404) && kind == UPSTREAM_JSON)
        return refusal_read(p, x, &head, &r->error, e);
    if (!upstream_status_check(&head, false, e))
        return false;
    if (kind == UPSTREAM_EVENTS)
        p->is_streaming = p->in.accepts_sse;
    if (upstream_reply_read(p->a, x, &head, p->hop_id, LIMIT_ANSWER_HELD, &listener, r, e))
        return true;
    return e->code != ERR_TOO_LARGE
               ? false
               : err_set(
                     e, ERR_TOO_LARGE,
                     "the server's answer is larger than %d bytes, the most that can be translated "
                     "for a client of the session era",
                     (int)LIMIT_ANSWER_HELD);
}

/* ---- what came of it ---- */

static int64_t code_of(struct str error)
{
    struct jwant wants[] = {{.name = STR("code")}};
    struct err ignored;
    int64_t code;
    return jscan_object(error, wants, 1, &ignored) && !str_is_absent(wants[0].value) &&
                   jscan_i64(wants[0].value, &code)
               ? code
               : 0;
}

/* A server that no longer speaks the stateless era cannot carry this session: the client begins
 * anew, and then reaches it the other way. */
static bool era_has_changed(struct proxied *p)
{
    struct str discover;
    enum era era;
    struct err ignored;
    return upstream_era_find(p->sv, p->a, p->entry, &p->cred, &era, &discover, &ignored) &&
           era == ERA_SESSION;
}

static bool session_over(struct proxied *p, struct err *e)
{
    client_session_end(p->client);
    return err_set(e, ERR_SESSION_NOT_FOUND, "Session not found");
}

static enum step judge_error(struct proxied *p, struct str error, bool has_fetched,
                             struct str *text, struct err *e)
{
    int64_t code = code_of(error);
    if (code == -32020 && p->kind == METHOD_TOOL_CALL && !has_fetched && definition_fetch(p))
        return STEP_AGAIN;
    if (code == -32022 && era_has_changed(p)) {
        (void)!session_over(p, e);
        return STEP_FAILED;
    }
    *text = s2m_error(p, error);
    return STEP_DONE;
}

static enum step judge_result(struct proxied *p, const struct upstream_response *r,
                              struct str *text)
{
    struct jwant wants[] = {{.name = STR("resultType")}};
    struct err ignored;
    *text = r->text;
    if (!jscan_object(r->result, wants, 1, &ignored) || str_is_absent(wants[0].value) ||
        jscan_string_eq(wants[0].value, STR("complete")))
        return STEP_DONE;
    bool may_ask = p->kind == METHOD_TOOL_CALL || p->kind == METHOD_PROMPT ||
                   str_eq(p->in.msg.method, STR("resources/read"));
    if (may_ask && jscan_string_eq(wants[0].value, STR("input_required"))) {
        *text = r->result;
        return STEP_ASK;
    }
    *text = s2m_failure(p, STR("the server answered with a kind of result that session clients do "
                               "not know"));
    return STEP_DONE;
}

static enum step run_once(struct proxied *p, const struct s2m_round *round, bool has_fetched,
                          struct str *text, struct err *e)
{
    struct upstream_response r;
    int status;
    if (!exchange_run(p, round, &r, &status, e)) {
        bool may_be_era = status == 400 || status == 404 || status == 405;
        if (may_be_era && e->code == ERR_UPSTREAM && !p->is_stream_open && era_has_changed(p))
            (void)!session_over(p, e);
        return STEP_FAILED;
    }
    return str_is_absent(r.error) ? judge_result(p, &r, text)
                                  : judge_error(p, r.error, has_fetched, text, e);
}

/* ---- all rounds ---- */

static bool finish(struct proxied *p, struct str text, struct err *e)
{
    struct upstream_response r;
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return upstream_response_parse(p->a, text, p->hop_id, &r, e) && proxied_finish(p, &r, 200, e);
}

static bool rounds(struct proxied *p, struct err *e)
{
    struct s2m_round round = {0};
    bool has_fetched = false;
    for (int asked = 0;;) {
        struct str text, refusal;
        switch (run_once(p, &round, has_fetched, &text, e)) {
        case STEP_DONE:
            return finish(p, text, e);
        case STEP_FAILED:
            return false;
        case STEP_AGAIN:
            has_fetched = true;
            continue;
        default:
            break;
        }
        if (asked++ == LIMIT_ASK_ROUNDS)
            return finish(p, s2m_failure(p, STR("the server asks again and again")), e);
        if (!s2m_ask(p, text, &round, &refusal, e))
            return false;
        if (!str_is_absent(refusal))
            return finish(p, s2m_failure(p, refusal), e);
    }
}

bool s2m_call(struct proxied *p, struct err *e)
{
    p->era = ERA_STATELESS;
    p->is_s2m = true;
    buf_init(&p->early, (size_t)2 * LIMIT_SSE_EVENT);
    definition_find(p);
    bool is_answered = rounds(p, e);
    buf_end(&p->early);
    return is_answered;
}
