#include "auth/sso/installation_providers.h"

#include "auth/auth_config.h"
#include "auth/sso/oidc_config.h"
#include "auth/sso/provider_secret.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/principal_rules.h"
#include "json/jout.h"
#include "store/sso_providers.h"

enum { PROVIDERS_MAX = 32, CONFIG_MAX = 16 * 1024 };

/* Those that have a name of their own. */
static const struct known {
    const char *slot, *name, *issuer; /* issuer NULL: has none, or needs a tenant */
} known[] = {
    {"google", "Google", "https://accounts.google.com"},
    {"github", "GitHub", NULL},
    {"microsoft", "Microsoft", NULL},
    {"gitlab", "GitLab", "https://gitlab.com"},
};

/* One provider of the file. */
struct entry {
    struct str slot, name, kind, config, secret;
};
struct entries {
    struct entry items[PROVIDERS_MAX];
    size_t n;
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static const struct known *known_find(struct str slot)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(slot, str_c(known[i].slot)))
            return &known[i];
    return NULL;
}

/* ---- the file ---- */

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

static bool file_read(struct arena *a, const char *path, const struct jvalue **root, struct err *e)
{
    struct jdoc *doc = auth_config_read(path, e);
    if (!doc)
        return false;
    *root = jdoc_root(doc);
    if (arena_on_end(a, doc_free, doc))
        return true;
    jdoc_free(doc);
    return no_memory(e);
}

/* ---- one provider ---- */

static void put(struct jout *j, const char *name, const struct jvalue *from, const char *member)
{
    const struct jvalue *v = jv_get(from, member);
    struct buf text;
    if (!v)
        return;
    buf_init(&text, CONFIG_MAX);
    jv_write(v, &text);
    jout_kraw(j, name, buf_ok(&text) ? buf_str(&text) : STR_NONE);
    buf_end(&text);
}

static void config_write(const struct entry *en, const struct jvalue *v, struct arena *a,
                         struct jout *j)
{
    const struct known *k = known_find(en->slot);
    struct str tenant = jv_get_str(v, "tenantId");
    jout_object(j);
    if (jv_get(v, "issuer"))
        put(j, "issuer", v, "issuer");
    else if (k && k->issuer)
        jout_kstr(j, "issuer", str_c(k->issuer));
    else if (str_eq(en->slot, STR("microsoft")) && tenant.n > 0)
        jout_kstr(j, "issuer",
                  arena_printf(a, "https://login.microsoftonline.com/%.*s/v2.0", STR_FMT(tenant)));
    put(j, "client_id", v, "clientId");
    put(j, "token_auth", v, "tokenAuth");
    put(j, "authorization_endpoint", v, "authorizationEndpoint");
    put(j, "token_endpoint", v, "tokenEndpoint");
    put(j, "jwks_uri", v, "jwksUri");
    put(j, "userinfo_endpoint", v, "userinfoEndpoint");
    put(j, "emails_endpoint", v, "emailsEndpoint");
    put(j, "groups_endpoint", v, "groupsEndpoint");
    put(j, "scopes", v, "scopes");
    put(j, "claims", v, "claims");
    put(j, "algorithms", v, "algorithms");
    put(j, "hosted_domain", v, "hostedDomain");
    put(j, "tenant", v, "tenantId");
    if (k && !str_eq(en->slot, STR("gitlab")))
        jout_kstr(j, "style", en->slot);
    jout_object_end(j);
}

static bool members_check(const struct entry *en, const struct jvalue *v, struct err *e)
{
    static const struct str names[] = {
        STR("name"),           STR("issuer"),    STR("clientId"),
        STR("clientSecret"),   STR("tokenAuth"), STR("authorizationEndpoint"),
        STR("tokenEndpoint"),  STR("jwksUri"),   STR("userinfoEndpoint"),
        STR("scopes"),         STR("claims"),    STR("algorithms"),
        STR("hostedDomain"),   STR("tenantId"),  STR("emailsEndpoint"),
        STR("groupsEndpoint"), STR("enabled")};
    void *iter = NULL;
    struct str name;
    const struct jvalue *ignored;
    while (jv_member(v, &iter, &name, &ignored)) {
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            is_known = is_known || str_eq(name, names[i]);
        if (!is_known)
            return err_set(e, ERR_INVALID, "%.*s has an unknown member \"%.*s\"", STR_FMT(en->slot),
                           STR_FMT(str_slice(name, 0, 60)));
    }
    return true;
}

