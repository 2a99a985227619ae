/* The session that a stateless server does not have: its beginning, what is answered here, its
 * stream, its end. */
#include "mcp/s2m.h"

#include "base/clock.h"
#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/inflight.h"
#include "mcp/replay.h"
#include "mcp/upstream_era.h"

#define SERVER_INFO "io.modelcontextprotocol/serverInfo"
#define TASKS       "io.modelcontextprotocol/tasks"

/* A registration that was changed is another server. */
static struct client_who who_of(struct proxied *p)
{
    return (struct client_who){.org_id = p->caller->org_id,
                               .user_id = p->caller->user_id,
                               .principal = p->caller->principal,
                               .audience =
                                   arena_printf(p->a, "%.*s@%lld", STR_FMT(p->entry->conn.id),
                                                (long long)p->entry->conn.updated_at)};
}

/* ---- initialize ---- */

/* What the server offers, less what a session client could not use. */
static void extensions_write(struct jout *j, struct str extensions)
{
    struct jiter it;
    jout_object(j);
    for (jscan_iter(&it, extensions); jscan_next(&it);) {
        if (jscan_string_eq(it.key, STR(TASKS)))
            continue;
        jout_raw_key(j, it.key);
        jout_raw(j, it.value);
    }
    jout_object_end(j);
}

static struct str capabilities_of(struct proxied *p, struct str discover)
{
    struct str offered = jscan_member(discover, STR("capabilities"));
    struct buf out;
    struct jout j;
    struct jiter it;
    buf_init(&out, LIMIT_BODY_MCP);
    jout_init(&j, &out);
    jout_object(&j);
    if (!str_is_absent(offered) && jscan_type(offered) == JTYPE_OBJECT)
        for (jscan_iter(&it, offered); jscan_next(&it);) {
            if (jscan_string_eq(it.key, STR("tasks")))
                continue;
            jout_raw_key(&j, it.key);
            if (jscan_string_eq(it.key, STR("extensions")) && jscan_type(it.value) == JTYPE_OBJECT)
                extensions_write(&j, it.value);
            else
                jout_raw(&j, it.value);
        }
    jout_object_end(&j);
    struct str text = buf_ok(&out) ? arena_dup(p->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

static struct str result_write(struct proxied *p, struct str discover,
                               const struct client_hello *hello)
{
    struct str info = jscan_member(jscan_member(discover, STR("_meta")), STR(SERVER_INFO));
    struct str instructions = jscan_member(discover, STR("instructions"));
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_ANSWER_HELD);
    buf_addf(&out, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":", STR_FMT(p->in.msg.id));
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "protocolVersion", hello->version);
    jout_kraw(&j, "capabilities", hello->offered);
    if (!str_is_absent(info)) {
        jout_kraw(&j, "serverInfo", info);
    } else {
        jout_key(&j, STR("serverInfo"));
        jout_object(&j);
        jout_kstr(&j, "name", p->entry->conn.slug);
        jout_kstr(&j, "title", p->entry->conn.name);
        jout_kstr(&j, "version", STR("0"));
        jout_object_end(&j);
    }
    if (!str_is_absent(instructions))
        jout_kraw(&j, "instructions", instructions);
    jout_object_end(&j);
    buf_add_char(&out, '}');
    struct str text = buf_ok(&out) ? arena_dup(p->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

static bool hello_read(struct proxied *p, struct client_hello *hello, struct err *e)
{
    struct jwant wants[] = {{.name = STR("protocolVersion")},
                            {.name = STR("capabilities")},
                            {.name = STR("clientInfo")}};
    struct str wanted;
    if (str_is_absent(p->in.msg.params) ||
        !jscan_object(p->in.msg.params, wants, ARRAY_LEN(wants), e) ||
        str_is_absent(wants[0].value) || !jscan_string(p->a, wants[0].value, &wanted))
        return err_set(e, ERR_INVALID, "params.protocolVersion is missing, expected a string");
    bool has_capabilities =
        !str_is_absent(wants[1].value) && jscan_type(wants[1].value) == JTYPE_OBJECT;
    bool has_info = !str_is_absent(wants[2].value) && jscan_type(wants[2].value) == JTYPE_OBJECT;
    const struct caller *c = p->caller;
    *hello = (struct client_hello){.version = era_negotiate(wanted),
                                   .capabilities = has_capabilities ? wants[1].value : STR("{}"),
                                   .client_info = has_info ? wants[2].value : STR_NONE,
                                   .is_narrowed = c->builtin_roles == 0 || c->n_statements > 0 ||
                                                  c->tools != NULL};
    return true;
}

static bool session_begin(struct proxied *p, struct str discover, bool is_waiting, struct err *e)
{
    struct str handle, text;
    struct client_hello hello = {0};
    struct client_who who = who_of(p);
    if (!hello_read(p, &hello, e))
        return false;
    hello.is_waiting = is_waiting;
    hello.offered = capabilities_of(p, discover);
    text = str_is_absent(hello.offered) ? STR_NONE : result_write(p, discover, &hello);
    if (str_is_absent(text) || str_is_absent(who.audience))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!client_session_open(p->sv->clients, p->a, &who, &hello, clock_wall_ms(), &handle,
                             &p->client, e))
        return false;
    if (!proxied_record(p, "ok", NULL, text.n, e)) {
        client_session_end(p->client);
        return false;
    }
    http_set_header(p->rq, STR("Mcp-Session-Id"), handle);
    http_answer(p->rq, 200, STR("application/json"), text);
    return true;
}

bool s2m_initialize(struct proxied *p, struct err *e)
{
    struct str discover = STR_NONE;
    if (!upstream_era_find(p->sv, p->a, p->entry, &p->cred, &p->era, &discover, e))
        return false;
    if (p->era != ERA_STATELESS || str_is_absent(discover))
        return err_set(e, ERR_UPSTREAM, "the server answers neither initialize nor discover");
    return session_begin(p, discover, false, e);
}

bool s2m_initialize_waiting(struct proxied *p, struct str why, struct err *e)
{
    struct str text = rpc_quote(p->a, why);
    struct str discover = arena_printf(
        p->a, "{\"capabilities\":{\"tools\":{}},\"instructions\":%.*s}", STR_FMT(text));
    return str_is_absent(text) || str_is_absent(discover)
               ? err_set(e, ERR_UNAVAILABLE, "out of memory")
               : session_begin(p, discover, true, e);
}

bool s2m_bind(struct proxied *p, struct str handle, struct err *e)
{
    struct client_who who = who_of(p);
    return client_session_find(p->sv->clients, p->a, handle, &who, clock_wall_ms(), &p->client, e);
}

/* ---- what is answered here ---- */

static bool answer_empty(struct proxied *p, struct err *e)
{
    struct str text = arena_printf(p->a, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{}}",
                                   STR_FMT(p->in.msg.id));
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!proxied_record(p, "ok", NULL, text.n, e))
        return false;
    http_answer(p->rq, 200, STR("application/json"), text);
    return true;
}

