/*
 * The PostgreSQL adapter's inside, shared by db_postgres*.c.
 *
 * Each worker has PGSQL_CONNS connections on its loop, all in pipeline mode. What travels is a
 * unit: some statements and a sync, which PostgreSQL runs as one implicit transaction. A unit takes
 * one round trip, and up to PGSQL_DEPTH of them follow one another on a connection. Only a batch
 * that must look at its own results before it commits (must_affect, invalidations) leases a
 * connection for BEGIN ... and, a round trip later, COMMIT or ROLLBACK. Lists go to the last
 * connection, and nothing queues behind a list or a lease.
 *
 * A waiter that gives up (deadline, cancellation) leaves its unit in flight: the results are read
 * and dropped, so the connection stays usable. An ERR_TIMEOUT or ERR_CANCELLED write may therefore
 * have happened. PostgreSQL ends a statement after PGSQL_STATEMENT_MS; a connection that is still
 * silent PGSQL_GRACE_MS later is dropped. A connection that is lost fails the writes in flight with
 * ERR_UNAVAILABLE (nobody knows whether they happened); reads are sent once more.
 *
 * One thread of the process watches the table of invalidations with a connection of its own, and
 * resolves host names.
 */
#pragma once

#include <pthread.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "io/fiber.h"
#include "store/db_adapter.h"

struct pg_conn;   /* libpq's PGconn */
struct pg_result; /* libpq's PGresult */
struct _PQconninfoOption;

enum {
    PGSQL_CONNS = 2,
    PGSQL_DEPTH = 32,     /* units in flight on one connection */
    PGSQL_ADDRESSES = 16, /* kept of all host names */
    PGSQL_STATEMENT_MS = LIMIT_DB_LIST_MS,
    PGSQL_GRACE_MS = 2000,
    PGSQL_PATIENCE_MS = 2000, /* waiters fail when the database has been away this long */
    PGSQL_BACKOFF_MS = 1000,  /* the longest pause between two attempts to connect */
    PGSQL_POLL_MS = 500,
    PGSQL_ASIDE_MS = 20, /* a batch that lost a deadlock waits this long, and longer each time */
};

struct pgsql_address {
    char host[256]; /* a name, or the folder of a socket; "" is libpq's default */
    char hostaddr[64];
    char port[8];
};
struct pgsql_store {
    struct db_store base;
    struct _PQconninfoOption *options; /* of the URL; read only */
    char origin[33];
    pthread_mutex_t lock;
    pthread_cond_t is_first_done;
    struct pgsql_address address[PGSQL_ADDRESSES]; /* under lock, with all below */
    size_t n_addresses;
    bool must_resolve;
    bool has_watcher, has_polled, is_stopping;
    pthread_t watcher;
    int wake_fd;                    /* an eventfd: the watcher has something to do */
    _Atomic int64_t doubt_until_ms; /* db_postgres_watch_doubt */
};

/* Where to connect: what PQconnectStartParams takes. */
struct pgsql_target {
    struct pgsql_address address;
    const char *names[64], *values[64];
};

/* ---- db_postgres_target.c ---- */

/* Reads the URL and resolves its hosts (blocks). Errors never quote the URL. */
bool db_postgres_target_open(struct pgsql_store *s, const char *url, struct err *e) must_use;
void db_postgres_target_close(struct pgsql_store *s);
/* Resolves again (blocks); what was known stays when that fails. */
bool db_postgres_target_resolve(struct pgsql_store *s, struct err *e) must_use;
/* The address for this attempt: they take turns. */
void db_postgres_target_get(struct pgsql_store *s, unsigned attempt, struct pgsql_target *out);

/* ---- db_postgres_result.c ---- */

enum pgsql_outcome {
    PGSQL_OK,
    PGSQL_FAILED,
    PGSQL_AGAIN, /* rolled back for reasons that a second try may not meet */
    PGSQL_LOST,  /* the connection is gone or of no use */
};
/* Fills e from a result that is a failure. */
enum pgsql_outcome db_postgres_result_failure(const struct pg_result *r, const char *name,
                                              struct err *e);
/* Copies rows and counts into the arena. False when it is full. */
bool db_postgres_result_rows(struct pg_result *r, struct arena *a, struct db_rows *out) must_use;
/* Arguments as libpq takes them: NUL-ended texts, NULL for NULL, in one allocation that free()
 * ends. ERR_INVALID for a text that holds a NUL byte. */
bool db_postgres_result_args(struct db_args args, const char ***out, struct err *e) must_use;
/* For libpq: notices go nowhere. */
void db_postgres_result_quiet(struct pg_conn *pg);

/* ---- db_postgres_conn.c: a connection on a loop ---- */

