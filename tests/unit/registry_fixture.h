/* A store with two tenants and their people, services without a network, and the management tools
 * through their one door. */
#pragma once

#include "unit/store_fixture.h"

#include "auth/caller_build.h"
#include "auth/token_check.h"
#include "base/ids.h"
#include "base/secret.h"
#include "core/policy.h"
#include "core/row_cache.h"
#include "core/vault.h"
#include "crypto/hash.h"
#include "crypto/keyring.h"
#include "io/http_guard.h"
#include "json/jread.h"
#include "management-tools/registry.h"
#include "mcp/channel.h"
#include "mcp/registry_cache.h"
#include "mcp/sessions.h"
#include "mcp/upstream_health.h"
#include "mcp/upstream_pool.h"
#include "store/api_keys.h"
#include "store/audit.h"
#include "store/credentials.h"
#include "store/members.h"
#include "store/orgs.h"
#include "store/users.h"

#define KEY_HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct world {
    struct fixture *f;
    struct arena *a;
    struct config config;
    struct keyring keys;
    struct services sv;
    struct str org, other_org;                   /* two tenants */
    const struct caller *owner, *admin, *member; /* of org, unnarrowed */
    const struct caller *stranger;               /* owner of other_org */
    struct err e;
    bool is_unknown;
};

static bool was_called[128]; /* tools, in the order of the registry */

static inline struct str new_id(struct world *w, const char *prefix)
{
    struct id id = id_new(prefix);
    return arena_dup(w->a, id_str(&id));
}

static inline struct str user_make(struct world *w, const char *email)
{
    struct user u = {.id = new_id(w, "usr"), .email = str_c(email), .name = str_c(email)};
    u.created_at = u.updated_at = clock_wall_ms();
    OK(w->f, users_insert(w->sv.db, w->a, &u, &w->f->e));
    return u.id;
}

static inline struct str org_make(struct world *w, const char *slug, struct str owner)
{
    struct org o = {
        .id = new_id(w, "org"), .slug = str_c(slug), .name = str_c(slug), .created_by = owner};
    struct str wrapped;
    o.created_at = o.updated_at = clock_wall_ms();
    OK(w->f, vault_make_data_key(&w->keys, o.id, w->a, &wrapped, &w->f->e));
    OK(w->f, orgs_insert(w->sv.db, w->a, &o, wrapped, owner, &w->f->e));
    return o.id;
}

static inline const struct caller *caller_of(struct world *w, struct str org, struct str user)
{
    const struct caller *c;
    OK(w->f, caller_of_member(&w->sv, w->a, org, user, &c, &w->f->e));
    return c;
}

static inline const struct caller *join(struct world *w, const char *email, const char *role)
{
    struct str user = user_make(w, email);
    OK(w->f, members_add(w->sv.db, w->a, w->org, user, str_c(role), clock_wall_ms(), &w->f->e));
    return caller_of(w, w->org, user);
}

/* The caller as it is after roles have changed. */
static inline const struct caller *again(struct world *w, const struct caller *c)
{
    return caller_of(w, c->org_id, c->user_id);
}

static inline void world_begin(struct world *w, struct fixture *f)
{
    *w = (struct world){.f = f, .a = f->a};
    w->config.allow_org_creation = "operator";
    OK(f, keyring_parse(&w->keys, STR(KEY_HEX), &f->e));
    OK(f, registry_start(&f->e));
    struct http_guard_config guard = {.allow_loopback = true, .own_port = 3000};
    struct audit_config audit = {
        .store = f->store, .sync = true, .retention_days = 90, .flush_ms = 100};
    w->sv = (struct services){.loop = loop_self(),
                              .config = &w->config,
                              .keys = &w->keys,
                              .offload = f->offload,
                              .db = f->db,
                              .tools = &registry_source};
    w->sv.guard = http_guard_new(&guard, &f->e);
    w->sv.vault = vault_new(&w->keys, f->db, &f->e);
    w->sv.tokens = token_cache_new();
    w->sv.registry = row_cache_new();
    w->sv.pool = session_pool_new();
    w->sv.sessions = session_table_new(&w->keys);
    w->sv.channels = channel_table_new();
    w->sv.health = upstream_health_new();
    w->sv.audit = audit_start(&audit, &f->e);
    assert_true(w->sv.guard && w->sv.vault && w->sv.tokens && w->sv.registry && w->sv.pool &&
                w->sv.sessions && w->sv.channels && w->sv.health && w->sv.audit);

    struct str owner = user_make(w, "owner@example.com"),
               stranger = user_make(w, "stranger@example.com");
    w->org = org_make(w, "acme", owner);
    w->other_org = org_make(w, "other", stranger);
    w->owner = caller_of(w, w->org, owner);
    w->stranger = caller_of(w, w->other_org, stranger);
    w->admin = join(w, "admin@example.com", "admin");
    w->member = join(w, "member@example.com", "member");
}

