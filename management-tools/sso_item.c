#include "management-tools/sso_item.h"

#include "auth/saml/settings.h"
#include "auth/sso/oidc.h"
#include "core/org_policy.h"

/* Members of an OpenID Connect or GitHub configuration that are shown as they are stored. */
static const char *const shown[] = {"issuer",
                                    "authorization_endpoint",
                                    "token_endpoint",
                                    "jwks_uri",
                                    "userinfo_endpoint",
                                    "emails_endpoint",
                                    "groups_endpoint",
                                    "client_id",
                                    "token_auth",
                                    "scopes",
                                    "claims",
                                    "hosted_domain",
                                    "tenant",
                                    "style",
                                    "algorithms",
                                    "allow_id_jag"};

bool sso_item_find(struct tool_call *c, struct sso_provider *out, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "provider_id");
    c->object = id;
    if (sso_providers_get_of_org(c->sv->db, c->arena, c->org_id, id, out, e))
        return true;
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such sign-in provider") : false;
}

static bool member_write(struct tool_call *c, const struct jvalue *config, const char *name,
                         struct jout *j, struct err *e)
{
    const struct jvalue *v = jv_get(config, name);
    struct str text = STR_NONE;
    if (!v)
        return true;
    if (!io_json(c, v, STR_NONE, &text, e))
        return false;
    jout_kraw(j, name, text);
    return true;
}

static bool openid_write(struct tool_call *c, const struct sso_provider *p,
                         const struct jvalue *config, struct jout *j, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        if (!member_write(c, config, shown[i], j, e))
            return false;
    jout_kbool(j, "has_client_secret", !str_is_absent(p->sealed_secret));
    jout_kstr(j, "redirect_uri", oidc_redirect_uri(c->sv, c->arena, p->id));
    return true;
}

bool sso_item_write(struct tool_call *c, const struct sso_provider *p, struct str problem,
                    struct jout *j, struct err *e)
{
    const struct org_policy *policy;
    bool is_saml = str_eq(p->kind, STR("saml"));
    struct jdoc *doc auto_free(jdoc_freep) = jdoc_parse(p->config, e);
    if (!doc || !org_policy_get(c->sv, c->arena, c->org_id, &policy, e))
        return doc ? false : err_set(e, ERR_INTERNAL, "a stored configuration is damaged");
    const struct jvalue *config = jdoc_root(doc);
    jout_object(j);
    jout_kstr(j, "id", p->id);
    jout_kstr(j, "type", p->kind);
    jout_kstr(j, "name", p->name);
    jout_kbool(j, "enabled", p->is_enabled);
    jout_kbool(j, "enforced",
               policy->require_sso &&
                   (str_is_absent(policy->provider_id) || str_eq(policy->provider_id, p->id)));
    jout_kbool(j, "jit", p->is_jit);
    jout_kstr(j, "default_role", p->default_role);
    jout_kbool(j, "vouches_for_owners", p->is_owners);
    jout_kstr(j, "start_url",
              arena_printf(c->arena, "%s/auth/%s/%.*s/start", c->sv->config->origin,
                           is_saml ? "saml" : "oidc", STR_FMT(p->id)));
    jout_kstr(j, "problem", problem);
    if (!member_write(c, config, "group_roles", j, e) ||
        !(is_saml ? saml_settings_describe(c->sv, c->arena, p, j, e)
                  : openid_write(c, p, config, j, e)))
        return false;
    jout_ktime(j, "created_at", p->created_at);
    jout_ktime(j, "updated_at", p->updated_at);
    jout_object_end(j);
    return true;
}

bool sso_item_answer(struct tool_call *c, struct str id, struct str problem, struct err *e)
{
    struct sso_provider p;
    struct jout j;
    if (!sso_providers_get_of_org(c->sv->db, c->arena, c->org_id, id, &p, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such sign-in provider")
                                        : false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    if (!sso_item_write(c, &p, problem, &j, e))
        return false;
    jout_object_end(&j);
    return true;
}
