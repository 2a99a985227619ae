/*
 * Resources of several servers that one client subscribes to: each server's are a part of its
 * session (mcp/client_sessions.h), which hears of them as a client of that server's own address
 * would, and says it in the aggregate's words.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"
#include "mcp/m2s.h"
#include "mcp/m2s_caps.h"
#include "mcp/s2m.h"

/* ---- a part is named "connection|slug": its URIs were written with that slug ---- */

static struct str part_name(struct arena *a, const struct connection *conn)
{
    return arena_printf(a, "%.*s|%.*s", STR_FMT(conn->id), STR_FMT(conn->slug));
}

static struct str part_slug(const struct client_session *part, struct str *connection_id)
{
    struct str rest = client_session_who(part)->audience;
    (void)str_next(&rest, '|', connection_id);
    return rest;
}

struct str aggregate_part_message(struct arena *a, const struct client_session *part,
                                  struct str message, struct str meta)
{
    struct rpc_message m;
    struct err ignored;
    struct str connection_id;
    if (!rpc_parse(a, message, &m, &ignored) || str_is_absent(m.uri_text) ||
        !str_eq(m.method, STR("notifications/resources/updated")))
        return STR_NONE;
    struct str shown = names_uri(a, part_slug(part, &connection_id), m.uri_text);
    struct str raw = str_is_absent(shown) ? STR_NONE : rpc_quote(a, shown);
    if (str_is_absent(raw))
        return STR_NONE;
    bool has_meta = !str_is_absent(meta);
    return arena_printf(a,
                        "{\"jsonrpc\":\"2.0\",\"method\":\"%.*s\",\"params\":{\"uri\":%.*s%s%.*s%s}"
                        "}",
                        STR_FMT(m.method), STR_FMT(raw), has_meta ? ",\"_meta\":{" : "",
                        STR_FMT(meta), has_meta ? "}" : "");
}

