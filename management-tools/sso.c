/* ORGANIZATION_SSO_*: the organization's own sign-in providers. */
#include "auth/saml/own_keys.h"
#include "auth/sso/oidc.h"
#include "auth/sso/provider_secret.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "management-tools/org_policy.h"
#include "management-tools/role_words.h"
#include "management-tools/sso_item.h"
#include "store/groups.h"
#include "store/org_domains.h"
#include "store/saml_metadata.h"

tool_fn tool_organization_sso_create, tool_organization_sso_list, tool_organization_sso_get,
    tool_organization_sso_update, tool_organization_sso_delete;

/* Of an OpenID Connect or GitHub provider: from the arguments into its configuration. */
static const char *const members[] = {"issuer",
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

static bool is_saml(const struct sso_provider *p)
{
    return str_eq(p->kind, STR("saml"));
}

/* Who configures sign-in decides who is let in: no custom role gives that away. */
static bool may_configure(const struct tool_call *c, struct err *e)
{
    return io_is_admin(c) || err_set(e, ERR_FORBIDDEN, "only administrators configure sign-in");
}

/* What is given, else what is there; null removes. */
static bool member_merge(struct tool_call *c, const char *name, const struct jvalue *present,
                         struct jout *j, struct err *e)
{
    const struct jvalue *v = jv_get(c->arguments, name);
    struct str text = STR_NONE;
    if (!v)
        v = jv_get(present, name);
    if (!v || jv_is_null(v))
        return true;
    if (!io_json(c, v, STR_NONE, &text, e))
        return false;
    jout_kraw(j, name, text);
    return true;
}

static bool config_merge(struct tool_call *c, const struct sso_provider *p,
                         const struct jvalue *present, struct jout *j, struct err *e)
{
    jout_object(j);
    if (!member_merge(c, "group_roles", present, j, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(members) && !is_saml(p); i++)
        if (!member_merge(c, members[i], present, j, e))
            return false;
    if (is_saml(p) && !saml_settings_write(c->sv, c->arena, c->arguments, present, j, e))
        return false;
    jout_object_end(j);
    return true;
}

/*
 * A configuration that could never be used is refused; *problem is what hinders it just now (a
 * server that is down, a document that says otherwise): sign-in looks again.
 */
static bool config_check(struct tool_call *c, const struct sso_provider *p, struct str *problem,
                         struct err *e)
{
    struct oidc_provider complete = {.row = *p};
    *problem = STR_NONE;
    if (is_saml(p) || oidc_provider_complete(c->sv, c->arena, &complete, e))
        return true;
    if (e->code != ERR_UPSTREAM && e->code != ERR_TIMEOUT && e->code != ERR_TOO_LARGE)
        return e->code == ERR_EGRESS ? err_set(e, ERR_UNPROCESSABLE, "%s", e->msg) : false;
    *problem = arena_dup(c->arena, str_c(e->msg));
    return true;
}

static bool config_make(struct tool_call *c, struct sso_provider *p, struct str *problem,
                        struct err *e)
{
    struct jdoc *present auto_free(jdoc_freep) = NULL;
    struct buf text;
    struct jout j;
    if (!str_is_absent(p->config) && (present = jdoc_parse(p->config, e)) == NULL)
        return err_set(e, ERR_INTERNAL, "the stored configuration is damaged");
    buf_init(&text, LIMIT_ORG_POLICY);
    jout_init(&j, &text);
    bool is_good = config_merge(c, p, present ? jdoc_root(present) : NULL, &j, e);
    if (is_good && !buf_ok(&text))
        is_good = err_set(e, ERR_UNPROCESSABLE, "the configuration is too long");
    p->config = is_good ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return is_good && (!str_is_absent(p->config) || io_no_memory(e)) &&
           config_check(c, p, problem, e);
}

/* Nobody becomes an owner by signing in. */
static bool role_read(struct tool_call *c, struct sso_provider *p, struct err *e)
{
    struct str role = jv_get_str(c->arguments, "default_role");
    struct buf words;
    if (str_is_absent(role))
        return true;
    if (str_eq(role, STR("owner")))
        return err_set(e, ERR_UNPROCESSABLE, "arguments.default_role: nobody becomes owner so");
    buf_init(&words, LIMIT_NAME);
    bool is_good = role_words_take(c, role, &words, e);
    p->default_role = is_good ? arena_dup(c->arena, buf_str(&words)) : STR_NONE;
    buf_end(&words);
    return is_good && (!str_is_absent(p->default_role) || io_no_memory(e));
}

/* A first pair of our keys, or a step of their roll-over. */
static bool own_keys_apply(struct tool_call *c, struct sso_provider *p, struct err *e)
{
    struct str step = jv_get_str(c->arguments, "own_keys");
    if (str_is_absent(p->sealed_secret))
        return saml_keys_make(c->sv, c->arena, c->org_id, p->id, &p->sealed_secret, e);
    return str_is_absent(step) || saml_keys_turn(c->sv, c->arena, p, step, &p->sealed_secret, e);
}

static bool secret_read(struct tool_call *c, struct sso_provider *p, struct err *e)
{
    struct str secret = jv_get_str(c->arguments, "client_secret");
    if (is_saml(p))
        return own_keys_apply(c, p, e);
    if (jv_is_null(jv_get(c->arguments, "client_secret")))
        p->sealed_secret = STR_NONE;
    return str_is_absent(secret) ||
           provider_secret_seal(c->sv, c->arena, c->org_id, p->id, secret, &p->sealed_secret, e);
}

static bool common_read(struct tool_call *c, struct sso_provider *p, struct err *e)
{
    struct str name = jv_get_str(c->arguments, "name");
    p->is_enabled = jv_get_bool(c->arguments, "enabled", p->is_enabled);
    p->is_jit = jv_get_bool(c->arguments, "jit", p->is_jit);
    return (str_is_absent(name) || io_name(name, &p->name, e)) && role_read(c, p, e);
}

/* arguments.enforced, once the provider is stored. */
static bool enforced_apply(struct tool_call *c, const struct sso_provider *p, struct err *e)
{
    const struct jvalue *v = jv_get(c->arguments, "enforced");
    return !jv_is_bool(v) || org_policy_enforce(c, p->id, jv_bool(v, false), e);
}

static bool is_by_owner(const struct tool_call *c)
{
    return (c->caller->builtin_roles & ROLE_OWNER) != 0;
}

/* Whoever decides whom the provider proves would be an owner by it, if it proved owners: only what
 * an owner has configured does (auth/login/signin_policy.h). */
static void owners_settle(const struct tool_call *c, const struct sso_provider *was,
                          struct sso_provider *p)
{
    bool is_same = str_eq(was->config, p->config) &&
                   (is_saml(p) || str_eq(was->sealed_secret, p->sealed_secret));
    p->is_owners = is_by_owner(c) || (was->is_owners && is_same);
}

/* Before anything is written: what cannot be enforced. */
static bool enforced_check(const struct tool_call *c, const struct sso_provider *p, struct err *e)
{
    if (!jv_get_bool(c->arguments, "enforced", false) || (p->is_enabled && p->is_owners))
        return true;
    return err_set(e, ERR_UNPROCESSABLE, "%s",
                   p->is_enabled ? "owners could not sign in any more: an owner configures, or "
                                   "confirms, what is enforced"
                                 : "what is not enabled cannot be enforced");
}

bool tool_organization_sso_create(struct tool_call *c, struct err *e)
{
    struct id id = id_new("idp");
    struct str problem = STR_NONE;
    int64_t n;
    struct sso_provider p = {.id = arena_dup(c->arena, id_str(&id)),
                             .org_id = c->org_id,
                             .kind = jv_get_str(c->arguments, "type"),
                             .is_enabled = true,
                             .is_jit = true,
                             .default_role = STR("member"),
                             .is_owners = is_by_owner(c)};
    p.created_at = p.updated_at = clock_wall_ms();
    c->object = p.id;
    if (!may_configure(c, e) || !sso_providers_count(c->sv->db, c->arena, c->org_id, &n, e))
        return false;
    if (n >= LIMIT_SSO_PROVIDERS)
        return err_set(e, ERR_UNPROCESSABLE, "an organization has at most %d sign-in providers",
                       LIMIT_SSO_PROVIDERS);
    if (!common_read(c, &p, e))
        return false;
    return enforced_check(c, &p, e) && config_make(c, &p, &problem, e) && secret_read(c, &p, e) &&
           sso_providers_insert(c->sv->db, c->arena, &p, e) && enforced_apply(c, &p, e) &&
           sso_item_answer(c, p.id, problem, e);
}

bool tool_organization_sso_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct sso_provider *list;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    if (!io_page_read(c, &page, e) ||
        !sso_providers_list(c->sv->db, c->arena, c->org_id, &page, &list, &n, e) ||
        !sso_providers_count(c->sv->db, c->arena, c->org_id, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        if (!sso_item_write(c, &list[i], STR_NONE, &j, e))
            return false;
        end.last_at = list[i].created_at;
        end.last_id = list[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_sso_get(struct tool_call *c, struct err *e)
{
    struct sso_provider p = {0};
    return sso_item_find(c, &p, e) && sso_item_answer(c, p.id, STR_NONE, e);
}

/* Whoever decides what the provider says fills the groups that are mapped to its names. */
static bool may_fill(struct tool_call *c, const struct sso_provider *p, struct err *e)
{
    struct group_name *names;
    size_t n;
    if (!groups_names(c->sv->db, c->arena, c->org_id, p->id, STR_NONE, &names, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct group group;
        if (!groups_get(c->sv->db, c->arena, c->org_id, names[i].group_id, &group, e)
                ? e->code != ERR_NOT_FOUND
                : !role_words_may_give(c, group.roles, e))
            return false;
    }
    return true;
}

/* A stored secret goes to the server that it was given for: who names another gives it again. */
static bool secret_stays(struct tool_call *c, const struct sso_provider *p, struct err *e)
{
    static const char *const where[] = {"issuer", "token_endpoint"};
    struct jdoc *present auto_free(jdoc_freep) = NULL;
    if (is_saml(p) || str_is_absent(p->sealed_secret) || jv_get(c->arguments, "client_secret"))
        return true;
    if ((present = jdoc_parse(p->config, e)) == NULL)
        return err_set(e, ERR_INTERNAL, "the stored configuration is damaged");
    for (size_t i = 0; i < ARRAY_LEN(where); i++) {
        struct str was = jv_get_str(jdoc_root(present), where[i]);
        if (jv_get(c->arguments, where[i]) && !str_eq(jv_get_str(c->arguments, where[i]), was))
            return err_set(e, ERR_UNPROCESSABLE,
                           "arguments.%s: another server needs client_secret again", where[i]);
    }
    return true;
}

/* Does nothing demand of owners that they sign in through this provider? */
static bool owners_spared(struct tool_call *c, struct str provider_id, bool by_policy,
                          struct err *e)
{
    int64_t n_domains;
    if (by_policy && !org_policy_spares(c, provider_id, e))
        return false;
    if (!org_domains_count_forced(c->sv->db, c->arena, c->org_id, provider_id, &n_domains, e))
        return false;
    return n_domains == 0 || err_set(e, ERR_UNPROCESSABLE, "a domain is forced to it");
}

/* A provider that the policy requires is not switched off, nor one that it or a domain requires
 * made by an administrator into one that owners cannot sign in through: nobody would be left to
 * confirm it. */
static bool sparing_check(struct tool_call *c, const struct sso_provider *was,
                          const struct sso_provider *p, struct err *e)
{
    const struct jvalue *enforced = jv_get(c->arguments, "enforced");
    bool is_off = was->is_enabled && !p->is_enabled && !jv_is_bool(enforced);
    bool leaves_owners = was->is_owners && !p->is_owners;
    if (is_off && !org_policy_spares(c, p->id, e))
        return false;
    if (!leaves_owners || owners_spared(c, p->id, jv_bool(enforced, true), e))
        return true;
    return e->code == ERR_UNPROCESSABLE &&
           err_set(e, ERR_UNPROCESSABLE,
                   "the organization, or a domain of it, requires this sign-in provider, and "
                   "owners could not use it any more: an owner makes this change");
}

static bool changed_meanwhile(struct tool_call *c, struct str id, struct err *e)
{
    struct sso_provider p;
    if (e->code != ERR_NOT_FOUND)
        return false;
    return sso_providers_get_of_org(c->sv->db, c->arena, c->org_id, id, &p, e)
               ? err_set(e, ERR_CONFLICT,
                         "somebody else changed this provider just now: look at "
                         "it, and say again what is to change")
               : e->code == ERR_NOT_FOUND && err_set(e, ERR_NOT_FOUND, "no such sign-in provider");
}

bool tool_organization_sso_update(struct tool_call *c, struct err *e)
{
    struct sso_provider p = {0};
    struct str problem = STR_NONE;
    if (!may_configure(c, e) || !sso_item_find(c, &p, e) || !may_fill(c, &p, e) ||
        !secret_stays(c, &p, e))
        return false;
    const struct sso_provider was = p;
    int64_t now = clock_wall_ms();
    p.updated_at = now > was.updated_at ? now : was.updated_at + 1;
    if (!common_read(c, &p, e) || !config_make(c, &p, &problem, e) || !secret_read(c, &p, e))
        return false;
    owners_settle(c, &was, &p);
    if (!enforced_check(c, &p, e) || !sparing_check(c, &was, &p, e))
        return false;
    /* No longer enforced first, enforced last: in between nobody is locked out. */
    if (!jv_get_bool(c->arguments, "enforced", true) && !org_policy_enforce(c, p.id, false, e))
        return false;
    if (!sso_providers_update(c->sv->db, c->arena, &p, was.updated_at, e))
        return changed_meanwhile(c, p.id, e);
    return saml_metadata_forget(c->sv->db, c->arena, p.id, e) &&
           (!jv_get_bool(c->arguments, "enforced", false) ||
            org_policy_enforce(c, p.id, true, e)) &&
           sso_item_answer(c, p.id, problem, e);
}

bool tool_organization_sso_delete(struct tool_call *c, struct err *e)
{
    struct sso_provider p = {0};
    if (!may_configure(c, e) || !sso_item_find(c, &p, e) || !org_policy_spares(c, p.id, e))
        return false;
    if (!sso_providers_delete(c->sv->db, c->arena, c->org_id, p.id, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such sign-in provider")
                                        : false;
    io_deleted(c, p.id);
    return true;
}
