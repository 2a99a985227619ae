/* Connecting servers by OAuth: the list, the question, the way back. */
#include "routes/pages_connections.h"

#include "auth/downstream/access.h"
#include "auth/downstream/connect.h"
#include "auth/downstream/disconnect.h"
#include "auth/oauth/wire.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/uri.h"
#include "io/fiber.h"
#include "management-tools/registry.h"
#include "mcp/upstream.h"
#include "routes/page_tools.h"
#include "store/downstream_tokens.h"
#include "store/orgs.h"

enum { LIST_PAGES = 10 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static struct str host_of(struct str url)
{
    struct uri u;
    return !str_is_absent(url) && uri_parse(url, &u) ? u.host : STR("");
}

/* ---- the question ---- */

struct asked {
    struct connection conn;
    struct org org;
    struct str owner, scope;
    struct downstream_token token;
    bool has_token;
};

/* What CONNECTION_AUTHORIZE says of it: existence, membership and the right to do it. */
static bool asked_read(struct http_request *rq, struct str org_id, struct str scope,
                       struct asked *out, struct err *e)
{
    struct services *sv = rq->context;
    const struct session_person *person = page_person(rq);
    const struct jvalue *answer;
    struct page_call c;
    *out = (struct asked){.has_token = false};
    if (org_id.n == 0)
        org_id = person->caller.org_id;
    if (str_is_absent(org_id))
        return err_set(e, ERR_NOT_FOUND, "there is no such connection here");
    page_call_begin(&c);
    jout_kstr(&c.j, "organization_id", org_id);
    jout_kstr(&c.j, "connection_id", rq->params[0]);
    if (scope.n > 0)
        jout_kstr(&c.j, "scope", scope);
    if (!page_tool(rq, "CONNECTION_AUTHORIZE", &c, &answer, e))
        return false;
    out->scope = jv_get_str(answer, "scope");
    out->owner = str_eq(out->scope, STR("user")) ? person->session.user_id : STR("");
    if (!connections_get(sv->db, rq->arena, org_id, jv_get_str(answer, "connection_id"), &out->conn,
                         e) ||
        !orgs_get(sv->db, rq->arena, org_id, &out->org, e))
        return false;
    out->has_token =
        downstream_tokens_get(sv->db, rq->arena, org_id, out->conn.id, out->owner, &out->token, e);
    return out->has_token || e->code == ERR_NOT_FOUND;
}

static void asked_show(struct http_request *rq, const struct asked *q)
{
    const struct session_person *person = page_person(rq);
    bool is_good = q->has_token && str_is_absent(q->token.failure);
    const struct page_value values[] = {
        PV("name", q->conn.name),
        PV("host", host_of(q->conn.url)),
        PV("email", person->session.email),
        PV("org_name", q->org.name),
        PV_FLAG("is_org", q->owner.n == 0),
        PV_FLAG("connected", is_good),
        PV_FLAG("ended", q->has_token && !is_good),
        PV_FLAG("wants_more", is_good && !str_is_absent(q->token.wanted_scope)),
        PV_FLAG("is_done", is_good && str_eq(page_query(rq, "done"), STR("1"))),
        PV("connection_id", q->conn.id),
        PV("organization_id", q->org.id),
        PV("scope", q->scope),
        PV("csrf_token", person->session.csrf_token),
        PV_END};
    page_answer(rq, 200, "connect", values, STR_NONE);
}

static struct str or_empty(struct str s)
{
    return str_is_absent(s) ? STR("") : s;
}

void page_connect_get(struct http_request *rq)
{
    struct asked q;
    struct err e;
    if (asked_read(rq, or_empty(page_query(rq, "organization_id")),
                   or_empty(page_query(rq, "scope")), &q, &e))
        asked_show(rq, &q);
    else
        page_error(rq, &e);
}

/* A page that goes on by itself: Chromium would hold a redirect against form-action. */
static void go_on(struct http_request *rq, struct str url)
{
    const struct page_value values[] = {PV("location", url), PV_END};
    page_answer(rq, 200, "onward", values, STR_NONE);
}

static bool connect_begin(struct http_request *rq, struct err *e)
{
    struct services *sv = rq->context;
    const struct browser_session *session = &page_person(rq)->session;
    const struct downstream_person person = {session->user_id, session->id, wire_origin(rq)};
    struct form form;
    struct asked q;
    struct str url;
    if (!page_form_read(rq, &form, e) ||
        !asked_read(rq, page_field(&form, "organization_id"), page_field(&form, "scope"), &q, e) ||
        !downstream_connect_begin(sv, rq->arena, &q.conn, q.owner, &person, &url, e))
        return false;
    go_on(rq, url);
    return true;
}

void page_connect_post(struct http_request *rq)
{
    struct err e;
    if (!connect_begin(rq, &e))
        page_error(rq, &e);
}

/* ---- the way back ---- */

/* Whoever left the organization meanwhile, or manages its connections no longer, connects nothing.
 */
static bool may_still(struct http_request *rq, const struct browser_session *session,
                      const struct downstream_return *about, struct err *e)
{
    struct services *sv = rq->context;
    struct browser_session there = *session;
    struct caller caller;
    there.org_id = about->org_id;
    if (!session_caller(sv, rq->arena, &there, &caller, e))
        return false;
    bool may = str_eq(caller.org_id, about->org_id);
    if (may && about->owner.n == 0)
        may = registry_decide(sv, &caller, registry_find(STR("CONNECTION_UPDATE")),
                              about->connection_id)
                  .is_allowed;
    else if (may)
        may = str_eq(about->owner, session->user_id);
    return may || err_set(e, ERR_FORBIDDEN, "you may not connect this server any more");
}

/* What was so before the code was redeemed is looked at again: who removes a member or moves a
 * connection meanwhile has not seen the new tokens. */
static bool keep_if_still(struct http_request *rq, const struct browser_session *session,
                          const struct downstream_return *about, const struct connection *conn,
                          struct err *e)
{
    struct services *sv = rq->context;
    struct connection now;
    struct err ignored;
    bool is_same = may_still(rq, session, about, e) &&
                   connections_get(sv->db, rq->arena, about->org_id, conn->id, &now, e) &&
                   (str_eq(now.url, conn->url) ||
                    err_set(e, ERR_BAD_REQUEST,
                            "The connection was changed meanwhile. Start again from the "
                            "connections page."));
    if (!is_same)
        (void)!downstream_disconnect(sv, rq->arena, conn, about->owner, NULL, &ignored);
    return is_same;
}

static bool redeem(struct http_request *rq, const struct form *params,
                   const struct browser_session *session, struct downstream_return *about,
                   struct err *e)
{
    struct services *sv = rq->context;
    const struct downstream_person person = {session->user_id, session->id, wire_origin(rq)};
    struct downstream_pending *pending;
    struct connection conn;
    return downstream_connect_take(sv, rq->arena, params, &person, &pending, about, e) &&
           may_still(rq, session, about, e) &&
           connections_get(sv->db, rq->arena, about->org_id, about->connection_id, &conn, e) &&
           downstream_connect_finish(sv, rq->arena, pending, &conn, params, e) &&
           keep_if_still(rq, session, about, &conn, e);
}

/* A code is worth something once: whoever leaves meanwhile, what it is worth is kept or revoked. */
static bool finish(struct http_request *rq, const struct form *params,
                   const struct browser_session *session, struct downstream_return *about,
                   struct err *e)
{
    fiber_shield(true);
    bool is_good = redeem(rq, params, session, about, e);
    fiber_shield(false);
    if (is_good)
        upstream_forget(rq->context, about->org_id, about->connection_id);
    return is_good;
}

static bool record(struct http_request *rq, const struct browser_session *session,
                   const struct downstream_return *about, const struct err *why, struct err *e)
{
    if (str_is_absent(about->org_id))
        return true;
    const struct wire_event event = {.method = "connection_authorized",
                                     .org_id = about->org_id,
                                     .user_id = session->user_id,
                                     .name = about->connection_id,
                                     .outcome = why ? "failed" : "ok",
                                     .error = why ? why->msg : NULL};
    return wire_audit(rq, &event, e);
}

void page_connect_return(struct http_request *rq)
{
    struct browser_session session;
    struct downstream_return about = {.org_id = STR_NONE};
    struct form params;
    struct err e, ignored;
    if (!form_parse(rq->arena, rq->query, &params, &e) || !session_find(rq, &session, &e)) {
        if (e.code == ERR_UNAUTHENTICATED)
            err_set(&e, ERR_BAD_REQUEST,
                    "You are not signed in any more. Sign in and connect the server again.");
        page_error(rq, &e);
        return;
    }
    if (!finish(rq, &params, &session, &about, &e)) {
        (void)!record(rq, &session, &about, &e, &ignored);
        page_error(rq, &e);
        return;
    }
    struct str to =
        arena_printf(rq->arena, "/oauth/connect/%.*s?organization_id=%.*s&scope=%s&done=1",
                     STR_FMT(about.connection_id), STR_FMT(about.org_id),
                     about.owner.n ? "user" : "organization");
    if (!record(rq, &session, &about, NULL, &e) || (str_is_absent(to) && !no_memory(&e)))
        page_error(rq, &e);
    else
        page_redirect(rq, to);
}

/* ---- the list ---- */

struct listing {
    struct http_request *rq;
    struct page_row *rows;
    size_t n;
    struct downstream_token *mine, *shared;
    size_t n_mine, n_shared;
};

static const struct downstream_token *token_of(const struct listing *l, struct str connection_id,
                                               bool is_org)
{
    const struct downstream_token *list = is_org ? l->shared : l->mine;
    size_t n = is_org ? l->n_shared : l->n_mine;
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i].connection_id, connection_id))
            return &list[i];
    return NULL;
}

