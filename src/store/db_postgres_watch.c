/* The watcher: a thread that reads the table of invalidations, woken early by NOTIFY, and resolves
 * host names. */
#include <poll.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "base/clock.h"
#include "io/thread.h"
#include "store/db_postgres.h"

enum {
    FIRST_LOOK_MS = 2000,
    PRUNE_EVERY_MS = 10 * 60 * 1000,
    KEEP_MS = 60 * 60 * 1000, /* rows; a node away for longer drops its caches when it is back */
    DOUBT_MS = 4 * PGSQL_STATEMENT_MS + PGSQL_GRACE_MS, /* COMMIT comes with three statements */
};

struct watch {
    struct pgsql_store *s;
    PGconn *pg;
    unsigned n_attempts;
    char newest[24]; /* id of the newest row that another process wrote */
    bool has_newest;
    int64_t prune_ms;
};

static bool is_stopping(struct pgsql_store *s)
{
    pthread_mutex_lock(&s->lock);
    bool is_it = s->is_stopping;
    pthread_mutex_unlock(&s->lock);
    return is_it;
}

static void wake(struct pgsql_store *s)
{
    uint64_t one = 1;
    (void)!write(s->wake_fd, &one, sizeof one);
}

static void watch_drop(struct watch *w)
{
    PQfinish(w->pg);
    w->pg = NULL;
}

/* Until the socket is ready. False at the deadline, and when stopping. */
static bool watch_wait(const struct watch *w, short events, int64_t deadline_ms)
{
    for (int64_t left; (left = deadline_ms - clock_mono_ms()) > 0 && !is_stopping(w->s);) {
        struct pollfd fds[] = {{.fd = PQsocket(w->pg), .events = events},
                               {.fd = w->s->wake_fd, .events = POLLIN}};
        int n = poll(fds, 2, (int)left);
        if (n > 0 && fds[0].revents)
            return true;
        uint64_t drained;
        if (n > 0 && fds[1].revents)
            (void)!read(w->s->wake_fd, &drained, sizeof drained);
    }
    return false;
}

static bool watch_connect(struct watch *w)
{
    struct pgsql_target target;
    db_postgres_target_get(w->s, w->n_attempts++, &target);
    w->pg = PQconnectStartParams(target.names, target.values, 0);
    int64_t deadline_ms = clock_mono_ms() + LIMIT_CONNECT_MS;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    if (PQstatus(w->pg) == CONNECTION_BAD)
        return false;
    while (status == PGRES_POLLING_WRITING || status == PGRES_POLLING_READING) {
        if (!watch_wait(w, status == PGRES_POLLING_WRITING ? POLLOUT : POLLIN, deadline_ms))
            return false;
        status = PQconnectPoll(w->pg);
    }
    if (status != PGRES_POLLING_OK)
        return false;
    db_postgres_result_quiet(w->pg);
    return true;
}

/* The answer to a query, or NULL. */
static PGresult *watch_query(const struct watch *w, const char *sql, const char *arg)
{
    int64_t deadline_ms = clock_mono_ms() + LIMIT_DB_MS;
    if (PQsendQueryParams(w->pg, sql, arg ? 1 : 0, NULL, &arg, NULL, NULL, 0) != 1)
        return NULL;
    PGresult *answer = NULL;
    for (;;) {
        while (PQisBusy(w->pg))
            if (!watch_wait(w, POLLIN, deadline_ms) || PQconsumeInput(w->pg) != 1) {
                PQclear(answer);
                return NULL;
            }
        PGresult *r = PQgetResult(w->pg);
        if (!r)
            return answer;
        PQclear(answer);
        answer = r;
    }
}

static bool watch_do(const struct watch *w, const char *sql, const char *arg)
{
    PGresult *r = watch_query(w, sql, arg);
    bool is_answered = r != NULL; /* a refusal is an answer: poolers know no LISTEN */
    PQclear(r);
    return is_answered;
}

static bool watch_prune(struct watch *w)
{
    int64_t now = clock_mono_ms();
    if (now < w->prune_ms)
        return true;
    w->prune_ms = now + PRUNE_EVERY_MS;
    char oldest[24];
    snprintf(oldest, sizeof oldest, "%lld", (long long)(clock_wall_ms() - KEEP_MS));
    return watch_do(w, "DELETE FROM invalidations WHERE at < $1", oldest);
}

