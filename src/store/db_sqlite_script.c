/* SQLite connections for migrations: blocking, outside of fibers. */
#include <sqlite3.h>

#include "store/db_sqlite.h"

struct db_script {
    struct lite_conn conn;
};

struct db_script *db_sqlite_script_open(struct db_store *s, bool is_audit, struct err *e)
{
    struct db_script *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    const char *path = lite_store_of(s)->path[is_audit ? LITE_AUDIT : LITE_MAIN];
    if (!db_sqlite_conn_open(&c->conn, path, is_audit ? LITE_AUDIT_WRITER : LITE_WRITER,
                             LITE_BUSY_MS, e)) {
        free(c);
        return NULL;
    }
    return c;
}

void db_sqlite_script_close(struct db_script *c)
{
    if (!c)
        return;
    db_sqlite_conn_close(&c->conn);
    free(c);
}

bool db_sqlite_script_exec(struct db_script *c, const char *statements, struct err *e)
{
    return db_sqlite_conn_exec(&c->conn, statements, e);
}

bool db_sqlite_script_run(struct db_script *c, struct arena *a, const struct db_stmt *s,
                          struct db_args args, struct db_rows *out, struct err *e)
{
    return db_sqlite_conn_run(&c->conn, a, s, args, out, e);
}