static inline void world_end(struct world *w)
{
    audit_stop(w->sv.audit);
    upstream_health_free(w->sv.health);
    channel_table_free(w->sv.channels);
    session_table_free(w->sv.sessions);
    session_pool_free(w->sv.pool);
    row_cache_free(w->sv.registry);
    token_cache_free(w->sv.tokens);
    vault_free(w->sv.vault);
    http_guard_free(w->sv.guard);
    keyring_end(&w->keys);
}

static inline void in_world(struct fixture *f, void (*body)(struct world *w))
{
    struct world w;
    world_begin(&w, f);
    body(&w);
    world_end(&w);
}

/* One test in a world of its own. */
#define WORLD_TEST(name)                                                                           \
    static void name##_body(struct world *w);                                                      \
    static void name##_run(struct fixture *f)                                                      \
    {                                                                                              \
        in_world(f, name##_body);                                                                  \
    }                                                                                              \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        with_store(name##_run);                                                                    \
    }                                                                                              \
    static void name##_body(struct world *w)

/* ---- calling ---- */

static inline bool try_call(struct world *w, const struct caller *c, const char *tool,
                            struct str arguments, struct tool_outcome *out)
{
    struct tool_use use = {.arena = w->a, .sv = &w->sv, .caller = c, .request_id = STR("req_1")};
    const struct tool *found = registry_find(str_c(tool));
    w->e = (struct err){0};
    if (found)
        was_called[found - tools] = true;
    return registry_source.call(&use, str_c(tool), arguments, out, &w->is_unknown, &w->e);
}

/* The answer as a tree that lives as long as the arena. */
static inline const struct jvalue *call(struct world *w, const struct caller *c, const char *tool,
                                        struct str arguments)
{
    struct tool_outcome out;
    if (!try_call(w, c, tool, arguments, &out))
        fail_msg("%s %.*s: %s %s %s", tool, STR_FMT(arguments), err_text(w->e.code), w->e.msg,
                 w->e.detail);
    struct jdoc *doc = jdoc_parse(out.structured, &w->e);
    assert_non_null(doc);
    assert_true(arena_on_end(w->a, (void (*)(void *))jdoc_free, doc));
    return jdoc_root(doc);
}

static inline void refused(struct world *w, const struct caller *c, const char *tool,
                           struct str arguments, enum err_code code)
{
    struct tool_outcome out;
    if (try_call(w, c, tool, arguments, &out))
        fail_msg("%s %.*s was not refused: %.*s", tool, STR_FMT(arguments),
                 STR_FMT(out.structured));
    if (w->e.code != code)
        fail_msg("%s %.*s: %s %s, expected %s", tool, STR_FMT(arguments), err_text(w->e.code),
                 w->e.msg, err_text(code));
}

#define ARGS(...) arena_printf(w->a, __VA_ARGS__)

static inline struct str item_str(const struct jvalue *answer, const char *name)
{
    return jv_get_str(jv_get(answer, "item"), name);
}

static inline size_t item_count(const struct jvalue *answer)
{
    return jv_count(jv_get(answer, "items"));
}

static inline struct str connection_make(struct world *w, const char *name)
{
    return item_str(call(w, w->admin, "CONNECTION_CREATE",
                         ARGS("{\"name\":\"%s\",\"url\":\"http://127.0.0.1:9/mcp\"}", name)),
                    "id");
}

/* The caller that the key of an API_KEY_CREATE answer makes. */
static inline const struct caller *key_caller(struct world *w, const struct jvalue *created)
{
    const struct caller *c;
    OK(w->f, token_check(&w->sv, w->a, jv_get_str(created, "key"), clock_wall_ms(), &c, &w->f->e));
    return c;
}

static inline size_t audit_count(struct world *w, struct str org, const char *method,
                                 const char *outcome)
{
    const struct audit_filter f = {.method = str_c(method), .outcome = str_c(outcome)};
    const struct db_page page = {.limit = 100};
    struct audit_row *rows;
    size_t n;
    OK(w->f, audit_list(w->sv.db, w->a, org, &f, &page, &rows, &n, &w->f->e));
    return n;
}
