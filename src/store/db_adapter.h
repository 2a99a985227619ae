/*
 * What a database must give to stand behind store/db.h. An adapter is one row in db.c; it embeds
 * the two structs below as the first member of its own.
 */
#pragma once

#include <stdatomic.h>

#include "store/db.h"

struct db_script; /* a connection for migrations: blocks, used outside of fibers */

struct db_adapter {
    const char *scheme;  /* "sqlite:" */
    const char *dialect; /* as in "-- only: sqlite" */
    struct db_store *(*open)(const struct db_config *c, struct err *e);
    void (*close)(struct db_store *s);
    struct db *(*attach)(struct db_store *s, struct loop *l, struct err *e);
    void (*detach)(struct db *db);
    /* DB_READ and DB_LIST. */
    bool (*read)(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                 struct db_rows *out, struct err *e);
    /* One transaction; results NULL or an array of b->n, whose rows are copied into b->arena. */
    bool (*write)(struct db *db, struct db_batch *b, struct db_rows *results, struct err *e);

    struct db_script *(*script_open)(struct db_store *s, bool is_audit, struct err *e);
    void (*script_close)(struct db_script *c);
    bool (*script_exec)(struct db_script *c, const char *statements, struct err *e);
    bool (*script_run)(struct db_script *c, struct arena *a, const struct db_stmt *s,
                       struct db_args args, struct db_rows *out, struct err *e);
    const char *script_begin; /* begins a transaction that no other migrating process can be in */
    const char *table_exists; /* a query giving one row when table $1 exists */
};
struct db_store {
    const struct db_adapter *adapter;
    struct offload *offload;
    _Atomic uint64_t epoch;
};
struct db {
    struct db_store *store;
    struct loop *loop;
};
struct db_batch_item {
    struct db_batch_item *next;
    const struct db_stmt *stmt;
    struct db_args args;
};
/* Copies values with their text into an arena. False when it is full. */
bool db_args_copy(struct arena *a, struct db_args args, struct db_args *out) must_use;
/* Copies rows with their text into an arena. False when it is full. */
bool db_rows_copy(struct arena *a, const struct db_rows *rows, struct db_rows *out) must_use;

/* An ERR_CONFLICT has the detail "<statement>: <one of these>", which rows.h reads. */
#define DB_DUPLICATE "duplicate"
#define DB_FOREIGN   "foreign key"
#define DB_NO_ROW    "no row"

extern const struct db_adapter db_sqlite_adapter;
extern const struct db_adapter db_postgres_adapter, db_postgres_short_adapter; /* two spellings */
