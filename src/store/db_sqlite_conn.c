/* One SQLite connection: opening, prepared statements, binding by name, rows, errors. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "store/db_sqlite.h"

/* FIRST_ROWS: most look-ups find one, and what they fill may be kept long. */
enum {
    SLOTS = 2 * LIMIT_DB_STATEMENTS,
    MIXED_MAX = 64,    /* parameters that come in any order or more than once */
    PARAMS_MAX = 1024, /* in order */
    PROGRESS_STEPS = 1000,
    FIRST_ROWS = 1
};

/* secure_delete: a deleted data key must not stay readable in a free page. The audit's pages are
 * larger (of a new file), as it is written in long runs: fewer writes for each row. */
#define WRITER_PRAGMAS                                                                             \
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"                  \
    "PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=67108864;"       \
    "PRAGMA wal_autocheckpoint=4000"
static const char *const pragmas[] = {
    [LITE_READER] = "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY",
    [LITE_WRITER] = WRITER_PRAGMAS,
    [LITE_AUDIT_WRITER] = "PRAGMA page_size=8192;" WRITER_PRAGMAS,
};

struct lite_prepared {
    const char *sql; /* the statement's own text: the key by address, checked by content */
    sqlite3_stmt *st;
    int n_params;
    size_t n_args;             /* highest $n */
    bool is_mixed;             /* the text does not have $1, $2, ... in this order, once each */
    uint8_t arg_of[MIXED_MAX]; /* parameter index - 1 to argument index, where it is */
};

static int past_deadline(void *arg)
{
    const struct lite_conn *c = arg;
    return c->deadline_ms != INT64_MAX && clock_mono_ms() > c->deadline_ms;
}

