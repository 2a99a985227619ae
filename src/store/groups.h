/* Groups of an organization's members: each carries roles. */
#pragma once

#include "store/db.h"

struct group {
    struct str id; /* grp_ */
    struct str name, description;
    struct str roles;       /* space separated, as a member's; empty: none */
    struct str external_id; /* the directory's; absent: none */
    int64_t created_at, updated_at;
    int64_t n_members; /* read back */
};
/* ERR_CONFLICT: the name is taken. Invalidates. */
bool groups_insert(struct db *db, struct arena *a, struct str org_id, const struct group *g,
                   struct err *e) must_use;
bool groups_get(struct db *db, struct arena *a, struct str org_id, struct str id, struct group *out,
                struct err *e) must_use;
bool groups_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                 struct group **out, size_t *n, struct err *e) must_use;
/* The one of this name, or with an external id; the other one absent. Empty when there is none. */
bool groups_find(struct db *db, struct arena *a, struct str org_id, struct str name,
                 struct str external_id, struct group **out, size_t *n, struct err *e) must_use;
bool groups_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                  struct err *e) must_use;
struct group_change {
    struct str name, description, roles, external_id; /* absent: stays */
};
/* ERR_NOT_FOUND; ERR_CONFLICT: name taken. Invalidates. */
bool groups_update(struct db *db, struct arena *a, struct str org_id, struct str id,
                   const struct group_change *c, int64_t now, struct err *e) must_use;
/* Its members lose its roles. ERR_NOT_FOUND. Invalidates. */
bool groups_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                   struct err *e) must_use;

/* ---- who is in ---- */

/* Ids of everybody in it; at most LIMIT_GROUP_MEMBERS. */
bool groups_member_ids(struct db *db, struct arena *a, struct str org_id, struct str id,
                       struct str **out, size_t *n, struct err *e) must_use;
/* source: "" by hand, "scim", or a provider's id. There already: fine. ERR_NOT_FOUND: no such group
 * or member. Invalidates. */
bool groups_member_add(struct db *db, struct arena *a, const struct str where[2],
                       struct str user_id, struct str source, int64_t now, struct err *e) must_use;
/* Whoever put them in. ERR_NOT_FOUND: not in it. where: organization, group. Invalidates. */
bool groups_member_remove(struct db *db, struct arena *a, const struct str where[2],
                          struct str user_id, struct err *e) must_use;

struct group_members_change {
    struct str org_id, id, source;
    const struct str *added, *removed; /* user ids */
    size_t n_added, n_removed;
    int64_t now;
};
/* Adds to a batch: those added are in by `source`; those removed are out, whoever put them in. */
void groups_add_members_change(struct db_batch *b, const struct group_members_change *c);

/* ---- what a member has by groups ---- */

struct group_of_member {
    struct str id, name, roles; /* id absent: roles by a sign-in provider, name: its name */
};
/* Oldest first. */
bool groups_of_member(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                      struct group_of_member **out, size_t *n, struct err *e) must_use;
/* True when one of them gives the role. */
bool groups_give(const struct group_of_member *groups, size_t n, struct str role);

/* ---- what providers call them ---- */

struct group_name {
    struct str provider_id, name, group_id;
};
/* provider_id or group_id absent: any. */
bool groups_names(struct db *db, struct arena *a, struct str org_id, struct str provider_id,
                  struct str group_id, struct group_name **out, size_t *n, struct err *e) must_use;
/* Exactly these are the group's. ERR_NOT_FOUND: the organization has no such provider. */
bool groups_names_set(struct db *db, struct arena *a, struct str org_id, struct str group_id,
                      const struct group_name *names, size_t n, struct err *e) must_use;

struct groups_by_provider {
    struct str org_id, user_id, provider_id;
    const struct str *group_ids;
    size_t n_groups;
    struct str roles; /* space separated; empty: none */
    int64_t now;
};
/* Makes the memberships and roles by this provider exactly these; nothing is written where nothing
 * differs. ERR_NOT_FOUND: no such member. Invalidates. */
bool groups_set_by_provider(struct db *db, struct arena *a, const struct groups_by_provider *g,
                            struct err *e) must_use;
