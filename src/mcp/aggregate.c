/* Several servers at one address: one message of a client, from its bytes to its answer. */
#include "mcp/aggregate.h"

#include "base/clock.h"
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/batch.h"
#include "mcp/client_sessions.h"
#include "mcp/inflight.h"
#include "mcp/resume.h"

/* ---- what a result carries ---- */

static void server_info_write(struct aggregate *g, struct jout *j, const char *key)
{
    jout_key(j, str_c(key));
    jout_object(j);
    jout_kstr(j, "name", STR("tulle"));
    jout_kstr(j, "title", g->name);
    jout_kstr(j, "version", STR(TULLE_VERSION));
    jout_object_end(j);
}

static void stateless_members(struct aggregate *g, struct jout *j, bool is_cacheable)
{
    if (g->p.in.era != ERA_STATELESS)
        return;
    jout_kstr(j, "resultType", STR("complete"));
    if (is_cacheable) { /* what one caller sees is nobody else's to see, and may change at once */
        jout_ki64(j, "ttlMs", 0);
        jout_kstr(j, "cacheScope", STR("private"));
    }
    jout_key(j, STR("_meta"));
    jout_object(j);
    server_info_write(g, j, "io.modelcontextprotocol/serverInfo");
    jout_object_end(j);
}

/* ---- methods ---- */

/* What there is to say of all servers; they are asked at the same time. */
static bool offers_gather(struct aggregate *g, struct str version, struct str *instructions,
                          struct str *capabilities, struct err *e)
{
    int64_t now = clock_mono_ms();
    *capabilities = aggregate_capabilities(g, version, now, e); /* begins to ask */
    if (str_is_absent(*capabilities))
        return false;
    *instructions = aggregate_instructions(g, e);
    if (str_is_absent(*instructions))
        return false;
    *capabilities = aggregate_capabilities(g, version, now + LIMIT_AGGREGATE_WAIT_MS, e);
    return !str_is_absent(*capabilities);
}

static bool hello_session(struct aggregate *g, struct str version, struct str offered,
                          struct err *e)
{
    struct jwant wants[] = {{.name = STR("capabilities")}, {.name = STR("clientInfo")}};
    const struct caller *caller = g->p.caller;
    if (!jscan_object(g->p.in.msg.params, wants, ARRAY_LEN(wants), e))
        return false;
    struct client_who who = {.org_id = caller->org_id,
                             .user_id = caller->user_id,
                             .principal = caller->principal,
                             .audience = g->id};
    struct client_hello hello = {.version = version,
                                 .capabilities = wants[0].value,
                                 .client_info = wants[1].value,
                                 .offered = offered,
                                 .is_narrowed = aggregate_is_narrowed(g)};
    struct str handle;
    if (!client_session_open(g->p.sv->clients, g->p.a, &who, &hello, clock_wall_ms(), &handle,
                             &g->session, e))
        return false;
    http_set_header(g->p.rq, STR("Mcp-Session-Id"), handle);
    return true;
}

static bool method_initialize(struct aggregate *g, struct jout *j, struct err *e)
{
    struct jwant wants[] = {{.name = STR("protocolVersion")}};
    struct str wanted;
    if (str_is_absent(g->p.in.msg.params) || !jscan_object(g->p.in.msg.params, wants, 1, e) ||
        str_is_absent(wants[0].value) || !jscan_string(g->p.a, wants[0].value, &wanted))
        return err_set(e, ERR_INVALID, "params.protocolVersion is missing, expected a string");
    struct str instructions, capabilities;
    if (!offers_gather(g, era_negotiate(wanted), &instructions, &capabilities, e) ||
        !hello_session(g, era_negotiate(wanted), capabilities, e))
        return false;
    jout_kstr(j, "protocolVersion", era_negotiate(wanted));
    jout_kraw(j, "capabilities", capabilities);
    server_info_write(g, j, "serverInfo");
    jout_kstr(j, "instructions", instructions);
    return true;
}

static bool method_discover(struct aggregate *g, struct jout *j, struct err *e)
{
    struct str instructions, capabilities;
    if (!offers_gather(g, g->p.in.version, &instructions, &capabilities, e))
        return false;
    jout_kraw(j, "supportedVersions", STR("[\"" MCP_STATELESS_LATEST "\"]"));
    jout_kraw(j, "capabilities", capabilities);
    jout_kstr(j, "instructions", instructions);
    stateless_members(g, j, true);
    return true;
}

static bool method_ping(struct aggregate *g unused_arg, struct jout *j unused_arg,
                        struct err *e unused_arg)
{
    return true;
}

