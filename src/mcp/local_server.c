/* The management MCP server. */
#include "mcp/local_server.h"

#include "auth/oauth/challenge.h"
#include "base/limits.h"
#include "core/services.h"
#include "io/forms.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/batch.h"
#include "mcp/inbound.h"
#include "mcp/tool_source.h"

struct local {
    struct http_request *rq;
    struct services *sv;
    struct arena *a;
    struct inbound in;
    struct tool_use use;
    int status; /* for errors raised in a method: 200, or the era's own */
};

#define INSTRUCTIONS                                                                               \
    "Tulle's management server: every administrative act is a tool here (ORGANIZATION_*, "         \
    "CONNECTION_*, VIRTUAL_SERVER_*, API_KEY_*, USER_*). The tools of the registered servers are " \
    "not here: all that you may use are at /mcp/hub, those of one server at /mcp/<connection id "  \
    "or slug>, and a chosen set at /mcp/vs_...; CONNECTION_LIST and VIRTUAL_SERVER_LIST name "     \
    "them."

static void answer_result(struct local *l, struct str result)
{
    struct buf out;
    buf_init(&out, (size_t)2 * LIMIT_ANSWER_HELD);
    rpc_write_result(&out, l->in.msg.id, result);
    struct str body = buf_ok(&out) ? arena_dup(l->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    if (!str_is_absent(body)) {
        http_answer(l->rq, 200, STR("application/json"), body);
        return;
    }
    struct err e;
    err_set(&e, ERR_UNAVAILABLE, "out of memory");
    inbound_fail(l->rq, &l->in, 0, &e);
}

/* Members that every result of the stateless era has. cacheable: lists and discover. */
static void stateless_members(const struct local *l, struct jout *j, bool is_cacheable)
{
    if (l->in.era != ERA_STATELESS)
        return;
    jout_kstr(j, "resultType", STR("complete"));
    if (is_cacheable) {
        jout_ki64(j, "ttlMs", 0);
        jout_kstr(j, "cacheScope", STR("private"));
    }
    jout_kraw(
        j, "_meta",
        STR("{\"io.modelcontextprotocol/"
            "serverInfo\":{\"name\":\"tulle\",\"title\":\"Tulle\",\"version\":\"" TULLE_VERSION
            "\"}}"));
}

/* ---- methods ---- */

static bool method_initialize(struct local *l, struct jout *j, struct err *e)
{
    struct jwant wants[] = {{.name = STR("protocolVersion")}};
    struct str wanted;
    if (str_is_absent(l->in.msg.params) || !jscan_object(l->in.msg.params, wants, 1, e) ||
        str_is_absent(wants[0].value) || !jscan_string(l->a, wants[0].value, &wanted))
        return err_set(e, ERR_INVALID, "params.protocolVersion is missing, expected a string");
    jout_kstr(j, "protocolVersion", era_negotiate(wanted));
    jout_kraw(j, "capabilities", STR("{\"tools\":{}}"));
    jout_kraw(j, "serverInfo",
              STR("{\"name\":\"tulle\",\"title\":\"Tulle\",\"version\":\"" TULLE_VERSION "\"}"));
    jout_kstr(j, "instructions", STR(INSTRUCTIONS));
    return true;
}

static bool method_discover(struct local *l, struct jout *j, struct err *e unused_arg)
{
    jout_kraw(j, "supportedVersions", STR("[\"" MCP_STATELESS_LATEST "\"]"));
    jout_kraw(j, "capabilities", STR("{\"tools\":{}}"));
    jout_kstr(j, "instructions", STR(INSTRUCTIONS));
    stateless_members(l, j, true);
    return true;
}

static bool method_ping(struct local *l unused_arg, struct jout *j unused_arg,
                        struct err *e unused_arg)
{
    return true;
}

static bool toolset_read(struct local *l, struct str *toolset, struct err *e)
{
    struct form query;
    *toolset = STR_NONE;
    if (str_is_absent(l->rq->query))
        return true;
    if (!form_parse(l->a, l->rq->query, &query, e))
        return false;
    if (form_get(&query, STR("toolset"), toolset) == FORM_REPEATED)
        return err_set(e, ERR_INVALID, "the query parameter toolset occurs more than once");
    return true;
}

static bool method_tools_list(struct local *l, struct jout *j, struct err *e)
{
    struct str toolset;
    struct buf tools;
    if (!toolset_read(l, &toolset, e))
        return false;
    if (!str_is_absent(l->in.msg.cursor))
        return err_set(e, ERR_INVALID, "params.cursor: this list has one page and gives no cursor");
    buf_init(&tools, LIMIT_ANSWER_HELD);
    bool is_good = l->sv->tools->list(&l->use, toolset, &tools, e);
    if (is_good && !buf_ok(&tools))
        is_good = err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (is_good) {
        jout_kraw(j, "tools", buf_str(&tools));
        stateless_members(l, j, true);
    }
    buf_end(&tools);
    return is_good;
}

/* {"error":{"code","message"}} in one text block, and no structuredContent: SDK v1 checks that even
 * when isError is set. */
static void write_failure(struct local *l, struct jout *j, const struct err *why)
{
    struct buf text;
    struct jout t;
    http_note_failure(l->rq, why);
    buf_init(&text, LIMIT_BODY_SMALL);
    jout_init(&t, &text);
    jout_object(&t);
    jout_key(&t, STR("error"));
    jout_object(&t);
    jout_kstr(&t, "code", str_c(err_text(why->code)));
    jout_kstr(&t, "message", str_c(why->msg));
    jout_kstr(&t, "request_id", str_c(l->rq->request_id));
    jout_object_end(&t);
    jout_object_end(&t);
    jout_key(j, STR("content"));
    jout_array(j);
    jout_object(j);
    jout_kstr(j, "type", STR("text"));
    jout_kstr(j, "text", buf_str(&text));
    jout_object_end(j);
    jout_array_end(j);
    jout_kbool(j, "isError", true);
    buf_end(&text);
}

static void write_success(struct jout *j, struct str structured)
{
    jout_key(j, STR("content"));
    jout_array(j);
    jout_object(j);
    jout_kstr(j, "type", STR("text"));
    jout_kstr(j, "text", structured);
    jout_object_end(j);
    jout_array_end(j);
    jout_kraw(j, "structuredContent", structured);
    jout_kbool(j, "isError", false);
}

static bool method_tools_call(struct local *l, struct jout *j, struct err *e)
{
    const struct rpc_message *m = &l->in.msg;
    struct tool_outcome outcome = {0};
    bool is_unknown = false;
    if (str_is_absent(m->name_text))
        return err_set(e, ERR_INVALID, "params.name is missing, expected the name of a tool");
    struct str arguments = str_is_absent(m->arguments) ? STR("{}") : m->arguments;
    bool is_good = l->sv->tools->call(&l->use, m->name_text, arguments, &outcome, &is_unknown, e);
    if (!is_good && e->code == ERR_INSUFFICIENT_SCOPE) {
        challenge_set(l->rq, CHALLENGE_INSUFFICIENT);
        l->status = 403;
        return false;
    }
    if (is_unknown || (!is_good && e->code == ERR_CANCELLED))
        return false;
    if (!is_good)
        write_failure(l, j, e);
    else
        write_success(j, outcome.structured);
    stateless_members(l, j, false);
    return true;
}

static const struct {
    struct str name;
    enum era era; /* ERA_UNKNOWN: both */
    bool (*run)(struct local *l, struct jout *j, struct err *e);
} methods[] = {
    {STR("initialize"), ERA_SESSION, method_initialize},
    {STR("ping"), ERA_SESSION, method_ping},
    {STR("server/discover"), ERA_STATELESS, method_discover},
    {STR("tools/list"), ERA_UNKNOWN, method_tools_list},
    {STR("tools/call"), ERA_UNKNOWN, method_tools_call},
};

static bool run_method(struct local *l, struct jout *j, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        bool is_of_era = methods[i].era == ERA_UNKNOWN || methods[i].era == l->in.era;
        if (is_of_era && str_eq(methods[i].name, l->in.msg.method)) {
            l->status = 200;
            return methods[i].run(l, j, e);
        }
    }
    l->status = l->in.era == ERA_STATELESS ? 404 : 200;
    return err_set(e, ERR_METHOD_NOT_FOUND, "Method not found: %.*s",
                   STR_FMT(str_slice(l->in.msg.method, 0, 80)));
}

