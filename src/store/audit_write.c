/* The audit writer: a thread with a loop, a store handle and one fiber. It never drops a row it
 * could keep. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/thread.h"
#include "log/log.h"
#include "log/metrics.h"
#include "store/audit_queue.h"

enum {
    BATCH_ROWS = 512,                      /* of one transaction */
    GIVE_WAY_ROWS = LIMIT_AUDIT_QUEUE / 4, /* the calls' backlog that may wait for a processor */
    BATCH_BYTES = 64 * 1024 * 1024,
    BACK_OFF_MS = 100, /* first pause after a failure; doubles */
    BACK_OFF_MAX_MS = 5000,
    COMPLAIN_MS = 60 * 1000,
    RETENTION_MS = 3600 * 1000,
    RETENTION_ROWS = 1000,
    LAST_TRY_MS = 10 * 1000, /* what a failing store is given at the end */
    CANONICAL_MAX = 1024 * 1024,
};
#define DAY_MS 86400000LL

/* Retention, organization by organization, as rows are found by that and their time. Statements of
 * which the parameters changed have new names: behind a pooler, PostgreSQL may know the old ones.
 */
static const struct db_stmt audit_next_org = {
    "audit_next_org", "SELECT MIN(org_id) FROM audit WHERE org_id > $1", DB_READ, DB_AUDIT};
static const struct db_stmt audit_has_expired = {
    "audit_has_expired", "SELECT 1 FROM audit WHERE org_id = $1 AND at < $2 LIMIT 1", DB_READ,
    DB_AUDIT};
static const struct db_stmt audit_expire = {
    "audit_expire_org",
    "DELETE FROM audit WHERE pos IN (SELECT pos FROM audit WHERE org_id = $1 AND at < $2 "
    "ORDER BY at LIMIT CAST($3 AS BIGINT))",
    DB_WRITE, DB_AUDIT};

struct link { /* the last row of an organization's chain */
    int64_t seq;
    char hash[AUDIT_HASH_SIZE];
};

static void complain(struct audit_log *log, const struct err *e, const char *what)
{
    int64_t now = clock_mono_ms();
    if (log->complained_at_ms && now - log->complained_at_ms < COMPLAIN_MS)
        return;
    log->complained_at_ms = now;
    LOG(EV_AUDIT_FAILED, LF_STR("what", str_c(what)), LF_STR("error", str_c(e->msg)),
        LF_STR("detail", str_c(e->detail)), LF_INT("waiting", atomic_load(&log->n_taken)));
}

/* A chain belongs to this start of the process; another one begins when there are too many
 * organizations to remember. */
static bool chains_begin(struct audit_log *log)
{
    struct map *fresh = map_new();
    if (!fresh)
        return false;
    map_free(log->links, free);
    log->links = fresh;
    struct id chain = id_new("chn");
    memcpy(log->chain, chain.s, sizeof log->chain);
    return true;
}

static struct link *link_of(struct audit_log *log, struct str org_id)
{
    struct link *l = map_get(log->links, org_id);
    if (l || (map_count(log->links) >= LIMIT_CACHE_ENTRIES && !chains_begin(log)))
        return l;
    l = calloc(1, sizeof *l);
    if (l && !map_set(log->links, org_id, l, NULL)) {
        free(l);
        return NULL;
    }
    return l;
}

/* Gives the row its id and its place in the chain. */
static bool entry_link(struct audit_log *log, struct audit_entry *en, struct buf *scratch)
{
    if (en->is_linked)
        return true;
    struct link *l = link_of(log, en->row.org_id);
    if (!l)
        return false;
    audit_id(en->row.at, en->id);
    memcpy(en->prev_hash, l->hash, sizeof en->prev_hash);
    en->row.id = str_c(en->id);
    en->row.prev_hash = str_c(en->prev_hash);
    en->row.seq = l->seq + 1;
    struct str chain = str_c(log->chain);
    en->row.chain = (struct str){memcpy(en->text, chain.p, chain.n), chain.n};
    buf_reset(scratch);
    audit_canonical(&en->row, scratch);
    if (!buf_ok(scratch))
        return false;
    struct str parts[] = {en->row.prev_hash, buf_str(scratch)};
    struct sha256 h = hash_sha256_of(parts, ARRAY_LEN(parts));
    hash_hex(&h, en->hash);
    en->row.hash = str_c(en->hash);
    memcpy(l->hash, en->hash, sizeof l->hash);
    l->seq = en->row.seq;
    en->is_linked = true;
    return true;
}

