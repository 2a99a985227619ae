/* What a server offered, tool by tool: the hash of each raw definition from the first day, and what
 * an administrator said of it. */
#pragma once

#include "store/db.h"

struct connection_tool {
    struct str name;          /* as the server gave it */
    struct str hash;          /* hex SHA-256 of the raw definition as last seen */
    struct str approved_hash; /* of the definition an administrator approved; absent: never */
    struct str definition;    /* raw JSON as last seen */
    struct str renamed_to;    /* absent: none */
    struct str effect; /* the administrator's mark: read write destructive; absent: none given */
    bool enabled;
    int64_t first_seen_at, last_seen_at, changed_at;
};
bool connection_tools_list(struct db *db, struct arena *a, struct str org_id,
                           struct str connection_id, struct connection_tool **out, size_t *n,
                           struct err *e) must_use;
/* The same without definitions: what every call needs to know. */
bool connection_tools_marks(struct db *db, struct arena *a, struct str org_id,
                            struct str connection_id, struct connection_tool **out, size_t *n,
                            struct err *e) must_use;
bool connection_tools_get(struct db *db, struct arena *a, struct str org_id,
                          struct str connection_id, struct str name, struct connection_tool *out,
                          struct err *e) must_use;
/* Records a whole list: inserts new tools (enabled), updates hash, definition and times of known
 * ones. One transaction. Leaves marks alone. */
bool connection_tools_record(struct db *db, struct arena *a, struct str org_id,
                             struct str connection_id, const struct connection_tool *tools,
                             size_t n, int64_t now, struct err *e) must_use;
/* What an administrator says of one tool. */
struct connection_tool_mark {
    struct str name;               /* whose: as the server gave it */
    int enabled;                   /* -1: stays, 0, 1 */
    struct str renamed_to, effect; /* absent: stays; empty: cleared */
    bool approve;                  /* the definition as last seen */
};
/* ERR_NOT_FOUND. */
bool connection_tools_update(struct db *db, struct arena *a, struct str org_id,
                             struct str connection_id, const struct connection_tool_mark *mark,
                             int64_t now, struct err *e) must_use;