static bool method_set_level(struct aggregate *g, struct jout *j unused_arg, struct err *e)
{
    struct str level;
    if (str_is_absent(g->p.in.msg.level) || !jscan_string(g->p.a, g->p.in.msg.level, &level))
        return err_set(e, ERR_INVALID, "params.level is missing, expected a string");
    return !g->session || client_session_set_level(g->session, level) ||
           err_set(e, ERR_INVALID,
                   "params.level: given \"%.*s\", expected debug, info, notice, "
                   "warning, error, critical, alert or emergency",
                   STR_FMT(str_slice(level, 0, 40)));
}

static bool method_list(struct aggregate *g, struct jout *j, struct err *e)
{
    for (int kind = 0; kind < N_LIST_KINDS; kind++) {
        if (!str_eq(g->p.in.msg.method, str_c(list_kind_method((enum list_kind)kind))))
            continue;
        if (!aggregate_list(g, (enum list_kind)kind, j, e))
            return false;
        stateless_members(g, j, true);
        return true;
    }
    bug("a list of no kind");
}

static const struct {
    struct str name;
    enum era era; /* ERA_UNKNOWN: both */
    bool (*run)(struct aggregate *g, struct jout *j, struct err *e);
} methods[] = {
    {STR("initialize"), ERA_SESSION, method_initialize},
    {STR("ping"), ERA_SESSION, method_ping},
    {STR("logging/setLevel"), ERA_SESSION, method_set_level},
    {STR("server/discover"), ERA_STATELESS, method_discover},
    {STR("tools/list"), ERA_UNKNOWN, method_list},
    {STR("prompts/list"), ERA_UNKNOWN, method_list},
    {STR("resources/list"), ERA_UNKNOWN, method_list},
    {STR("resources/templates/list"), ERA_UNKNOWN, method_list},
};

/* ---- answering here ---- */

static bool answer(struct aggregate *g, struct str result, struct err *e)
{
    struct buf out;
    buf_init(&out, (size_t)2 * LIMIT_ANSWER_HELD);
    rpc_write_result(&out, g->p.in.msg.id, result);
    struct str body = buf_ok(&out) ? arena_dup(g->p.a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    if (str_is_absent(body))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!proxied_record(&g->p, "ok", NULL, body.n, e))
        return false;
    http_answer(g->p.rq, 200, STR("application/json"), body);
    return true;
}

typedef bool method_fn(struct aggregate *g, struct jout *j, struct err *e);

static bool run_here(struct aggregate *g, method_fn *run, struct err *e)
{
    struct buf result;
    struct jout j;
    buf_init(&result, (size_t)2 * LIMIT_ANSWER_HELD);
    jout_init(&j, &result);
    jout_object(&j);
    bool is_good = run(g, &j, e);
    jout_object_end(&j);
    if (is_good && !buf_ok(&result))
        is_good = err_set(e, ERR_UNAVAILABLE, "out of memory");
    is_good = is_good && answer(g, buf_str(&result), e);
    buf_end(&result);
    return is_good;
}

/* find_tools and describe_tools are answered here; call_tool becomes the call that it stands for.
 */
