/* PostgreSQL connections for migrations: blocking, outside of fibers. */
#include <libpq-fe.h>

#include "store/db_postgres.h"

struct db_script {
    PGconn *pg;
};

struct db_script *db_postgres_script_open(struct db_store *base, unused_arg bool is_audit,
                                          struct err *e)
{
    struct pgsql_store *s = pgsql_store_of(base);
    struct db_script *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    for (unsigned i = 0; i < PGSQL_ADDRESSES; i++) {
        struct pgsql_target target;
        db_postgres_target_get(s, i, &target);
        PQfinish(c->pg);
        c->pg = PQconnectdbParams(target.names, target.values, 0);
        pthread_mutex_lock(&s->lock);
        bool is_last = i + 1 >= s->n_addresses;
        pthread_mutex_unlock(&s->lock);
        if (is_last || PQstatus(c->pg) == CONNECTION_OK)
            break;
    }
    if (PQstatus(c->pg) == CONNECTION_OK) {
        db_postgres_result_quiet(c->pg);
        return c;
    }
    err_set(e, ERR_UNAVAILABLE, "DATABASE_URL: no connection to PostgreSQL");
    err_detail(e, "%s", PQerrorMessage(c->pg));
    db_postgres_script_close(c);
    return NULL;
}

void db_postgres_script_close(struct db_script *c)
{
    if (!c)
        return;
    PQfinish(c->pg);
    free(c);
}

/* Reads r, frees it. */
static bool script_done(PGresult *r, const char *name, struct arena *a, struct db_rows *out,
                        struct err *e)
{
    ExecStatusType status = PQresultStatus(r);
    bool is_ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!is_ok)
        (void)db_postgres_result_failure(r, name, e);
    else if (out && !db_postgres_result_rows(r, a, out))
        is_ok = err_set(e, ERR_UNAVAILABLE, "the store's answer is too large");
    PQclear(r);
    return is_ok;
}

bool db_postgres_script_exec(struct db_script *c, const char *statements, struct err *e)
{
    PGresult *r = PQexec(c->pg, statements);
    if (PQresultStatus(r) == PGRES_EMPTY_QUERY) { /* nothing for this dialect */
        PQclear(r);
        return true;
    }
    return script_done(r, "script", NULL, NULL, e);
}

bool db_postgres_script_run(struct db_script *c, struct arena *a, const struct db_stmt *s,
                            struct db_args args, struct db_rows *out, struct err *e)
{
    const char **values = NULL;
    if (!db_postgres_result_args(args, &values, e))
        return false;
    PGresult *r = PQexecParams(c->pg, s->sql, (int)args.n, NULL, values, NULL, NULL, 0);
    free(values);
    return script_done(r, s->name, a, out, e);
}
