/* Units: statements sent together, their answers, and who waits for them. */
#include <libpq-fe.h>

#include "base/clock.h"
#include "store/db_postgres.h"

static const struct db_stmt rollback = {"rollback", "ROLLBACK", DB_WRITE, 0};

void db_postgres_unit_free(struct pgsql_unit *u)
{
    if (!u)
        return;
    free(u->steps);
    free(u);
}

void db_postgres_unit_end(struct pgsql_unit *u)
{
    if (u->wait)
        fiber_wake(u->wait);
    else
        db_postgres_unit_free(u);
}

/* ---- sending ---- */

enum preparation { PREPARED, NOT_YET, NEVER };

static enum preparation preparation_of(const struct pgsql_conn *c, const struct db_stmt *s)
{
    const char *sql = map_get(c->prepared, str_c(s->name));
    if (sql)
        return strcmp(sql, s->sql) == 0 ? PREPARED : NEVER;
    return map_count(c->prepared) < LIMIT_DB_STATEMENTS ? NOT_YET : NEVER;
}

static struct pgsql_step *step_add(struct pgsql_unit *u, const struct db_stmt *s)
{
    struct pgsql_step *step = &u->steps[u->n_steps++];
    step->stmt = s;
    return step;
}

/* Remembers it as prepared before PostgreSQL has said so: what is sent next comes after it. */
static bool item_prepare(struct pgsql_conn *c, struct pgsql_unit *u, const struct db_stmt *s)
{
    char *sql = strdup(s->sql);
    if (!sql || !map_set(c->prepared, str_c(s->name), sql, NULL)) {
        free(sql);
        return false;
    }
    step_add(u, s)->is_prepare = true;
    return PQsendPrepare(c->pg, s->name, s->sql, 0, NULL) == 1;
}

/* False when the connection is of no use any more. */
static bool item_send(struct pgsql_conn *c, struct pgsql_unit *u, const struct db_batch_item *it,
                      const char *const *values)
{
    enum preparation p = preparation_of(c, it->stmt);
    if (p == NOT_YET && !item_prepare(c, u, it->stmt))
        return false;
    step_add(u, it->stmt);
    int n = (int)it->args.n;
    if (p == NEVER)
        return PQsendQueryParams(c->pg, it->stmt->sql, n, NULL, values, NULL, NULL, 0) == 1;
    return PQsendQueryPrepared(c->pg, it->stmt->name, n, values, NULL, NULL, 0) == 1;
}

static void values_free(const char ***values)
{
    for (size_t i = 0; values && values[i]; i++)
        free(values[i]);
    free(values);
}

/* The arguments of all items and room for their answers, before anything is sent: a bad argument
 * costs nothing but its own unit. NULL when that fails. */
static const char ***values_make(struct pgsql_unit *u)
{
    size_t n = 1, i = 0;
    for (const struct db_batch_item *it = u->items; it; it = it->next)
        n++;
    const char ***values = calloc(n, sizeof *values);
    u->steps = calloc(2 * n, sizeof *u->steps);
    bool is_ok = values && u->steps;
    if (!is_ok)
        err_set(&u->err, ERR_UNAVAILABLE, "out of memory");
    for (const struct db_batch_item *it = u->items; it && is_ok; it = it->next, i++)
        is_ok = db_postgres_result_args(it->args, &values[i], &u->err);
    if (is_ok)
        return values;
    values_free(values);
    return NULL;
}

/* Puts u in flight on c. It ends at once when it cannot be sent. */
static void unit_send(struct pgsql_conn *c, struct pgsql_unit *u)
{
    const char ***values = values_make(u);
    if (!values) {
        u->outcome = PGSQL_FAILED;
        db_postgres_unit_end(u);
        return;
    }
    u->conn = c;
    if (list_is_empty(&c->in_flight))
        u->head_ms = clock_mono_ms();
    list_push(&c->in_flight, &u->link);
    c->n_in_flight++;
    c->n_lists += u->is_list;
    if (u->takes_lease)
        c->lease = u;
    size_t i = 0;
    bool is_sent = true;
    for (const struct db_batch_item *it = u->items; it && is_sent; it = it->next, i++)
        is_sent = item_send(c, u, it, values[i]);
    u->items = NULL;
    values_free(values);
    if (!is_sent || PQpipelineSync(c->pg) != 1) {
        db_postgres_conn_drop(c);
        return;
    }
    db_postgres_conn_watch(c);
    db_postgres_conn_flush(c);
}