enum pgsql_state { PGSQL_DOWN, PGSQL_CONNECTING, PGSQL_SETTING, PGSQL_UP };
struct pgsql_conn {
    struct pgsql_db *db;
    int index;
    enum pgsql_state state;
    struct pg_conn *pg;
    struct loop_fd fd;
    struct loop_timer timer; /* DOWN: next attempt; connecting: its end; UP: is it stuck? */
    unsigned n_attempts;
    unsigned n_failed;    /* in a row */
    struct map *prepared; /* statement's name -> copy of its SQL */
    struct list in_flight;
    size_t n_in_flight, n_lists;
    struct pgsql_unit *lease; /* whose transaction is open */
};
struct pgsql_db {
    struct db base;
    struct pgsql_conn conn[PGSQL_CONNS];
    struct list queue[2]; /* units without a connection yet: lists are [1] */
    size_t n_queued;
    int64_t up_ms; /* when a connection was last known to work */
    char why[256]; /* the last attempt to connect failed */
};
void db_postgres_conn_start(struct pgsql_conn *c, struct pgsql_db *db, int index);
void db_postgres_conn_end(struct pgsql_conn *c);
/* The connection is of no use: fails what is in flight and connects again. */
void db_postgres_conn_drop(struct pgsql_conn *c);
/* Sends what libpq holds, and watches for room when it could not. */
void db_postgres_conn_flush(struct pgsql_conn *c);
void db_postgres_conn_watch(struct pgsql_conn *c); /* something is in flight */

/* ---- db_postgres_unit.c: statements on their way ---- */

struct pgsql_step { /* one answer to come */
    const struct db_stmt *stmt;
    bool is_prepare;
    struct db_rows rows;
};
struct pgsql_unit {
    struct list link;                  /* in a queue or in flight */
    struct pgsql_conn *conn;           /* NULL: not sent, or lost */
    struct fiber_wait *wait;           /* NULL: nobody waits */
    struct arena *arena;               /* the waiter's */
    const struct db_batch_item *items; /* the waiter's, until sent */
    bool is_list, takes_lease;
    int64_t head_ms; /* since when it is the first in flight */
    size_t n_steps, i;
    size_t n_good; /* steps before the one that failed */
    struct pgsql_step *steps;
    enum pgsql_outcome outcome;
    struct err err;
};
struct pgsql_call {
    const struct db_batch_item *items;
    struct arena *arena;
    bool is_list;
    bool takes_lease;         /* the connection stays the unit's own until ..._unit_release */
    struct pgsql_conn *lease; /* sends it there */
    int64_t deadline_ms;
};
/*
 * Sends the items as one unit and waits. NULL: ERR_TIMEOUT, ERR_CANCELLED or ERR_UNAVAILABLE, and a
 * lease is given back. Else the caller looks at its outcome and its steps, and frees it.
 */
struct pgsql_unit *db_postgres_unit_run(struct pgsql_db *db, const struct pgsql_call *call,
                                        struct err *e) must_use;
/* Ends the lease of a unit, if it has one; rollback: after sending ROLLBACK. */
void db_postgres_unit_release(struct pgsql_unit *holder);
void db_postgres_unit_rollback(struct pgsql_unit *holder);
void db_postgres_unit_free(struct pgsql_unit *u);
/* The answers that have come in. */
void db_postgres_unit_read(struct pgsql_conn *c);
/* Ends u: wakes its waiter, or frees it when there is none. */
void db_postgres_unit_end(struct pgsql_unit *u);
/* Gives queued units to connections that have room. */
void db_postgres_unit_pump(struct pgsql_db *db);
/* Fails all that is queued. */
void db_postgres_unit_fail_queued(struct pgsql_db *db);

/* Takes the first unit off a list that is not empty. */
static inline struct pgsql_unit *pgsql_unit_take(struct list *units)
{
    struct list *first = units->next;
    units->next = first->next;
    first->next->prev = units;
    list_init(first);
    return CONTAINER_OF(first, struct pgsql_unit, link);
}

/* ---- db_postgres_watch.c: the watcher's thread ---- */

/* Starts it at the first call and waits a moment for its first look at the table. */
bool db_postgres_watch_start(struct pgsql_store *s, struct err *e) must_use;
void db_postgres_watch_stop(struct pgsql_store *s);
void db_postgres_watch_resolve(struct pgsql_store *s); /* any thread: names may have moved */
/* Any thread: nobody heard how a COMMIT of this node ended that others must hear of. Until the
 * server has given it up, every look counts as a change: what is committed yet is no news of
 * another's. */
void db_postgres_watch_doubt(struct pgsql_store *s);

/* ---- the adapter's functions ---- */

static inline struct pgsql_store *pgsql_store_of(struct db_store *s)
{
    return CONTAINER_OF(s, struct pgsql_store, base);
}
bool db_postgres_read(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                      struct db_rows *out, struct err *e) must_use;
bool db_postgres_write(struct db *db, struct db_batch *b, struct db_rows *results,
                       struct err *e) must_use;
struct db_script *db_postgres_script_open(struct db_store *base, bool is_audit, struct err *e);
void db_postgres_script_close(struct db_script *c);
bool db_postgres_script_exec(struct db_script *c, const char *statements, struct err *e);
bool db_postgres_script_run(struct db_script *c, struct arena *a, const struct db_stmt *s,
                            struct db_args args, struct db_rows *out, struct err *e);
