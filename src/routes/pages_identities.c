/* The identities at other providers that an account is reached by: seen, added, removed. */
#include "auth/login/login_audit.h"
#include "auth/saml/flow.h"
#include "auth/sso/oidc.h"
#include "base/limits.h"
#include "routes/page_tools.h"
#include "routes/pages_saml.h"
#include "routes/pages_second.h"
#include "routes/pages_sso.h"
#include "store/identities.h"
#include "store/passwords.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* The rows of one list of the page. */
struct listing {
    struct page_row *rows;
    size_t n;
};

static bool row_add(struct http_request *rq, struct listing *l, const struct page_value *values,
                    size_t bytes, struct err *e)
{
    struct page_value *copy = arena_alloc(rq->arena, bytes);
    if (!copy)
        return no_memory(e);
    memcpy(copy, values, bytes);
    l->rows[l->n++].values = copy;
    return true;
}

static bool linked_list(struct http_request *rq, const struct identity_row *known, size_t n,
                        struct listing *l, struct err *e)
{
    l->rows = arena_alloc(rq->arena, (n + 1) * sizeof(*l->rows));
    if (!l->rows)
        return no_memory(e);
    for (size_t i = 0; i < n; i++) {
        const struct page_value values[] = {
            PV("identity_id", known[i].id), PV("identity_provider", known[i].provider_name),
            PV("identity_email", known[i].email),
            PV("csrf_token", page_person(rq)->session.csrf_token), PV_END};
        if (!row_add(rq, l, values, sizeof(values), e))
            return false;
    }
    return true;
}

static bool is_linked(const struct identity_row *known, size_t n, struct str provider_id)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(known[i].provider_id, provider_id))
            return true;
    return false;
}

static bool offers_add(struct http_request *rq, const struct sso_provider *list, size_t n,
                       struct listing *l, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const struct page_value values[] = {
            PV("provider_id", list[i].id), PV("provider_name", list[i].name),
            PV("csrf_token", page_person(rq)->session.csrf_token), PV_END};
        if (!row_add(rq, l, values, sizeof(values), e))
            return false;
    }
    return true;
}

/* Does the sign-in of this session count for owners, too? */
static bool owners_proved(struct http_request *rq, bool *out, struct err *e)
{
    struct services *sv = rq->context;
    const struct browser_session *s = &page_person(rq)->session;
    struct sso_provider provider = {.is_owners = str_is_absent(s->proof_org_id)};
    if (!provider.is_owners && !sso_providers_get(sv->db, rq->arena, s->proof, &provider, e) &&
        e->code != ERR_NOT_FOUND)
        return false;
    *out = provider.is_owners;
    return true;
}

/* Who was proved by an organization's provider stays within it; and a sign-in that is good for no
 * owner leaves no way in behind that would be, should this person become one and an owner confirm
 * that provider. */
static bool may_link(const struct http_request *rq, const struct sso_provider *p,
                     bool is_owners_proof)
{
    struct str proof_org = page_person(rq)->session.proof_org_id;
    struct str org = page_person(rq)->caller.org_id;
    if (!p->is_enabled || !is_owners_proof ||
        (!str_is_absent(proof_org) && !str_eq(p->org_id, proof_org)))
        return false;
    return str_is_absent(p->org_id) || str_eq(p->org_id, org);
}

static size_t keep_linkable(const struct http_request *rq, const struct identity_row *known,
                            size_t n_known, bool is_owners_proof, struct sso_provider *list,
                            size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (may_link(rq, &list[i], is_owners_proof) && !is_linked(known, n_known, list[i].id))
            list[kept++] = list[i];
    return kept;
}

static bool offers_list(struct http_request *rq, const struct identity_row *known, size_t n_known,
                        struct listing *l, struct err *e)
{
    struct services *sv = rq->context;
    struct str org_id = page_person(rq)->caller.org_id;
    const struct db_page page = {.limit = LIMIT_LIST};
    struct sso_provider *ours, *theirs = NULL;
    size_t n_ours, n_theirs = 0;
    bool is_owners_proof;
    if (!owners_proved(rq, &is_owners_proof, e) ||
        !sso_providers_list_installation(sv->db, rq->arena, &ours, &n_ours, e) ||
        (!str_is_absent(org_id) &&
         !sso_providers_list(sv->db, rq->arena, org_id, &page, &theirs, &n_theirs, e)))
        return false;
    n_ours = keep_linkable(rq, known, n_known, is_owners_proof, ours, n_ours);
    n_theirs = keep_linkable(rq, known, n_known, is_owners_proof, theirs, n_theirs);
    l->rows = arena_alloc(rq->arena, (n_ours + n_theirs + 1) * sizeof(*l->rows));
    if (!l->rows)
        return no_memory(e);
    return offers_add(rq, ours, n_ours, l, e) && offers_add(rq, theirs, n_theirs, l, e);
}

