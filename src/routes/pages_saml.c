#include "routes/pages_saml.h"

#include "auth/login/login_audit.h"
#include "auth/saml/flow.h"
#include "auth/saml/logout.h"
#include "auth/saml/metadata.h"
#include "auth/sso/sso_test.h"
#include "base/limits.h"
#include "base/uri.h"
#include "routes/page_tools.h"
#include "store/orgs.h"

/* The cookie and the provider's answer must meet at one name: a loopback server has several. */
static bool is_at_home(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct str origin = str_c(sv->config->origin);
    size_t at = str_find(origin, STR("://"));
    return str_ieq(http_request_header(rq, STR("Host")), str_slice(origin, at + 3, SIZE_MAX));
}

static void go(struct http_request *rq, struct str location)
{
    struct err e;
    if (!str_is_absent(location)) {
        page_redirect(rq, location);
        return;
    }
    err_set(&e, ERR_UNAVAILABLE, "out of memory");
    page_error(rq, &e);
}

/* ---- there ---- */

void page_saml_metadata(struct http_request *rq)
{
    struct saml_settings s;
    struct buf out;
    struct err e;
    if (!saml_settings_load(rq->context, rq->arena, rq->params[0], &s, &e)) {
        page_error(rq, &e);
        return;
    }
    buf_init(&out, LIMIT_SAML_METADATA);
    saml_metadata_write(&s, &out);
    struct str body = buf_ok(&out) ? arena_dup(rq->arena, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    http_set_header(rq, STR("X-Content-Type-Options"), STR("nosniff"));
    http_answer(rq, str_is_absent(body) ? 503 : 200, STR("application/samlmetadata+xml"), body);
}

void page_saml_depart(struct http_request *rq, const struct saml_departure *d)
{
    struct uri u;
    if (!d->is_post) {
        go(rq, d->url);
        return;
    }
    const struct page_value values[] = {PV("url", d->url),
                                        PV("host", uri_parse(d->url, &u) ? u.host : STR("")),
                                        PV("field", d->field),
                                        PV("message", d->message),
                                        PV("relay_state", d->relay_state),
                                        PV_END};
    struct str origin = uri_parse(d->url, &u) ? uri_origin(rq->arena, &u) : STR_NONE;
    page_answer(rq, 200, "saml_post", values, origin);
}

void page_saml_start(struct http_request *rq)
{
    const struct services *sv = rq->context;
    const struct saml_errand errand = {.purpose = "signin",
                                       .return_to = page_query(rq, "return_to")};
    struct saml_departure there;
    struct err e;
    if (!is_at_home(rq))
        go(rq, arena_printf(rq->arena, "%s%.*s%s%.*s", sv->config->origin, STR_FMT(rq->path),
                            str_is_absent(rq->query) ? "" : "?", STR_FMT(rq->query)));
    else if (saml_begin(rq, rq->params[0], &errand, &there, &e))
        page_saml_depart(rq, &there);
    else
        page_error(rq, &e);
}

/* ---- back ---- */

void page_saml_acs(struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct str ticket;
    struct err e;
    if (saml_receive(rq, rq->params[0], &ticket, &e))
        go(rq, arena_printf(rq->arena, "%s/auth/saml/%.*s/finish?ticket=%.*s", sv->config->origin,
                            STR_FMT(rq->params[0]), STR_FMT(ticket)));
    else
        page_error(rq, &e);
}

/* The provider began by itself: the person says whether that was theirs. */
static void confirm_show(struct http_request *rq, const struct saml_return *back, struct str ticket)
{
    struct services *sv = rq->context;
    struct org org;
    struct str token;
    struct err e;
    if (!orgs_get(sv->db, rq->arena, back->org_id, &org, &e) || !csrf_token_for(rq, &token, &e)) {
        page_error(rq, &e);
        return;
    }
    const struct page_value values[] = {PV("org_name", org.name),
                                        PV("email", str_is_absent(back->identity.email)
                                                        ? back->identity.subject
                                                        : back->identity.email),
                                        PV("provider_id", rq->params[0]),
                                        PV("ticket", ticket),
                                        PV("csrf_token", token),
                                        PV_END};
    page_answer(rq, 200, "saml_confirm", values, STR_NONE);
}

/* The end of a dry run: what was judged, and what would become of it. */
static bool test_finish(struct http_request *rq, const struct saml_return *back, struct str *next,
                        struct err *e)
{
    struct sso_steps steps = {.arena = rq->arena};
    struct err why;
    bool is_good = str_is_absent(back->refused);
    if (!is_good)
        err_set(&why, ERR_FORBIDDEN, "%.*s: %.*s", STR_FMT(back->refused), STR_FMT(back->why));
    sso_step(&steps, "request and answer", true, STR("the browser that began brought an answer"));
    sso_step_end(&steps, "signature and assertion", is_good, is_good ? NULL : &why);
    const struct sso_test_end end = {.test_id = back->context,
                                     .provider_id = rq->params[0],
                                     .identity = is_good ? &back->identity : NULL,
                                     .why = is_good ? NULL : &why,
                                     .steps = &steps};
    return sso_test_finish(rq->context, rq->arena, &end, next, e);
}

/* Somebody signed in links the identity that they have just proved. */
static bool link_finish(struct http_request *rq, const struct saml_return *back, struct str *next,
                        struct err *e)
{
    struct browser_session session;
    const struct login_event event = {.method = "identity_link",
                                      .user_id = back->user_id,
                                      .org_id = back->org_id,
                                      .name = back->provider_name,
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
static bool again_check(struct http_request *rq, const struct saml_return *back, struct err *e)
{
    struct identity_verdict v;
    if (!identity_judge(rq->context, rq->arena, &back->identity, &v, e))
        return false;
    return (v.way == IDENTITY_KNOWN && str_eq(v.user_id, back->user_id)) ||
           err_set(e, ERR_FORBIDDEN, "This is not the account that you are signed in to.");
}

static bool finish(struct http_request *rq, const struct saml_return *back, struct str *next,
                   struct err *e)
{
    if (str_eq(back->purpose, STR("test")))
        return test_finish(rq, back, next, e);
    if (!str_is_absent(back->refused))
        return err_set(
            e, ERR_FORBIDDEN,
            "Your identity provider's answer could not be accepted (%.*s). Try again; if "
            "it happens again, tell your administrator this code: the audit log says "
            "more.",
            STR_FMT(back->refused));
    if (str_eq(back->purpose, STR("link")))
        return link_finish(rq, back, next, e);
    if (str_eq(back->purpose, STR("reauth")) && !again_check(rq, back, e))
        return false;
    return identity_signin(rq, &back->identity, "saml", back->return_to, next, e);
}

static void finish_answer(struct http_request *rq, const struct saml_return *back)
{
    struct str next = STR_NONE;
    struct err e;
    if (finish(rq, back, &next, &e))
        page_redirect(rq, next);
    else
        page_error(rq, &e);
}

void page_saml_finish_get(struct http_request *rq)
{
    struct saml_return back;
    struct str ticket = page_query(rq, "ticket");
    struct err e;
    if (!saml_finish(rq, rq->params[0], str_is_absent(ticket) ? STR("") : ticket, false, &back, &e))
        page_error(rq, &e);
    else if (back.is_unsolicited)
        confirm_show(rq, &back, ticket);
    else
        finish_answer(rq, &back);
}

void page_saml_finish_post(struct http_request *rq)
{
    struct saml_return back;
    struct form form;
    struct err e;
    if (page_form_read(rq, &form, &e) &&
        saml_finish(rq, rq->params[0], page_field(&form, "ticket"), true, &back, &e))
        finish_answer(rq, &back);
    else
        page_error(rq, &e);
}

/* ---- log-out ---- */

void page_saml_slo(struct http_request *rq)
{
    struct saml_departure answer;
    bool has_answer;
    struct err e;
    if (!saml_logout_receive(rq, rq->params[0], &answer, &has_answer, &e))
        page_error(rq, &e);
    else if (has_answer)
        page_saml_depart(rq, &answer);
    else
        page_redirect(rq, STR("/login"));
}
