/* Sign-in through other identity providers, as a browser sees it. */
#include "routes/pages_sso.h"

#include "auth/login/login_audit.h"
#include "auth/session/return_to.h"
#include "auth/sso/oidc.h"
#include "auth/sso/sso_test.h"
#include "base/limits.h"
#include "routes/page_tools.h"

/* The cookie and the provider's answer must meet at one name: a loopback server has several. */
static bool is_at_home(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct str origin = str_c(sv->config->origin);
    size_t at = str_find(origin, STR("://"));
    return str_ieq(http_request_header(rq, STR("Host")), str_slice(origin, at + 3, SIZE_MAX));
}

static void go_home(struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct str url = arena_printf(rq->arena, "%s%.*s%s%.*s", sv->config->origin, STR_FMT(rq->path),
                                  str_is_absent(rq->query) ? "" : "?", STR_FMT(rq->query));
    struct err e;
    if (!str_is_absent(url)) {
        page_redirect(rq, url);
        return;
    }
    err_set(&e, ERR_UNAVAILABLE, "out of memory");
    page_error(rq, &e);
}

void page_oidc_start(struct http_request *rq)
{
    const struct oidc_errand errand = {.purpose = "signin",
                                       .return_to = page_query(rq, "return_to"),
                                       .login_hint = page_query(rq, "login_hint")};
    struct str url;
    struct err e;
    if (!is_at_home(rq))
        go_home(rq);
    else if (errand.login_hint.n > LIMIT_EMAIL)
        page_redirect(rq, STR("/login"));
    else if (oidc_begin(rq, rq->params[0], &errand, &url, &e))
        page_redirect(rq, url);
    else
        page_error(rq, &e);
}

/* A failure that is somebody's sign-in: their organization sees it in its audit log. */
static void record_failure(struct http_request *rq, const struct oidc_return *back,
                           const struct err *why)
{
    struct err ignored; /* the page says what happened */
    const struct login_event event = {.method = "signin",
                                      .org_id = back->provider.row.org_id,
                                      .name = STR("oidc"),
                                      .outcome = "failed",
                                      .error = why->msg};
    if (back->has_errand)
        (void)!login_audit(rq->context, rq, &event, &ignored);
}

/* Somebody signed in links the identity that they have just proved. */
static bool link_finish(struct http_request *rq, const struct oidc_return *back, struct str *next,
                        struct err *e)
{
    struct browser_session session;
    const struct login_event event = {.method = "identity_link",
                                      .user_id = back->user_id,
                                      .org_id = back->provider.row.org_id,
                                      .name = back->provider.row.name,
                                      .outcome = "ok"};
    *next = STR("/account/identities?done=linked");
    if (!session_find(rq, &session, e))
        return false;
    if (!str_eq(session.user_id, back->user_id))
        return err_set(e, ERR_FORBIDDEN,
                       "Somebody else is signed in here now. Nothing was linked.");
    return identity_link(rq->context, rq->arena, &back->identity, back->user_id, e) &&
           login_audit(rq->context, rq, &event, e);
}

/* The person of the present session, proved again by one of their identities. */
static bool again_finish(struct http_request *rq, const struct oidc_return *back, struct str *next,
                         struct err *e)
{
    struct services *sv = rq->context;
    struct identity_verdict v;
    if (!identity_judge(sv, rq->arena, &back->identity, &v, e))
        return false;
    if (v.way != IDENTITY_KNOWN || !str_eq(v.user_id, back->user_id))
        return err_set(e, ERR_FORBIDDEN, "This is not the account that you are signed in to.");
    return identity_signin(rq, &back->identity, back->method, back->return_to, next, e);
}

/* A dry run: shown, and nothing else. Not good: *e says why the checks failed. */
static bool test_finish(struct http_request *rq, struct oidc_return *back, bool is_good,
                        struct str *next, struct err *e)
{
    const struct err why = *e;
    const struct sso_test_end end = {.test_id = back->context,
                                     .provider_id = rq->params[0],
                                     .identity = is_good ? &back->identity : NULL,
                                     .why = is_good ? NULL : &why,
                                     .steps = &back->steps};
    return sso_test_finish(rq->context, rq->arena, &end, next, e);
}

static bool come_back(struct http_request *rq, struct oidc_return *back, struct str *next,
                      struct err *e)
{
    struct form params;
    *back = (struct oidc_return){.has_errand = false};
    if (!form_parse(rq->arena, rq->query, &params, e))
        return false;
    if (!oidc_finish(rq, rq->params[0], &params, back, e)) {
        if (back->has_errand && str_eq(back->purpose, STR("test")))
            return test_finish(rq, back, false, next, e);
        record_failure(rq, back, e);
        return false;
    }
    if (str_eq(back->purpose, STR("test")))
        return test_finish(rq, back, true, next, e);
    if (str_eq(back->purpose, STR("link")))
        return link_finish(rq, back, next, e);
    if (str_eq(back->purpose, STR("reauth")))
        return again_finish(rq, back, next, e);
    return identity_signin(rq, &back->identity, back->method, back->return_to, next, e);
}

void page_oidc_callback(struct http_request *rq)
{
    struct oidc_return back;
    struct str next;
    struct err e = {.code = ERR_NONE};
    if (!is_at_home(rq))
        go_home(rq);
    else if (come_back(rq, &back, &next, &e))
        page_redirect(rq, next);
    else
        page_error(rq, &e);
}