static bool run_search(struct aggregate *g, struct str *call, struct err *e)
{
    struct buf result;
    struct jout j;
    buf_init(&result, (size_t)2 * LIMIT_ANSWER_HELD);
    jout_init(&j, &result);
    jout_object(&j);
    bool is_good = aggregate_search_call(g, &j, call, e);
    if (is_good && str_is_absent(*call)) {
        stateless_members(g, &j, false);
        jout_object_end(&j);
        is_good = buf_ok(&result) ? answer(g, buf_str(&result), e)
                                  : err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    buf_end(&result);
    return is_good;
}

/* ---- one message ---- */

static bool request_run(struct aggregate *g, struct err *e)
{
    const struct rpc_message *m = &g->p.in.msg;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if ((methods[i].era == ERA_UNKNOWN || methods[i].era == g->p.in.era) &&
            str_eq(methods[i].name, m->method))
            return proxied_reserve(&g->p, e) && run_here(g, methods[i].run, e);
    if (str_eq(m->method, STR("tools/call")) && !str_is_absent(m->name_text) &&
        aggregate_is_search_tool(g, m->name_text)) {
        struct str call;
        if (!proxied_reserve(&g->p, e) || !run_search(g, &call, e))
            return false;
        if (str_is_absent(call))
            return true;
        aggregate_forward(g, call);
        return true;
    }
    if (g->p.in.era == ERA_STATELESS && str_eq(m->method, STR("subscriptions/listen")))
        return proxied_reserve(&g->p, e) && aggregate_listen(g, e);
    aggregate_forward(g, m->raw);
    return true;
}

static bool session_bind(struct aggregate *g, struct err *e)
{
    const struct caller *caller = g->p.caller;
    struct client_who who = {.org_id = caller->org_id,
                             .user_id = caller->user_id,
                             .principal = caller->principal,
                             .audience = g->id};
    struct str handle = g->p.in.session_handle;
    /* A handle of old does not keep a client from beginning anew. */
    if (str_is_absent(handle) || str_eq(g->p.in.msg.method, STR("initialize")))
        return true;
    return client_session_find(g->p.sv->clients, g->p.a, handle, &who, clock_wall_ms(), &g->session,
                               e);
}

static bool message_run(struct aggregate *g, struct err *e)
{
    const struct rpc_message *m = &g->p.in.msg;
    g->p.is_in_call = true;
    switch (m->kind) {
    case RPC_NOTIFICATION:
        if (g->session && str_eq(m->method, STR("notifications/cancelled")) &&
            !str_is_absent(m->request_id))
            inflight_cancel(g->p.sv->inflight, client_session_key(g->session), m->request_id);
        inbound_accepted(g->p.rq);
        return true;
    case RPC_RESPONSE:
        if (!g->session)
            return err_set(e, ERR_BAD_REQUEST, "a response was posted outside of a session");
        (void)client_session_answer(g->session, m); /* one to nothing that was asked is dropped */
        inbound_accepted(g->p.rq);
        return true;
    default:
        return request_run(g, e);
    }
}

static struct aggregate *aggregate_new(struct http_request *rq)
{
    struct aggregate *g = arena_alloc(rq->arena, sizeof(*g));
    if (g)
        g->p = (struct proxied){.rq = rq, .sv = rq->context, .a = rq->arena, .caller = rq->user};
    return g;
}

static void no_memory(struct http_request *rq)
{
    struct inbound in = {.era = ERA_SESSION};
    struct err e;
    err_set(&e, ERR_UNAVAILABLE, "out of memory");
    inbound_fail(rq, &in, 0, &e);
}

static void post_one(struct http_request *rq)
{
    struct err e = {.code = ERR_NONE};
    struct aggregate *g = aggregate_new(rq);
    if (!g) {
        no_memory(rq);
        return;
    }
    if (!inbound_read(rq, &g->p.in, &e) || !aggregate_find(g, rq->params[0], rq->query, &e) ||
        !session_bind(g, &e) || !message_run(g, &e))
        proxied_fail(&g->p, &e);
    if (g->p.is_reserved)
        audit_release(g->p.sv->audit);
}

bool aggregate_admit(struct http_request *rq, struct str *version, struct err *e)
{
    *version = STR_NONE;
    struct aggregate *g = aggregate_new(rq);
    if (!g)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct str handle = str_trim(http_request_header(rq, STR("Mcp-Session-Id")));
    g->p.in =
        (struct inbound){.era = ERA_SESSION, .session_handle = handle.n > 0 ? handle : STR_NONE};
    if (!aggregate_find(g, rq->params[0], rq->query, e) || !session_bind(g, e))
        return false;
    *version = g->session ? client_session_hello(g->session)->version : STR_NONE;
    return true;
}

void aggregate_post(struct http_request *rq)
{
    if (rpc_is_batch(rq->body))
        batch_post(rq, aggregate_admit, post_one);
    else
        post_one(rq);
}

/* ---- the stream and the end of a session ---- */

static bool session_need(struct aggregate *g, struct err *e)
{
    g->p.in = (struct inbound){
        .era = ERA_SESSION,
        .session_handle = http_request_header(g->p.rq, STR("Mcp-Session-Id")),
    };
    if (!aggregate_find(g, g->p.rq->params[0], g->p.rq->query, e))
        return false;
    if (g->p.in.session_handle.n == 0)
        return err_set(e, ERR_METHOD_NOT_ALLOWED,
                       "%.*s needs the Mcp-Session-Id of an initialized session; use POST",
                       STR_FMT(g->p.rq->method_name));
    return session_bind(g, e);
}

static void run_without_body(struct http_request *rq,
                             bool (*step)(struct aggregate *g, struct err *e))
{
    struct err e = {.code = ERR_NONE};
    struct aggregate *g = aggregate_new(rq);
    if (!g) {
        no_memory(rq);
        return;
    }
    if (session_need(g, &e) && step(g, &e))
        return;
    if (e.code == ERR_METHOD_NOT_ALLOWED)
        http_set_header(rq, STR("Allow"), STR("POST"));
    proxied_fail(&g->p, &e);
}

static bool session_close(struct aggregate *g, struct err *e unused_arg)
{
    client_session_end(g->session);
    inflight_cancel_session(g->p.sv->inflight, client_session_key(g->session));
    replay_forget(g->p.sv->replays, client_session_key(g->session));
    http_answer(g->p.rq, 204, STR_NONE, STR_NONE);
    return true;
}

static bool stream_open(struct aggregate *g, struct err *e)
{
    bool is_done;
    struct str key = client_session_key(g->session);
    if (!resume_call(g->p.rq, key, STR_NONE, &is_done, e))
        return false;
    return is_done || aggregate_stream_open(g, e);
}

void aggregate_get(struct http_request *rq)
{
    run_without_body(rq, stream_open);
}

void aggregate_delete(struct http_request *rq)
{
    run_without_body(rq, session_close);
}
