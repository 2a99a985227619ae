/* ORGANIZATION_SSO_TEST: a dry run of a sign-in provider, and what it has shown. */
#include "auth/sso/sso_test.h"

#include "auth/sso/oidc.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "management-tools/sso_item.h"

tool_fn tool_organization_sso_test;

static bool test_answer(struct tool_call *c, const struct sso_test *t, struct err *e)
{
    struct jdoc *doc auto_free(jdoc_freep) = jdoc_parse(t->report, e);
    struct str name, text;
    const struct jvalue *value;
    void *iter = NULL;
    struct jout j;
    if (!doc)
        return err_set(e, ERR_INTERNAL, "a stored report is damaged");
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    jout_object(&j);
    jout_kstr(&j, "id", t->id);
    jout_kstr(&j, "provider_id", t->provider_id);
    jout_kstr(
        &j, "url",
        arena_printf(c->arena, "%s/auth/sso/test/%.*s", c->sv->config->origin, STR_FMT(t->id)));
    jout_kstr(&j, "outcome", str_is_absent(t->outcome) ? STR("pending") : t->outcome);
    while (jv_member(jdoc_root(doc), &iter, &name, &value)) {
        if (!io_json(c, value, STR_NONE, &text, e))
            return false;
        jout_key(&j, name);
        jout_raw(&j, text);
    }
    jout_ktime(&j, "expires_at", t->expires_at);
    jout_object_end(&j);
    jout_object_end(&j);
    return true;
}

/* What can be said before anybody has been there. */
static bool first_steps(struct tool_call *c, const struct sso_provider *p, struct str *report,
                        struct err *e)
{
    struct sso_steps steps = {.arena = c->arena};
    struct oidc_provider complete = {.row = *p};
    struct err why = {.code = ERR_NONE};
    struct buf text;
    struct jout j;
    sso_step(&steps, "enabled", p->is_enabled,
             p->is_enabled ? STR_NONE : STR("the provider is switched off"));
    if (!str_eq(p->kind, STR("saml")))
        sso_step_end(&steps, "configuration",
                     oidc_provider_complete(c->sv, c->arena, &complete, &why), &why);
    buf_init(&text, LIMIT_ORG_POLICY);
    jout_init(&j, &text);
    jout_object(&j);
    jout_key(&j, STR("steps"));
    sso_steps_write(&steps, &j);
    jout_object_end(&j);
    *report = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*report) || io_no_memory(e);
}

/* Foreign ids answer as unknown ones do. */
static bool test_show(struct tool_call *c, const struct sso_provider *p, struct err *e)
{
    struct sso_test t;
    if (!sso_tests_get(c->sv->db, c->arena, jv_get_str(c->arguments, "test_id"), clock_wall_ms(),
                       &t, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such test") : false;
    if (!str_eq(t.org_id, c->org_id) || !str_eq(t.provider_id, p->id))
        return err_set(e, ERR_NOT_FOUND, "no such test");
    return test_answer(c, &t, e);
}

bool tool_organization_sso_test(struct tool_call *c, struct err *e)
{
    struct id id = id_new("sst");
    struct sso_provider p = {0};
    struct str url;
    int64_t now = clock_wall_ms();
    if (!sso_item_find(c, &p, e))
        return false;
    if (!str_is_absent(jv_get_str(c->arguments, "test_id")))
        return test_show(c, &p, e);
    struct sso_test t = {.id = arena_dup(c->arena, id_str(&id)),
                         .org_id = c->org_id,
                         .provider_id = p.id,
                         .created_by = c->caller->user_id,
                         .created_at = now,
                         .expires_at = now + LIMIT_SSO_TEST_MS};
    return first_steps(c, &p, &t.report, e) && sso_test_start(c->sv, c->arena, &t, &url, e) &&
           test_answer(c, &t, e);
}