static bool secret_check(const struct jvalue *v, struct entry *en, struct err *e)
{
    bool is_public = str_eq(jv_get_str(v, "tokenAuth"), STR("none"));
    en->secret = jv_get_str(v, "clientSecret");
    if (is_public == (en->secret.n == 0) && en->secret.n <= LIMIT_CREDENTIAL / 4)
        return true;
    return err_set(e, ERR_INVALID,
                   is_public ? "clientSecret is given although tokenAuth is none"
                             : "clientSecret is missing or too long");
}

static bool entry_read(struct arena *a, struct entry *en, const struct jvalue *v, struct err *e)
{
    const struct known *k = known_find(en->slot);
    struct oidc_config checked;
    struct buf text;
    struct jout j;
    en->name = jv_get_str(v, "name");
    if (str_is_absent(en->name))
        en->name = k ? str_c(k->name) : en->slot;
    en->kind = str_eq(en->slot, STR("github")) ? STR("github") : STR("oidc");
    if (!jv_is_object(v))
        return err_set(e, ERR_INVALID, "it is no object");
    if (!members_check(en, v, e) || !principal_name_check(en->name, "name", e))
        return false;
    buf_init(&text, CONFIG_MAX);
    jout_init(&j, &text);
    config_write(en, v, a, &j);
    en->config = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    if (str_is_absent(en->config))
        return err_set(e, ERR_INVALID, "it is too large");
    if (str_eq(en->slot, STR("microsoft")) && jv_get_str(v, "tenantId").n == 0)
        return err_set(e, ERR_INVALID, "tenantId is missing");
    return oidc_config_parse(a, en->kind, en->config, &checked, e) && secret_check(v, en, e);
}

static bool entry_add(struct arena *a, struct entries *all, struct str slot, const char *where,
                      const struct jvalue *v, struct err *e)
{
    struct err why;
    if (!jv_get_bool(v, "enabled", true))
        return true;
    if (all->n == PROVIDERS_MAX)
        return err_set(e, ERR_INVALID, "AUTH_CONFIG: more than %d providers", PROVIDERS_MAX);
    struct entry *en = &all->items[all->n++];
    *en = (struct entry){.slot = slot};
    if (!text_is_slug(slot))
        return err_set(e, ERR_INVALID,
                       "AUTH_CONFIG: %s: \"%.*s\" is no name of a provider, expected 2 to 50 of "
                       "a-z, 0-9 and '-'",
                       where, STR_FMT(str_slice(slot, 0, 60)));
    return entry_read(a, en, v, &why) ||
           err_set(e, why.code, "AUTH_CONFIG: %s.%.*s: %s", where, STR_FMT(slot), why.msg);
}

/* ssoConfig as it was for Mesh: {providerId, domain, MS_... | GOOGLE_..., scopes}. */
static bool sso_config_add(struct arena *a, struct entries *all, const struct jvalue *v,
                           struct err *e)
{
    struct str id = jv_get_str(v, "providerId");
    bool is_google = str_eq(id, STR("google"));
    struct buf text;
    struct jout j;
    if (!v)
        return true;
    if (!is_google && !str_eq(id, STR("microsoft")))
        return err_set(e, ERR_INVALID,
                       "AUTH_CONFIG: ssoConfig.providerId is expected to be google or microsoft");
    for (size_t i = 0; i < all->n; i++)
        if (str_eq(all->items[i].slot, id))
            return err_set(e, ERR_INVALID,
                           "AUTH_CONFIG: ssoConfig and socialProviders both configure %.*s",
                           STR_FMT(id));
    buf_init(&text, CONFIG_MAX);
    jout_init(&j, &text);
    jout_object(&j);
    put(&j, "clientId", v, is_google ? "GOOGLE_CLIENT_ID" : "MS_CLIENT_ID");
    put(&j, "clientSecret", v, is_google ? "GOOGLE_CLIENT_SECRET" : "MS_CLIENT_SECRET");
    if (is_google)
        put(&j, "hostedDomain", v, "domain");
    else
        put(&j, "tenantId", v, "MS_TENANT_ID");
    put(&j, "scopes", v, "scopes");
    jout_object_end(&j);
    struct jdoc *doc = buf_ok(&text) ? jdoc_parse(buf_str(&text), e) : NULL;
    if (text.p)
        secret_wipe(text.p, text.n);
    buf_end(&text);
    if (!doc || !arena_on_end(a, doc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_INVALID, "AUTH_CONFIG: ssoConfig is too large");
    }
    return entry_add(a, all, id, "ssoConfig", jdoc_root(doc), e);
}

