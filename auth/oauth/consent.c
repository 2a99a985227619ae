/* The consent page and its answer. What was asked for travels through the browser sealed to the
 * session: nothing in the form is believed but the decision and which of the offered targets it is
 * for. */
#include <stdio.h>

#include "auth/oauth/authorize.h"
#include "auth/oauth/client_document.h"
#include "auth/oauth/consent_access.h"
#include "auth/oauth/consent_parts.h"
#include "auth/oauth/redirect_uri.h"
#include "auth/oauth/scope.h"
#include "auth/oauth/wire.h"
#include "auth/pages.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/uri.h"
#include "crypto/keyring.h"

#define PURPOSE STR("oauth-consent")

enum { LIFE_MS = 15 * 60 * 1000, SEALED_MAX = LIMIT_BODY_FORM, VALUE_MAX = 2 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- the sealed request ---- */

static bool request_seal(const struct authorization *z, struct str session_id, struct str *out,
                         struct err *e)
{
    struct buf plain, sealed;
    buf_init(&plain, SEALED_MAX / 2);
    buf_init(&sealed, SEALED_MAX);
    buf_addf(&plain, "%.*s\n%lld\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%d\n%.*s", STR_FMT(z->id),
             (long long)z->started_at, STR_FMT(z->client.id), STR_FMT(z->redirect_uri),
             STR_FMT(z->challenge), STR_FMT(z->scope), STR_FMT(z->resource), STR_FMT(z->nonce),
             str_is_absent(z->state) ? 0 : 1, STR_FMT(z->state));
    bool is_good =
        buf_ok(&plain) && keyring_seal(z->sv->keys, PURPOSE, session_id, buf_str(&plain), &sealed);
    *out = is_good ? arena_dup(z->a, buf_str(&sealed)) : STR_NONE;
    buf_end(&plain);
    buf_end(&sealed);
    return !str_is_absent(*out) || no_memory(e);
}

/* The last piece is the state as it is, line breaks included. */
static bool request_read(struct authorization *z, struct str plain)
{
    struct str rest = arena_dup(z->a, plain), started, has_state = STR_NONE;
    bool is_good =
        str_next(&rest, '\n', &z->id) && str_next(&rest, '\n', &started) &&
        str_next(&rest, '\n', &z->client.id) && str_next(&rest, '\n', &z->redirect_uri) &&
        str_next(&rest, '\n', &z->challenge) && str_next(&rest, '\n', &z->scope) &&
        str_next(&rest, '\n', &z->resource) && str_next(&rest, '\n', &z->nonce) &&
        str_next(&rest, '\n', &has_state) && str_to_i64(started, 0, INT64_MAX, &z->started_at);
    if (z->nonce.n == 0)
        z->nonce = STR_NONE;
    z->state = str_eq(has_state, STR("1")) ? rest : STR_NONE;
    return is_good;
}

static bool request_open(struct authorization *z, struct str session_id, struct str sealed,
                         struct err *e)
{
    struct buf plain;
    buf_init(&plain, SEALED_MAX);
    bool is_good = keyring_open(z->sv->keys, PURPOSE, session_id, sealed, &plain) &&
                   request_read(z, buf_str(&plain));
    buf_end(&plain);
    if (!is_good)
        return err_set(e, ERR_BAD_REQUEST,
                       "This page belongs to another sign-in. Start again from your program.");
    if (clock_wall_ms() - z->started_at > LIFE_MS)
        return err_set(e, ERR_BAD_REQUEST, "This page has expired. Start again from your program.");
    return true;
}

/* ---- the page ---- */

static const char *scope_text(struct str word)
{
    if (str_eq(word, STR("mcp")))
        return "Use the tools, resources and prompts that you may use";
    if (str_eq(word, STR("mcp:read")))
        return "Use the tools that only read";
    if (str_eq(word, STR("mcp:manage")))
        return "Manage the organization as far as you may: servers, people, keys";
    if (str_eq(word, STR("openid")))
        return "Know that it is you";
    if (str_eq(word, STR("profile")))
        return "Know your name";
    if (str_eq(word, STR("email")))
        return "Know your e-mail address";
    if (scope_is_connection(word))
        return str_ends(word, STR(":read")) ? "Of one server that it named: only what reads"
                                            : "Only at servers that it named";
    return "Stay connected until you end it";
}

size_t consent_scope_rows(const struct authorization *z, struct str scope,
                          struct page_row rows[CONSENT_SCOPES_MAX])
{
    struct str rest = scope, word;
    size_t n = 0;
    while (n < CONSENT_SCOPES_MAX && str_next(&rest, ' ', &word)) {
        struct page_value *v = arena_alloc(z->a, VALUE_MAX * sizeof(*v));
        if (!v)
            return n;
        v[0] = (struct page_value){.name = "text", .text = str_c(scope_text(word))};
        rows[n++].values = v;
    }
    return n;
}

struct page_row *consent_target_rows(const struct authorization *z, const struct targets *t)
{
    enum { PER_ROW = 5 };
    struct page_row *rows = arena_alloc(z->a, t->n * sizeof(*rows));
    struct page_value *v = arena_alloc(z->a, t->n * PER_ROW * sizeof(*v));
    if (!rows || !v)
        return NULL;
    for (size_t i = 0; i < t->n; i++, v += PER_ROW) {
        const struct target *one = &t->items[i];
        v[0] = (struct page_value){
            .name = "value",
            .text = arena_printf(z->a, "%.*s|%.*s", STR_FMT(one->org_id), STR_FMT(one->resource))};
        v[1] = (struct page_value){.name = "label", .text = one->name};
        v[2] = (struct page_value){.name = "org_name", .text = one->org_name};
        v[3] = (struct page_value){.name = "is_chosen",
                                   .text = i == t->preferred ? STR("1") : STR_NONE};
        rows[i].values = v;
    }
    return rows;
}

struct page_row *consent_elsewhere_rows(const struct authorization *z, const struct targets *t)
{
    enum { PER_ROW = 4 };
    struct page_row *rows = arena_alloc(z->a, (t->n_elsewhere + 1) * sizeof(*rows));
    struct page_value *v = arena_alloc(z->a, (t->n_elsewhere + 1) * PER_ROW * sizeof(*v));
    if (!rows || !v)
        return NULL;
    for (size_t i = 0; i < t->n_elsewhere; i++, v += PER_ROW) {
        const struct elsewhere *one = &t->elsewhere[i];
        v[0] = (struct page_value){.name = "elsewhere_name", .text = one->org_name};
        v[1] = (struct page_value){.name = "elsewhere_why", .text = str_c(one->why)};
        v[2] = (struct page_value){.name = "elsewhere_path", .text = one->path};
        rows[i].values = v;
    }
    return rows;
}

bool consent_elsewhere_show(const struct authorization *z, const struct browser_session *session,
                            const struct targets *targets, struct err *e)
{
    struct page_row *rows = consent_elsewhere_rows(z, targets);
    if (!rows)
        return no_memory(e);
    const struct page_value values[] = {
        {.name = "email", .text = session->email},
        {.name = "elsewhere", .rows = rows, .n_rows = targets->n_elsewhere},
        {.name = NULL}};
    page_answer(z->rq, 403, "elsewhere", values, STR_NONE);
    return true;
}

static bool is_loopback(struct str redirect_uri)
{
    struct uri u;
    return uri_parse(redirect_uri, &u) && uri_is_http(&u) && uri_host_is_loopback(u.host);
}

struct str consent_document_host(struct str client_id)
{
    struct uri u;
    return client_document_is_id(client_id) && uri_parse(client_id, &u) ? u.host : STR_NONE;
}

bool consent_may_narrow(const struct authorization *z, const struct targets *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (!str_eq(t->items[i].resource, STR("management")))
            return str_list_has(z->scope, STR("mcp"));
    return false;
}

bool consent_show(const struct authorization *z, const struct browser_session *session,
                  const struct targets *targets, struct err *e)
{
    const struct target *first = &targets->items[targets->preferred];
    struct page_row scopes[CONSENT_SCOPES_MAX];
    struct page_row *rows = consent_target_rows(z, targets);
    struct page_row *elsewhere = consent_elsewhere_rows(z, targets);
    bool is_choice = targets->n > 1;
    struct str scope = is_choice ? z->scope : scope_for_resource(z->a, z->scope, first->resource);
    struct str sealed, csrf, name = z->client.name;
    struct page_row *servers;
    size_t n_servers;
    if (!request_seal(z, session->id, &sealed, e) || !csrf_token_for(z->rq, &csrf, e) ||
        !consent_access_rows(z, targets, &servers, &n_servers, e))
        return false;
    struct str host = redirect_uri_host(z->a, z->redirect_uri);
    struct str form_action = redirect_uri_origin(z->a, z->redirect_uri);
    if (!rows || !elsewhere || str_is_absent(host) || str_is_absent(form_action) ||
        str_is_absent(scope))
        return no_memory(e);
    bool is_local = is_loopback(z->redirect_uri);
    bool is_remote = redirect_uri_is_remote(z->redirect_uri);
    const struct page_value values[] = {
        {.name = "client_name",
         .text = str_is_absent(name) ? STR("A program without a name") : name},
        {.name = "redirect_host", .text = host},
        {.name = "client_host", .text = consent_document_host(z->client.id)},
        {.name = "is_local", .text = is_local ? STR("1") : STR_NONE},
        {.name = "is_app", .text = !is_local && !is_remote ? STR("1") : STR_NONE},
        {.name = "email", .text = session->email},
        {.name = "org_name", .text = is_choice ? STR_NONE : first->org_name},
        {.name = "resource_name", .text = first->name},
        {.name = "scopes", .rows = scopes, .n_rows = consent_scope_rows(z, scope, scopes)},
        {.name = "is_choice", .text = is_choice ? STR("1") : STR_NONE},
        {.name = "targets", .rows = rows, .n_rows = is_choice ? targets->n : 0},
        {.name = "elsewhere", .rows = elsewhere, .n_rows = targets->n_elsewhere},
        {.name = "has_access", .text = consent_may_narrow(z, targets) ? STR("1") : STR_NONE},
        {.name = "has_servers", .text = n_servers > 1 ? STR("1") : STR_NONE},
        {.name = "servers", .rows = servers, .n_rows = n_servers > 1 ? n_servers : 0},
        {.name = "request", .text = sealed},
        {.name = "csrf_token", .text = csrf},
        {.name = NULL}};
    page_answer(z->rq, 200, "consent", values, form_action);
    return true;
}

/* ---- its answer ---- */

const struct target *consent_target_find(const struct targets *t, struct str given)
{
    struct str rest = given, org_id;
    if (t->n == 1 && given.n == 0)
        return &t->items[0];
    if (!str_next(&rest, '|', &org_id))
        return NULL;
    for (size_t i = 0; i < t->n; i++)
        if (str_eq(t->items[i].org_id, org_id) && str_eq(t->items[i].resource, rest))
            return &t->items[i];
    return NULL;
}

static bool denied(const struct authorization *z, const struct browser_session *session,
                   struct err *e)
{
    struct wire_event event = {.method = "oauth_consent",
                               .org_id = session->org_id,
                               .user_id = session->user_id,
                               .client_id = z->client.id,
                               .outcome = "denied"};
    if (!wire_audit(z->rq, &event, e))
        return false;
    err_set(e, ERR_ACCESS_DENIED, "the person said no");
    authorize_fail(z, e);
    return true;
}

static bool allowed(struct authorization *z, const struct browser_session *session,
                    const struct form *form, struct err *e)
{
    struct targets targets;
    if (!authorize_targets(z, session, &targets, e)) {
        if (e->code != ERR_INVALID_TARGET && e->code != ERR_ACCESS_DENIED)
            return false;
        err_set(e, ERR_ACCESS_DENIED, "you may not use this any more");
        authorize_fail(z, e);
        return true;
    }
    const struct target *target = consent_target_find(&targets, wire_param(form, "target"));
    if (!target)
        return err_set(e, ERR_BAD_REQUEST, "Choose what the program may use.");
    if (!consent_access_read(z, &targets, target, form, e))
        return false;
    if (consent_grant(z, session, target, e))
        return true;
    return e->code == ERR_CONFLICT
               ? err_set(e, ERR_BAD_REQUEST,
                         "This page was answered already. Start again from your program.")
               : false;
}

/* The form, its page's session, and the request that the page was about. */
static bool answer_read(struct authorization *z, struct form *form, struct browser_session *session,
                        struct err *e)
{
    struct str client_id;
    if (!wire_form_read(z->rq, form, e) || !csrf_check(z->rq, wire_param(form, "csrf_token"), e))
        return false;
    if (!session_find(z->rq, session, e))
        return e->code == ERR_UNAUTHENTICATED
                   ? err_set(e, ERR_BAD_REQUEST,
                             "You are not signed in any more. Start again from your program.")
                   : false;
    if (!request_open(z, session->id, wire_param(form, "request"), e))
        return false;
    client_id = z->client.id;
    if (!oauth_clients_get(z->sv->db, z->a, client_id, &z->client, e) ||
        !redirect_uri_is_listed(z->client.redirect_uris, z->redirect_uri))
        return e->code == ERR_UNAVAILABLE
                   ? false
                   : err_set(e, ERR_BAD_REQUEST, "This program is not registered here any more.");
    return true;
}

void consent_post(struct http_request *rq)
{
    struct err e = {.code = ERR_NONE};
    struct form form;
    struct browser_session session;
    struct authorization z = {.rq = rq, .sv = rq->context, .a = rq->arena};
    bool is_good = answer_read(&z, &form, &session, &e);
    struct str decision = is_good ? wire_param(&form, "decision") : STR_NONE;
    if (is_good && str_eq(decision, STR("allow")))
        is_good = allowed(&z, &session, &form, &e);
    else if (is_good && str_eq(decision, STR("deny")))
        is_good = denied(&z, &session, &e);
    else if (is_good)
        is_good = err_set(&e, ERR_BAD_REQUEST, "The answer must be allow or deny.");
    if (!is_good)
        page_error(rq, &e);
}