/* Writes the first rows that are held as one transaction; *n: how many. */
static bool batch_write(struct audit_log *log, int *n, struct err *e)
{
    struct arena *a = arena_new(BATCH_BYTES);
    if (!a)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct db_batch b;
    struct buf scratch;
    db_batch_init(&b, a);
    b.gives_way = !log->config.sync && atomic_load(&log->n_taken) < GIVE_WAY_ROWS;
    buf_init(&scratch, CANONICAL_MAX);
    const struct audit_row *rows[BATCH_ROWS];
    size_t count = 0;
    bool is_ok = true;
    for (struct audit_entry *en = log->held; en && is_ok && count < BATCH_ROWS; en = en->next) {
        is_ok = entry_link(log, en, &scratch);
        rows[count++] = &en->row;
    }
    audit_insert(&b, rows, count, log->config.sync);
    is_ok =
        is_ok ? db_batch_run(log->db, &b, NULL, e) : err_set(e, ERR_UNAVAILABLE, "out of memory");
    buf_end(&scratch);
    arena_end(a);
    *n = (int)count;
    return is_ok;
}

/* Posting under the lock: a waiter that has not given up keeps its loop alive. */
static void entry_done(struct audit_log *log, struct audit_entry *en)
{
    bool is_posted = false;
    if (en->loop) {
        pthread_mutex_lock(&log->lock);
        is_posted = en->is_posted = !en->has_given_up;
        if (is_posted)
            loop_post(en->loop, &en->back);
        pthread_mutex_unlock(&log->lock);
    }
    if (!is_posted)
        free(en);
}

static void batch_done(struct audit_log *log, int n)
{
    for (int i = 0; i < n; i++) {
        struct audit_entry *en = log->held;
        log->held = en->next;
        audit_stream_add(&log->stream, &en->row);
        entry_done(log, en);
    }
    if (!log->held)
        log->held_last = NULL;
    audit_room_free(log, n);
    metric_add(M_AUDIT_ROWS, n);
    metric_add(M_AUDIT_QUEUE, -n);
    if (!audit_stream_flush(&log->stream)) {
        struct err e;
        err_set(&e, ERR_UNAVAILABLE, "rows could not be written to AUDIT_STREAM: %m");
        complain(log, &e, "stream");
    }
}

/* Moves the queue behind what is held. */
static void queue_take(struct audit_log *log, bool *is_stopping)
{
    pthread_mutex_lock(&log->lock);
    if (log->first) {
        if (log->held_last)
            log->held_last->next = log->first;
        else
            log->held = log->first;
        log->held_last = log->last;
    }
    log->first = log->last = NULL;
    log->n_waiting = 0;
    *is_stopping = log->is_stopping;
    pthread_mutex_unlock(&log->lock);
}

/* Writes all that waits, however long the store is away; only stopping ends it early. */
static void drain(struct audit_log *log)
{
    int64_t pause_ms = BACK_OFF_MS, give_up_ms = INT64_MAX;
    bool is_stopping = false;
    for (queue_take(log, &is_stopping); log->held; queue_take(log, &is_stopping)) {
        struct err e = {0};
        int n = 0;
        if (batch_write(log, &n, &e)) {
            if (log->is_store_away)
                audit_room_store_away(log, false);
            batch_done(log, n);
            pause_ms = BACK_OFF_MS;
            continue;
        }
        complain(log, &e, "store");
        audit_room_store_away(log, true);
        int64_t now = clock_mono_ms();
        if (is_stopping && give_up_ms == INT64_MAX)
            give_up_ms = now + LAST_TRY_MS;
        if (now > give_up_ms)
            return;
        (void)!fiber_sleep_until(now + pause_ms, &e);
        pause_ms = pause_ms * 2 < BACK_OFF_MAX_MS ? pause_ms * 2 : BACK_OFF_MAX_MS;
    }
}

static bool is_stopping(struct audit_log *log)
{
    pthread_mutex_lock(&log->lock);
    bool is = log->is_stopping;
    pthread_mutex_unlock(&log->lock);
    return is;
}

/* Removes the oldest of an organization's rows from before a time; 0: there are none. */
static bool rows_expire(struct audit_log *log, struct str org_id, int64_t before, int64_t *removed,
                        struct err *e)
{
    struct db_rows r = {0};
    struct arena *a = arena_new(LIMIT_BODY_SMALL);
    *removed = 0;
    bool is_ok = a || err_set(e, ERR_UNAVAILABLE, "out of memory");
    is_ok = is_ok &&
            db_run(log->db, a, &audit_has_expired, DB_ARGS(A_STR(org_id), A_INT(before)), &r, e);
    if (is_ok && r.n_rows) {
        is_ok = db_run(log->db, a, &audit_expire,
                       DB_ARGS(A_STR(org_id), A_INT(before), A_INT(RETENTION_ROWS)), &r, e);
        *removed = is_ok ? r.n_affected : 0;
    }
    arena_end(a);
    return is_ok;
}