static bool entries_read(struct arena *a, const struct jvalue *root, struct entries *all,
                         struct err *e)
{
    const struct jvalue *social = jv_get(root, "socialProviders"), *v;
    void *iter = NULL;
    struct str slot;
    if (social && !jv_is_object(social))
        return err_set(e, ERR_INVALID, "AUTH_CONFIG: socialProviders is no object");
    while (social && jv_member(social, &iter, &slot, &v))
        if (!entry_add(a, all, slot, "socialProviders", v, e))
            return false;
    return sso_config_add(a, all, jv_get(root, "ssoConfig"), e);
}

/* ---- the store ---- */

static bool entry_keep(struct services *sv, struct arena *a, const struct entry *en,
                       const struct sso_provider *before, struct err *e)
{
    struct id id = id_new("idp");
    int64_t now = clock_wall_ms();
    struct sso_provider p = {.id = before ? before->id : id_str(&id),
                             .kind = en->kind,
                             .slot = en->slot,
                             .name = en->name,
                             .config = en->config,
                             .is_enabled = true,
                             .default_role = STR("member"),
                             .is_owners = true,
                             .created_at = now,
                             .updated_at = now};
    if (en->secret.n > 0 &&
        !provider_secret_seal(sv, a, STR_NONE, p.id, en->secret, &p.sealed_secret, e))
        return false;
    return before ? sso_providers_update(sv->db, a, &p, 0, e)
                  : sso_providers_insert(sv->db, a, &p, e);
}

static const struct sso_provider *slot_find(const struct sso_provider *list, size_t n,
                                            struct str slot)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i].slot, slot))
            return &list[i];
    return NULL;
}

static bool has_slot(const struct entries *all, struct str slot)
{
    for (size_t i = 0; i < all->n; i++)
        if (str_eq(all->items[i].slot, slot))
            return true;
    return false;
}

static bool entries_keep(struct services *sv, struct arena *a, const struct entries *all,
                         struct err *e)
{
    struct sso_provider *before;
    size_t n;
    if (!sso_providers_list_installation(sv->db, a, &before, &n, e))
        return false;
    for (size_t i = 0; i < all->n; i++)
        if (!entry_keep(sv, a, &all->items[i], slot_find(before, n, all->items[i].slot), e))
            return false;
    for (size_t i = 0; i < n; i++) {
        if (has_slot(all, before[i].slot) || !before[i].is_enabled)
            continue;
        before[i].is_enabled = false;
        if (!sso_providers_update(sv->db, a, &before[i], 0, e))
            return false;
    }
    return true;
}

static bool config_read(struct services *sv, struct arena *a, struct entries **all, struct err *e)
{
    const struct jvalue *root = NULL;
    *all = arena_alloc(a, sizeof(**all));
    if (!*all)
        return no_memory(e);
    if (sv->config->auth_config && !file_read(a, sv->config->auth_config, &root, e))
        return false;
    return entries_read(a, root, *all, e);
}

bool installation_providers_start(struct services *sv, struct arena *a, struct err *e)
{
    struct entries *all;
    if (!config_read(sv, a, &all, e))
        return false;
    /* Another node may begin at the same moment: the second look finds what it made. */
    return entries_keep(sv, a, all, e) || (e->code == ERR_CONFLICT && entries_keep(sv, a, all, e));
}

bool installation_providers_read(struct services *sv, struct arena *a, struct sso_provider **out,
                                 size_t *n, struct err *e)
{
    struct entries *all;
    struct sso_provider *known_rows;
    size_t n_known;
    if (!config_read(sv, a, &all, e) ||
        !sso_providers_list_installation(sv->db, a, &known_rows, &n_known, e))
        return false;
    *out = arena_alloc(a, (all->n + 1) * sizeof(**out));
    if (!*out)
        return no_memory(e);
    for (*n = 0; *n < all->n; (*n)++) {
        const struct entry *en = &all->items[*n];
        const struct sso_provider *row = slot_find(known_rows, n_known, en->slot);
        (*out)[*n] = (struct sso_provider){.id = row ? row->id : STR_NONE,
                                           .kind = en->kind,
                                           .slot = en->slot,
                                           .name = en->name,
                                           .config = en->config};
    }
    return true;
}
