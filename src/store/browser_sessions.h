/* Browser sessions: a row for each cookie, found by its SHA-256. */
#pragma once

#include "store/db.h"

struct browser_session_row {
    struct str id; /* ses_ */
    struct str hash, user_id;
    struct str org_id;           /* chosen last; absent: none */
    struct str proof;            /* a method ("password"), or the id of a provider */
    struct str proof_org_id;     /* whose provider that is; absent: the installation's, or Tulle */
    struct str provider_session; /* absent: none */
    bool is_two_factor;
    struct str peer, user_agent;
    int64_t proved_at, created_at, last_seen_at, expires_at; /* ms */
    struct str email, name;                                  /* of the person; read back only */
    bool is_operator;
};
/* Inserts; removes the session with `old_hash` (absent: none) and what has expired, in one
 * transaction. */
bool browser_sessions_insert(struct db *db, struct arena *a, const struct browser_session_row *s,
                             struct str old_hash, struct err *e) must_use;
/* Neither expired nor idle since before `idle_since`, of a person who is not disabled. Point
 * look-up. */
bool browser_sessions_by_hash(struct db *db, struct arena *a, struct str hash, int64_t now,
                              int64_t idle_since, struct browser_session_row *out,
                              struct err *e) must_use;
/* The person has proved it again: another cookie, the time, and whether it was with two factors.
 * ERR_NOT_FOUND. */
bool browser_sessions_prove(struct db *db, struct arena *a, struct str id, struct str hash,
                            bool is_two_factor, int64_t now, struct err *e) must_use;
bool browser_sessions_touch(struct db *db, struct arena *a, struct str id, int64_t now,
                            struct err *e) must_use;
bool browser_sessions_set_org(struct db *db, struct arena *a, struct str id, struct str org_id,
                              struct err *e) must_use;
/* Whose sessions: all of a person, or those that one organization's providers proved. */
struct session_owner {
    struct str user_id, proof_org_id; /* proof_org_id absent: all */
};
/* Oldest first, live ones only. */
bool browser_sessions_list(struct db *db, struct arena *a, const struct session_owner *who,
                           int64_t now, const struct db_page *page,
                           struct browser_session_row **out, size_t *n, struct err *e) must_use;
bool browser_sessions_count(struct db *db, struct arena *a, const struct session_owner *who,
                            int64_t now, int64_t *out, struct err *e) must_use;
/*
 * Ends the sessions that a provider has proved: of one person, or (absent) whoever; those of one
 * session of the provider, or (absent) all. One of both is given. *n: how many.
 */
bool browser_sessions_end_proved(struct db *db, struct arena *a, struct str provider_id,
                                 struct str user_id, struct str provider_session, int64_t *n,
                                 struct err *e) must_use;
/* ERR_NOT_FOUND: they have no such session. */
bool browser_sessions_delete(struct db *db, struct arena *a, const struct session_owner *who,
                             struct str id, struct err *e) must_use;
