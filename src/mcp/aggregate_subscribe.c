/*
 * Resources of several servers that one client subscribes to: each server's are a part of its
 * session (mcp/client_sessions.h), which hears of them as a client of that server's own address
 * would, and says it in the aggregate's words.
 */
#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"
#include "mcp/m2s.h"
#include "mcp/m2s_caps.h"
#include "mcp/s2m.h"

/* ---- a part is named "connection|slug": its URIs were written with that slug ---- */

struct str aggregate_part_name(struct arena *a, const struct connection *conn)
{
    return arena_printf(a, "%.*s|%.*s", STR_FMT(conn->id), STR_FMT(conn->slug));
}

struct str aggregate_part_slug(const struct client_session *part, struct str *connection_id)
{
    struct str rest = client_session_who(part)->audience;
    (void)str_next(&rest, '|', connection_id);
    return rest;
}

struct str aggregate_part_message(struct arena *a, const struct client_session *part,
                                  const struct rpc_message *m, struct str meta)
{
    struct str connection_id;
    if (str_is_absent(m->uri_text) || !str_eq(m->method, STR("notifications/resources/updated")))
        return STR_NONE;
    struct str shown = names_uri(a, aggregate_part_slug(part, &connection_id), m->uri_text);
    struct str raw = str_is_absent(shown) ? STR_NONE : rpc_quote(a, shown);
    if (str_is_absent(raw))
        return STR_NONE;
    bool has_meta = !str_is_absent(meta);
    return arena_printf(a,
                        "{\"jsonrpc\":\"2.0\",\"method\":\"%.*s\",\"params\":{\"uri\":%.*s%s%.*s%s}"
                        "}",
                        STR_FMT(m->method), STR_FMT(raw), has_meta ? ",\"_meta\":{" : "",
                        STR_FMT(meta), has_meta ? "}" : "");
}

static void to_session(struct client_session *of, const struct client_session *part,
                       struct str message)
{
    struct arena *a = arena_new((size_t)2 * LIMIT_OUTBOX_BYTES + LIMIT_BODY_FORM);
    struct rpc_message m;
    struct err ignored;
    struct str text = a && rpc_parse(a, message, &m, &ignored)
                          ? aggregate_part_message(a, part, &m, STR_NONE)
                          : STR_NONE;
    if (!str_is_absent(text))
        (void)client_session_push(of, text);
    arena_end(a);
}

/* ---- session clients ---- */

bool aggregate_is_subscription(struct str method)
{
    return str_eq(method, STR("resources/subscribe")) ||
           str_eq(method, STR("resources/unsubscribe"));
}

static bool part_hear(struct proxied *p, struct client_session *part, struct str uri, struct err *e)
{
    return p->era == ERA_STATELESS
               ? s2m_listen(p->sv, p->a, part, p->entry->conn.id, uri, e)
               : m2s_hear(p->sv, p->a, part, p->entry->conn.id, p->capabilities, uri, e);
}

static bool subscribe(struct proxied *p, struct str name, struct err *e)
{
    struct str uri = p->in.msg.uri_text;
    struct client_session *part = client_session_branch(p->client, name, to_session);
    if (!part)
        return err_set(e, ERR_SESSION_NOT_FOUND, "Session not found");
    bool is_good = client_session_subscribe(part, uri, e) && part_hear(p, part, uri, e);
    if (!is_good)
        client_session_unsubscribe(part, uri);
    client_session_release(part);
    return is_good;
}

static void unsubscribe(struct proxied *p, struct str name)
{
    struct client_session *part = client_session_branch_find(p->client, name);
    struct str *uris;
    struct err ignored; /* what still comes for it is dropped */
    size_t n = 0;
    if (part && client_session_unsubscribe(part, p->in.msg.uri_text) &&
        client_session_uris(part, p->a, &uris, &n, &ignored)) {
        if (n == 0)
            client_session_end(part);
        else
            (void)!part_hear(p, part, STR_NONE, &ignored);
    }
    if (part)
        client_session_release(part);
}

bool aggregate_subscription(struct proxied *p, struct err *e)
{
    struct str name = aggregate_part_name(p->a, &p->entry->conn);
    struct str text = arena_printf(p->a, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{}}",
                                   STR_FMT(p->in.msg.id));
    if (str_is_absent(name) || str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (str_eq(p->in.msg.method, STR("resources/unsubscribe")))
        unsubscribe(p, name);
    else if (!subscribe(p, name, e))
        return false;
    return proxied_record(p, "ok", NULL, text.n, e) && proxied_send(p, text, 200, e);
}