static bool conn_fail(struct lite_conn *c, const char *name, struct err *e)
{
    int code = sqlite3_extended_errcode(c->handle);
    const char *kind = "failed";
    c->is_busy = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;
    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY) {
        err_set(e, ERR_CONFLICT, "there is one like it already");
        kind = DB_DUPLICATE;
    } else if (code == SQLITE_CONSTRAINT_FOREIGNKEY) {
        err_set(e, ERR_CONFLICT, "it refers to something that does not exist");
        kind = DB_FOREIGN;
    } else if (c->is_busy)
        err_set(e, ERR_UNAVAILABLE, "the store is busy");
    else if (code == SQLITE_INTERRUPT)
        err_set(e, ERR_TIMEOUT, "the store took too long");
    else if ((code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_IOERR ||
             (code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY ||
             (code & 0xff) == SQLITE_NOMEM)
        err_set(e, ERR_UNAVAILABLE, "the store cannot be used");
    else
        err_set(e, ERR_INTERNAL, "the store refused a statement");
    return err_detail(e, "%s: %s: %s", name, kind, sqlite3_errmsg(c->handle));
}

/* Made before SQLite opens it, so that it never has wider permissions; the -wal and -shm files get
 * the same. O_EXCL matters: closing any descriptor of a database that SQLite has open in this
 * process drops SQLite's POSIX locks (sqlite.org/howtocorrupt.html 2.2), and another process would
 * then take the write-ahead log away. */
static bool file_make(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        return err_set(e, ERR_UNAVAILABLE, "cannot open the database %s: %m", path);
    return true;
}

bool db_sqlite_conn_open(struct lite_conn *c, const char *path, enum lite_mode mode, int busy_ms,
                         struct err *e)
{
    *c = (struct lite_conn){.deadline_ms = INT64_MAX};
    if (mode != LITE_READER && !file_make(path, e))
        return false;
    c->prepared = calloc(SLOTS, sizeof *c->prepared);
    if (!c->prepared)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    bool is_open = sqlite3_open_v2(path, &c->handle, flags, NULL) == SQLITE_OK;
    if (is_open) {
        sqlite3_extended_result_codes(c->handle, 1);
        sqlite3_busy_timeout(c->handle, busy_ms);
        sqlite3_progress_handler(c->handle, PROGRESS_STEPS, past_deadline, c);
        sqlite3_db_config(c->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        is_open = db_sqlite_conn_exec(c, pragmas[mode], e);
    } else {
        err_set(e, ERR_UNAVAILABLE, "cannot open the database %s", path);
    }
    if (!is_open)
        db_sqlite_conn_close(c);
    return is_open;
}

static void prepared_drop_all(struct lite_conn *c)
{
    for (size_t i = 0; c->prepared && i < SLOTS; i++)
        sqlite3_finalize(c->prepared[i].st);
    if (c->prepared)
        memset(c->prepared, 0, SLOTS * sizeof *c->prepared);
    c->n_prepared = 0;
}

void db_sqlite_conn_close(struct lite_conn *c)
{
    prepared_drop_all(c);
    free(c->prepared);
    sqlite3_close(c->handle);
    *c = (struct lite_conn){0};
}

static bool params_read(struct lite_prepared *p, const char *name)
{
    p->n_params = sqlite3_bind_parameter_count(p->st);
    for (int i = 0; i < p->n_params; i++) {
        const char *param = sqlite3_bind_parameter_name(p->st, i + 1);
        int64_t n = 0;
        if (!param || param[0] != '$' || !str_to_i64(str_c(param + 1), 1, PARAMS_MAX, &n))
            bug(name); /* a parameter is written $n */
        p->is_mixed |= n != i + 1;
        if (i < MIXED_MAX)
            p->arg_of[i] = (uint8_t)(n - 1);
        if ((size_t)n > p->n_args)
            p->n_args = (size_t)n;
    }
    return !p->is_mixed || (p->n_params <= MIXED_MAX && p->n_args <= UINT8_MAX);
}

/* The prepared statement, made at its first use. */
static struct lite_prepared *prepared_get(struct lite_conn *c, const struct db_stmt *s,
                                          struct err *e)
{
    size_t home = ((uintptr_t)s->sql >> 3) * 2654435761u % SLOTS;
    size_t slot = home;
    for (; c->prepared[slot].st; slot = (slot + 1) % SLOTS)
        if (c->prepared[slot].sql == s->sql &&
            strcmp(sqlite3_sql(c->prepared[slot].st), s->sql) == 0)
            return &c->prepared[slot];
    if (c->n_prepared >= LIMIT_DB_STATEMENTS) {
        prepared_drop_all(c);
        slot = home;
    }
    struct lite_prepared p = {.sql = s->sql};
    if (sqlite3_prepare_v3(c->handle, s->sql, -1, SQLITE_PREPARE_PERSISTENT, &p.st, NULL) !=
        SQLITE_OK) {
        conn_fail(c, s->name, e);
        return NULL;
    }
    if (!params_read(&p, s->name))
        bug(s->name);
    c->prepared[slot] = p;
    c->n_prepared++;
    return &c->prepared[slot];
}

static bool bind_all(const struct lite_prepared *p, struct db_args args)
{
    int rc = SQLITE_OK;
    for (int i = 0; i < p->n_params && rc == SQLITE_OK; i++) {
        const struct db_value *v = &args.v[p->is_mixed ? p->arg_of[i] : i];
        if (v->type == DB_INT)
            rc = sqlite3_bind_int64(p->st, i + 1, v->i);
        else if (v->type == DB_TEXT)
            rc = sqlite3_bind_text64(p->st, i + 1, v->s.p, v->s.n, SQLITE_STATIC, SQLITE_UTF8);
        else
            rc = sqlite3_bind_null(p->st, i + 1);
    }
    return rc == SQLITE_OK;
}

static bool row_read(sqlite3_stmt *st, struct arena *a, struct db_value *cells, size_t n_cols)
{
    for (size_t i = 0; i < n_cols; i++) {
        int col = (int)i;
        cells[i] = (struct db_value){.type = DB_NULL};
        switch (sqlite3_column_type(st, col)) {
        case SQLITE_NULL:
            break;
        case SQLITE_INTEGER:
        case SQLITE_FLOAT:
            cells[i] = A_INT(sqlite3_column_int64(st, col));
            break;
        default: {
            const char *text = (const char *)sqlite3_column_text(st, col);
            size_t n = (size_t)sqlite3_column_bytes(st, col);
            cells[i].type = DB_TEXT;
            cells[i].s = arena_dup(a, (struct str){text ? text : "", n});
            if (str_is_absent(cells[i].s))
                return false;
        }
        }
    }
    return true;
}

/* Steps to the end; the rows grow by doubling inside the arena. Gives the last step's code, or
 * SQLITE_NOMEM. */
static int rows_read(sqlite3_stmt *st, struct arena *a, struct db_rows *out)
{
    size_t n_cols = (size_t)sqlite3_column_count(st);
    size_t cap = 0, n = 0;
    struct db_value *cells = NULL;
    int rc = SQLITE_DONE;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (!out)
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : FIRST_ROWS;
            struct db_value *more = arena_alloc(a, cap * n_cols * sizeof *more);
            if (!more)
                return SQLITE_NOMEM;
            if (n)
                memcpy(more, cells, n * n_cols * sizeof *more);
            cells = more;
        }
        if (!row_read(st, a, cells + n * n_cols, n_cols))
            return SQLITE_NOMEM;
        n++;
    }
    if (out)
        *out = (struct db_rows){.cells = cells, .n_rows = n, .n_cols = n_cols};
    return rc;
}

