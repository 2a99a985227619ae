/* A call that needs a person's authorization at the server: said in the words that the client
 * understands. Source: MCP 2025-11-25 elicitation (URL mode, -32042), 2026-07-28 input_required;
 * reference C6. */
#include "auth/downstream/access.h"
#include "auth/downstream/discover.h"
#include "base/ids.h"
#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/client_sessions.h"
#include "mcp/m2s_caps.h"
#include "mcp/m2s_result.h"
#include "mcp/s2m.h"
#include "store/connection_tools.h"

enum { URL_ELICITATION_REQUIRED = -32042 };
#define CONNECT_KEY "tulle-connect"

static bool may_ask(const struct proxied *p)
{
    return p->kind == METHOD_TOOL_CALL || p->kind == METHOD_PROMPT ||
           str_eq(p->in.msg.method, STR("resources/read"));
}

/* ---- the retry of a stateless client ---- */

static struct str params_without(struct proxied *p, struct str params, struct str member)
{
    struct buf text;
    struct jout j;
    struct jiter it;
    struct str name;
    buf_init(&text, LIMIT_BODY_MCP);
    jout_init(&j, &text);
    jout_object(&j);
    for (jscan_iter(&it, params); jscan_next(&it);) {
        if (jscan_string(p->a, it.key, &name) && str_eq(name, member))
            continue;
        jout_raw_key(&j, it.key);
        jout_raw(&j, it.value);
    }
    jout_object_end(&j);
    struct str made = buf_ok(&text) ? arena_dup(p->a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return made;
}

bool proxied_connect_read(struct proxied *p, struct err *e)
{
    struct jwant wants[] = {{.name = STR("inputResponses")}, {.name = STR("requestState")}};
    struct jwant ours[] = {{.name = STR(CONNECT_KEY)}};
    const struct rpc_message *m = &p->in.msg;
    struct err ignored;
    if (p->in.era != ERA_STATELESS || !str_eq(p->entry->conn.auth, STR("oauth")) ||
        str_is_absent(m->params) || !jscan_object(m->params, wants, ARRAY_LEN(wants), &ignored))
        return true;
    if (str_is_absent(wants[0].value) || !str_is_absent(wants[1].value) ||
        jscan_type(wants[0].value) != JTYPE_OBJECT ||
        !jscan_object(wants[0].value, ours, 1, &ignored) || str_is_absent(ours[0].value))
        return true;
    struct str params = params_without(p, m->params, STR("inputResponses"));
    struct str body = str_is_absent(params)
                          ? STR_NONE
                          : rpc_replace(p->a, m->raw, &(struct rpc_edit){m->params, params}, 1);
    p->is_connect_retry = true;
    return str_is_absent(body) ? err_set(e, ERR_UNAVAILABLE, "out of memory")
                               : rpc_parse(p->a, body, &p->in.msg, e);
}

/* ---- what needs no authorization ---- */

bool proxied_connect_passes(const struct proxied *p)
{
    return client_session_hello(p->client)->is_waiting && !str_eq(p->in.msg.method, STR("ping")) &&
           !str_eq(p->in.msg.method, STR("logging/setLevel"));
}

/* The tools as somebody's list showed them last; what this caller may not see is left out on the
 * way. *n 0: nothing is known. */
static bool tools_write(struct proxied *p, struct buf *out, size_t *n, struct err *e)
{
    struct connection_tool *tools;
    struct jout j;
    if (!connection_tools_list(p->sv->db, p->a, p->entry->conn.org_id, p->entry->conn.id, &tools, n,
                               e))
        return false;
    jout_init(&j, out);
    jout_object(&j);
    if (p->in.era == ERA_STATELESS) {
        jout_kstr(&j, "resultType", STR("complete"));
        jout_ki64(&j, "ttlMs", 0);
        jout_kstr(&j, "cacheScope", STR("private"));
    }
    jout_key(&j, STR("tools"));
    jout_array(&j);
    for (size_t i = 0; i < *n; i++)
        jout_raw(&j, tools[i].definition);
    jout_array_end(&j);
    jout_object_end(&j);
    return true;
}

static bool tools_answer(struct proxied *p, struct err *e)
{
    struct buf result;
    struct err why;
    size_t n = 0;
    buf_init(&result, LIMIT_ANSWER_HELD);
    bool is_known = tools_write(p, &result, &n, &why) && n > 0 && buf_ok(&result);
    struct str text = is_known
                          ? arena_printf(p->a, "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":%.*s}",
                                         STR_FMT(buf_str(&result)))
                          : STR_NONE;
    buf_end(&result);
    struct upstream_response r;
    return !str_is_absent(text) && upstream_response_parse(p->a, text, STR("0"), &r, e) &&
           proxied_finish(p, &r, 200, e);
}

