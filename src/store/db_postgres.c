/* The PostgreSQL adapter: handles, reads, transactions. Its shape is told in db_postgres.h. */
#include "store/db_postgres.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/text.h"
#include "log/metrics.h"

static const struct db_stmt begin = {"begin", "BEGIN", DB_WRITE, 0};
static const struct db_stmt commit = {"commit", "COMMIT", DB_WRITE, 0};
/* Until the end of the transaction; SET LOCAL would not do in an implicit one. */
static const struct db_stmt durable = {
    "durable", "SELECT set_config('synchronous_commit', 'on', true)", DB_WRITE, 0};
/* The lock makes ids appear in their order: a reader that has seen 7 will not meet 6 later. NOTIFY
 * takes such a lock anyway. */
static const struct db_stmt invalidation_lock = {
    "invalidation_lock",
    "SELECT pg_advisory_xact_lock(hashtext('tulle_invalidations'), hashtext(current_schema()))",
    DB_WRITE, 0};
static const struct db_stmt invalidation_insert = {
    "invalidation_insert", "INSERT INTO invalidations (at, origin) VALUES ($1, $2)", DB_WRITE, 0};
static const struct db_stmt invalidation_notify = {
    "invalidation_notify", "SELECT pg_notify('tulle_invalidations', '')", DB_WRITE, 0};

static struct pgsql_db *pgsql_db_of(struct db *db)
{
    return CONTAINER_OF(db, struct pgsql_db, base);
}

/* ---- handles ---- */