/* ---- queues ---- */

static bool has_room(const struct pgsql_conn *c, bool for_list)
{
    const struct pgsql_conn *last = &c->db->conn[PGSQL_CONNS - 1];
    if (c->state != PGSQL_UP || c->lease || c->n_lists)
        return false;
    return for_list ? c == last || last->state != PGSQL_UP : c->n_in_flight < PGSQL_DEPTH;
}

static struct pgsql_conn *conn_pick(struct pgsql_db *db, bool for_list)
{
    struct pgsql_conn *best = NULL;
    for (int i = 0; i < PGSQL_CONNS; i++) {
        struct pgsql_conn *c = &db->conn[i];
        if (has_room(c, for_list) && (!best || c->n_in_flight < best->n_in_flight))
            best = c;
    }
    return best;
}

void db_postgres_unit_pump(struct pgsql_db *db)
{
    for (int q = 1; q >= 0; q--) {
        struct pgsql_conn *c = NULL;
        while (!list_is_empty(&db->queue[q]) && (c = conn_pick(db, q == 1)) != NULL) {
            struct pgsql_unit *u = pgsql_unit_take(&db->queue[q]);
            db->n_queued--;
            unit_send(c, u);
        }
    }
}

void db_postgres_unit_fail_queued(struct pgsql_db *db)
{
    for (int q = 0; q < 2; q++) {
        while (!list_is_empty(&db->queue[q])) {
            struct pgsql_unit *u = pgsql_unit_take(&db->queue[q]);
            db->n_queued--;
            u->outcome = PGSQL_FAILED;
            err_set(&u->err, ERR_UNAVAILABLE, "the store cannot be reached");
            err_detail(&u->err, "%s", db->why);
            fiber_wake(u->wait); /* who gave up is not in the queue */
        }
    }
}

/* ---- waiting ---- */

static struct pgsql_unit *unit_new(const struct pgsql_call *call)
{
    struct pgsql_unit *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    list_init(&u->link);
    u->items = call->items;
    u->arena = call->arena;
    u->is_list = call->is_list;
    u->takes_lease = call->takes_lease;
    return u;
}

/* The waiter gives up. In flight, the unit lives on until its answers have been read. */
static void unit_abandon(struct pgsql_db *db, struct pgsql_unit *u)
{
    u->wait = NULL;
    u->arena = NULL;
    if (u->conn) {
        if (u->conn->lease == u)
            db_postgres_unit_rollback(u);
        return;
    }
    list_remove(&u->link);
    db->n_queued--;
    db_postgres_unit_free(u);
}

struct pgsql_unit *db_postgres_unit_run(struct pgsql_db *db, const struct pgsql_call *call,
                                        struct err *e)
{
    struct pgsql_unit *u = unit_new(call);
    if (!u || db->n_queued >= LIMIT_DB_QUEUE) {
        err_set(e, ERR_UNAVAILABLE, u ? "the store has too much to do" : "out of memory");
        free(u);
        return NULL;
    }
    struct fiber_wait wait = {0};
    u->wait = &wait;
    struct pgsql_conn *c = call->lease;
    if (!c && list_is_empty(&db->queue[u->is_list]))
        c = conn_pick(db, u->is_list);
    if (c) {
        unit_send(c, u);
    } else {
        list_push(&db->queue[u->is_list], &u->link);
        db->n_queued++;
    }
    struct err why;
    if (fiber_wait(&wait, call->deadline_ms, &why)) {
        u->wait = NULL;
        return u;
    }
    if (!u->conn && why.code == ERR_TIMEOUT) /* it never got as far as the database */
        err_set(&why, ERR_UNAVAILABLE, "the store cannot be reached or is too busy");
    if (e)
        *e = why;
    unit_abandon(db, u);
    return NULL;
}