/* Many stateless clients do nothing before server/discover, and say nothing of why it failed. */
static bool discover_answer(struct proxied *p, struct err *e)
{
    const struct connection *conn = &p->entry->conn;
    struct str slug = rpc_quote(p->a, conn->slug), title = rpc_quote(p->a, conn->name),
               why = rpc_quote(p->a, str_c(e->msg)), result;
    struct buf text;
    if (str_is_absent(slug) || str_is_absent(title) || str_is_absent(why))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct str hello = arena_printf(p->a,
                                    "{\"capabilities\":{\"tools\":{}},\"instructions\":%.*s,"
                                    "\"serverInfo\":{\"name\":%.*s,\"title\":%.*s,"
                                    "\"version\":\"0\"}}",
                                    STR_FMT(why), STR_FMT(slug), STR_FMT(title));
    if (str_is_absent(hello) || !m2s_discover(p->a, hello, &result, e))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    buf_init(&text, LIMIT_BODY_FORM);
    rpc_write_result(&text, p->in.msg.id, result);
    struct str body = buf_ok(&text) ? arena_dup(p->a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return str_is_absent(body)
               ? err_set(e, ERR_UNAVAILABLE, "out of memory")
               : proxied_record(p, "ok", NULL, body.n, e) && proxied_send(p, body, 200, e);
}

static bool session_waits(struct proxied *p, struct err *e)
{
    if (p->in.msg.kind == RPC_NOTIFICATION)
        return s2m_notification(p, e);
    if (p->in.msg.kind == RPC_RESPONSE)
        return s2m_response(p, e);
    bool is_ours =
        str_eq(p->in.msg.method, STR("ping")) || str_eq(p->in.msg.method, STR("logging/setLevel"));
    return is_ours && s2m_request(p, e);
}

/* Without an address yet: the server has refused what we have. */
static void say_where(struct proxied *p, struct err *e)
{
    const struct connection *conn = &p->entry->conn;
    struct str owner = str_eq(conn->credential_scope, STR("user")) ? p->caller->user_id : STR("");
    if (str_find(str_c(e->msg), STR("/oauth/connect/")) == SIZE_MAX)
        downstream_needs_person(p->sv, conn, owner,
                                "the server wants another authorization for this", e);
}

/* Where Tulle has authorized itself, no person can mend it. */
static bool is_for_person(struct proxied *p, const struct err *e)
{
    struct downstream_settings settings;
    struct err ignored;
    return e->code == ERR_UPSTREAM_AUTH && str_eq(p->entry->conn.auth, STR("oauth")) &&
           downstream_settings_read(p->a, &p->entry->conn, &settings, &ignored) &&
           !settings.is_machine;
}

bool proxied_connect_waits(struct proxied *p, struct err *e)
{
    if (!is_for_person(p, e))
        return false;
    say_where(p, e);
    if (p->kind == METHOD_INITIALIZE && p->in.era == ERA_SESSION && !p->view)
        return s2m_initialize_waiting(p, str_c(e->msg), e);
    if (p->kind == METHOD_LIST_TOOLS && str_is_absent(p->in.msg.cursor))
        return tools_answer(p, e);
    if (p->in.era == ERA_STATELESS && str_eq(p->in.msg.method, STR("server/discover")) && !p->view)
        return discover_answer(p, e);
    return p->client && !p->view && session_waits(p, e);
}

/* ---- the answer ---- */

static bool can_open_urls(const struct proxied *p)
{
    if (p->in.era == ERA_STATELESS)
        return (m2s_caps_read(p->in.msg.client_capabilities) & M2S_URL) != 0;
    int caps =
        p->client ? m2s_caps_read(client_session_hello(p->client)->capabilities) : p->session.caps;
    return (caps & M2S_URL) != 0;
}

static void elicitation_write(struct jout *j, struct str url, struct str message, const char *id)
{
    jout_object(j);
    jout_kstr(j, "mode", STR("url"));
    if (id)
        jout_kstr(j, "elicitationId", str_c(id));
    jout_kstr(j, "message", message);
    jout_kstr(j, "url", url);
    jout_object_end(j);
}

static void input_required_write(struct jout *j, struct str url, struct str message)
{
    jout_object(j);
    jout_kstr(j, "resultType", STR("input_required"));
    jout_key(j, STR("inputRequests"));
    jout_object(j);
    jout_key(j, STR(CONNECT_KEY));
    jout_object(j);
    jout_kstr(j, "method", STR("elicitation/create"));
    jout_key(j, STR("params"));
    elicitation_write(j, url, message, NULL);
    jout_object_end(j);
    jout_object_end(j);
    jout_object_end(j);
}

static void text_write(struct jout *j, bool is_stateless, struct str message)
{
    jout_object(j);
    if (is_stateless)
        jout_kstr(j, "resultType", STR("complete"));
    jout_key(j, STR("content"));
    jout_array(j);
    jout_object(j);
    jout_kstr(j, "type", STR("text"));
    jout_kstr(j, "text", message);
    jout_object_end(j);
    jout_array_end(j);
    jout_kbool(j, "isError", true);
    jout_object_end(j);
}

static void data_write(struct jout *j, bool is_elicitation, struct str url, struct str message)
{
    struct id id = id_new("eli");
    jout_object(j);
    jout_kstr(j, "reason", str_c(err_text(ERR_UPSTREAM_AUTH)));
    if (is_elicitation) {
        jout_key(j, STR("elicitations"));
        jout_array(j);
        elicitation_write(j, url, message, id_str(&id).p);
        jout_array_end(j);
    } else {
        jout_kstr(j, "connectUrl", url);
    }
    jout_object_end(j);
}

/* Writes the whole message into `out`. */
static void answer_write(struct proxied *p, struct str url, struct str message, struct buf *out)
{
    struct buf part;
    struct jout j;
    bool is_stateless = p->in.era == ERA_STATELESS;
    bool can_ask = may_ask(p) && can_open_urls(p) && !p->is_connect_retry;
    buf_init(&part, LIMIT_BODY_SMALL);
    jout_init(&j, &part);
    if (is_stateless && can_ask) {
        input_required_write(&j, url, message);
        rpc_write_result(out, p->in.msg.id, buf_str(&part));
    } else if (p->kind == METHOD_TOOL_CALL && !can_ask) {
        text_write(&j, is_stateless, message);
        rpc_write_result(out, p->in.msg.id, buf_str(&part));
    } else {
        data_write(&j, can_ask, url, message);
        rpc_write_error(out, p->in.msg.id, !is_stateless,
                        can_ask ? URL_ELICITATION_REQUIRED : err_rpc(ERR_UPSTREAM_AUTH), message,
                        buf_str(&part));
    }
    buf_end(&part);
}

bool proxied_connect(struct proxied *p, struct err *e)
{
    if (!p->entry || p->in.msg.kind != RPC_REQUEST || !is_for_person(p, e))
        return false;
    say_where(p, e);
    struct str url = downstream_connect_url(p->sv, p->a, &p->entry->conn);
    struct buf out;
    buf_init(&out, LIMIT_BODY_FORM);
    if (!str_is_absent(url))
        answer_write(p, url, str_c(e->msg), &out);
    struct str body = buf_ok(&out) && out.n > 0 ? arena_dup(p->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    if (str_is_absent(body))
        return false;
    http_note_failure(p->rq, e);
    http_answer(p->rq, 200, STR("application/json"), body);
    return true;
}
