/* Stateless clients at session servers: what becomes of each method. */
#include "mcp/m2s.h"

#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/m2s_caps.h"
#include "mcp/m2s_parts.h"
#include "mcp/m2s_result.h"

static bool is_one_of(struct str s, const struct str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(s, names[i]))
            return true;
    return false;
}

/* What the stateless revision does not have any more, and the tasks of 2025-11-25, which are not
 * those of its extension. */
static bool is_removed(struct str method)
{
    static const struct str removed[] = {STR("initialize"), STR("ping"), STR("logging/setLevel"),
                                         STR("resources/subscribe"), STR("resources/unsubscribe")};
    return is_one_of(method, removed, ARRAY_LEN(removed)) || str_starts(method, STR("tasks/"));
}

/* The three methods whose client may be asked for input. */
static bool may_ask(const struct proxied *p)
{
    return p->kind == METHOD_TOOL_CALL || p->kind == METHOD_PROMPT ||
           (p->kind == METHOD_RESOURCE && str_eq(p->in.msg.method, STR("resources/read")));
}

void m2s_stamp_of(const struct proxied *p, struct jfilter_stamp *out)
{
    bool is_list = p->kind >= METHOD_LIST_TOOLS && p->kind <= METHOD_LIST_PROMPTS;
    out->members = m2s_members(is_list || p->kind == METHOD_RESOURCE);
    out->meta = m2s_meta_member(p->a, m2s_server_info(p->pooled.initialize));
}

/* -32042 to a client that cannot be sent to a URL. */
static struct str url_needed(struct proxied *p)
{
    p->answer_status = err_http(ERR_MISSING_CAPABILITY);
    return STR("{\"code\":-32021,\"message\":\"this needs elicitation by URL, which the client "
               "does not declare\",\"data\":{\"requiredCapabilities\":{\"elicitation\":{\"url\":"
               "{}}}}}");
}

static struct str error_of(struct proxied *p, struct str error)
{
    enum { URL_ELICITATION = -32042 };
    bool is_url = m2s_error_code(error) == URL_ELICITATION && may_ask(p);
    if (is_url && !(m2s_caps_read(p->in.msg.client_capabilities) & M2S_URL))
        return url_needed(p);
    struct str said = m2s_error(p->a, error, p->kind == METHOD_RESOURCE ? p->in.msg.uri : STR_NONE);
    if (said.p != error.p)
        p->answer_status = 200; /* the server's own code does not name the status any more */
    return said;
}

bool m2s_respond(struct proxied *p, struct str *response, struct err *e)
{
    struct jwant wants[] = {{.name = STR("result")}, {.name = STR("error")}};
    struct rpc_edit edit;
    if (!jscan_object(*response, wants, ARRAY_LEN(wants), e))
        return false;
    if (str_is_absent(wants[0].value)) {
        edit.span = wants[1].value;
        edit.with = error_of(p, wants[1].value);
    } else {
        struct jfilter_stamp stamp;
        m2s_stamp_of(p, &stamp);
        edit.span = wants[0].value;
        if (str_is_absent(stamp.meta) ||
            !m2s_stamp(p->a, wants[0].value, stamp.members, stamp.meta, &edit.with, e))
            return false;
    }
    *response = str_is_absent(edit.with) ? STR_NONE : rpc_replace(p->a, *response, &edit, 1);
    return !str_is_absent(*response) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool m2s_is_for_client(const struct proxied *p, const struct rpc_message *m)
{
    static const struct str never[] = {
        STR("notifications/cancelled"), STR("notifications/elicitation/complete"),
        STR("notifications/tasks/status"), STR("notifications/resources/updated"),
        STR("notifications/initialized")};
    if (is_one_of(m->method, never, ARRAY_LEN(never)) || str_ends(m->method, STR("/list_changed")))
        return false;
    if (!str_eq(m->method, STR("notifications/message")))
        return true;
    int wanted = m2s_level(p->in.msg.log_level), level = m2s_level(m->level);
    return wanted >= 0 && level >= wanted;
}

bool m2s_needs_task(struct str entry)
{
    struct jwant execution = {.name = STR("execution")}, support = {.name = STR("taskSupport")};
    struct err ignored;
    return jscan_object(entry, &execution, 1, &ignored) && !str_is_absent(execution.value) &&
           jscan_type(execution.value) == JTYPE_OBJECT &&
           jscan_object(execution.value, &support, 1, &ignored) && !str_is_absent(support.value) &&
           jscan_type(support.value) == JTYPE_STRING &&
           jscan_string_eq(support.value, STR("required"));
}

/* ---- requests ---- */

static bool discover(struct proxied *p, struct err *e)
{
    struct pool_who who = proxied_pool_who(p);
    struct str result;
    if (!session_pool_get(p->sv, p->a, p->entry, &p->cred, &who, &p->pooled, e) ||
        !m2s_discover(p->a, p->pooled.initialize, &result, e))
        return false;
    struct buf out;
    buf_init(&out, (size_t)2 * LIMIT_ANSWER_HELD);
    rpc_write_result(&out, p->in.msg.id, result);
    struct str text = buf_ok(&out) ? arena_dup(p->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return proxied_record(p, "ok", NULL, text.n, e) && proxied_send(p, text, 200, e);
}

bool m2s_request(struct proxied *p, bool *is_answered, struct err *e)
{
    const struct rpc_message *m = &p->in.msg;
    struct jwant wants[] = {{.name = STR("requestState")}, {.name = STR("inputResponses")}};
    *is_answered = true;
    p->is_m2s = p->is_pooled = true;
    p->capabilities = m2s_caps_project(p->a, m->client_capabilities);
    if (str_is_absent(p->capabilities))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (is_removed(m->method))
        return err_set(e, ERR_METHOD_NOT_FOUND, "Method not found: %.*s",
                       STR_FMT(str_slice(m->method, 0, 80)));
    if (!str_is_absent(m->log_level) && m2s_level(m->log_level) < 0)
        return err_set(e, ERR_INVALID,
                       "params._meta.io.modelcontextprotocol/logLevel is not a log level");
    if (str_eq(m->method, STR("server/discover")))
        return discover(p, e);
    if (p->kind == METHOD_LISTEN)
        return m2s_listen(p, e);
    if (!may_ask(p)) {
        *is_answered = false;
        return true;
    }
    if (!jscan_object(m->params, wants, ARRAY_LEN(wants), e))
        return false;
    if (!str_is_absent(wants[0].value) || !str_is_absent(wants[1].value))
        return m2s_resume(p, wants[0].value, wants[1].value, e);
    /* Who can be asked nothing and hears nothing needs no keeper. */
    *is_answered = m2s_caps_read(m->client_capabilities) != 0 ||
                   !str_is_absent(m->progress_token) || !str_is_absent(m->log_level);
    return !*is_answered || m2s_run(p, e);
}
