#include "routes/pages_sso_test.h"

#include "auth/saml/flow.h"
#include "auth/sso/oidc.h"
#include "auth/sso/sso_test.h"
#include "base/clock.h"
#include "base/ids.h"
#include "routes/page_tools.h"

enum { PER_ROW = 4, GROUPS_SHOWN = 50 };

static bool test_find(struct http_request *rq, struct sso_test *t, struct sso_provider *p,
                      struct err *e)
{
    struct services *sv = rq->context;
    bool is_found = id_is(rq->params[0], "sst") &&
                    sso_tests_get(sv->db, rq->arena, rq->params[0], clock_wall_ms(), t, e) &&
                    sso_providers_get_of_org(sv->db, rq->arena, t->org_id, t->provider_id, p, e);
    if (is_found || (id_is(rq->params[0], "sst") && e->code != ERR_NOT_FOUND))
        return is_found;
    return err_set(e, ERR_NOT_FOUND, "There is no such dry run, or it is older than ten minutes.");
}

static struct page_row *step_rows(struct arena *a, const struct jvalue *steps)
{
    size_t n = jv_count(steps);
    struct page_row *rows = arena_alloc(a, (n + 1) * sizeof(*rows));
    struct page_value *v = arena_alloc(a, (n + 1) * PER_ROW * sizeof(*v));
    if (!rows || !v)
        return NULL;
    for (size_t i = 0; i < n; i++, v += PER_ROW) {
        const struct jvalue *step = jv_at(steps, i);
        bool is_ok = jv_get_bool(step, "ok", false);
        v[0] = (struct page_value)PV("step", jv_get_str(step, "name"));
        v[1] = (struct page_value)PV("verdict", is_ok ? STR("ok") : STR("failed"));
        v[2] = (struct page_value)PV("detail", jv_get_str(step, "detail"));
        rows[i].values = v;
    }
    return rows;
}

static struct page_row *group_rows(struct arena *a, const struct jvalue *groups, size_t *n)
{
    *n = jv_count(groups) < GROUPS_SHOWN ? jv_count(groups) : GROUPS_SHOWN;
    struct page_row *rows = arena_alloc(a, (*n + 1) * sizeof(*rows));
    struct page_value *v = arena_alloc(a, (*n + 1) * 2 * sizeof(*v));
    if (!rows || !v)
        return NULL;
    for (size_t i = 0; i < *n; i++, v += 2) {
        v[0] = (struct page_value)PV("group", jv_str(jv_at(groups, i)));
        rows[i].values = v;
    }
    return rows;
}

static bool test_show(struct http_request *rq, const struct sso_test *t,
                      const struct sso_provider *p, struct err *e)
{
    struct jdoc *doc auto_free(jdoc_freep) = jdoc_parse(t->report, e);
    size_t n_groups = 0;
    if (!doc)
        return err_set(e, ERR_INTERNAL, "a stored report is damaged");
    const struct jvalue *report = jdoc_root(doc), *identity = jv_get(report, "identity");
    struct page_row *steps = step_rows(rq->arena, jv_get(report, "steps"));
    struct page_row *groups = group_rows(rq->arena, jv_get(identity, "groups"), &n_groups);
    if (!steps || !groups)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    const struct page_value values[] = {
        PV("provider", p->name),
        PV("path", arena_printf(rq->arena, "/auth/sso/test/%.*s/start", STR_FMT(t->id))),
        PV_FLAG("is_pending", str_is_absent(t->outcome)),
        PV_FLAG("is_good", str_eq(t->outcome, STR("would_sign_in"))),
        PV_FLAG("is_refused", str_eq(t->outcome, STR("would_not_sign_in"))),
        PV_FLAG("is_failed", str_eq(t->outcome, STR("failed"))),
        PV_ROWS("steps", steps, jv_count(jv_get(report, "steps"))),
        PV("error", jv_get_str(report, "error")),
        PV_FLAG("has_identity", identity != NULL),
        PV("issuer", jv_get_str(identity, "issuer")),
        PV("subject", jv_get_str(identity, "subject")),
        PV("email", jv_get_str(identity, "email")),
        PV_FLAG("is_email_verified", jv_get_bool(identity, "email_verified", false)),
        PV("name", jv_get_str(identity, "name")),
        PV_ROWS("groups", groups, n_groups),
        PV("why", jv_get_str(jv_get(report, "mapping"), "why")),
        PV_END};
    page_answer(rq, 200, "sso_test", values, STR_NONE);
    return true;
}

void page_sso_test_get(struct http_request *rq)
{
    struct sso_test t = {0};
    struct sso_provider p = {0};
    struct err e = {.code = ERR_NONE};
    if (!test_find(rq, &t, &p, &e) || !test_show(rq, &t, &p, &e))
        page_error(rq, &e);
}

/* There by redirect, or by a form of the provider's binding. */
static bool saml_go(struct http_request *rq, const struct sso_test *t, struct err *e)
{
    const struct saml_errand errand = {.purpose = "test", .context = t->id};
    struct saml_departure to;
    if (!saml_begin(rq, t->provider_id, &errand, &to, e))
        return false;
    if (to.is_post)
        return err_set(e, ERR_UNPROCESSABLE,
                       "This provider takes requests by POST only: begin at its start_url.");
    page_redirect(rq, to.url);
    return true;
}

static bool go(struct http_request *rq, struct err *e)
{
    struct sso_test t = {0};
    struct sso_provider p = {0};
    struct str url;
    if (!test_find(rq, &t, &p, e))
        return false;
    if (!str_is_absent(t.outcome))
        return err_set(e, ERR_BAD_REQUEST, "This dry run is over. Begin another one.");
    if (str_eq(p.kind, STR("saml")))
        return saml_go(rq, &t, e);
    const struct oidc_errand errand = {.purpose = "test", .context = t.id};
    if (!oidc_begin(rq, t.provider_id, &errand, &url, e))
        return false;
    page_redirect(rq, url);
    return true;
}

void page_sso_test_start(struct http_request *rq)
{
    struct err e = {.code = ERR_NONE};
    if (!go(rq, &e))
        page_error(rq, &e);
}