static bool set_level(struct proxied *p, struct err *e)
{
    struct str level;
    if (str_is_absent(p->in.msg.level) || jscan_type(p->in.msg.level) != JTYPE_STRING ||
        !jscan_string(p->a, p->in.msg.level, &level) || !client_session_set_level(p->client, level))
        return err_set(e, ERR_INVALID,
                       "params.level is not one of debug info notice warning error "
                       "critical alert emergency");
    return answer_empty(p, e);
}

static bool subscribe(struct proxied *p, struct err *e)
{
    struct str subscribe = jscan_member(
        jscan_member(client_session_hello(p->client)->offered, STR("resources")), STR("subscribe"));
    struct str uri = p->in.msg.uri_text;
    if (str_is_absent(subscribe) || jscan_type(subscribe) != JTYPE_TRUE)
        return err_set(e, ERR_METHOD_NOT_FOUND, "this server offers no resource subscriptions");
    if (!client_session_subscribe(p->client, uri, e))
        return false;
    if (s2m_listen(p->sv, p->a, p->client, p->entry->conn.id, uri, e))
        return answer_empty(p, e);
    client_session_unsubscribe(p->client, uri);
    return false;
}

static bool unsubscribe(struct proxied *p, struct err *e)
{
    struct err ignored; /* what still comes for it is dropped */
    if (client_session_unsubscribe(p->client, p->in.msg.uri_text))
        (void)!s2m_listen(p->sv, p->a, p->client, p->entry->conn.id, STR_NONE, &ignored);
    return answer_empty(p, e);
}

static bool is_unknown(struct str method)
{
    /* Core tasks and the methods of the other era: nothing that this server could be asked. */
    return str_starts(method, STR("tasks/")) || str_eq(method, STR("server/discover")) ||
           str_eq(method, STR("subscriptions/listen"));
}

bool s2m_request(struct proxied *p, struct err *e)
{
    struct str method = p->in.msg.method;
    if (str_eq(method, STR("ping")))
        return answer_empty(p, e);
    if (str_eq(method, STR("logging/setLevel")))
        return set_level(p, e);
    if (str_eq(method, STR("resources/subscribe")))
        return subscribe(p, e);
    if (str_eq(method, STR("resources/unsubscribe")))
        return unsubscribe(p, e);
    if (is_unknown(method))
        return err_set(e, ERR_METHOD_NOT_FOUND, "Method not found: %.*s",
                       STR_FMT(str_slice(method, 0, 80)));
    return s2m_call(p, e);
}

bool s2m_notification(struct proxied *p, struct err *e unused_arg)
{
    const struct rpc_message *m = &p->in.msg;
    if (str_eq(m->method, STR("notifications/cancelled")) && !str_is_absent(m->request_id))
        inflight_cancel(p->sv->inflight, client_session_key(p->client), m->request_id);
    inbound_accepted(p->rq);
    return true;
}

bool s2m_response(struct proxied *p, struct err *e unused_arg)
{
    /* One that answers nothing, or a second time, is accepted and dropped. */
    (void)!client_session_answer(p->client, &p->in.msg);
    inbound_accepted(p->rq);
    return true;
}

/* ---- GET and DELETE ---- */

static bool still_holds(struct services *sv, struct arena *a, const struct caller *now,
                        struct str audience)
{
    struct registry_entry *entry;
    struct err e;
    struct str id = str_slice(audience, 0, str_find_char(audience, '@'));
    if (!registry_get(sv, a, now->org_id, id, &entry, &e))
        return e.code != ERR_NOT_FOUND;
    struct policy_target target = {.connection_id = entry->conn.id};
    return entry->conn.enabled && policy_decide(now, POLICY_CONNECT, &target).is_allowed;
}

bool s2m_stream(struct proxied *p, struct err *e)
{
    struct err ignored; /* a server without such streams has nothing to say here */
    if (!client_session_attached(p->client))
        (void)!s2m_listen(p->sv, p->a, p->client, p->entry->conn.id, STR_NONE, &ignored);
    return client_session_stream(p->client, p->rq, still_holds, e);
}

bool s2m_end(struct proxied *p, struct err *e unused_arg)
{
    client_session_end(p->client);
    inflight_cancel_session(p->sv->inflight, client_session_key(p->client));
    replay_forget(p->sv->replays, client_session_key(p->client));
    http_answer(p->rq, 204, STR_NONE, STR_NONE);
    return true;
}
