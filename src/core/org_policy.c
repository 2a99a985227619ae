#include "core/org_policy.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/map.h"
#include "json/jout.h"
#include "store/org_policies.h"
#include "store/orgs.h"

enum { MINUTE_MS = 60 * 1000, DAY_MINUTES = 24 * 60, ENTRY_ARENA_BYTES = 1024 * 1024 };

static const struct str client_words[] = {
    [ORG_CLIENTS_OPEN] = STR("open"),
    [ORG_CLIENTS_APPROVED] = STR("approved"),
    [ORG_CLIENTS_OFF] = STR("off"),
};

/* An organization's policy, or what a person's organizations say together of sessions. */
struct entry {
    struct arena *keep; /* holds the strings */
    struct org_policy policy;
    struct session_lifetime lifetime;
    int refs;
};

struct org_policy_cache {
    struct map *entries; /* org_... or usr_... -> struct entry; the map holds one reference */
    uint64_t epoch;
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

static void entry_release(void *arg)
{
    struct entry *entry = arg;
    if (--entry->refs > 0)
        return;
    arena_end(entry->keep);
    free(entry);
}

struct org_policy_cache *org_policy_cache_new(void)
{
    struct org_policy_cache *c = calloc(1, sizeof(*c));
    if (c)
        c->entries = map_new();
    if (c && !c->entries) {
        free(c);
        return NULL;
    }
    return c;
}

void org_policy_cache_free(struct org_policy_cache *c)
{
    if (!c)
        return;
    map_free(c->entries, entry_release);
    free(c);
}

static bool release_each(struct str key unused_arg, void *value, void *arg unused_arg)
{
    entry_release(value);
    return true;
}

static void cache_refresh(struct org_policy_cache *c, uint64_t epoch)
{
    if (c->epoch == epoch && map_count(c->entries) < LIMIT_CACHE_ENTRIES)
        return;
    map_each(c->entries, release_each, NULL);
    c->epoch = epoch;
}

static void document_free(void *arg)
{
    jdoc_free(arg);
}

static bool policy_load(struct services *sv, struct entry *entry, struct str org_id, struct err *e)
{
    struct str text;
    entry->policy = org_policy_default();
    if (!org_policies_get(sv->db, entry->keep, org_id, &text, e))
        return e->code == ERR_NOT_FOUND;
    struct err why;
    struct jdoc *doc = jdoc_parse(text, &why);
    if (!doc)
        return err_set(e, ERR_INTERNAL, "a stored policy is damaged");
    if (!arena_on_end(entry->keep, document_free, doc)) {
        jdoc_free(doc);
        return no_memory(e);
    }
    return org_policy_apply(entry->keep, jdoc_root(doc), &entry->policy, e);
}

static int64_t shorter(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool lifetime_load(struct services *sv, struct entry *entry, struct str user_id,
                          struct err *e)
{
    const struct db_page page = {.limit = LIMIT_LIST};
    struct org_of_user *orgs;
    size_t n;
    const struct org_policy d = org_policy_default();
    struct session_lifetime l = {d.session_idle_minutes, d.session_life_minutes};
    if (!orgs_list_of_user(sv->db, entry->keep, user_id, &page, &orgs, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct org_policy *p;
        if (!org_policy_get(sv, entry->keep, orgs[i].org.id, &p, e))
            return false;
        l.idle_ms = shorter(l.idle_ms, p->session_idle_minutes);
        l.life_ms = shorter(l.life_ms, p->session_life_minutes);
    }
    entry->lifetime = (struct session_lifetime){l.idle_ms * MINUTE_MS, l.life_ms * MINUTE_MS};
    return true;
}

typedef bool entry_load_fn(struct services *sv, struct entry *entry, struct str id, struct err *e);

static struct entry *entry_new(struct services *sv, struct str id, entry_load_fn *load,
                               struct err *e)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    struct arena *keep = arena_new(ENTRY_ARENA_BYTES);
    if (!entry || !keep) {
        free(entry);
        arena_end(keep);
        no_memory(e);
        return NULL;
    }
    *entry = (struct entry){.keep = keep, .refs = 1};
    if (load(sv, entry, id, e))
        return entry;
    entry_release(entry);
    return NULL;
}

static struct entry *entry_find(struct services *sv, struct arena *a, struct str id,
                                entry_load_fn *load, struct err *e)
{
    struct org_policy_cache *c = sv->policies;
    uint64_t epoch = db_epoch(db_store_of(sv->db));
    if (c)
        cache_refresh(c, epoch);
    struct entry *entry = c ? map_get(c->entries, id) : NULL;
    if (entry) {
        entry->refs++;
    } else {
        entry = entry_new(sv, id, load, e);
        if (!entry)
            return NULL;
        void *old = NULL;
        /* Kept only if nothing changed while it was read. */
        if (c && c->epoch == epoch && epoch == db_epoch(db_store_of(sv->db)) &&
            map_set(c->entries, id, entry, &old)) {
            entry->refs++;
            if (old)
                entry_release(old);
        }
    }
    if (arena_on_end(a, entry_release, entry))
        return entry;
    entry_release(entry);
    no_memory(e);
    return NULL;
}

bool org_policy_get(struct services *sv, struct arena *a, struct str org_id,
                    const struct org_policy **out, struct err *e)
{
    const struct entry *entry = entry_find(sv, a, org_id, policy_load, e);
    if (!entry)
        return false;
    *out = &entry->policy;
    return true;
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
    const struct entry *entry = entry_find(sv, a, user_id, lifetime_load, e);
    if (!entry)
        return false;
    *out = entry->lifetime;
    return true;
}