/* Removes an organization's rows from before a time; what arrives meanwhile is written. */
static bool org_expire(struct audit_log *log, struct str org_id, int64_t before, int64_t *removed,
                       struct err *e)
{
    int64_t n = 0;
    bool is_ok = true;
    do {
        is_ok = rows_expire(log, org_id, before, &n, e);
        *removed += n;
        if (!is_stopping(log))
            drain(log);
    } while (is_ok && n == RETENTION_ROWS && !is_stopping(log));
    return is_ok;
}

/* The organization after this one that has rows; absent: none. */
static bool org_after(struct audit_log *log, struct arena *a, struct str *org_id, struct err *e)
{
    struct db_rows r;
    if (!db_one(log->db, a, &audit_next_org, DB_ARGS(A_STR(*org_id)), &r, e))
        return false;
    *org_id = db_text(&r, 0, 0);
    return true;
}

static void retention_run(struct audit_log *log)
{
    int64_t now = clock_mono_ms();
    if (now < log->retention_at_ms)
        return;
    log->retention_at_ms = now + RETENTION_MS;
    int64_t before = clock_wall_ms() - log->config.retention_days * DAY_MS, removed = 0;
    struct err e = {0};
    struct arena *a = arena_new(BATCH_BYTES);
    struct str org_id = STR(""); /* the installation's rows are the first */
    bool is_ok = a || err_set(&e, ERR_UNAVAILABLE, "out of memory");
    while (is_ok && !str_is_absent(org_id) && !is_stopping(log))
        is_ok = org_expire(log, org_id, before, &removed, &e) && org_after(log, a, &org_id, &e);
    arena_end(a);
    if (!is_ok)
        complain(log, &e, "retention");
    if (removed)
        LOG(EV_RETENTION, LF_INT("rows", removed));
}

static void on_wake(struct loop_task *t)
{
    struct audit_log *log = CONTAINER_OF(t, struct audit_log, wake_task);
    pthread_mutex_lock(&log->lock);
    log->is_wake_posted = false;
    pthread_mutex_unlock(&log->lock);
    fiber_wake(&log->wake);
}

void audit_write_wake(struct audit_log *log)
{
    if (log->is_wake_posted)
        return;
    log->is_wake_posted = true;
    log->wake_task.run = on_wake;
    loop_post(log->loop, &log->wake_task);
}

static void pause_until(struct audit_log *log, int64_t at_ms)
{
    struct err e;
    (void)!fiber_wait(&log->wake, at_ms, &e);
    fiber_rearm(&log->wake);
}

/* Waits for rows, then gives others the flush interval to join them. False: the end. */
static bool rows_await(struct audit_log *log)
{
    pthread_mutex_lock(&log->lock);
    bool is_empty = !log->first, is_stopping = log->is_stopping;
    pthread_mutex_unlock(&log->lock);
    if (is_stopping)
        return false; /* the caller drains */
    if (is_empty) {
        pause_until(log, log->retention_at_ms);
        return true;
    }
    if (!log->config.sync && log->config.flush_ms)
        pause_until(log, clock_mono_ms() + log->config.flush_ms);
    drain(log);
    return true;
}

static void begun(struct audit_log *log, bool is_ok)
{
    pthread_mutex_lock(&log->lock);
    log->loop = loop_self();
    log->state = is_ok ? AUDIT_RUNNING : AUDIT_FAILED;
    pthread_cond_signal(&log->has_begun);
    pthread_mutex_unlock(&log->lock);
}

static void audit_fiber(void *arg)
{
    struct audit_log *log = arg;
    log->db = db_attach(log->config.store, loop_self(), &log->start_err);
    bool is_ok = log->db &&
                 (chains_begin(log) || err_set(&log->start_err, ERR_UNAVAILABLE, "out of memory"));
    begun(log, is_ok);
    if (is_ok) {
        if (!log->config.sync)
            thread_in_background(); /* not before: PostgreSQL's watcher was started from here */
        do
            retention_run(log);
        while (rows_await(log));
        drain(log);
    }
    db_detach(log->db);
}

void *audit_write_main(void *arg)
{
    struct audit_log *log = arg;
    if (!fiber_main(audit_fiber, log, &log->start_err))
        begun(log, false);
    return NULL;
}
