/*
 * The SQLite adapter's inside, shared by db_sqlite*.c. Threads: each worker reads by its own
 * connections on its loop's thread; lists run on offload threads with pooled connections; each of
 * the two files has one writer thread.
 *
 * A batch runs in a savepoint of its own inside the group's transaction, so it fails or succeeds
 * alone; the group commits once. A group with a DB_DURABLE batch commits with synchronous=FULL
 * (which syncs all of the log, earlier NORMAL commits included), any other with NORMAL. When the
 * whole transaction is lost (disk full, I/O error, lock held for 5 s by another process), every
 * batch of the group fails with ERR_UNAVAILABLE.
 *
 * A waiter that gives up (deadline, cancellation) leaves its batch to the writer, which drops it
 * when it has not begun: otherwise it still commits. An ERR_TIMEOUT or ERR_CANCELLED write may
 * therefore have happened.
 */
#pragma once

#include <pthread.h>

#include "base/limits.h"
#include "base/list.h"
#include "store/db_adapter.h"

struct sqlite3;
struct sqlite3_stmt;

enum lite_file { LITE_MAIN, LITE_AUDIT, LITE_FILES };
enum { LITE_BUSY_MS = 5000, LITE_POLL_MS = 500 };

/* One connection; used by one thread at a time. */
struct lite_conn {
    struct sqlite3 *handle;
    struct lite_prepared *prepared; /* open addressing by SQL text pointer */
    size_t n_prepared;
    int64_t deadline_ms; /* monotonic; INT64_MAX: none */
    bool is_busy;        /* the last failure was a lock */
};
enum lite_mode { LITE_READER, LITE_WRITER, LITE_AUDIT_WRITER };
bool db_sqlite_conn_open(struct lite_conn *c, const char *path, enum lite_mode mode, int busy_ms,
                         struct err *e) must_use;
void db_sqlite_conn_close(struct lite_conn *c);
/* Runs one statement to its end; rows (may be NULL) go into the arena. */
bool db_sqlite_conn_run(struct lite_conn *c, struct arena *a, const struct db_stmt *s,
                        struct db_args args, struct db_rows *out, struct err *e) must_use;
/* Runs text of many statements, not kept. */
bool db_sqlite_conn_exec(struct lite_conn *c, const char *statements, struct err *e) must_use;
/* The value of a one-row, one-column query; 0 on failure. */
int64_t db_sqlite_conn_int(struct lite_conn *c, const struct db_stmt *s);
/* A failed statement ended the transaction, too. */
bool db_sqlite_conn_in_transaction(const struct lite_conn *c);

struct lite_item {
    const struct db_stmt *stmt;
    struct db_args args;
    struct db_rows rows;
};
/* A batch on its way through a writer: lives in its own arena, begun and ended on the waiter's
 * thread. */
struct lite_write {
    struct lite_write *next;
    struct list open; /* in lite_db; its loop's thread only */
    struct lite_db *db;
    struct arena *arena;
    struct lite_item *items;
    size_t n;
    bool gives_way;
    bool is_durable;
    atomic_bool is_abandoned;
    struct fiber_wait *wait; /* NULL once the waiter gave up; its loop's thread only */
    struct loop_task back;
    bool is_ok, invalidates; /* results */
    struct err err;
};
struct lite_writer {
    struct lite_store *store;
    struct lite_conn conn;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct lite_write *first, *last; /* under lock */
    atomic_size_t n_queued;          /* changed under lock */
    bool is_stopping;                /* under lock */
    bool is_started, is_full;        /* its own thread's: synchronous=FULL is set */
    int64_t data_version, polled_ms;
};
bool db_sqlite_writer_start(struct lite_writer *w, struct lite_store *s, const char *path,
                            struct err *e) must_use;
void db_sqlite_writer_stop(struct lite_writer *w); /* after all that is queued */
/* Hands the writers what this thread's fibers wrote since the last time: one wake, one commit. */
void db_sqlite_writes_flush(struct lite_db *db);

struct lite_idle { /* a pooled connection for lists */
    struct lite_idle *next;
    struct lite_conn conn;
};
struct lite_store {
    struct db_store base;
    char path[LITE_FILES][1024];
    struct lite_writer writer[LITE_FILES];
    pthread_mutex_t lock;
    pthread_cond_t posted;              /* some handle's n_in_writer fell */
    struct lite_idle *idle[LITE_FILES]; /* under lock */
};
struct lite_db {
    struct db base;
    struct lite_conn reader[LITE_FILES]; /* opened at first use */
    struct fiber_pause pause;            /* ends the reads' transaction */
    bool is_reading;                     /* reader[LITE_MAIN] is in a transaction */
    uint64_t read_epoch;                 /* when it began */
    struct list open;                    /* batches not yet back */
    struct lite_chain {
        struct lite_write *first, *last;
        size_t n;
    } pending[LITE_FILES];  /* of this turn, not yet with a writer */
    struct loop_task flush; /* queued while something is pending */
    bool is_flush_due;
    struct fiber_wait *drained;
    size_t n_in_writer; /* under the store's lock */
};
static inline struct lite_store *lite_store_of(struct db_store *s)
{
    return CONTAINER_OF(s, struct lite_store, base);
}

bool db_sqlite_read(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                    struct db_rows *out, struct err *e) must_use;
bool db_sqlite_write(struct db *db, struct db_batch *b, struct db_rows *results,
                     struct err *e) must_use;
struct db_script *db_sqlite_script_open(struct db_store *s, bool is_audit, struct err *e);
void db_sqlite_script_close(struct db_script *c);
bool db_sqlite_script_exec(struct db_script *c, const char *statements, struct err *e);
bool db_sqlite_script_run(struct db_script *c, struct arena *a, const struct db_stmt *s,
                          struct db_args args, struct db_rows *out, struct err *e);
