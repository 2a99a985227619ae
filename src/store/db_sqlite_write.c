/* SQLite's writer threads: one per file, grouping the commits of all batches that are waiting. */
#include <sched.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "io/fiber.h"
#include "io/thread.h"
#include "log/metrics.h"
#include "store/db_sqlite.h"

enum { GIVE_WAY_MS = 50 }; /* from a batch's beginning: then it wants its share */

static const struct db_stmt begin_group = {"begin", "BEGIN IMMEDIATE", DB_READ, 0};
static const struct db_stmt commit_group = {"commit", "COMMIT", DB_READ, 0};
static const struct db_stmt rollback_group = {"rollback", "ROLLBACK", DB_READ, 0};
static const struct db_stmt begin_batch = {"savepoint", "SAVEPOINT batch", DB_READ, 0};
static const struct db_stmt undo_batch = {"rollback_to", "ROLLBACK TO batch", DB_READ, 0};
static const struct db_stmt end_batch = {"release", "RELEASE batch", DB_READ, 0};
/* Changes when another connection has committed; our own commits do not count. */
static const struct db_stmt data_version = {"data_version", "PRAGMA data_version", DB_READ, 0};

static void write_back(struct loop_task *t)
{
    struct lite_write *q = CONTAINER_OF(t, struct lite_write, back);
    struct lite_db *db = q->db;
    list_remove(&q->open);
    if (db->drained && list_is_empty(&db->open))
        fiber_wake(db->drained);
    if (q->wait)
        fiber_wake(q->wait);
    else
        arena_end(q->arena);
}

/* The handle may be freed once the count is down and the task has run: nothing of either is touched
 * after. */
static void write_post(struct lite_store *s, struct lite_write *q)
{
    struct lite_db *db = q->db;
    loop_post(db->base.loop, &q->back);
    pthread_mutex_lock(&s->lock);
    db->n_in_writer--;
    pthread_cond_broadcast(&s->posted);
    pthread_mutex_unlock(&s->lock);
}

static bool control(struct lite_conn *c, const struct db_stmt *s, struct err *e)
{
    return db_sqlite_conn_run(c, NULL, s, DB_NO_ARGS, NULL, e);
}

/* A statement alone is undone by SQLite itself when it fails, but not when only its rows turn out
 * too large. */
static bool has_savepoint(const struct lite_write *q)
{
    return q->n > 1 || strstr(q->items[0].stmt->sql, "RETURNING") != NULL;
}

/* One batch in its savepoint. False only when the whole transaction is lost. */
static bool batch_run(struct lite_conn *c, struct lite_write *q)
{
    bool is_saved = has_savepoint(q);
    if (is_saved && !control(c, &begin_batch, &q->err))
        return false;
    q->is_ok = true;
    int64_t began_ms = clock_mono_ms();
    for (size_t i = 0; i < q->n && q->is_ok; i++) {
        struct lite_item *it = &q->items[i];
        if (q->gives_way && i > 0 && clock_mono_ms() - began_ms < GIVE_WAY_MS)
            sched_yield();
        q->is_ok = db_sqlite_conn_run(c, q->arena, it->stmt, it->args, &it->rows, &q->err);
        if (q->is_ok && (it->stmt->flags & DB_INVALIDATES) && it->rows.n_affected > 0)
            q->invalidates = true;
    }
    if (!db_sqlite_conn_in_transaction(c))
        return false;
    struct err e;
    if (!is_saved)
        return true;
    return (q->is_ok || control(c, &undo_batch, &e)) && control(c, &end_batch, &e);
}

static void others_poll(struct lite_writer *w)
{
    int64_t now = clock_mono_ms();
    if (w == &w->store->writer[LITE_AUDIT] || now - w->polled_ms < LITE_POLL_MS)
        return;
    w->polled_ms = now;
    int64_t version = db_sqlite_conn_int(&w->conn, &data_version);
    if (version != w->data_version)
        atomic_fetch_add_explicit(&w->store->base.epoch, 1, memory_order_acq_rel);
    w->data_version = version;
}

/* While another process holds the lock, what it or a third has committed before is heard of still.
 */
static bool group_begin(struct lite_writer *w, struct err *e)
{
    int64_t until_ms = clock_mono_ms() + LITE_BUSY_MS;
    while (!control(&w->conn, &begin_group, e)) {
        if (!w->conn.is_busy || clock_mono_ms() >= until_ms)
            return false;
        others_poll(w);
    }
    return true;
}