static void to_session(struct client_session *of, const struct client_session *part,
                       struct str message)
{
    struct arena *a = arena_new((size_t)2 * LIMIT_OUTBOX_BYTES + LIMIT_BODY_FORM);
    struct str text = a ? aggregate_part_message(a, part, message, STR_NONE) : STR_NONE;
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
    struct str name = part_name(p->a, &p->entry->conn);
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

/* ---- stateless clients ---- */

/* The message that a client would send to read it: judged as such. */
static bool may_read(struct aggregate *g, const struct aggregate_entry *entry, struct err *e)
{
    struct proxied p = {.sv = g->p.sv,
                        .a = g->p.a,
                        .caller = g->p.caller,
                        .view = &g->view,
                        .entry = entry->member->entry};
    p.in.msg = (struct rpc_message){.kind = RPC_REQUEST,
                                    .method = STR("resources/read"),
                                    .uri = entry->own,
                                    .uri_text = entry->own};
    return proxied_decide(&p, e);
}

static struct client_session *part_of(const struct aggregate_parts *parts, struct str name)
{
    for (size_t i = 0; i < parts->n; i++)
        if (str_eq(client_session_who(parts->list[i])->audience, name))
            return parts->list[i];
    return NULL;
}

static struct client_session *part_new(struct aggregate *g, struct aggregate_parts *parts,
                                       struct str name, client_sink_fn *sink, void *arg)
{
    const struct caller *caller = g->p.caller;
    struct client_who who = {.org_id = caller->org_id,
                             .user_id = caller->user_id,
                             .principal = caller->principal,
                             .audience = name};
    struct client_hello hello = {.version = g->p.in.version,
                                 .capabilities = g->p.in.msg.client_capabilities,
                                 .is_narrowed = aggregate_is_narrowed(g)};
    struct client_session **grown =
        realloc((void *)parts->list, (parts->n + 1) * sizeof(struct client_session *));
    if (grown)
        parts->list = grown;
    struct client_session *part =
        grown ? client_session_alone(g->p.sv->clients, &who, &hello, sink, arg) : NULL;
    if (part)
        parts->list[parts->n++] = part;
    return part;
}

static bool uri_add(struct aggregate *g, struct aggregate_parts *parts, struct str given,
                    client_sink_fn *sink, void *arg, struct err *e)
{
    struct aggregate_entry entry = {0};
    if (!aggregate_resolve_uri(g, given, &entry, e) || !may_read(g, &entry, e))
        return false;
    struct str name = part_name(g->p.a, &entry.member->entry->conn);
    struct client_session *part = str_is_absent(name) ? NULL : part_of(parts, name);
    if (!part && !str_is_absent(name))
        part = part_new(g, parts, name, sink, arg);
    if (!part)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return client_session_subscribe(part, entry.own, e);
}

/* One server's. What it does not take leaves the part; a server that cannot be asked takes nothing.
 */
static bool part_open(struct aggregate *g, struct client_session *part, struct err *e)
{
    struct str connection_id, *uris;
    struct proxied p = {.sv = g->p.sv, .a = g->p.a, .caller = g->p.caller};
    auto_free(credential_end) struct credential cred = {0};
    size_t n = 0;
    (void)part_slug(part, &connection_id);
    p.capabilities = m2s_caps_project(p.a, g->p.in.msg.client_capabilities);
    if (str_is_absent(p.capabilities))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (registry_get(p.sv, p.a, p.caller->org_id, connection_id, &p.entry, e) &&
        credential_load(p.sv, p.a, p.entry, p.caller->user_id, &cred, e) &&
        upstream_era_find(p.sv, p.a, p.entry, &cred, &p.era, NULL, e) &&
        part_hear(&p, part, STR_NONE, e))
        return true;
    if (e->code == ERR_CANCELLED || !client_session_uris(part, p.a, &uris, &n, e))
        return false;
    for (size_t i = 0; i < n; i++)
        client_session_unsubscribe(part, uris[i]);
    return true;
}

bool aggregate_parts_open(struct aggregate *g, struct str given, client_sink_fn *sink, void *arg,
                          struct aggregate_parts *out, struct err *e)
{
    struct jiter it;
    size_t n = 0;
    *out = (struct aggregate_parts){0};
    if (str_is_absent(given))
        return true;
    if (jscan_type(given) != JTYPE_ARRAY)
        return err_set(e, ERR_INVALID,
                       "params.notifications.resourceSubscriptions is not an array");
    for (jscan_iter(&it, given); jscan_next(&it);) {
        struct str uri;
        if (++n > LIMIT_LISTEN_URIS)
            return err_set(e, ERR_INVALID, "more than %d resourceSubscriptions", LIMIT_LISTEN_URIS);
        if (!jscan_string(g->p.a, it.value, &uri))
            return err_set(
                e, ERR_INVALID,
                "params.notifications.resourceSubscriptions holds something else than strings");
        if (!uri_add(g, out, uri, sink, arg, e))
            return false;
    }
    for (size_t i = 0; i < out->n; i++)
        if (!part_open(g, out->list[i], e))
            return false;
    return true;
}

struct str *aggregate_parts_honoured(struct aggregate *g, struct str given,
                                     const struct aggregate_parts *parts, size_t *n)
{
    struct str *list = arena_alloc(g->p.a, (LIMIT_LISTEN_URIS + 1) * sizeof(*list));
    struct jiter it;
    *n = 0;
    if (!list || str_is_absent(given))
        return list;
    for (jscan_iter(&it, given); jscan_next(&it);) {
        struct str uri, slug, own, connection_id;
        if (!jscan_string(g->p.a, it.value, &uri) || !names_uri_split(g->p.a, uri, &slug, &own))
            continue;
        for (size_t i = 0; i < parts->n; i++)
            if (str_eq(part_slug(parts->list[i], &connection_id), slug) &&
                client_session_wants(parts->list[i], own)) {
                list[(*n)++] = it.value;
                break;
            }
    }
    return list;
}

void aggregate_parts_end(struct aggregate_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++)
        client_session_end(parts->list[i]);
    free((void *)parts->list);
    *parts = (struct aggregate_parts){0};
}

/* ---- who may ---- */

bool aggregate_is_narrowed(const struct aggregate *g)
{
    const struct caller *c = g->p.caller;
    return !g->is_hub || c->builtin_roles == 0 || c->n_statements > 0 || c->tools != NULL;
}

void aggregate_parts_check(struct aggregate *g, struct client_session *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct str connection_id, *uris, slug = part_slug(list[i], &connection_id);
        struct err ignored;
        size_t n_uris = 0;
        if (!client_session_uris(list[i], g->p.a, &uris, &n_uris, &ignored))
            continue;
        for (size_t k = 0; k < n_uris; k++) {
            struct aggregate_entry entry = {0};
            struct str given = names_uri(g->p.a, slug, uris[k]);
            if (!aggregate_resolve_uri(g, given, &entry, &ignored) ||
                !may_read(g, &entry, &ignored))
                client_session_unsubscribe(list[i], uris[k]);
        }
    }
}
