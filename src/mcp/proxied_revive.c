/* A session server that forgot its session (404) is given a new one beneath the client's, which
 * need not notice: initialize with what the client declared, its log level, its subscriptions. */
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/hop_id.h"
#include "mcp/proxied.h"
#include "mcp/upstream.h"

/* One request of Tulle's own in the session `m` names; the answer is read to its end. *session: the
 * id that the answer names, empty for none. */
static bool ask(struct proxied *p, struct upstream_message *m, struct str method, struct str params,
                struct str *session, struct upstream_response *r, struct err *e)
{
    struct http_answer_head head;
    struct str id = hop_id_fresh(p->a, p->sv->worker);
    m->body =
        arena_printf(p->a, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":\"%.*s\",\"params\":%.*s}",
                     STR_FMT(id), STR_FMT(method), STR_FMT(params));
    if (str_is_absent(id) || str_is_absent(m->body))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    auto_free(exchange_closep) struct exchange *x = upstream_send(p->sv, p->a, m, &head, e);
    if (!x)
        return false;
    /* The headers are the exchange's, which ends here. */
    *session =
        arena_dup(p->a, http_header_get(head.headers, head.n_headers, STR("Mcp-Session-Id")));
    return upstream_status_check(&head, false, e) &&
           upstream_reply_read(p->a, x, &head, id, LIMIT_ANSWER_HELD, NULL, r, e);
}

static bool session_start(struct proxied *p, const struct session_memory *known,
                          struct upstream_message *m, struct err *e)
{
    struct http_answer_head head;
    struct upstream_response r = {0};
    struct jwant wants[] = {{.name = STR("protocolVersion")}};
    m->session_id = m->version = STR_NONE;
    struct str id = STR_NONE;
    if (!ask(p, m, STR("initialize"), known->hello, &id, &r, e))
        return false;
    if (id.n == 0 || str_is_absent(r.result) || !jscan_object(r.result, wants, 1, e) ||
        str_is_absent(wants[0].value) || !jscan_string(p->a, wants[0].value, &m->version) ||
        era_of_version(m->version) != ERA_SESSION)
        return err_set(e, ERR_UPSTREAM, "the server opened no new session");
    m->session_id = id;
    m->body = STR("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    auto_free(exchange_closep) struct exchange *x = upstream_send(p->sv, p->a, m, &head, e);
    return x != NULL && upstream_status_check(&head, true, e);
}

/* What the client had set in the session before. A server that refuses it now refuses it. */
static void restore(struct proxied *p, const struct session_memory *known,
                    struct upstream_message *m)
{
    struct upstream_response r;
    struct err ignored;
    struct str params, unchanged;
    if (!str_is_absent(known->level)) {
        params = arena_printf(p->a, "{\"level\":%.*s}", STR_FMT(known->level));
        if (!str_is_absent(params))
            (void)!ask(p, m, STR("logging/setLevel"), params, &unchanged, &r, &ignored);
    }
    for (size_t i = 0; i < known->n_uris; i++) {
        params = arena_printf(p->a, "{\"uri\":%.*s}", STR_FMT(known->uris[i]));
        if (!str_is_absent(params))
            (void)!ask(p, m, STR("resources/subscribe"), params, &unchanged, &r, &ignored);
    }
}

bool proxied_revive(struct proxied *p)
{
    struct session_memory known;
    struct upstream_message m;
    struct err ignored;
    if (!session_recall(p->sv->sessions, p->a, p->session.key, &known))
        return false;
    if (!str_eq(known.downstream_id, p->session.downstream_id)) {
        p->session.downstream_id = known.downstream_id; /* somebody else was faster */
        p->session.version = known.version;
        return true;
    }
    proxied_message(p, &m);
    m.first_byte_ms = LIMIT_PROBE_MS;
    if (!session_start(p, &known, &m, &ignored))
        return false;
    restore(p, &known, &m);
    if (session_renew(p->sv->sessions, p->session.key, known.downstream_id, m.session_id,
                      m.version)) {
        p->session.downstream_id = m.session_id;
        p->session.version = m.version;
        return true;
    }
    upstream_session_end(p->sv, p->a, p->entry, &p->cred, m.session_id, m.version);
    if (!session_recall(p->sv->sessions, p->a, p->session.key, &known))
        return false; /* the client has ended it meanwhile */
    p->session.downstream_id = known.downstream_id;
    p->session.version = known.version;
    return true;
}

void proxied_remember(struct proxied *p)
{
    const struct rpc_message *m = &p->in.msg;
    struct session_table *t = p->sv->sessions;
    if (str_is_absent(p->session.key) || str_is_absent(m->method))
        return;
    if (str_eq(m->method, STR("logging/setLevel")))
        session_note_level(t, p->session.key, m->level);
    else if (str_eq(m->method, STR("resources/subscribe")))
        session_note_uri(t, p->session.key, m->uri, true);
    else if (str_eq(m->method, STR("resources/unsubscribe")))
        session_note_uri(t, p->session.key, m->uri, false);
}