static bool group_run(struct lite_writer *w, struct lite_write *group, struct err *e)
{
    if (!group_begin(w, e))
        return false;
    for (struct lite_write *q = group; q; q = q->next) {
        if (atomic_load(&q->is_abandoned)) {
            err_set(&q->err, ERR_CANCELLED, "nobody waits for it any more");
            continue;
        }
        if (!batch_run(&w->conn, q)) {
            *e = q->err;
            return false;
        }
    }
    metric_add(M_DB_COMMITS, 1);
    return control(&w->conn, &commit_group, e);
}

static void group_fail(struct lite_writer *w, struct lite_write *group, const struct err *why)
{
    struct err e;
    if (db_sqlite_conn_in_transaction(&w->conn))
        (void)!control(&w->conn, &rollback_group, &e);
    for (struct lite_write *q = group; q; q = q->next) {
        q->is_ok = q->invalidates = false;
        err_set(&q->err, ERR_UNAVAILABLE, "the store cannot write now");
        err_detail(&q->err, "%s", why->detail);
    }
}

/* synchronous can be changed only between transactions. */
static void durability_set(struct lite_writer *w, bool is_full)
{
    struct err e;
    if (w->is_full != is_full &&
        db_sqlite_conn_exec(&w->conn,
                            is_full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", &e))
        w->is_full = is_full;
}

static void group_handle(struct lite_writer *w, struct lite_write *group)
{
    bool is_durable = false, invalidates = false;
    for (struct lite_write *q = group; q; q = q->next)
        is_durable |= q->is_durable;
    durability_set(w, is_durable);

    struct err e = {0};
    if (!group_run(w, group, &e))
        group_fail(w, group, &e);
    for (struct lite_write *q = group; q; q = q->next)
        invalidates |= q->is_ok && q->invalidates;
    if (invalidates)
        atomic_fetch_add_explicit(&w->store->base.epoch, 1, memory_order_acq_rel);
    for (struct lite_write *q = group, *next; q; q = next) {
        next = q->next;
        write_post(w->store, q);
    }
}

/* All that is queued, or NULL after LITE_POLL_MS of silence; *is_end when stopping with an empty
 * queue. */
static struct lite_write *group_take(struct lite_writer *w, bool *is_end)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LITE_POLL_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (!w->first && !w->is_stopping && rc == 0)
        rc = pthread_cond_timedwait(&w->wake, &w->lock, &until);
    struct lite_write *group = w->first;
    w->first = w->last = NULL;
    atomic_store(&w->n_queued, 0);
    *is_end = !group && w->is_stopping;
    pthread_mutex_unlock(&w->lock);
    return group;
}

static void *writer_main(void *arg)
{
    struct lite_writer *w = arg;
    bool is_end = false;
    if (w == &w->store->writer[LITE_AUDIT])
        thread_in_background();
    while (!is_end) {
        struct lite_write *group = group_take(w, &is_end);
        if (group)
            group_handle(w, group);
        others_poll(w);
    }
    return NULL;
}

bool db_sqlite_writer_start(struct lite_writer *w, struct lite_store *s, const char *path,
                            struct err *e)
{
    w->store = s;
    bool is_audit = w == &s->writer[LITE_AUDIT];
    if (!db_sqlite_conn_open(&w->conn, path, is_audit ? LITE_AUDIT_WRITER : LITE_WRITER,
                             LITE_BUSY_MS, e))
        return false;
    sqlite3_busy_timeout(w->conn.handle, LITE_POLL_MS); /* group_begin tries again */
    w->data_version = db_sqlite_conn_int(&w->conn, &data_version);
    w->polled_ms = clock_mono_ms();
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->lock, NULL);
    w->is_started = thread_start(&w->thread, "tulle-writer", writer_main, w, e);
    if (!w->is_started) {
        db_sqlite_conn_close(&w->conn);
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
    }
    return w->is_started;
}

void db_sqlite_writer_stop(struct lite_writer *w)
{
    if (!w->is_started)
        return;
    pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    db_sqlite_conn_close(&w->conn);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    w->is_started = false;
}

