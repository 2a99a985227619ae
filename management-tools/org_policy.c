/* ORGANIZATION_POLICY_GET, ORGANIZATION_POLICY_UPDATE: what the organization demands. */
#include "management-tools/org_policy.h"

#include "base/clock.h"
#include "base/limits.h"
#include "management-tools/tool_io.h"
#include "store/org_policies.h"
#include "store/sso_providers.h"

tool_fn tool_organization_policy_get, tool_organization_policy_update;

enum { UPDATE_TRIES = 5 };

static bool policy_answer(struct tool_call *c, struct str policy)
{
    struct jout j;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_kraw(&j, "item", policy);
    jout_object_end(&j);
    return true;
}

/* The policy as text in the call's memory. */
static bool policy_text(struct tool_call *c, const struct org_policy *p, struct str *out,
                        struct err *e)
{
    struct buf text;
    buf_init(&text, LIMIT_ORG_POLICY);
    org_policy_write(p, &text);
    *out = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    bool is_too_long = !buf_ok(&text);
    buf_end(&text);
    if (is_too_long)
        return err_set(e, ERR_UNPROCESSABLE, "the policy would be longer than %d bytes",
                       LIMIT_ORG_POLICY);
    return !str_is_absent(*out) || io_no_memory(e);
}

bool tool_organization_policy_get(struct tool_call *c, struct err *e)
{
    const struct org_policy *p;
    struct str text;
    return org_policy_get(c->sv, c->arena, c->org_id, &p, e) && policy_text(c, p, &text, e) &&
           policy_answer(c, text);
}

/* Requiring a provider that nobody can use would lock everybody out, one that does not vouch for
 * owners (auth/login/signin_policy.h) all owners. `without` does not count. */
static bool provider_check(struct tool_call *c, const struct org_policy *p, struct str without,
                           struct err *e)
{
    const struct db_page page = {.limit = LIMIT_LIST};
    struct sso_provider *list;
    bool is_any = false;
    size_t n;
    if (!p->require_sso && str_is_absent(p->provider_id))
        return true;
    if (!sso_providers_list(c->sv->db, c->arena, c->org_id, &page, &list, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (str_eq(list[i].id, without) || (!list[i].is_enabled && p->require_sso) ||
            (!str_is_absent(p->provider_id) && !str_eq(list[i].id, p->provider_id)))
            continue;
        if (list[i].is_owners || !p->require_sso)
            return true;
        is_any = true;
    }
    return err_set(e, ERR_UNPROCESSABLE, "%s",
                   is_any ? "no owner could sign in any more: an owner confirms the sign-in "
                            "provider that the policy requires, by ORGANIZATION_SSO_UPDATE"
                          : "the organization would have no enabled sign-in provider of its own "
                            "that the policy requires");
}

typedef void policy_edit_fn(struct org_policy *p, struct str provider_id);

static void enforce(struct org_policy *p, struct str provider_id)
{
    p->require_sso = true;
    p->provider_id = provider_id;
}

static void enforce_no_more(struct org_policy *p, struct str provider_id)
{
    if (!str_is_absent(p->provider_id) && !str_eq(p->provider_id, provider_id))
        return;
    p->require_sso = false;
    p->provider_id = STR_NONE;
}

struct edit {
    policy_edit_fn *fn; /* NULL: the call's arguments are applied */
    struct str provider_id;
};

/* One try: what is stored, changed, if nobody else has changed it meanwhile. */
static bool policy_change(struct tool_call *c, const struct edit *edit, struct str *text,
                          struct err *e)
{
    struct org_policy p = org_policy_default();
    struct str before = STR_NONE;
    struct jdoc *stored auto_free(jdoc_freep) = NULL;
    if (!org_policies_get(c->sv->db, c->arena, c->org_id, &before, e) && e->code != ERR_NOT_FOUND)
        return false;
    if (!str_is_absent(before) && (stored = jdoc_parse(before, e)) == NULL)
        return err_set(e, ERR_INTERNAL, "the stored policy is damaged");
    if (stored && !org_policy_apply(c->arena, jdoc_root(stored), &p, e))
        return false;
    if (edit->fn)
        edit->fn(&p, edit->provider_id);
    else if (!org_policy_apply(c->arena, c->arguments, &p, e))
        return false;
    return provider_check(c, &p, STR_NONE, e) && policy_text(c, &p, text, e) &&
           org_policies_put(c->sv->db, c->arena, c->org_id, before, *text, clock_wall_ms(), e);
}

static bool policy_change_surely(struct tool_call *c, const struct edit *edit, struct str *text,
                                 struct err *e)
{
    for (int i = 0; i < UPDATE_TRIES; i++)
        if (policy_change(c, edit, text, e))
            return true;
        else if (e->code != ERR_CONFLICT)
            return false;
    return false;
}

bool tool_organization_policy_update(struct tool_call *c, struct err *e)
{
    const struct edit edit = {.fn = NULL};
    struct str text;
    c->object = c->org_id;
    return policy_change_surely(c, &edit, &text, e) && policy_answer(c, text);
}

bool org_policy_enforce(struct tool_call *c, struct str provider_id, bool is_enforced,
                        struct err *e)
{
    const struct edit edit = {is_enforced ? enforce : enforce_no_more, provider_id};
    struct str text;
    return policy_change_surely(c, &edit, &text, e);
}

bool org_policy_spares(struct tool_call *c, struct str provider_id, struct err *e)
{
    const struct org_policy *p;
    return org_policy_get(c->sv, c->arena, c->org_id, &p, e) &&
           (!p->require_sso || provider_check(c, p, provider_id, e));
}
