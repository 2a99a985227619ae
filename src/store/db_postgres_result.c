/* What PostgreSQL answers, in the port's terms: rows, errors; and arguments the other way. */
#include <libpq-fe.h>

#include "store/db_postgres.h"

/* Of the wire protocol (pg_type.dat). */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_NUMERIC = 1700 };
enum { INT_BYTES = 24 };

static const struct failure {
    const char *state; /* SQLSTATE or the beginning of it */
    enum err_code code;
    enum pgsql_outcome outcome;
    const char *kind, *message;
} failures[] = {
    {"23505", ERR_CONFLICT, PGSQL_FAILED, DB_DUPLICATE, "there is one like it already"},
    {"23503", ERR_CONFLICT, PGSQL_FAILED, DB_FOREIGN, "it refers to something that does not exist"},
    {"40001", ERR_UNAVAILABLE, PGSQL_AGAIN, "failed", "the store is busy"}, /* serialization */
    {"40P01", ERR_UNAVAILABLE, PGSQL_AGAIN, "failed", "the store is busy"}, /* deadlock */
    {"26000", ERR_UNAVAILABLE, PGSQL_AGAIN, "failed", "the store is busy"}, /* not prepared */
    {"42P05", ERR_UNAVAILABLE, PGSQL_AGAIN, "failed", "the store is busy"}, /* prepared already */
    {"55P03", ERR_UNAVAILABLE, PGSQL_FAILED, "failed", "the store is busy"},
    {"57014", ERR_TIMEOUT, PGSQL_FAILED, "failed", "the store took too long"},
    {"57P", ERR_UNAVAILABLE, PGSQL_LOST, "failed", "the store is shutting down or starting"},
    {"25006", ERR_UNAVAILABLE, PGSQL_LOST, "failed", "the store is read-only"},
    {"25P03", ERR_UNAVAILABLE, PGSQL_LOST, "failed", "the store took too long"},
    {"08", ERR_UNAVAILABLE, PGSQL_LOST, "failed", "the store cannot be reached"},
    {"53", ERR_UNAVAILABLE, PGSQL_FAILED, "failed", "the store cannot be used"},
    {"58", ERR_UNAVAILABLE, PGSQL_FAILED, "failed", "the store cannot be used"},
    {"22021", ERR_INVALID, PGSQL_FAILED, "failed", "a text is not UTF-8"},
    {"", ERR_INTERNAL, PGSQL_FAILED, "failed", "the store refused a statement"},
};

enum pgsql_outcome db_postgres_result_failure(const PGresult *r, const char *name, struct err *e)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    /* libpq itself speaks without a state: then the connection broke. */
    struct str code = str_c(state ? state : "08006");
    const struct failure *f = failures;
    while (!str_starts(code, str_c(f->state)))
        f++;
    err_set(e, f->code, "%s", f->message);
    err_detail(e, "%s: %s: %s", name, f->kind, text ? text : "the connection broke");
    return f->outcome;
}

static struct db_value cell_read(const PGresult *r, int row, int col, struct arena *a, bool *is_ok)
{
    struct db_value v = {.type = DB_NULL};
    if (PQgetisnull(r, row, col))
        return v;
    struct str text = {PQgetvalue(r, row, col), (size_t)PQgetlength(r, row, col)};
    switch (PQftype(r, col)) {
    case OID_BOOL:
        return A_INT(text.p[0] == 't');
    case OID_INT8:
    case OID_INT2:
    case OID_INT4:
    case OID_NUMERIC: /* a sum of BIGINTs */
        return A_INT(strtoll(text.p, NULL, 10));
    default:
        v.type = DB_TEXT;
        v.s = arena_dup(a, text);
        *is_ok &= !str_is_absent(v.s);
        return v;
    }
}

bool db_postgres_result_rows(PGresult *r, struct arena *a, struct db_rows *out)
{
    size_t n_rows = (size_t)PQntuples(r), n_cols = (size_t)PQnfields(r);
    int64_t n_affected = strtoll(PQcmdTuples(r), NULL, 10);
    size_t n_cells = n_rows * n_cols;
    struct db_value *cells = arena_alloc(a, (n_cells ? n_cells : 1) * sizeof *cells);
    bool is_ok = cells != NULL;
    for (size_t i = 0; i < n_rows && is_ok; i++)
        for (size_t k = 0; k < n_cols && is_ok; k++)
            cells[i * n_cols + k] = cell_read(r, (int)i, (int)k, a, &is_ok);
    *out = (struct db_rows){
        .cells = cells, .n_rows = n_rows, .n_cols = n_cols, .n_affected = n_affected};
    return is_ok;
}

bool db_postgres_result_args(struct db_args args, const char ***out, struct err *e)
{
    size_t bytes = (args.n + 1) * sizeof(char *);
    for (size_t i = 0; i < args.n; i++)
        bytes += args.v[i].type == DB_TEXT ? args.v[i].s.n + 1 : INT_BYTES;
    const char **values = malloc(bytes);
    if (!values)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    char *at = (char *)(values + args.n + 1);
    for (size_t i = 0; i < args.n; i++) {
        const struct db_value *v = &args.v[i];
        values[i] = v->type == DB_NULL ? NULL : at;
        if (v->type == DB_INT) {
            at += snprintf(at, INT_BYTES, "%lld", (long long)v->i) + 1;
        } else if (v->type == DB_TEXT) {
            if (v->s.n && memchr(v->s.p, '\0', v->s.n)) {
                free(values);
                return err_set(e, ERR_INVALID, "a text holds a NUL byte");
            }
            if (v->s.n)
                memcpy(at, v->s.p, v->s.n);
            at[v->s.n] = '\0';
            at += v->s.n + 1;
        }
    }
    *out = values;
    return true;
}

static void notice_drop(unused_arg void *arg, unused_arg const PGresult *r)
{
}

void db_postgres_result_quiet(PGconn *pg)
{
    PQsetNoticeReceiver(pg, notice_drop, NULL);
}
