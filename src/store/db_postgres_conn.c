/* One PostgreSQL connection on a loop: connecting, being lost, connecting again. */
#include <libpq-fe.h>

#include "base/clock.h"
#include "base/rand.h"
#include "store/db_postgres.h"

enum { CHECK_MS = 1000 };

/* synchronous_commit: a DB_DURABLE unit turns it on for itself. */
_Static_assert(PGSQL_STATEMENT_MS == 10000, "as in the text below");
static const char settings[] = "SET synchronous_commit = off; SET statement_timeout = 10000; "
                               "SET idle_in_transaction_session_timeout = 10000";

static void on_ready(struct loop_fd *f, uint32_t ready);
static void on_time(struct loop_timer *t);

static struct loop *loop_of(const struct pgsql_conn *c)
{
    return c->db->base.loop;
}

/* ---- losing it ---- */

static void retry_later(struct pgsql_conn *c)
{
    /* 20 ms at first, doubled; between half and all of that, so that nodes do not come together. */
    int64_t pause = c->n_failed > 5 ? PGSQL_BACKOFF_MS : 20 << c->n_failed;
    pause -= (int64_t)(rand_u64() % (uint64_t)(pause / 2));
    loop_timer_set(loop_of(c), &c->timer, clock_mono_ms() + pause);
}

static void conn_close(struct pgsql_conn *c)
{
    loop_fd_remove(loop_of(c), &c->fd);
    PQfinish(c->pg);
    c->pg = NULL;
    c->state = PGSQL_DOWN;
    map_free(c->prepared, free);
    c->prepared = NULL;
    if (c->lease)
        c->lease->conn = NULL;
    c->lease = NULL;
    c->n_in_flight = c->n_lists = 0;
    while (!list_is_empty(&c->in_flight)) {
        struct pgsql_unit *u = pgsql_unit_take(&c->in_flight);
        u->conn = NULL;
        u->outcome = PGSQL_LOST;
        err_set(&u->err, ERR_UNAVAILABLE, "the store cannot be reached");
        err_detail(&u->err, "the connection was lost");
        db_postgres_unit_end(u);
    }
}

void db_postgres_conn_drop(struct pgsql_conn *c)
{
    if (c->state == PGSQL_DOWN)
        return;
    if (c->state == PGSQL_UP)
        c->db->up_ms = clock_mono_ms();
    else {
        c->n_failed++;
        snprintf(c->db->why, sizeof c->db->why, "%s", PQerrorMessage(c->pg));
    }
    conn_close(c);
    if (c->n_failed)
        db_postgres_watch_resolve(pgsql_store_of(c->db->base.store));
    retry_later(c);

    bool has_hope = clock_mono_ms() - c->db->up_ms < PGSQL_PATIENCE_MS;
    for (int i = 0; i < PGSQL_CONNS; i++)
        has_hope |= c->db->conn[i].state == PGSQL_UP;
    if (!has_hope)
        db_postgres_unit_fail_queued(c->db);
}

/* ---- connecting ---- */

static void conn_connect(struct pgsql_conn *c)
{
    struct pgsql_target target;
    db_postgres_target_get(pgsql_store_of(c->db->base.store), c->n_attempts++, &target);
    c->state = PGSQL_CONNECTING;
    c->prepared = map_new();
    c->pg = PQconnectStartParams(target.names, target.values, 0);
    c->fd.fd = PQsocket(c->pg);
    loop_timer_set(loop_of(c), &c->timer, clock_mono_ms() + LIMIT_CONNECT_MS);
    struct err e;
    if (!c->prepared || PQstatus(c->pg) == CONNECTION_BAD || c->fd.fd < 0 ||
        !loop_fd_add(loop_of(c), &c->fd, EPOLLOUT, &e))
        db_postgres_conn_drop(c);
    else
        db_postgres_result_quiet(c->pg);
}

static void setting_begin(struct pgsql_conn *c)
{
    c->state = PGSQL_SETTING;
    if (PQsetnonblocking(c->pg, 1) != 0 || PQsendQuery(c->pg, settings) != 1)
        db_postgres_conn_drop(c);
    else
        db_postgres_conn_flush(c);
}

