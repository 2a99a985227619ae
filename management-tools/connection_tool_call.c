/* CONNECTION_TOOL_CALL: one call of a server's tool, judged as the proxy judges it and recorded as
 * the proxy records it. */
#include "base/clock.h"
#include "base/limits.h"
#include "core/policy.h"
#include "core/redact.h"
#include "io/fiber.h"
#include "json/jscan.h"
#include "management-tools/tool_io.h"
#include "mcp/call_limits.h"
#include "mcp/registry_cache.h"
#include "mcp/upstream.h"
#include "store/audit.h"

tool_fn tool_connection_tool_call;

struct call {
    struct registry_entry *entry;
    struct str name;      /* as the server names it */
    struct str arguments; /* JSON object text */
    int64_t started_us;
    const char *outcome;
    struct call_limits limits;
    bool is_server_error; /* the server's JSON-RPC error, with this code */
    int64_t error_code;
};

static bool unknown_tool(struct str name, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "Unknown tool: %.*s", STR_FMT(str_slice(name, 0, 120)));
}

static bool decide(struct tool_call *c, struct call *call, struct err *e)
{
    struct str asked = jv_get_str(c->arguments, "name");
    const struct connection_tool *tool = registry_tool_as_seen(call->entry, asked);
    call->name = tool ? tool->name : asked;
    /* A name that a rename has retired is as unknown as any other. */
    if (!tool && registry_tool(call->entry, asked))
        return unknown_tool(asked, e);
    struct policy_target target = {.connection_id = call->entry->conn.id,
                                   .name = call->name,
                                   .effect = registry_tool_effect(tool),
                                   .is_tool_enabled = !tool || tool->enabled};
    struct policy_verdict verdict = policy_decide(c->caller, POLICY_TOOL, &target);
    if (verdict.is_allowed)
        return true;
    if (verdict.reason == POLICY_SCOPE || verdict.reason == POLICY_READ_ONLY)
        return err_set(e, ERR_INSUFFICIENT_SCOPE, "this needs the scope mcp");
    unknown_tool(asked, e);
    struct str why = policy_explain(c->arena, c->caller, &verdict);
    return err_detail(e, "denied: %.*s", STR_FMT(why));
}

/* {"name":...,"arguments":{...}} */
static bool params_write(struct tool_call *c, const struct call *call, struct str *out,
                         struct err *e)
{
    struct buf text;
    struct jout j;
    buf_init(&text, LIMIT_BODY_MCP);
    jout_init(&j, &text);
    jout_object(&j);
    jout_kstr(&j, "name", call->name);
    jout_kraw(&j, "arguments", call->arguments);
    jout_object_end(&j);
    *out = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || err_set(e, ERR_TOO_LARGE, "arguments.arguments: too large");
}

static bool server_error(struct tool_call *c, struct call *call, struct str error, struct err *e)
{
    struct jwant wants[] = {{.name = STR("code")}, {.name = STR("message")}};
    struct err ignored;
    struct str message = STR("");
    if (!jscan_object(error, wants, ARRAY_LEN(wants), &ignored) || str_is_absent(wants[1].value) ||
        !jscan_string(c->arena, wants[1].value, &message))
        message = STR("(no message)");
    int64_t code = 0;
    if (str_is_absent(wants[0].value) || !jscan_i64(wants[0].value, &code))
        code = 0;
    /* Its text is for the caller. The record keeps the number: the text may hold anything, what we
     * sent included. */
    call->error_code = code;
    call->is_server_error = true;
    return err_set(e, ERR_UPSTREAM, "the server answered with JSON-RPC error %lld: %.*s",
                   (long long)code, STR_FMT(str_slice(message, 0, 300)));
}

