/* Migrations: one lock, one transaction and one remembered checksum each. */
#include "store/migrate.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "store/db_adapter.h"
#include "store/migrate_files.h"

static const char past_create[] = "CREATE TABLE IF NOT EXISTS schema_migrations ("
                                  " store TEXT NOT NULL, name TEXT NOT NULL PRIMARY KEY,"
                                  " sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL)";
static const struct db_stmt past_list = {
    "past_list", "SELECT name, sha256 FROM schema_migrations WHERE store = $1 ORDER BY name",
    DB_LIST, 0};
static const struct db_stmt past_add = {
    "past_add",
    "INSERT INTO schema_migrations (store, name, sha256, applied_at) VALUES ($1, $2, $3, $4)",
    DB_WRITE, 0};

enum { FILES_MAX = 1000, SQL_MAX = 4 * 1024 * 1024, PAST_BYTES = 1024 * 1024 };

/* The files of one database, and a connection to it. */
struct run {
    const struct db_adapter *adapter;
    struct db_script *script;
    struct str store; /* "main" or "audit" */
    const struct migration *files[FILES_MAX];
    size_t n;
};

static bool is_for_audit(const struct migration *m)
{
    return str_starts(str_c(m->sql), STR("-- store: audit\n"));
}

static void checksum(const struct migration *m, char hex[65])
{
    struct sha256 h = hash_sha256(str_c(m->sql));
    hash_hex(&h, hex);
}

static bool run_open(struct run *r, struct db_store *s, bool is_audit, struct err *e)
{
    *r = (struct run){.adapter = s->adapter, .store = is_audit ? STR("audit") : STR("main")};
    ensure(n_migrations <= FILES_MAX);
    for (size_t i = 0; i < n_migrations; i++)
        if (is_for_audit(&migrations[i]) == is_audit)
            r->files[r->n++] = &migrations[i];
    r->script = r->adapter->script_open(s, is_audit, e);
    return r->script != NULL;
}

static bool is_embedded(const struct run *r, struct str name)
{
    for (size_t i = 0; i < r->n; i++)
        if (str_eq(str_c(r->files[i]->name), name))
            return true;
    return false;
}

/* What was applied must be the beginning of the files, byte by byte. */
static bool past_check(const struct run *r, const struct db_rows *past, struct err *e)
{
    for (size_t i = 0; i < past->n_rows; i++) {
        struct str name = db_text(past, i, 0);
        if (i >= r->n || !is_embedded(r, name))
            return err_set(e, ERR_CONFLICT,
                           "the database has migration %.*s, which this program does not know: "
                           "a newer version made it",
                           STR_FMT(name));
        if (!str_eq(name, str_c(r->files[i]->name)))
            return err_set(e, ERR_CONFLICT,
                           "migration %s was never applied to this database, but later ones were",
                           r->files[i]->name);
        char hex[65];
        checksum(r->files[i], hex);
        if (!str_eq(db_text(past, i, 1), str_c(hex)))
            return err_set(e, ERR_CONFLICT, "migration %s was changed after it was applied",
                           r->files[i]->name);
    }
    return true;
}

/* Without the blocks that are for other dialects. */
static void dialect_filter(struct str sql, struct str dialect, struct buf *out)
{
    bool is_skipping = false;
    struct str rest = sql, line;
    while (str_next(&rest, '\n', &line)) {
        if (str_starts(line, STR("-- only: ")))
            is_skipping = !str_eq(str_trim(str_slice(line, 9, line.n)), dialect);
        else if (str_eq(str_trim(line), STR("-- end")))
            is_skipping = false;
        else if (!is_skipping) {
            buf_add(out, line);
            buf_add_char(out, '\n');
        }
    }
}

static bool file_apply(const struct run *r, const struct migration *m, struct arena *a,
                       struct err *e)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    dialect_filter(str_c(m->sql), str_c(r->adapter->dialect), &sql);
    bool is_ok = buf_ok(&sql) ? r->adapter->script_exec(r->script, buf_str(&sql).p, e)
                              : err_set(e, ERR_UNAVAILABLE, "out of memory");
    buf_end(&sql);
    char hex[65];
    checksum(m, hex);
    return is_ok && r->adapter->script_run(r->script, a, &past_add,
                                           DB_ARGS(A_STR(r->store), A_STR(str_c(m->name)),
                                                   A_STR(str_c(hex)), A_INT(clock_wall_ms())),
                                           NULL, e);
}

/* Under the lock: checks the past and applies the next file. *is_end when there is none. */
static bool step_locked(const struct run *r, struct arena *a, bool *is_end, struct err *e)
{
    struct db_rows past;
    if (!r->adapter->script_exec(r->script, past_create, e) ||
        !r->adapter->script_run(r->script, a, &past_list, DB_ARGS(A_STR(r->store)), &past, e) ||
        !past_check(r, &past, e))
        return false;
    *is_end = past.n_rows == r->n;
    if (*is_end || file_apply(r, r->files[past.n_rows], a, e))
        return true;
    if (e) {
        struct err why = *e;
        err_set(e, why.code == ERR_UNAVAILABLE ? ERR_UNAVAILABLE : ERR_INTERNAL,
                "migration %s failed", r->files[past.n_rows]->name);
        err_detail(e, "%s", why.detail);
    }
    return false;
}

static bool step(const struct run *r, bool *is_end, struct err *e)
{
    struct arena *a = arena_new(PAST_BYTES);
    if (!a)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    bool is_ok = r->adapter->script_exec(r->script, r->adapter->script_begin, e);
    if (is_ok) {
        is_ok = step_locked(r, a, is_end, e) && r->adapter->script_exec(r->script, "COMMIT", e);
        if (!is_ok)
            (void)!r->adapter->script_exec(r->script, "ROLLBACK", NULL);
    }
    arena_end(a);
    return is_ok;
}

bool migrate_run(struct db_store *s, int *applied, struct err *e)
{
    int n = 0;
    bool is_ok = true;
    for (int is_audit = 0; is_audit <= 1 && is_ok; is_audit++) {
        struct run r;
        is_ok = run_open(&r, s, is_audit == 1, e);
        for (bool is_end = false; is_ok && !is_end; n += is_ok && !is_end)
            is_ok = step(&r, &is_end, e);
        s->adapter->script_close(r.script);
    }
    if (is_ok)
        *applied = n;
    return is_ok;
}

static bool check_one(const struct run *r, struct arena *a, struct err *e)
{
    const struct db_stmt exists = {"table_exists", r->adapter->table_exists, DB_READ, 0};
    struct db_rows found, past = {0};
    if (!r->adapter->script_run(r->script, a, &exists, DB_ARGS(A_STR(STR("schema_migrations"))),
                                &found, e))
        return false;
    if (found.n_rows &&
        !r->adapter->script_run(r->script, a, &past_list, DB_ARGS(A_STR(r->store)), &past, e))
        return false;
    if (!past_check(r, &past, e))
        return false;
    return past.n_rows == r->n ||
           err_set(e, ERR_UNAVAILABLE, "migration %s is due: run \"tulle migrate\"",
                   r->files[past.n_rows]->name);
}

bool migrate_check(struct db_store *s, struct err *e)
{
    bool is_ok = true;
    for (int is_audit = 0; is_audit <= 1 && is_ok; is_audit++) {
        struct run r;
        struct arena *a = arena_new(PAST_BYTES);
        is_ok = run_open(&r, s, is_audit == 1, e) &&
                (a ? check_one(&r, a, e) : err_set(e, ERR_UNAVAILABLE, "out of memory"));
        s->adapter->script_close(r.script);
        arena_end(a);
    }
    return is_ok;
}
