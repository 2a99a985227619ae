/* Ways to a session server, for fibers that have no request of their own. */
#include "base/limits.h"
#include "mcp/hop_id.h"
#include "mcp/m2s_parts.h"

void m2s_party_of(const struct proxied *p, struct arena *a, struct m2s_party *out)
{
    *out = (struct m2s_party){.org_id = arena_dup(a, p->caller->org_id),
                              .connection_id = arena_dup(a, p->entry->conn.id),
                              .user_id = arena_dup(a, p->caller->user_id),
                              .principal = arena_dup(a, p->caller->principal),
                              .capabilities = arena_dup(a, p->capabilities)};
}

static struct pool_who who_of(const struct m2s_link *k)
{
    return (struct pool_who){.principal = k->party->principal,
                             .capabilities = k->party->capabilities};
}

bool m2s_link_open(struct m2s_link *k, struct services *sv, struct arena *a,
                   const struct m2s_party *party, struct err *e)
{
    *k = (struct m2s_link){.sv = sv, .a = a, .party = party};
    if (!registry_get(sv, a, party->org_id, party->connection_id, &k->entry, e) ||
        !credential_load(sv, a, k->entry, party->user_id, &k->cred, e))
        return false;
    struct pool_who who = who_of(k);
    k->key = session_pool_key(a, k->entry, &k->cred, &who);
    return !str_is_absent(k->key) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool m2s_link_session(struct m2s_link *k, struct err *e)
{
    struct pool_who who = who_of(k);
    return session_pool_get(k->sv, k->a, k->entry, &k->cred, &who, &k->session, e);
}

void m2s_link_lost(struct m2s_link *k)
{
    struct pool_who who = who_of(k);
    session_pool_drop(k->sv, k->a, k->entry, &k->cred, &who, k->session.id);
}

void m2s_link_end(struct m2s_link *k)
{
    credential_end(&k->cred);
}

void m2s_link_message(const struct m2s_link *k, struct upstream_message *m)
{
    *m = (struct upstream_message){.entry = k->entry,
                                   .credential = &k->cred,
                                   .http_method = STR("POST"),
                                   .era = ERA_SESSION,
                                   .version = k->session.version,
                                   .session_id = k->session.id};
}

bool m2s_link_post(struct m2s_link *k, struct str body, struct err *e)
{
    struct upstream_message m;
    struct http_answer_head head;
    m2s_link_message(k, &m);
    m.body = body;
    m.first_byte_ms = m.total_ms = k->patience_ms ? k->patience_ms : LIMIT_PROBE_MS;
    if (str_is_absent(body))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    auto_free(exchange_closep) struct exchange *x = upstream_send(k->sv, k->a, &m, &head, e);
    return x && upstream_status_check(&head, !str_is_absent(k->session.id), e);
}

bool m2s_link_ask(struct m2s_link *k, const char *method, struct str params, struct err *e)
{
    struct upstream_message m;
    struct http_answer_head head;
    struct upstream_response r;
    struct str id = hop_id_fresh(k->a, k->sv->worker);
    m2s_link_message(k, &m);
    m.body =
        arena_printf(k->a, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":\"%s\",\"params\":%.*s}",
                     STR_FMT(id), method, STR_FMT(params));
    m.first_byte_ms = m.total_ms = k->patience_ms ? k->patience_ms : LIMIT_PROBE_MS;
    if (str_is_absent(m.body))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    auto_free(exchange_closep) struct exchange *x = upstream_send(k->sv, k->a, &m, &head, e);
    if (!x || !upstream_status_check(&head, !str_is_absent(k->session.id), e) ||
        !upstream_reply_read(k->a, x, &head, id, LIMIT_ANSWER_HELD, NULL, &r, e))
        return false;
    return str_is_absent(r.error) || err_set(e, ERR_UPSTREAM, "the server refused %s", method);
}