static bool show(struct http_request *rq, struct err *e)
{
    struct services *sv = rq->context;
    struct identity_row *known;
    struct listing linked = {0}, offers = {0};
    struct str done = page_query(rq, "done");
    size_t n;
    if (!identities_list_of_user(sv->db, rq->arena, page_person(rq)->session.user_id, &known, &n,
                                 e) ||
        !linked_list(rq, known, n, &linked, e) || !offers_list(rq, known, n, &offers, e))
        return false;
    const struct page_value values[] = {
        PV("notice", str_eq(done, STR("linked"))     ? STR("Linked. You can sign in with it now.")
                     : str_eq(done, STR("unlinked")) ? STR("Removed.")
                                                     : STR_NONE),
        PV_ROWS("identities", linked.rows, linked.n),
        PV_FLAG("has_identities", linked.n > 0),
        PV_ROWS("providers", offers.rows, offers.n),
        PV_FLAG("has_providers", offers.n > 0),
        PV_END};
    page_answer(rq, 200, "identities", values, STR_NONE);
    return true;
}

void page_identities_get(struct http_request *rq)
{
    struct err e;
    if (!show(rq, &e))
        page_error(rq, &e);
}

/* A page, as Chromium lets no form lead to another server by redirect. */
static void go_on(struct http_request *rq, struct str url)
{
    const struct page_value values[] = {PV("location", url), PV_END};
    page_answer(rq, 200, "onward", values, STR_NONE);
}

static bool saml_link_begin(struct http_request *rq, struct str provider_id, struct err *e)
{
    struct saml_departure there;
    const struct saml_errand errand = {.purpose = "link",
                                       .user_id = page_person(rq)->session.user_id};
    if (!saml_begin(rq, provider_id, &errand, &there, e))
        return false;
    if (there.is_post)
        page_saml_depart(rq, &there);
    else
        go_on(rq, there.url);
    return true;
}

static bool link_begin(struct http_request *rq, struct str provider_id, struct err *e)
{
    struct services *sv = rq->context;
    struct sso_provider p;
    struct str url;
    bool is_owners_proof;
    const struct oidc_errand errand = {.purpose = "link",
                                       .user_id = page_person(rq)->session.user_id};
    if (!sso_providers_get(sv->db, rq->arena, provider_id, &p, e) ||
        !owners_proved(rq, &is_owners_proof, e))
        return false;
    if (!may_link(rq, &p, is_owners_proof))
        return err_set(e, ERR_FORBIDDEN,
                       "This provider cannot be linked while you are signed in through another "
                       "one: sign in in another way first.");
    if (str_eq(p.kind, STR("saml")))
        return saml_link_begin(rq, provider_id, e);
    if (!oidc_begin(rq, provider_id, &errand, &url, e))
        return false;
    go_on(rq, url);
    return true;
}

/* Whom an organization's provider proved removes what is that organization's only. */
static bool may_unlink(const struct http_request *rq, const struct identity_row *known, size_t n,
                       struct str id, struct err *e)
{
    struct str proof_org = page_person(rq)->session.proof_org_id;
    for (size_t i = 0; i < n && !str_is_absent(proof_org); i++)
        if (str_eq(known[i].id, id) && !str_eq(known[i].org_id, proof_org))
            return err_set(e, ERR_FORBIDDEN,
                           "This identity cannot be removed while you are signed in through an "
                           "organization's provider: sign in in another way first.");
    return true;
}

/* Nobody locks themselves out: a password or another identity stays. */
static bool unlink_one(struct http_request *rq, struct str id, struct err *e)
{
    struct services *sv = rq->context;
    struct str user_id = page_person(rq)->session.user_id, hash;
    struct identity_row *known;
    size_t n;
    const struct login_event event = {
        .method = "identity_unlink", .user_id = user_id, .name = id, .outcome = "ok"};
    if (!identities_list_of_user(sv->db, rq->arena, user_id, &known, &n, e) ||
        !may_unlink(rq, known, n, id, e))
        return false;
    if (n < 2 && !passwords_get(sv->db, rq->arena, user_id, &hash, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_UNPROCESSABLE,
                             "This is the only way to sign in to your account: set a password "
                             "first.")
                   : false;
    return identities_delete(sv->db, rq->arena, user_id, id, e) && login_audit(sv, rq, &event, e);
}

static bool unlink_answer(struct http_request *rq, struct str id, struct err *e)
{
    if (!unlink_one(rq, id, e))
        return false;
    page_redirect(rq, STR("/account/identities?done=unlinked"));
    return true;
}

void page_identities_post(struct http_request *rq)
{
    struct form form;
    struct err e;
    bool is_good = page_form_read(rq, &form, &e) && page_proof_is_fresh(rq, &e);
    struct str provider_id = is_good ? page_field(&form, "provider_id") : STR_NONE;
    if (is_good)
        is_good = provider_id.n > 0 ? link_begin(rq, provider_id, &e)
                                    : unlink_answer(rq, page_field(&form, "identity_id"), &e);
    if (!is_good)
        page_error(rq, &e);
}
