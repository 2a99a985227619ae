#include "core/org_policy.h"

#include "base/limits.h"
#include "core/row_cache.h"
#include "json/jout.h"
#include "store/org_policies.h"
#include "store/orgs.h"

enum { MINUTE_MS = 60 * 1000, DAY_MINUTES = 24 * 60 };

static const struct str client_words[] = {
    [ORG_CLIENTS_OPEN] = STR("open"),
    [ORG_CLIENTS_APPROVED] = STR("approved"),
    [ORG_CLIENTS_OFF] = STR("off"),
};

struct org_policy org_policy_default(void)
{
    return (struct org_policy){.session_idle_minutes = LIMIT_BROWSER_IDLE_MS / MINUTE_MS,
                               .session_life_minutes = LIMIT_BROWSER_LIFE_DAYS * DAY_MINUTES,
                               .magic_links = true};
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- JSON ---- */

static void bool_apply(const struct jvalue *change, const char *name, bool otherwise, bool *out)
{
    const struct jvalue *v = jv_get(change, name);
    if (v)
        *out = jv_bool(v, otherwise);
}

static void number_apply(const struct jvalue *change, const char *name, int64_t otherwise,
                         int64_t *out)
{
    const struct jvalue *v = jv_get(change, name);
    if (v)
        *out = jv_i64(v, otherwise);
}

static void text_apply(const struct jvalue *change, const char *name, struct str *out)
{
    const struct jvalue *v = jv_get(change, name);
    if (v)
        *out = jv_str(v);
}

static bool clients_apply(struct arena *a, const struct jvalue *change, struct org_policy *p,
                          struct err *e)
{
    struct str word = jv_get_str(change, "oauth_clients");
    if (jv_get(change, "oauth_clients"))
        p->oauth_clients = ORG_CLIENTS_OPEN;
    for (size_t i = 0; i < ARRAY_LEN(client_words); i++)
        if (str_eq(word, client_words[i]))
            p->oauth_clients = (enum org_clients)i;
    const struct jvalue *list = jv_get(change, "approved_clients");
    if (!list)
        return true;
    size_t n = jv_count(list);
    struct str *ids = arena_alloc(a, (n + 1) * sizeof(*ids));
    if (!ids)
        return no_memory(e);
    for (size_t i = 0; i < n; i++)
        ids[i] = jv_str(jv_at(list, i));
    p->approved_clients = ids;
    p->n_approved_clients = n;
    return true;
}

bool org_policy_apply(struct arena *a, const struct jvalue *change, struct org_policy *p,
                      struct err *e)
{
    const struct org_policy d = org_policy_default();
    bool_apply(change, "require_sso", false, &p->require_sso);
    text_apply(change, "provider_id", &p->provider_id);
    bool_apply(change, "require_two_factor", false, &p->require_two_factor);
    number_apply(change, "session_idle_minutes", d.session_idle_minutes, &p->session_idle_minutes);
    number_apply(change, "session_life_minutes", d.session_life_minutes, &p->session_life_minutes);
    bool_apply(change, "magic_links", true, &p->magic_links);
    text_apply(change, "search_mode_default", &p->search_mode_default);
    number_apply(change, "rate_organization", 0, &p->rate_organization);
    number_apply(change, "rate_connection", 0, &p->rate_connection);
    number_apply(change, "rate_key", 0, &p->rate_key);
    number_apply(change, "concurrent_organization", 0, &p->concurrent_organization);
    number_apply(change, "concurrent_connection", 0, &p->concurrent_connection);
    number_apply(change, "concurrent_key", 0, &p->concurrent_key);
    return clients_apply(a, change, p, e);
}

void org_policy_write(const struct org_policy *p, struct buf *out)
{
    struct jout j;
    jout_init(&j, out);
    jout_object(&j);
    jout_kbool(&j, "require_sso", p->require_sso);
    jout_kstr(&j, "provider_id", p->provider_id);
    jout_kbool(&j, "require_two_factor", p->require_two_factor);
    jout_ki64(&j, "session_idle_minutes", p->session_idle_minutes);
    jout_ki64(&j, "session_life_minutes", p->session_life_minutes);
    jout_kbool(&j, "magic_links", p->magic_links);
    jout_kstr(&j, "oauth_clients", client_words[p->oauth_clients]);
    jout_key(&j, STR("approved_clients"));
    jout_array(&j);
    for (size_t i = 0; i < p->n_approved_clients; i++)
        jout_str(&j, p->approved_clients[i]);
    jout_array_end(&j);
    jout_kstr(&j, "search_mode_default", p->search_mode_default);
    jout_ki64(&j, "rate_organization", p->rate_organization);
    jout_ki64(&j, "rate_connection", p->rate_connection);
    jout_ki64(&j, "rate_key", p->rate_key);
    jout_ki64(&j, "concurrent_organization", p->concurrent_organization);
    jout_ki64(&j, "concurrent_connection", p->concurrent_connection);
    jout_ki64(&j, "concurrent_key", p->concurrent_key);
    jout_object_end(&j);
}

/* ---- the cache ---- */

static void document_free(void *arg)
{
    jdoc_free(arg);
}

static void *none(struct err *e)
{
    (void)!no_memory(e);
    return NULL;
}

static void *policy_load(struct services *sv, struct row *row, void *arg, struct err *e)
{
    struct arena *keep = row->keep;
    const struct str *org_id = arg;
    struct str text;
    struct err why;
    struct org_policy *policy = arena_alloc(keep, sizeof(*policy));
    if (!policy)
        return none(e);
    *policy = org_policy_default();
    if (!org_policies_get(sv->db, keep, *org_id, &text, e))
        return e->code == ERR_NOT_FOUND ? policy : NULL;
    struct jdoc *doc = jdoc_parse(text, &why);
    if (!doc) {
        err_set(e, ERR_INTERNAL, "a stored policy is damaged");
        return NULL;
    }
    if (!arena_on_end(keep, document_free, doc)) {
        jdoc_free(doc);
        return none(e);
    }
    return org_policy_apply(keep, jdoc_root(doc), policy, e) ? policy : NULL;
}

static int64_t shorter(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What a person's organizations say together. */
static void *lifetime_load(struct services *sv, struct row *row, void *arg, struct err *e)
{
    struct arena *keep = row->keep;
    const struct db_page page = {.limit = LIMIT_LIST};
    const struct str *user_id = arg;
    struct org_of_user *orgs;
    size_t n;
    const struct org_policy d = org_policy_default();
    struct session_lifetime *l = arena_alloc(keep, sizeof(*l));
    if (!l)
        return none(e);
    *l = (struct session_lifetime){d.session_idle_minutes, d.session_life_minutes};
    if (!orgs_list_of_user(sv->db, keep, *user_id, &page, &orgs, &n, e))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const struct org_policy *p;
        if (!org_policy_get(sv, keep, orgs[i].org.id, &p, e))
            return NULL;
        l->idle_ms = shorter(l->idle_ms, p->session_idle_minutes);
        l->life_ms = shorter(l->life_ms, p->session_life_minutes);
    }
    *l = (struct session_lifetime){l->idle_ms * MINUTE_MS, l->life_ms * MINUTE_MS};
    return l;
}

bool org_policy_get(struct services *sv, struct arena *a, struct str org_id,
                    const struct org_policy **out, struct err *e)
{
    const struct row_ask ask = {STR("policy"), org_id, policy_load, &org_id};
    return (*out = row_cache_get(sv->rows, sv, a, &ask, e)) != NULL;
}

bool org_policy_lifetime(struct services *sv, struct arena *a, struct str user_id,
                         struct str proof_org_id, struct session_lifetime *out, struct err *e)
{
    const struct org_policy *p;
    if (!str_is_absent(proof_org_id)) {
        if (!org_policy_get(sv, a, proof_org_id, &p, e))
            return false;
        *out = (struct session_lifetime){p->session_idle_minutes * MINUTE_MS,
                                         p->session_life_minutes * MINUTE_MS};
        return true;
    }
    const struct row_ask ask = {STR("lifetime"), user_id, lifetime_load, &user_id};
    const struct session_lifetime *l = row_cache_get(sv->rows, sv, a, &ask, e);
    if (l)
        *out = *l;
    return l != NULL;
}