bool db_sqlite_conn_run(struct lite_conn *c, struct arena *a, const struct db_stmt *s,
                        struct db_args args, struct db_rows *out, struct err *e)
{
    c->is_busy = false;
    struct lite_prepared *p = prepared_get(c, s, e);
    if (!p)
        return false;
    if (p->n_args != args.n)
        bug(s->name); /* PostgreSQL refuses too many as well as too few */
    struct db_rows rows = {0};
    int rc = bind_all(p, args) ? rows_read(p->st, a, out ? &rows : NULL) : SQLITE_NOMEM;
    bool is_ok = rc == SQLITE_DONE;
    if (rc == SQLITE_NOMEM) {
        err_set(e, ERR_UNAVAILABLE, "the store's answer is too large");
        err_detail(e, "%s", s->name);
    } else if (!is_ok) {
        conn_fail(c, s->name, e);
    } else if (s->use == DB_WRITE) {
        rows.n_affected = sqlite3_changes64(c->handle);
        if ((s->flags & DB_MUST_AFFECT) && rows.n_affected == 0) {
            err_set(e, ERR_CONFLICT, "the change no longer applies (%s)", s->name);
            is_ok = err_detail(e, "%s: %s", s->name, DB_NO_ROW);
        }
    }
    sqlite3_reset(p->st);
    sqlite3_clear_bindings(p->st);
    if (is_ok && out)
        *out = rows;
    return is_ok;
}

bool db_sqlite_conn_exec(struct lite_conn *c, const char *statements, struct err *e)
{
    c->is_busy = false;
    return sqlite3_exec(c->handle, statements, NULL, NULL, NULL) == SQLITE_OK ||
           conn_fail(c, "script", e);
}

int64_t db_sqlite_conn_int(struct lite_conn *c, const struct db_stmt *s)
{
    struct err e;
    struct lite_prepared *p = prepared_get(c, s, &e);
    int64_t value = 0;
    if (p && sqlite3_step(p->st) == SQLITE_ROW)
        value = sqlite3_column_int64(p->st, 0);
    if (p)
        sqlite3_reset(p->st);
    return value;
}

bool db_sqlite_conn_in_transaction(const struct lite_conn *c)
{
    return sqlite3_get_autocommit(c->handle) == 0;
}
