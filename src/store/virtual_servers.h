/* Virtual servers: which tools, resources and prompts of which connections are shown at one
 * address. */
#pragma once

#include "store/db.h"

/* One connection of a virtual server. The lists are JSON arrays; absent: everything. */
struct virtual_member {
    struct str connection_id;
    struct str tools;     /* [{"name","as"?,"description"?}], "PREFIX_*" and "*" in name */
    struct str resources; /* [URI glob] */
    struct str prompts;   /* [{"name","as"?,"description"?}] */
};
struct virtual_server {
    struct str id; /* vs_ */
    struct str org_id, name, description, icon, instructions;
    struct str prefix; /* always clash */
    struct str search; /* off auto */
    bool enabled;
    struct str created_by;
    int64_t created_at, updated_at;
    struct virtual_member *members; /* in the order given */
    size_t n_members;
};
/* ERR_CONFLICT: a connection is not there, or named twice. */
bool virtual_servers_insert(struct db *db, struct arena *a, const struct virtual_server *v,
                            struct err *e) must_use;
/* With its members. ERR_NOT_FOUND. */
bool virtual_servers_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                         struct virtual_server *out, struct err *e) must_use;
/* With their members. */
bool virtual_servers_list(struct db *db, struct arena *a, struct str org_id,
                          const struct db_page *page, struct virtual_server **out, size_t *n,
                          struct err *e) must_use;
bool virtual_servers_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                           struct err *e) must_use;
/* Writes every field that a person may change; the members only when has_members. ERR_NOT_FOUND;
 * ERR_CONFLICT as insert. */
bool virtual_servers_update(struct db *db, struct arena *a, const struct virtual_server *v,
                            bool has_members, int64_t now, struct err *e) must_use;
bool virtual_servers_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                            struct err *e) must_use;
