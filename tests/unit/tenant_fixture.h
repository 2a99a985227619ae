/* Two organizations with the same things in them. */
#pragma once

#include "unit/store_fixture.h"

#include "base/ids.h"
#include "store/api_keys.h"
#include "store/connection_tools.h"
#include "store/connections.h"
#include "store/credentials.h"
#include "store/installation.h"
#include "store/members.h"
#include "store/orgs.h"
#include "store/roles.h"
#include "store/sso_providers.h"
#include "store/users.h"

#define NOW 1000000

struct tenant {
    struct str org, owner, conn, role, key;
};

static inline struct str new_id(struct fixture *f, const char *prefix)
{
    struct id id = id_new(prefix);
    return arena_dup(f->a, id_str(&id));
}

static inline struct str make_user(struct fixture *f, const char *email)
{
    struct user u = {.id = new_id(f, "usr"),
                     .email = str_c(email),
                     .name = STR("Somebody"),
                     .created_at = NOW,
                     .updated_at = NOW};
    OK(f, users_insert(f->db, f->a, &u, &f->e));
    return u.id;
}

static inline struct connection connection_of(struct fixture *f, struct str org, const char *slug,
                                              int64_t at)
{
    return (struct connection){.id = new_id(f, "conn"),
                               .org_id = org,
                               .name = STR("Search"),
                               .slug = str_c(slug),
                               .transport = STR("auto"),
                               .url = STR("https://mcp.example/mcp"),
                               .auth = STR("bearer"),
                               .credential_scope = STR("user"),
                               .enabled = true,
                               .status = STR("unknown"),
                               .tool_count = -1,
                               .created_at = at,
                               .updated_at = at};
}

static inline struct str make_connection(struct fixture *f, struct str org, const char *slug,
                                         int64_t at)
{
    struct connection c = connection_of(f, org, slug, at);
    OK(f, connections_insert(f->db, f->a, &c, NULL, &f->e));
    return c.id;
}

/* A sign-in provider of an organization (absent: of the installation), not yet inserted. */
static inline struct sso_provider provider_of(struct fixture *f, struct str org)
{
    return (struct sso_provider){.id = new_id(f, "idp"),
                                 .org_id = org,
                                 .kind = STR("oidc"),
                                 .name = STR("Corp"),
                                 .config = STR("{}"),
                                 .is_enabled = true,
                                 .default_role = STR("member"),
                                 .created_at = NOW,
                                 .updated_at = NOW};
}
static inline struct str make_key(struct fixture *f, struct str org, struct str user)
{
    struct str id = new_id(f, "key");
    struct api_key k = {.id = id,
                        .org_id = org,
                        .user_id = user,
                        .name = STR("laptop"),
                        .prefix = STR("tulle_key_ab"),
                        .hash = arena_printf(f->a, "hash of %.*s", STR_FMT(id)),
                        .created_at = NOW};
    OK(f, api_keys_insert(f->db, f->a, &k, &f->e));
    return id;
}

static inline struct str make_org(struct fixture *f, const char *slug, struct str owner)
{
    struct org o = {.id = new_id(f, "org"),
                    .slug = str_c(slug),
                    .name = STR("Org"),
                    .created_by = owner,
                    .created_at = NOW,
                    .updated_at = NOW};
    OK(f, orgs_insert(f->db, f->a, &o, STR("wrapped"), owner, &f->e));
    return o.id;
}

/* One of everything. */
static inline struct tenant make_tenant(struct fixture *f, const char *slug)
{
    struct tenant t;
    struct str email = arena_printf(f->a, "owner@%s.example", slug);
    t.owner = make_user(f, email.p);
    t.org = make_org(f, slug, t.owner);
    t.conn = make_connection(f, t.org, "search", NOW);
    t.role = new_id(f, "role");
    struct role r = {.id = t.role,
                     .name = STR("reader"),
                     .statements = STR("[]"),
                     .created_at = NOW,
                     .updated_at = NOW};
    OK(f, roles_insert(f->db, f->a, t.org, &r, &f->e));
    t.key = make_key(f, t.org, t.owner);
    struct credential_row c = {.connection_id = t.conn,
                               .user_id = STR(""),
                               .kind = STR("bearer"),
                               .sealed = STR("v1.x"),
                               .updated_at = NOW};
    OK(f, credentials_put(f->db, f->a, t.org, &c, &f->e));
    c.user_id = t.owner;
    OK(f, credentials_put(f->db, f->a, t.org, &c, &f->e));
    struct connection_tool tool = {.name = STR("find"), .hash = STR("h1"), .definition = STR("{}")};
    OK(f, connection_tools_record(f->db, f->a, t.org, t.conn, &tool, 1, NOW, &f->e));
    return t;
}