static void post_one(struct http_request *rq)
{
    struct err e = {.code = ERR_NONE};
    struct local l = {.rq = rq, .sv = rq->context, .a = rq->arena};
    l.use = (struct tool_use){.rq = rq,
                              .arena = rq->arena,
                              .sv = l.sv,
                              .caller = rq->user,
                              .request_id = str_c(rq->request_id)};
    if (!inbound_read(rq, &l.in, &e)) {
        inbound_fail(rq, &l.in, 0, &e);
        return;
    }
    if (l.in.msg.kind != RPC_REQUEST) {
        inbound_accepted(rq);
        return;
    }
    struct buf result;
    struct jout j;
    buf_init(&result, LIMIT_ANSWER_HELD);
    jout_init(&j, &result);
    jout_object(&j);
    bool is_good = run_method(&l, &j, &e);
    jout_object_end(&j);
    if (is_good)
        answer_result(&l, buf_str(&result));
    else
        inbound_fail(rq, &l.in, e.code == ERR_UNAVAILABLE ? 503 : l.status, &e);
    buf_end(&result);
}

/* There are no sessions here that could tell: the header does, which clients send from their second
 * message on. */
bool local_server_admit(struct http_request *rq, struct str *version, struct err *e unused_arg)
{
    *version = str_trim(http_request_header(rq, STR("MCP-Protocol-Version")));
    return true;
}

void local_server_post(struct http_request *rq)
{
    if (rpc_is_batch(rq->body))
        batch_post(rq, local_server_admit, post_one);
    else
        post_one(rq);
}

void local_server_get(struct http_request *rq)
{
    struct inbound in = {.era = ERA_SESSION};
    struct err e;
    http_set_header(rq, STR("Allow"), STR("POST"));
    err_set(&e, ERR_METHOD_NOT_ALLOWED, "this server has no stream of its own; use POST");
    inbound_fail(rq, &in, 0, &e);
}