/* Looks at the newest row. False when the database does not answer. */
static bool watch_look(struct watch *w, bool *has_changed)
{
    if (!watch_prune(w))
        return false;
    PGresult *r = watch_query(
        w, "SELECT COALESCE(max(id), 0) FROM invalidations WHERE origin <> $1", w->s->origin);
    if (!r)
        return false;
    /* Without the table, nothing has been migrated: there is nothing to cache either. */
    const char *newest = PQresultStatus(r) == PGRES_TUPLES_OK ? PQgetvalue(r, 0, 0) : "0";
    bool is_lost = PQstatus(w->pg) != CONNECTION_OK;
    *has_changed = w->has_newest && strcmp(newest, w->newest) != 0;
    if (!is_lost) {
        snprintf(w->newest, sizeof w->newest, "%s", newest);
        w->has_newest = true;
    }
    PQclear(r);
    return !is_lost;
}

/* Whoever attached waits for this; what came later than that is a change. */
static void first_done(struct watch *w)
{
    pthread_mutex_lock(&w->s->lock);
    w->s->has_polled = true;
    pthread_cond_broadcast(&w->s->is_first_done);
    pthread_mutex_unlock(&w->s->lock);
}

static void watch_turn(struct watch *w)
{
    bool has_changed = false, was_known = w->has_newest;
    bool is_new = !w->pg;
    bool is_up = (!is_new || watch_connect(w)) &&
                 (!is_new || watch_do(w, "LISTEN tulle_invalidations", NULL)) &&
                 watch_look(w, &has_changed);
    /* Without the database nobody can say what was revoked: caches must not outlive that. */
    pthread_mutex_lock(&w->s->lock);
    bool is_late = !was_known && w->s->has_polled;
    pthread_mutex_unlock(&w->s->lock);
    bool is_in_doubt = clock_mono_ms() < atomic_load(&w->s->doubt_until_ms);
    if (!is_up || has_changed || is_late || is_in_doubt)
        atomic_fetch_add_explicit(&w->s->base.epoch, 1, memory_order_acq_rel);
    if (!is_up)
        watch_drop(w);
    first_done(w);
}

/* A pause that a notification or the end makes shorter. */
static void watch_pause(const struct watch *w)
{
    int64_t until = clock_mono_ms() + PGSQL_POLL_MS;
    struct pollfd fds[] = {{.fd = w->s->wake_fd, .events = POLLIN},
                           {.fd = w->pg ? PQsocket(w->pg) : -1, .events = POLLIN}};
    for (int64_t left; (left = until - clock_mono_ms()) > 0 && !is_stopping(w->s);) {
        if (poll(fds, 2, (int)left) <= 0)
            continue;
        uint64_t drained;
        if (fds[0].revents && read(w->s->wake_fd, &drained, sizeof drained) > 0)
            continue;
        if (PQconsumeInput(w->pg) != 1)
            return;
        PGnotify *n, *any = NULL;
        while ((n = PQnotifies(w->pg)) != NULL) {
            PQfreemem(any);
            any = n;
        }
        bool is_news = any != NULL;
        PQfreemem(any);
        if (is_news)
            return;
    }
}

static void *watch_main(void *arg)
{
    struct watch w = {.s = arg};
    while (!is_stopping(w.s)) {
        watch_turn(&w);
        watch_pause(&w);
        pthread_mutex_lock(&w.s->lock);
        bool must_resolve = w.s->must_resolve;
        w.s->must_resolve = false;
        pthread_mutex_unlock(&w.s->lock);
        if (must_resolve && !is_stopping(w.s))
            (void)!db_postgres_target_resolve(w.s, NULL);
    }
    watch_drop(&w);
    return NULL;
}

bool db_postgres_watch_start(struct pgsql_store *s, struct err *e)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += FIRST_LOOK_MS / 1000;
    pthread_mutex_lock(&s->lock);
    bool is_ok = s->has_watcher || thread_start(&s->watcher, "tulle-watch", watch_main, s, e);
    s->has_watcher = is_ok;
    for (int rc = 0; is_ok && !s->has_polled && rc == 0;)
        rc = pthread_cond_timedwait(&s->is_first_done, &s->lock, &until);
    s->has_polled = true; /* a first look that comes later than this counts as a change */
    pthread_mutex_unlock(&s->lock);
    return is_ok;
}

void db_postgres_watch_stop(struct pgsql_store *s)
{
    pthread_mutex_lock(&s->lock);
    bool has_watcher = s->has_watcher;
    s->is_stopping = true;
    s->has_watcher = false;
    pthread_mutex_unlock(&s->lock);
    if (!has_watcher)
        return;
    wake(s);
    pthread_join(s->watcher, NULL);
}

void db_postgres_watch_doubt(struct pgsql_store *s)
{
    atomic_store(&s->doubt_until_ms, clock_mono_ms() + DOUBT_MS);
}

void db_postgres_watch_resolve(struct pgsql_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->must_resolve = true;
    pthread_mutex_unlock(&s->lock);
}