static void pgsql_close(struct db_store *base)
{
    struct pgsql_store *s = pgsql_store_of(base);
    db_postgres_watch_stop(s);
    db_postgres_target_close(s);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    pthread_cond_destroy(&s->is_first_done);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct db_store *pgsql_open(const struct db_config *c, struct err *e)
{
    struct pgsql_store *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    s->base.adapter = str_starts(str_c(c->url), str_c(db_postgres_adapter.scheme))
                          ? &db_postgres_adapter
                          : &db_postgres_short_adapter;
    s->base.offload = c->offload;
    uint8_t origin[16];
    rand_bytes(origin, sizeof origin);
    text_hex(s->origin, origin, sizeof origin);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->is_first_done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    bool is_ok = s->wake_fd >= 0 || err_set(e, ERR_UNAVAILABLE, "no eventfd: %m");
    if (is_ok && db_postgres_target_open(s, c->url, e))
        return &s->base;
    pgsql_close(&s->base);
    return NULL;
}

static struct db *pgsql_attach(struct db_store *base, struct loop *l, struct err *e)
{
    if (!db_postgres_watch_start(pgsql_store_of(base), e))
        return NULL;
    struct pgsql_db *db = calloc(1, sizeof *db);
    if (!db) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    db->base = (struct db){.store = base, .loop = l};
    list_init(&db->queue[0]);
    list_init(&db->queue[1]);
    db->up_ms = clock_mono_ms();
    for (int i = 0; i < PGSQL_CONNS; i++)
        db_postgres_conn_start(&db->conn[i], db, i);
    return &db->base;
}

static void pgsql_detach(struct db *base)
{
    struct pgsql_db *db = pgsql_db_of(base);
    for (int i = 0; i < PGSQL_CONNS; i++)
        db_postgres_conn_end(&db->conn[i]);
    db_postgres_unit_fail_queued(db);
    free(db);
}

/* ---- single statements ---- */

static bool too_late(const struct pgsql_call *call, struct err *e)
{
    if (fiber_is_cancelled(fiber_self()))
        return !err_set(e, ERR_CANCELLED, "cancelled");
    if (clock_mono_ms() >= call->deadline_ms)
        return !err_set(e, ERR_TIMEOUT, "the store took too long");
    return false;
}

static enum pgsql_outcome unit_finish(struct pgsql_unit *u, struct err *e)
{
    enum pgsql_outcome outcome = u->outcome;
    if (outcome != PGSQL_OK && e)
        *e = u->err;
    db_postgres_unit_free(u);
    return outcome;
}

bool db_postgres_read(struct db *base, struct arena *a, const struct db_stmt *s,
                      struct db_args args, struct db_rows *out, struct err *e)
{
    struct db_batch_item item = {.stmt = s, .args = args};
    bool is_list = s->use == DB_LIST;
    struct pgsql_call call = {.items = &item,
                              .arena = out ? a : NULL,
                              .is_list = is_list,
                              .deadline_ms =
                                  clock_mono_ms() + (is_list ? LIMIT_DB_LIST_MS : LIMIT_DB_MS)};
    enum pgsql_outcome outcome = PGSQL_LOST;
    /* Lost or in the way of another: a read may simply be sent again. Each connection may turn out
     * to be lost in its turn. */
    for (int tries = 0; tries < LIMIT_DB_TRIES && (outcome == PGSQL_LOST || outcome == PGSQL_AGAIN);
         tries++) {
        if (too_late(&call, e))
            return false;
        struct pgsql_unit *u = db_postgres_unit_run(pgsql_db_of(base), &call, e);
        if (!u)
            return false;
        if (u->outcome == PGSQL_OK && out)
            *out = u->steps[u->n_steps - 1].rows;
        outcome = unit_finish(u, e);
    }
    return outcome == PGSQL_OK;
}

/* ---- transactions ---- */

struct transaction {
    struct pgsql_db *db;
    struct db_batch *batch;
    struct db_rows *results;
    int64_t deadline_ms;
    bool is_durable, is_leased, invalidates;
};

static struct transaction transaction_plan(struct pgsql_db *db, struct db_batch *b,
                                           struct db_rows *results)
{
    struct transaction t = {
        .db = db, .batch = b, .results = results, .deadline_ms = clock_mono_ms() + LIMIT_DB_MS};
    for (const struct db_batch_item *it = b->first; it; it = it->next) {
        t.is_durable |= (it->stmt->flags & DB_DURABLE) != 0;
        /* Alone, a statement that touched no row has nothing to roll back. */
        t.is_leased |= (it->stmt->flags & DB_INVALIDATES) != 0 ||
                       ((it->stmt->flags & DB_MUST_AFFECT) != 0 && b->n > 1);
    }
    return t;
}

/* Gives out the rows of the batch's own statements, which are the last of the unit's. As they are
 * sent all at once, a statement may have failed because an earlier one touched no row: that one is
 * the reason then. */
static bool rows_look(struct transaction *t, const struct pgsql_unit *u, struct err *e)
{
    size_t n_runs = 0, run = 0;
    for (size_t i = 0; i < u->n_steps; i++)
        n_runs += !u->steps[i].is_prepare;
    size_t n_before = n_runs - t->batch->n;
    t->invalidates = false;
    for (size_t i = 0; i < u->n_good; i++) {
        const struct pgsql_step *step = &u->steps[i];
        if (step->is_prepare || run++ < n_before)
            continue;
        if ((step->stmt->flags & DB_MUST_AFFECT) && step->rows.n_affected == 0) {
            err_set(e, ERR_CONFLICT, "the change no longer applies (%s)", step->stmt->name);
            return err_detail(e, "%s: %s", step->stmt->name, DB_NO_ROW);
        }
        if ((step->stmt->flags & DB_INVALIDATES) && step->rows.n_affected > 0)
            t->invalidates = true;
        if (t->results)
            t->results[run - 1 - n_before] = step->rows;
    }
    return true;
}

/* The whole batch in one round trip. */
static enum pgsql_outcome run_at_once(struct transaction *t, struct err *e)
{
    struct db_batch_item before = {.next = t->batch->first, .stmt = &durable};
    struct pgsql_call call = {.items = t->is_durable ? &before : t->batch->first,
                              .arena = t->batch->arena,
                              .deadline_ms = t->deadline_ms};
    struct pgsql_unit *u = too_late(&call, e) ? NULL : db_postgres_unit_run(t->db, &call, e);
    if (!u)
        return PGSQL_FAILED;
    bool applies = u->outcome != PGSQL_OK || rows_look(t, u, e);
    enum pgsql_outcome outcome = unit_finish(u, e);
    return applies ? outcome : PGSQL_FAILED;
}

/* COMMIT, after what other nodes must hear. */
static enum pgsql_outcome run_commit(const struct transaction *t, struct pgsql_conn *c,
                                     struct err *e)
{
    const char *origin = pgsql_store_of(t->db->base.store)->origin;
    struct db_batch_item end = {.stmt = &commit};
    struct db_batch_item notify = {.next = &end, .stmt = &invalidation_notify};
    struct db_batch_item insert = {.next = &notify,
                                   .stmt = &invalidation_insert,
                                   .args = DB_ARGS(A_INT(clock_wall_ms()), A_STR(str_c(origin)))};
    struct db_batch_item lock = {.next = &insert, .stmt = &invalidation_lock};
    struct pgsql_call call = {.items = t->invalidates ? &lock : &end,
                              .takes_lease = true,
                              .lease = c,
                              .deadline_ms = t->deadline_ms};
    struct pgsql_unit *u = db_postgres_unit_run(t->db, &call, e);
    if (t->invalidates && (!u || u->outcome == PGSQL_LOST))
        db_postgres_watch_doubt(pgsql_store_of(t->db->base.store));
    if (!u)
        return PGSQL_FAILED;
    if (u->outcome == PGSQL_OK)
        db_postgres_unit_release(u);
    else
        db_postgres_unit_rollback(u);
    return unit_finish(u, e);
}

/* With a look at the rows between the statements and COMMIT. */
static enum pgsql_outcome run_leased(struct transaction *t, struct err *e)
{
    struct db_batch_item second = {.next = t->batch->first, .stmt = &durable};
    struct db_batch_item first = {.next = t->is_durable ? &second : t->batch->first,
                                  .stmt = &begin};
    struct pgsql_call call = {.items = &first,
                              .arena = t->batch->arena,
                              .takes_lease = true,
                              .deadline_ms = t->deadline_ms};
    struct pgsql_unit *u = too_late(&call, e) ? NULL : db_postgres_unit_run(t->db, &call, e);
    if (!u)
        return PGSQL_FAILED;
    bool applies = u->outcome == PGSQL_LOST || rows_look(t, u, e);
    if (!applies || u->outcome != PGSQL_OK) {
        db_postgres_unit_rollback(u);
        enum pgsql_outcome outcome = unit_finish(u, applies ? e : NULL);
        return applies ? outcome : PGSQL_FAILED;
    }
    enum pgsql_outcome outcome = PGSQL_FAILED;
    if (u->conn)
        outcome = run_commit(t, u->conn, e);
    else
        err_set(e, ERR_UNAVAILABLE, "the store cannot be reached");
    db_postgres_unit_free(u);
    return outcome;
}

/* Before another try: whoever won a deadlock is only waking up, and a batch that came straight back
 * could take its row once more and lose again. */
static bool stand_aside(const struct transaction *t, int tries, struct err *e)
{
    int64_t pause_ms = PGSQL_ASIDE_MS * tries + (int64_t)(rand_u64() % PGSQL_ASIDE_MS);
    int64_t until_ms = clock_mono_ms() + pause_ms;
    if (until_ms >= t->deadline_ms)
        return err_set(e, ERR_UNAVAILABLE, "the store is busy");
    return fiber_sleep_until(until_ms, e);
}

bool db_postgres_write(struct db *base, struct db_batch *b, struct db_rows *results, struct err *e)
{
    struct transaction t = transaction_plan(pgsql_db_of(base), b, results);
    enum pgsql_outcome outcome = PGSQL_AGAIN;
    for (int tries = 0; tries < LIMIT_DB_TRIES && outcome == PGSQL_AGAIN; tries++) {
        if (tries > 0 && !stand_aside(&t, tries, e))
            return false;
        outcome = t.is_leased ? run_leased(&t, e) : run_at_once(&t, e);
    }
    if (outcome != PGSQL_OK)
        return false;
    metric_add(M_DB_COMMITS, 1);
    if (t.invalidates)
        atomic_fetch_add_explicit(&base->store->epoch, 1, memory_order_acq_rel);
    return true;
}

#define ADAPTER(its_scheme)                                                                        \
    {                                                                                              \
        .scheme = its_scheme, .dialect = "postgres", .open = pgsql_open, .close = pgsql_close,     \
        .attach = pgsql_attach, .detach = pgsql_detach, .read = db_postgres_read,                  \
        .write = db_postgres_write, .script_open = db_postgres_script_open,                        \
        .script_close = db_postgres_script_close, .script_exec = db_postgres_script_exec,          \
        .script_run = db_postgres_script_run,                                                      \
        .script_begin = "BEGIN; SELECT pg_advisory_xact_lock(hashtext('tulle_migrations'), "       \
                        "hashtext(current_schema()))",                                             \
        .table_exists = "SELECT 1 WHERE to_regclass(CAST($1 AS TEXT)) IS NOT NULL",                \
    }
const struct db_adapter db_postgres_adapter = ADAPTER("postgresql://");
const struct db_adapter db_postgres_short_adapter = ADAPTER("postgres://");