static bool result_write(struct tool_call *c, struct call *call, struct str result, struct err *e)
{
    struct jwant wants[] = {{.name = STR("content")}, {.name = STR("isError")}};
    if (!jscan_object(result, wants, ARRAY_LEN(wants), e) || str_is_absent(wants[0].value) ||
        jscan_type(wants[0].value) != JTYPE_ARRAY)
        return err_set(e, ERR_UPSTREAM,
                       "the server's answer to tools/call has no array \"content\"");
    bool is_error = !str_is_absent(wants[1].value) && jscan_type(wants[1].value) == JTYPE_TRUE;
    call->outcome = is_error ? "tool_error" : "ok";
    buf_add(c->out, result);
    return true;
}

static bool ask(struct tool_call *c, struct call *call, struct err *e)
{
    struct upstream_ask ask = {.conn = &call->entry->conn,
                               .caller = c->caller,
                               .method = STR("tools/call"),
                               .name = call->name};
    struct upstream_reply reply;
    if (!params_write(c, call, &ask.params, e) || !upstream_ask(c->sv, c->arena, &ask, &reply, e))
        return false;
    return str_is_absent(reply.error) ? result_write(c, call, reply.result, e)
                                      : server_error(c, call, reply.error, e);
}

static bool record(struct tool_call *c, const struct call *call, const struct err *why,
                   struct err *e)
{
    struct audit_row row = {.at = clock_wall_ms(),
                            .org_id = c->org_id,
                            .kind = STR("call"),
                            .user_id = c->caller->user_id,
                            .client_id = c->caller->client_id,
                            .key_id = c->caller->key_id,
                            .connection_id = call->entry->conn.id,
                            .method = STR("tools/call"),
                            .name = call->name,
                            .outcome = str_c(call->outcome),
                            .request_id = c->use->request_id,
                            .duration_us = clock_mono_us() - call->started_us,
                            .bytes_in = (int64_t)call->arguments.n,
                            .bytes_out = (int64_t)c->out->n};
    if (call->is_server_error)
        row.error = arena_printf(c->arena, "%s: the server answered with JSON-RPC error %lld",
                                 err_text(ERR_UPSTREAM), (long long)call->error_code);
    else if (why)
        row.error = arena_printf(c->arena, "%s: %s", err_text(why->code), why->msg);
    if (call->entry->audit_arguments)
        row.arguments = redact_json(c->arena, call->arguments);
    fiber_shield(true);
    bool is_good = audit_submit(c->sv->audit, &row, e);
    fiber_shield(false);
    return is_good;
}

static bool judge_and_ask(struct tool_call *c, struct call *call, struct err *e)
{
    call->outcome = "denied";
    if (!decide(c, call, e))
        return false;
    call->outcome = "failed";
    int64_t retry_ms;
    if (!call_limits_enter(c->sv, c->arena, c->caller, &call->entry->conn, &call->limits, &retry_ms,
                           e)) {
        if (c->use->rq && e->code == ERR_RATE_LIMITED)
            call_limits_say(c->use->rq, retry_ms);
        return false;
    }
    if (!call->entry->conn.enabled)
        return err_set(e, ERR_UNPROCESSABLE,
                       "the connection is disabled: CONNECTION_ENABLE lets it be used again");
    if (ask(c, call, e))
        return true;
    if (e->code == ERR_CANCELLED)
        call->outcome = "cancelled";
    return false;
}

bool tool_connection_tool_call(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct call call = {.started_us = clock_mono_us()};
    if (!io_connection(c, &conn, e) ||
        !io_json(c, jv_get(c->arguments, "arguments"), STR("{}"), &call.arguments, e) ||
        !registry_get(c->sv, c->arena, c->org_id, conn.id, &call.entry, e))
        return false;
    bool is_good = judge_and_ask(c, &call, e);
    call_limits_leave(&call.limits);
    struct err unrecorded = {0};
    c->has_own_row = true;
    if (record(c, &call, is_good ? NULL : e, &unrecorded) || !is_good)
        return is_good;
    *e = unrecorded;
    return false;
}
