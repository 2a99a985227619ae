/* The registry of MCP servers. */
#pragma once

#include "store/db.h"

struct connection {
    struct str id; /* conn_ */
    struct str org_id, name, slug, description, icon;
    struct str transport; /* auto streamable-http sse stdio */
    struct str url;       /* absent for stdio */
    struct str command;   /* stdio: absent otherwise */
    struct str args;      /* JSON array of strings */
    struct str
        env_names; /* JSON array: names of sealed environment variables; values are a credential */
    struct str auth;             /* none bearer headers query oauth */
    struct str credential_scope; /* organization user */
    bool enabled;
    struct str status;        /* unknown healthy degraded down needs_authorization */
    struct str era;           /* absent: not probed; "session" or "stateless" */
    int64_t era_at;           /* when it was found; 0 */
    int64_t tool_count;       /* -1: unknown */
    struct str configuration; /* JSON object, no secrets */
    struct str metadata;      /* JSON object */
    struct str created_by;
    int64_t created_at, updated_at;
    int64_t calls_per_minute, calls_at_once; /* limits of its own; 0: none */
};
struct credential_row;
/* With its first credential (NULL: none), as one transaction. ERR_CONFLICT: slug taken in the
   organization (also a retired slug less than 90 days old). */
bool connections_insert(struct db *db, struct arena *a, const struct connection *c,
                        const struct credential_row *credential, struct err *e) must_use;
bool connections_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                     struct connection *out, struct err *e) must_use;
/* By slug or retired slug. */
bool connections_by_slug(struct db *db, struct arena *a, struct str org_id, struct str slug,
                         struct connection *out, struct err *e) must_use;
bool connections_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                      struct connection **out, size_t *n, struct err *e) must_use;
bool connections_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                       struct err *e) must_use;
/* Writes all fields a person may change (name .. enabled, configuration, metadata); a changed url
 * or transport resets era and status. */
bool connections_update(struct db *db, struct arena *a, const struct connection *c, int64_t now,
                        struct err *e) must_use;
bool connections_set_enabled(struct db *db, struct arena *a, struct str org_id, struct str id,
                             bool enabled, int64_t now, struct err *e) must_use;
struct connection_note {
    struct str status, era; /* absent: stays */
    int64_t tool_count;     /* -1: stays */
};
/* What Tulle found out itself; does not touch updated_at. Invalidates only when era changes.
 * ERR_NOT_FOUND. */
bool connections_note(struct db *db, struct arena *a, struct str org_id, struct str id,
                      const struct connection_note *note, int64_t now, struct err *e) must_use;
/* With its credentials and tools. */
bool connections_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                        int64_t now, struct err *e) must_use;
