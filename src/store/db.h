/*
 * THE STORAGE PORT. A statement is constant SQL with $n parameters, written once for SQLite and
 * PostgreSQL (spec/storage.md lists the rules: BIGINT and TEXT only, CAST optional parameters, no
 * LIKE on data). A batch is one transaction. Every call waits in the calling fiber, under a
 * deadline, and gives rows copied into the caller's arena. Nothing here assumes one process.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/offload.h"

enum db_use {
    DB_READ,  /* a point look-up by key: SQLite runs it in the worker */
    DB_LIST,  /* may read many rows: SQLite runs it on an offload thread */
    DB_WRITE, /* changes rows; may have RETURNING: SQLite's writer thread groups commits */
};
enum db_flags {
    DB_MUST_AFFECT =
        1, /* touching no row rolls the batch back: ERR_CONFLICT naming the statement */
    DB_INVALIDATES =
        2, /* authorization caches of every worker and node must be dropped: see db_epoch */
    DB_DURABLE = 4, /* survives power loss, not only kill -9 */
    DB_AUDIT = 8,   /* lives in the audit file (SQLite) */
};
struct db_stmt {
    const char *name; /* for errors, metrics and prepared statements: unique */
    const char *sql;
    enum db_use use;
    unsigned flags;
};

struct db_value {
    enum { DB_NULL, DB_INT, DB_TEXT } type;
    int64_t i;
    struct str s;
};
struct db_args {
    const struct db_value *v;
    size_t n;
};
#define A_INT(x)  ((struct db_value){.type = DB_INT, .i = (x)})
#define A_STR(x)  db_arg_str(x)
#define A_NULL    ((struct db_value){.type = DB_NULL})
#define A_TIME(x) db_arg_time(x) /* 0 is NULL */
#define DB_ARGS(...)                                                                               \
    ((struct db_args){(const struct db_value[]){__VA_ARGS__},                                      \
                      sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)})
#define DB_NO_ARGS ((struct db_args){NULL, 0})
static inline struct db_value db_arg_str(struct str s) /* absent is NULL */
{
    return s.p ? (struct db_value){.type = DB_TEXT, .s = s} : (struct db_value){.type = DB_NULL};
}
static inline struct db_value db_arg_time(int64_t ms)
{
    return ms ? (struct db_value){.type = DB_INT, .i = ms} : (struct db_value){.type = DB_NULL};
}

struct db_rows {
    const struct db_value *cells; /* row by row */
    size_t n_rows, n_cols;
    int64_t n_affected; /* of a write */
};
static inline struct str db_text(const struct db_rows *r, size_t row,
                                 size_t col) /* NULL gives STR_NONE */
{
    return r->cells[row * r->n_cols + col].s;
}
static inline int64_t db_int(const struct db_rows *r, size_t row, size_t col) /* NULL gives 0 */
{
    return r->cells[row * r->n_cols + col].i;
}

struct db_store; /* the process's */
struct db;       /* one worker's handle */

struct db_config {
    const char *url; /* "sqlite:PATH"; "postgresql://..." */
    struct offload *offload;
};
/* Opens (creating the file 0600) without migrating. ERR_UNAVAILABLE / ERR_INVALID say what is
 * wrong. */
struct db_store *db_open(const struct db_config *c, struct err *e) must_use;
void db_close(struct db_store *s); /* after every db_detach */
/* A handle for this thread's loop. */
struct db *db_attach(struct db_store *s, struct loop *l, struct err *e) must_use;
void db_detach(struct db *db);

/* All: ERR_TIMEOUT, ERR_CANCELLED, ERR_UNAVAILABLE (store unreachable, full, busy), ERR_CONFLICT
 * (unique or foreign key), ERR_INTERNAL. */
/* Exactly one row expected: ERR_NOT_FOUND when none. */
bool db_one(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
            struct db_rows *out, struct err *e) must_use;
/* Any number of rows. Writes too (RETURNING rows, n_affected). out may be NULL. */
bool db_run(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
            struct db_rows *out, struct err *e) must_use;

/* Several writes as one transaction, all with the same DB_AUDIT flag. */
struct db_batch {
    struct arena *arena;
    struct db_batch_item *first, *last;
    size_t n;
    bool failed;
    bool is_lent;
    bool gives_way; /* nobody waits for it: it yields every few statements, for a while */
};
void db_batch_init(struct db_batch *b, struct arena *a);
void db_batch_add(struct db_batch *b, const struct db_stmt *s,
                  struct db_args args); /* args are copied */
/* The same without a copy: the arguments stay until db_batch_run has returned, which with such
 * ones waits for as long as the store takes. */
void db_batch_lend(struct db_batch *b, const struct db_stmt *s, struct db_args args);
/* results: NULL or an array of b->n. */
bool db_batch_run(struct db *db, struct db_batch *b, struct db_rows *results,
                  struct err *e) must_use;

/*
 * A number that changes when authorization data may have changed: at once for DB_INVALIDATES
 * statements of this process, within a second for other processes and nodes. Caches remember it and
 * drop everything when it differs. Cheap: any thread.
 */
uint64_t db_epoch(const struct db_store *s);
struct db_store *db_store_of(const struct db *db);
/* For health: true when a trivial statement answers before the deadline. */
bool db_ping(struct db *db, struct err *e) must_use;

/* For cursors: rows strictly after (at, id) in the list's order. */
struct db_page {
    int64_t after_at; /* 0 and absent id: from the start */
    struct str after_id;
    int limit; /* 1..LIMIT_LIST; lists fetch limit + 1 to know whether more follow */
};
