/* The client's message on its way to the server. */
#include "base/limits.h"
#include "json/jout.h"
#include "mcp/hop_id.h"
#include "mcp/m2s_result.h"
#include "mcp/proxied.h"
#include "mcp/upstream_send.h"

enum { EDITS_MAX = 6 };

struct edits {
    struct rpc_edit v[EDITS_MAX];
    size_t n;
};

static void edit(struct edits *list, struct str span, struct str with)
{
    if (list->n < EDITS_MAX && !str_is_absent(with))
        list->v[list->n++] = (struct rpc_edit){span, with};
}

/* A bare request that goes to a stateless server gets the _meta that such servers require of every
 * request. */
static void edit_meta(struct proxied *p, struct edits *list)
{
    const struct rpc_message *m = &p->in.msg;
    static const struct str both =
        STR("\"io.modelcontextprotocol/protocolVersion\":\"" MCP_STATELESS_LATEST "\","
            "\"io.modelcontextprotocol/clientCapabilities\":{}");
    static const struct str version_only =
        STR("\"io.modelcontextprotocol/protocolVersion\":\"" MCP_STATELESS_LATEST "\"");
    /* What the client gave itself is not given twice. */
    struct str inside = str_is_absent(m->client_capabilities) ? both : version_only;
    if (str_is_absent(m->params)) {
        edit(list, m->id,
             arena_printf(p->a, "%.*s,\"params\":{\"_meta\":{%.*s}}", STR_FMT(p->hop_id),
                          STR_FMT(inside)));
        return;
    }
    edit(list, m->id, p->hop_id);
    struct str object = str_is_absent(m->meta) ? m->params : m->meta;
    bool is_empty = str_trim(str_slice(object, 1, object.n - 2)).n == 0;
    struct str with =
        str_is_absent(m->meta)
            ? arena_printf(p->a, "{\"_meta\":{%.*s}%s", STR_FMT(inside), is_empty ? "" : ",")
            : arena_printf(p->a, "{%.*s%s", STR_FMT(inside), is_empty ? "" : ",");
    edit(list, str_slice(object, 0, 1), with);
}

bool proxied_body(struct proxied *p, struct str *out, struct err *e)
{
    const struct rpc_message *m = &p->in.msg;
    struct edits list = {.n = 0};
    if (p->in.is_bare && p->era == ERA_STATELESS)
        edit_meta(p, &list);
    else
        edit(&list, m->id, p->hop_id);
    if (p->is_m2s)
        edit(&list, m->meta, m2s_meta(p->a, m->meta, p->hop_token));
    else if (!str_is_absent(m->progress_token))
        edit(&list, m->progress_token, p->hop_token);
    if (p->tool && !str_is_absent(p->tool->renamed_to))
        edit(&list, m->name, rpc_quote(p->a, p->tool->name));
    bool is_list = p->kind >= METHOD_LIST_TOOLS && p->kind <= METHOD_LIST_PROMPTS;
    if (is_list && !str_is_absent(m->cursor)) {
        struct str raw;
        if (!proxied_cursor_open(p, m->cursor, &raw, e))
            return false;
        edit(&list, m->cursor, raw);
    }
    *out = rpc_replace(p->a, m->raw, list.v, list.n);
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Ids: a function of the client's within its own session, fresh where a session or pool is shared.
   A listen stream keeps the client's id, because it is the subscription's name; nothing else
   travels on that HTTP request. */
bool proxied_ids_choose(struct proxied *p, struct err *e)
{
    const struct rpc_message *m = &p->in.msg;
    if (p->kind == METHOD_LISTEN)
        p->hop_id = m->id;
    else if (!str_is_absent(p->session.key))
        p->hop_id = hop_id_forth(p->a, m->id);
    else
        p->hop_id = hop_id_fresh(p->a, p->sv->worker);
    p->hop_token = p->hop_id;
    return !str_is_absent(p->hop_id) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Tools act, and nobody knows what a method does that is not MCP's; the rest reads or sets. */
static bool is_repeatable(const struct proxied *p)
{
    return p->in.msg.kind == RPC_REQUEST && p->kind != METHOD_TOOL_CALL &&
           p->kind != METHOD_OTHER && p->kind != METHOD_LISTEN;
}

void proxied_message(struct proxied *p, struct upstream_message *m)
{
    bool is_own = !str_is_absent(p->session.key);
    *m = (struct upstream_message){.entry = p->entry,
                                   .credential = &p->cred,
                                   .principal = p->caller->principal,
                                   .http_method = STR("POST"),
                                   .era = p->era,
                                   .is_repeatable = is_repeatable(p),
                                   .rq = p->rq};
    if (p->era == ERA_STATELESS) {
        m->version = p->in.era == ERA_STATELESS ? p->in.version : STR(MCP_STATELESS_LATEST);
        m->method = p->in.msg.method;
        m->name = p->tool ? p->tool->name : inbound_header_name(p->a, &p->in.msg);
    } else {
        m->version = is_own ? p->session.version : p->pooled.version;
        m->session_id = is_own ? p->session.downstream_id : p->pooled.id;
    }
}

struct pool_who proxied_pool_who(const struct proxied *p)
{
    return (struct pool_who){.principal = p->caller->principal, .capabilities = p->capabilities};
}

/* One try. A 404 on a pooled session means that the server never took the request, so it may be
 * asked again. */
static struct exchange *send_once(struct proxied *p, struct http_answer_head *head, struct err *e)
{
    struct upstream_message m;
    struct pool_who who = proxied_pool_who(p);
    if (p->is_pooled && !session_pool_get(p->sv, p->a, p->entry, &p->cred, &who, &p->pooled, e))
        return NULL;
    proxied_message(p, &m);
    if (p->kind == METHOD_LISTEN)
        m.idle_ms = m.total_ms = -1;
    if (!proxied_body(p, &m.body, e))
        return NULL;
    return upstream_send(p->sv, p->a, &m, head, e);
}

struct exchange *proxied_forward(struct proxied *p, struct http_answer_head *head, struct err *e)
{
    if (!proxied_ids_choose(p, e))
        return NULL;
    struct exchange *x = send_once(p, head, e);
    bool is_own = !str_is_absent(p->session.key);
    if (x && is_own && head->status == 404 && proxied_revive(p)) {
        exchange_close(x);
        return send_once(p, head, e);
    }
    if (!x || !p->is_pooled || head->status != 404 || str_is_absent(p->pooled.id))
        return x;
    exchange_close(x);
    struct pool_who who = proxied_pool_who(p);
    session_pool_drop(p->sv, p->a, p->entry, &p->cred, &who, p->pooled.id);
    return send_once(p, head, e);
}

void proxied_refuse_request(struct proxied *p, const struct rpc_message *m)
{
    struct upstream_message answer;
    struct buf body;
    proxied_message(p, &answer);
    buf_init(&body, 4096);
    if (str_eq(m->method, STR("ping")))
        rpc_write_result(&body, m->id, STR("{}"));
    else
        rpc_write_error(&body, m->id, false, -32601, STR("this client cannot be asked"), STR_NONE);
    answer.body = buf_str(&body);
    answer.first_byte_ms = LIMIT_PROBE_MS;
    answer.total_ms = LIMIT_PROBE_MS;
    struct http_answer_head head;
    struct err ignored; /* the server waits for its own time-out then */
    exchange_close(upstream_send(p->sv, p->a, &answer, &head, &ignored));
    buf_end(&body);
}