static void chain_push(struct lite_writer *w, const struct lite_chain *chain)
{
    pthread_mutex_lock(&w->lock);
    if (w->last)
        w->last->next = chain->first;
    else
        w->first = chain->first;
    w->last = chain->last;
    atomic_fetch_add(&w->n_queued, chain->n);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void db_sqlite_writes_flush(struct lite_db *db)
{
    struct lite_store *s = lite_store_of(db->base.store);
    db->is_flush_due = false;
    for (int f = 0; f < LITE_FILES; f++) {
        struct lite_chain chain = db->pending[f];
        if (chain.n == 0)
            continue;
        db->pending[f] = (struct lite_chain){0};
        pthread_mutex_lock(&s->lock);
        db->n_in_writer += chain.n;
        pthread_mutex_unlock(&s->lock);
        chain_push(&s->writer[f], &chain);
    }
}

static void on_flush(struct loop_task *t)
{
    db_sqlite_writes_flush(CONTAINER_OF(t, struct lite_db, flush));
}

/* The requests of one turn share a commit. ERR_UNAVAILABLE when the writer's queue is full. */
static bool write_queue(struct lite_db *db, enum lite_file f, struct lite_write *q, struct err *e)
{
    struct lite_chain *chain = &db->pending[f];
    struct lite_writer *w = &lite_store_of(db->base.store)->writer[f];
    if (atomic_load(&w->n_queued) + chain->n >= LIMIT_DB_QUEUE)
        return err_set(e, ERR_UNAVAILABLE, "the store has too much to write");
    if (chain->last)
        chain->last->next = q;
    else
        chain->first = q;
    chain->last = q;
    chain->n++;
    if (!db->is_flush_due) {
        db->is_flush_due = true;
        db->flush.run = on_flush;
        loop_soon(db->base.loop, &db->flush);
    }
    return true;
}

/* Copies the batch into an arena of its own, which may outlive the caller's; lent arguments do not
 * have to. */
static struct lite_write *write_new(struct lite_db *db, const struct db_batch *b)
{
    struct arena *a = arena_new(LIMIT_DB_BATCH_BYTES);
    struct lite_write *q = a ? arena_alloc(a, sizeof *q) : NULL;
    struct lite_item *items = q ? arena_alloc(a, b->n * sizeof *items) : NULL;
    bool is_ok = items != NULL;
    size_t i = 0;
    for (const struct db_batch_item *it = b->first; it && is_ok; it = it->next, i++) {
        items[i].stmt = it->stmt;
        if (b->is_lent)
            items[i].args = it->args;
        else
            is_ok = db_args_copy(a, it->args, &items[i].args);
        q->is_durable |= (it->stmt->flags & DB_DURABLE) != 0;
    }
    if (!is_ok) {
        arena_end(a);
        return NULL;
    }
    q->arena = a;
    q->db = db;
    q->items = items;
    q->n = b->n;
    q->gives_way = b->gives_way;
    q->back.run = write_back;
    list_init(&q->open);
    return q;
}

static bool results_copy(const struct lite_write *q, struct arena *a, struct db_rows *results,
                         struct err *e)
{
    for (size_t i = 0; i < q->n; i++)
        if (!db_rows_copy(a, &q->items[i].rows, &results[i])) /* it did commit */
            return err_set(e, ERR_UNAVAILABLE, "the store's answer is too large");
    return true;
}

/* False: given up, which nobody does whose arguments the writer reads. */
static bool written_await(struct lite_write *q, bool is_lent, struct err *e)
{
    if (is_lent)
        fiber_shield(true);
    bool is_back = fiber_wait(q->wait, is_lent ? INT64_MAX : clock_mono_ms() + LIMIT_DB_MS, e) ||
                   q->wait->is_done;
    if (is_lent)
        fiber_shield(false);
    return is_back;
}

bool db_sqlite_write(struct db *db_base, struct db_batch *b, struct db_rows *results, struct err *e)
{
    struct lite_db *db = CONTAINER_OF(db_base, struct lite_db, base);
    if (fiber_is_cancelled(fiber_self()))
        return err_set(e, ERR_CANCELLED, "cancelled");
    struct lite_write *q = write_new(db, b);
    if (!q)
        return err_set(e, ERR_UNAVAILABLE, "the batch is too large");
    struct fiber_wait wait = {0};
    q->wait = &wait;
    list_push(&db->open, &q->open);
    enum lite_file file = b->first->stmt->flags & DB_AUDIT ? LITE_AUDIT : LITE_MAIN;
    if (!write_queue(db, file, q, e)) {
        list_remove(&q->open);
        arena_end(q->arena);
        return false;
    }
    if (!written_await(q, b->is_lent, e)) {
        q->wait = NULL; /* write_back frees it */
        atomic_store(&q->is_abandoned, true);
        return false;
    }
    bool is_ok = q->is_ok;
    if (!is_ok && e)
        *e = q->err;
    if (is_ok && results)
        is_ok = results_copy(q, b->arena, results, e);
    arena_end(q->arena);
    return is_ok;
}
