/*
 * The record of every call and every administrative act. Rows go through a bounded queue to one
 * writer that groups commits; each row carries the SHA-256 of the one before it in its chain
 * (organization, process start), so that history can be proven.
 */
#pragma once

#include "base/buf.h"
#include "store/db.h"

struct audit_row {
    int64_t at;                                           /* ms */
    struct str org_id;                                    /* "" for installation-wide acts */
    struct str kind;                                      /* call, admin, auth */
    struct str user_id, client_id, key_id, connection_id; /* absent: none */
    struct str method;    /* "tools/call", or the management tool's name for admin */
    struct str name;      /* the tool, prompt, URI, or the object of an administrative act */
    struct str outcome;   /* ok tool_error denied failed cancelled */
    struct str error;     /* text code and message; no secrets */
    struct str arguments; /* redacted JSON, only if the organization asks for it */
    struct str request_id;
    int64_t duration_us, bytes_in, bytes_out;
    /* read back only */
    struct str id, chain, prev_hash, hash; /* id: evt_ */
    int64_t seq;
};

struct audit_log; /* the process's */
struct audit_config {
    struct db_store *store;
    bool sync;          /* AUDIT_SYNC: submit waits until the row is durable */
    const char *stream; /* AUDIT_STREAM or NULL */
    int64_t retention_days;
    int64_t flush_ms; /* 100 */
};
struct audit_log *audit_start(const struct audit_config *c, struct err *e) must_use;
/* Takes a place in the queue before the work begins, so that what was done can always be recorded.
 * While there is none it waits (fiber), LIMIT_AUDIT_WAIT_MS at most, only for a store that writes
 * and behind LIMIT_AUDIT_WAITERS others at most. ERR_UNAVAILABLE, ERR_CANCELLED. */
bool audit_reserve(struct audit_log *log, struct err *e) must_use;
void audit_release(struct audit_log *log); /* a reserved place that was not used */
/* Copies the row into the reserved place. With sync it waits (fiber) until the row is durable:
 * ERR_UNAVAILABLE, ERR_TIMEOUT. */
bool audit_submit(struct audit_log *log, const struct audit_row *row, struct err *e) must_use;
/* Writes all that is queued, then ends the writer. The workers have ended before. */
void audit_stop(struct audit_log *log);

struct audit_filter {
    struct str kind, user_id, key_id, connection_id, method, name, outcome; /* absent: any */
    int64_t from_at, to_at;                                                 /* 0: any */
};
/* Newest first. */
bool audit_list(struct db *db, struct arena *a, struct str org_id, const struct audit_filter *f,
                const struct db_page *page, struct audit_row **out, size_t *n,
                struct err *e) must_use;
bool audit_get(struct db *db, struct arena *a, struct str org_id, struct str id,
               struct audit_row *out, struct err *e) must_use;
/* The bytes a row's hash is made of (chain verification, AUDIT_STREAM): documented in
 * spec/storage.md. */
void audit_canonical(const struct audit_row *row, struct buf *out);