/* The socket may be another one after each step, and libpq has closed the one before. */
static void connecting_step(struct pgsql_conn *c)
{
    loop_fd_remove(loop_of(c), &c->fd);
    PostgresPollingStatusType status = PQconnectPoll(c->pg);
    c->fd.fd = PQsocket(c->pg);
    uint32_t events = status == PGRES_POLLING_WRITING ? EPOLLOUT : EPOLLIN;
    struct err e;
    if (status == PGRES_POLLING_FAILED || c->fd.fd < 0 ||
        !loop_fd_add(loop_of(c), &c->fd, events, &e))
        db_postgres_conn_drop(c);
    else if (status == PGRES_POLLING_OK)
        setting_begin(c);
}

static void setting_step(struct pgsql_conn *c)
{
    while (!PQisBusy(c->pg)) {
        PGresult *r = PQgetResult(c->pg);
        bool is_end = !r;
        bool is_ok =
            is_end ? PQenterPipelineMode(c->pg) == 1 : PQresultStatus(r) == PGRES_COMMAND_OK;
        PQclear(r);
        if (!is_ok) {
            db_postgres_conn_drop(c);
            return;
        }
        if (!is_end)
            continue;
        c->state = PGSQL_UP;
        c->n_failed = 0;
        c->db->up_ms = clock_mono_ms();
        loop_timer_stop(loop_of(c), &c->timer);
        return;
    }
}

/* ---- events ---- */

void db_postgres_conn_flush(struct pgsql_conn *c)
{
    int left = PQflush(c->pg);
    if (left < 0)
        db_postgres_conn_drop(c);
    else
        loop_fd_change(loop_of(c), &c->fd, left ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_ready(struct loop_fd *f, unused_arg uint32_t ready)
{
    struct pgsql_conn *c = CONTAINER_OF(f, struct pgsql_conn, fd);
    if (c->state == PGSQL_CONNECTING) {
        connecting_step(c);
        return;
    }
    if (PQconsumeInput(c->pg) != 1) {
        /* What came before the end still counts: an error that says why, or an answer. */
        if (c->state == PGSQL_UP)
            db_postgres_unit_read(c);
        db_postgres_conn_drop(c);
        return;
    }
    if (c->state == PGSQL_SETTING)
        setting_step(c);
    else
        db_postgres_unit_read(c);
    if (c->state != PGSQL_DOWN)
        db_postgres_conn_flush(c);
    if (c->state == PGSQL_UP)
        db_postgres_unit_pump(c->db);
}

void db_postgres_conn_watch(struct pgsql_conn *c)
{
    if (!c->timer.heap_slot)
        loop_timer_set(loop_of(c), &c->timer, clock_mono_ms() + CHECK_MS);
}

/* Nobody waits any more, and PostgreSQL's own limit has passed: it is not there. */
static bool is_stuck(const struct pgsql_conn *c)
{
    const struct pgsql_unit *u = CONTAINER_OF(c->in_flight.next, struct pgsql_unit, link);
    return !u->wait && clock_mono_ms() - u->head_ms > PGSQL_STATEMENT_MS + PGSQL_GRACE_MS;
}

static void on_time(struct loop_timer *t)
{
    struct pgsql_conn *c = CONTAINER_OF(t, struct pgsql_conn, timer);
    if (c->state == PGSQL_DOWN)
        conn_connect(c);
    else if (c->state != PGSQL_UP)
        db_postgres_conn_drop(c);
    else if (!list_is_empty(&c->in_flight)) {
        if (is_stuck(c))
            db_postgres_conn_drop(c);
        else
            db_postgres_conn_watch(c);
    }
}

void db_postgres_conn_start(struct pgsql_conn *c, struct pgsql_db *db, int index)
{
    c->db = db;
    c->index = index;
    c->n_attempts = (unsigned)index;
    c->fd.on_event = on_ready;
    c->timer.on_fire = on_time;
    list_init(&c->in_flight);
    conn_connect(c);
}

void db_postgres_conn_end(struct pgsql_conn *c)
{
    loop_timer_stop(loop_of(c), &c->timer);
    conn_close(c);
}
