/*
 * Sessions of clients at downstream servers: one downstream session for each session of a client.
 * The client's handle is sealed to principal and connection and carries the downstream id and
 * version, so it survives a restart and needs no shared store; the table counts, caps, finds the
 * idle and remembers what a handle said when it was opened. One table for the process; its lock is
 * held for map operations only.
 */
#pragma once

#include "crypto/keyring.h"
#include "mcp/registry_cache.h"

struct session_table;
struct session_table *session_table_new(const struct keyring *keys) must_use;
void session_table_free(struct session_table *t);

struct session {
    struct str key;            /* in the table */
    struct str downstream_id;  /* Mcp-Session-Id at the server */
    struct str version;        /* negotiated with the server */
    struct str client_version; /* negotiated with the client */
    int caps;                  /* what the client can be asked: set of enum m2s_cap */
};

/* Whose session at which server: enough to end it later. */
struct session_ref {
    struct str org_id, connection_id, user_id, principal;
    struct str downstream_id, version, client_version;
    int caps;
    struct str hello; /* params of initialize as the server got them; absent: not known */
    int64_t connection_updated_at; /* a handle is for one server: a changed registration ends it */
};

/*
 * Registers a new session and gives the client's handle. *evicted (in the arena; downstream_id
 * absent: none) is a session that had to give way: beyond LIMIT_SESSIONS_PRINCIPAL or
 * LIMIT_SESSIONS_USER the longest unused one of the same principal or person; when the connection
 * or the process is full, that of whoever holds most. The caller ends it downstream.
 */
bool session_open(struct session_table *t, struct arena *a, const struct session_ref *ref,
                  int64_t now, struct str *handle, struct session_ref *evicted,
                  struct err *e) must_use;
/* Opens a client's handle. ERR_SESSION_NOT_FOUND: forged, expired, another principal's or another
 * connection's. */
bool session_lookup(struct session_table *t, struct arena *a, struct str handle,
                    const struct session_ref *who, int64_t now, struct session *out,
                    struct err *e) must_use;
void session_forget(struct session_table *t, struct str key);
/* The same for good: its handle is unknown from now on, at every worker of this process. */
void session_kill(struct session_table *t, struct str key);

/* ---- what it takes to begin again at a server that forgot its session ---- */

struct session_memory {
    struct str downstream_id; /* the server's present session */
    struct str version;
    struct str hello; /* params of initialize */
    struct str level; /* raw JSON, of logging/setLevel; absent: not set */
    struct str *uris; /* raw JSON strings, subscribed */
    size_t n_uris;
};
/* A copy. False when not enough is known: after a restart, beyond LIMIT_SESSION_HELLO or
 * LIMIT_SESSION_URIS. */
bool session_recall(struct session_table *t, struct arena *a, struct str key,
                    struct session_memory *out) must_use;
void session_note_level(struct session_table *t, struct str key, struct str level_raw);
void session_note_uri(struct session_table *t, struct str key, struct str uri_raw,
                      bool is_subscribed);
/* Puts the server's new session in the place of old_id. False: another one has taken that place
 * meanwhile, or there is no such session any more. */
bool session_renew(struct session_table *t, struct str key, struct str old_id, struct str new_id,
                   struct str version) must_use;
/* Takes up to max sessions idle since before `now - LIMIT_SESSION_IDLE_MS` out of the table. */
size_t session_take_idle(struct session_table *t, struct arena *a, int64_t now,
                         struct session_ref *out, size_t max);