void db_postgres_unit_release(struct pgsql_unit *holder)
{
    if (!holder->conn || holder->conn->lease != holder)
        return;
    holder->conn->lease = NULL;
    db_postgres_unit_pump(holder->conn->db);
}

void db_postgres_unit_rollback(struct pgsql_unit *holder)
{
    struct pgsql_conn *c = holder->conn;
    if (!c || c->lease != holder)
        return;
    c->lease = NULL;
    struct pgsql_call call = {.items = &(struct db_batch_item){.stmt = &rollback}};
    struct pgsql_unit *u = unit_new(&call);
    if (u)
        unit_send(c, u);
    else
        db_postgres_conn_drop(c); /* which ends the transaction, too */
    db_postgres_unit_pump(c->db);
}

/* ---- answers ---- */

static bool state_is(const PGresult *r, const char *state)
{
    const char *given = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    return given && strcmp(given, state) == 0;
}

static void step_fail(struct pgsql_conn *c, struct pgsql_unit *u, const PGresult *r)
{
    const struct db_stmt *s = u->steps[u->i].stmt;
    u->outcome = db_postgres_result_failure(r, s->name, &u->err);
    if (state_is(r, "26000")) /* the unit that was to prepare it failed before it did */
        free(map_take(c->prepared, str_c(s->name)));
}

/* One answer of the oldest unit in flight. */
static void step_read(struct pgsql_conn *c, struct pgsql_unit *u, PGresult *r)
{
    if (u->i >= u->n_steps)
        return;
    struct pgsql_step *step = &u->steps[u->i];
    ExecStatusType status = PQresultStatus(r);
    bool is_ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (step->is_prepare && !is_ok && !state_is(r, "42P05")) /* that one is prepared already */
        free(map_take(c->prepared, str_c(step->stmt->name)));
    if (!is_ok && status != PGRES_PIPELINE_ABORTED && u->outcome == PGSQL_OK)
        step_fail(c, u, r);
    else if (is_ok && !step->is_prepare && u->arena &&
             !db_postgres_result_rows(r, u->arena, &step->rows) && u->outcome == PGSQL_OK) {
        u->outcome = PGSQL_FAILED;
        err_set(&u->err, ERR_UNAVAILABLE, "the store's answer is too large");
        err_detail(&u->err, "%s", step->stmt->name);
    }
    u->i++;
    if (u->outcome == PGSQL_OK)
        u->n_good = u->i;
}

/* The oldest unit in flight has all of its answers. */
static void unit_done(struct pgsql_conn *c)
{
    struct pgsql_unit *u = pgsql_unit_take(&c->in_flight);
    c->n_in_flight--;
    c->n_lists -= u->is_list;
    if (!list_is_empty(&c->in_flight))
        CONTAINER_OF(c->in_flight.next, struct pgsql_unit, link)->head_ms = clock_mono_ms();
    bool is_useless = u->outcome == PGSQL_LOST;
    db_postgres_unit_end(u);
    if (is_useless)
        db_postgres_conn_drop(c);
}

void db_postgres_unit_read(struct pgsql_conn *c)
{
    /* Answers end with NULL each; two in a row mean that libpq has no more. */
    for (int n_ends = 0; n_ends < 2 && !list_is_empty(&c->in_flight) && !PQisBusy(c->pg);) {
        PGresult *r = PQgetResult(c->pg);
        n_ends = r ? 0 : n_ends + 1;
        if (!r)
            continue;
        bool is_end = PQresultStatus(r) == PGRES_PIPELINE_SYNC;
        if (is_end)
            unit_done(c);
        else
            step_read(c, CONTAINER_OF(c->in_flight.next, struct pgsql_unit, link), r);
        PQclear(r);
        if (c->state != PGSQL_UP)
            return;
    }
    if (list_is_empty(&c->in_flight))
        (void)PQisBusy(c->pg); /* reads what PostgreSQL says unasked */
}