static bool row_add(struct listing *l, const struct jvalue *item, struct err *e)
{
    struct http_request *rq = l->rq;
    bool is_org = str_eq(jv_get_str(item, "credential_scope"), STR("organization"));
    const struct downstream_token *t = token_of(l, jv_get_str(item, "id"), is_org);
    bool is_good = t && str_is_absent(t->failure);
    char since[CLOCK_RFC3339_SIZE] = "";
    if (is_good)
        clock_rfc3339(t->authorized_at, since);
    const struct page_value values[] = {
        PV("name", jv_get_str(item, "name")),
        PV("host", host_of(jv_get_str(item, "url"))),
        PV("state", is_good ? STR("connected")
                    : t     ? STR("authorization ended")
                            : STR("not connected")),
        PV_FLAG("connected", is_good),
        PV_FLAG("missing", !is_good),
        PV_FLAG("wants_more", is_good && !str_is_absent(t->wanted_scope)),
        PV_FLAG("is_org", is_org),
        PV_FLAG("may_connect", !is_org || page_is_admin(rq)),
        PV("since", page_time(rq->arena, arena_dup(rq->arena, str_c(since)))),
        PV("connection_id", jv_get_str(item, "id")),
        PV("scope", is_org ? STR("organization") : STR("user")),
        PV("organization_id", page_person(rq)->caller.org_id),
        PV("csrf_token", page_person(rq)->session.csrf_token),
        PV_END};
    struct page_value *copy = arena_alloc(rq->arena, sizeof(values));
    if (!copy)
        return no_memory(e);
    memcpy(copy, values, sizeof(values));
    l->rows[l->n++].values = copy;
    return true;
}

static bool list_page(struct listing *l, struct str *cursor, struct err *e)
{
    const struct jvalue *answer;
    struct page_call c;
    page_call_begin(&c);
    jout_kstr(&c.j, "organization_id", page_person(l->rq)->caller.org_id);
    jout_ki64(&c.j, "limit", LIMIT_LIST);
    if (!str_is_absent(*cursor))
        jout_kstr(&c.j, "cursor", *cursor);
    if (!page_tool(l->rq, "CONNECTION_LIST", &c, &answer, e))
        return false;
    const struct jvalue *items = jv_get(answer, "items");
    for (size_t i = 0; i < jv_count(items); i++)
        if (str_eq(jv_get_str(jv_at(items, i), "auth"), STR("oauth")) &&
            !row_add(l, jv_at(items, i), e))
            return false;
    *cursor = jv_get_str(answer, "next_cursor");
    return true;
}

static bool list_read(struct listing *l, struct err *e)
{
    struct http_request *rq = l->rq;
    struct services *sv = rq->context;
    struct str org_id = page_person(rq)->caller.org_id, cursor = STR_NONE;
    l->rows = arena_alloc(rq->arena, (size_t)LIST_PAGES * LIMIT_LIST * sizeof(*l->rows));
    if (!l->rows)
        return no_memory(e);
    if (str_is_absent(org_id))
        return true;
    if (!downstream_tokens_list(sv->db, rq->arena, org_id, page_person(rq)->session.user_id,
                                &l->mine, &l->n_mine, e) ||
        !downstream_tokens_list(sv->db, rq->arena, org_id, STR(""), &l->shared, &l->n_shared, e))
        return false;
    for (int i = 0; i < LIST_PAGES && (i == 0 || !str_is_absent(cursor)); i++)
        if (!list_page(l, &cursor, e))
            return false;
    return true;
}

static bool list_show(struct http_request *rq, struct err *e)
{
    struct services *sv = rq->context;
    struct str org_id = page_person(rq)->caller.org_id;
    struct listing l = {.rq = rq};
    struct org org = {0};
    bool has_org = !str_is_absent(org_id);
    if ((has_org && !orgs_get(sv->db, rq->arena, org_id, &org, e)) || !list_read(&l, e))
        return false;
    bool is_done = str_eq(page_query(rq, "done"), STR("disconnected"));
    const struct page_value values[] = {
        PV("notice", is_done ? STR("Disconnected. The server was told to forget the authorization.")
                             : STR_NONE),
        PV_FLAG("has_org", has_org),
        PV("org_name", org.name),
        PV_ROWS("rows", l.rows, l.n),
        PV_FLAG("has_rows", l.n > 0),
        PV_END};
    page_answer(rq, 200, "connections", values, STR_NONE);
    return true;
}

void page_connections_get(struct http_request *rq)
{
    struct err e;
    if (!list_show(rq, &e))
        page_error(rq, &e);
}

static bool disconnect(struct http_request *rq, struct err *e)
{
    struct form form;
    struct page_call c;
    if (!page_form_read(rq, &form, e))
        return false;
    page_call_begin(&c);
    jout_kstr(&c.j, "organization_id", page_field(&form, "organization_id"));
    jout_kstr(&c.j, "connection_id", page_field(&form, "connection_id"));
    jout_kstr(&c.j, "scope", page_field(&form, "scope"));
    return page_tool(rq, "CONNECTION_CREDENTIAL_DELETE", &c, NULL, e);
}

void page_connections_post(struct http_request *rq)
{
    struct err e;
    if (disconnect(rq, &e))
        page_redirect(rq, STR("/account/connections?done=disconnected"));
    else
        page_error(rq, &e);
}
