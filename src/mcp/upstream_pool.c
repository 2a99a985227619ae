/* Pooled downstream sessions of the process. */
#include "mcp/upstream_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "crypto/hash.h"
#include "io/fiber.h"
#include "log/metrics.h"
#include "mcp/fair_count.h"
#include "mcp/upstream.h"
#include "mcp/wakeup.h"

/* Under the pool's lock, but for `session` while it is being opened, which the opener owns. */
struct pooled {
    struct arena *keep;
    struct str org_id, connection_id, user_id, principal;
    struct upstream_session session;
    int64_t used_at;
    bool is_opening;
    int pins;
    struct list waiters; /* of struct waiter, while is_opening */
};

struct waiter {
    struct list link;
    struct wakeup *wakeup;
    bool is_done;
    struct err failure; /* the opener's; ERR_NONE: look again */
};

struct session_pool {
    pthread_mutex_t lock;
    struct map *by_key;
};

struct session_pool *session_pool_new(void)
{
    struct session_pool *p = calloc(1, sizeof(*p));
    if (p)
        p->by_key = map_new();
    if (p && !p->by_key) {
        free(p);
        return NULL;
    }
    if (p)
        pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void pooled_free(void *arg)
{
    struct pooled *s = arg;
    if (!s->is_opening)
        metric_add(M_SESSIONS, -1);
    arena_end(s->keep);
    free(s);
}

void session_pool_free(struct session_pool *p)
{
    if (!p)
        return;
    map_free(p->by_key, pooled_free);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void session_copy(struct arena *a, const struct upstream_session *from,
                         struct upstream_session *to)
{
    to->id = arena_dup(a, from->id);
    to->version = arena_dup(a, from->version);
    to->initialize = arena_dup(a, from->initialize);
}

static void ref_copy(struct arena *a, const struct pooled *s, struct pooled_ref *ref)
{
    ref->org_id = arena_dup(a, s->org_id);
    ref->connection_id = arena_dup(a, s->connection_id);
    ref->user_id = arena_dup(a, s->user_id);
    session_copy(a, &s->session, &ref->session);
}

/* ---- opening ---- */

/* "org|usr|key": the middle piece, for ending the session with the right credential later. */
static struct str user_of(struct str principal)
{
    struct str rest = principal, org, user;
    return str_next(&rest, '|', &org) && str_next(&rest, '|', &user) ? user : STR("");
}

static struct pooled *pooled_new(const struct registry_entry *entry, struct str principal)
{
    struct pooled *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->keep = arena_new((size_t)2 * LIMIT_ANSWER_HELD);
    if (!s->keep) {
        free(s);
        return NULL;
    }
    s->org_id = arena_dup(s->keep, entry->conn.org_id);
    s->connection_id = arena_dup(s->keep, entry->conn.id);
    s->user_id = arena_dup(s->keep, user_of(principal));
    s->principal = arena_dup(s->keep, principal);
    s->is_opening = true;
    list_init(&s->waiters);
    return s;
}

struct census {
    const struct registry_entry *entry;
    struct str principal;
    int n;
    struct str oldest_key; /* of those that may go */
    int64_t oldest_at;
};

static bool census_visit(struct str key, void *value, void *arg)
{
    const struct pooled *s = value;
    struct census *c = arg;
    if (!str_eq(s->connection_id, c->entry->conn.id) || !str_eq(s->principal, c->principal))
        return false;
    c->n++;
    if (!s->is_opening && s->pins == 0 &&
        (str_is_absent(c->oldest_key) || s->used_at < c->oldest_at)) {
        c->oldest_key = key;
        c->oldest_at = s->used_at;
    }
    return false;
}

static bool fair_visit(struct str key, void *value, void *arg)
{
    const struct pooled *s = value;
    if (!s->is_opening && s->pins == 0)
        fair_count_add(arg, s->user_id, key, s->used_at);
    return false;
}

/* Whose session gives way when the pool is full: of the person with most of them, so that nobody
 * keeps others out. Called with the lock held. Absent: all are in use. */
static struct pooled *fair_take(struct session_pool *p, struct str newcomer)
{
    struct fair_count count;
    fair_count_begin(&count);
    map_each(p->by_key, fair_visit, &count);
    struct str key = fair_count_victim(&count, newcomer);
    struct pooled *victim = str_is_absent(key) ? NULL : map_take(p->by_key, key);
    fair_count_end(&count);
    return victim;
}

/* Puts a place for a session in, within the caps: the longest unused one of the same principal
 * makes room, or that of whoever has most, and is given in *evicted. Called with the lock held. */
static struct pooled *place_locked(struct session_pool *p, struct arena *a, struct str key,
                                   const struct registry_entry *entry, struct str principal,
                                   struct pooled_ref *evicted, struct err *e)
{
    struct census census = {.entry = entry, .principal = principal};
    map_each(p->by_key, census_visit, &census);
    bool is_full = map_count(p->by_key) >= LIMIT_SESSIONS;
    struct pooled *victim = NULL;
    if (census.n >= LIMIT_SESSIONS_PRINCIPAL && !str_is_absent(census.oldest_key))
        victim = map_take(p->by_key, census.oldest_key);
    else if (census.n < LIMIT_SESSIONS_PRINCIPAL && is_full)
        victim = fair_take(p, user_of(principal));
    if (victim) {
        ref_copy(a, victim, evicted);
        pooled_free(victim);
    } else if (census.n >= LIMIT_SESSIONS_PRINCIPAL || is_full) {
        err_set(e, ERR_UNAVAILABLE, "too many downstream sessions are open; try again later");
        return NULL;
    }
    struct pooled *s = pooled_new(entry, principal);
    if (s && map_set(p->by_key, key, s, NULL))
        return s;
    if (s)
        pooled_free(s);
    err_set(e, ERR_UNAVAILABLE, "out of memory");
    return NULL;
}

/* Everyone who waited shares the end; a failure that is the opener's own affair makes them look
 * again. Called with the lock held. */
static void waiters_finish(struct pooled *s, const struct err *failure)
{
    LIST_FOR_SAFE(pos, next, &s->waiters)
    {
        struct waiter *w = CONTAINER_OF(pos, struct waiter, link);
        list_remove(pos);
        w->is_done = true;
        if (failure && failure->code != ERR_CANCELLED)
            w->failure = *failure;
        wakeup_set(w->wakeup);
    }
}

/* Opens the session of a place that is in the map. */
static bool open_place(struct services *sv, struct arena *a, struct registry_entry *entry,
                       const struct credential *cred, struct str key, const struct pool_who *who,
                       struct upstream_session *out, struct err *e)
{
    struct session_pool *p = sv->pool;
    bool is_open = upstream_session_start_as(sv, a, entry, cred, who->capabilities, out, e);
    pthread_mutex_lock(&p->lock);
    struct pooled *s = map_get(p->by_key, key); /* nobody takes one that is being opened */
    waiters_finish(s, is_open ? NULL : e);
    if (is_open) {
        s->is_opening = false;
        s->used_at = clock_mono_ms();
        session_copy(s->keep, out, &s->session);
        metric_add(M_SESSIONS, 1);
    } else {
        (void)!map_take(p->by_key, key);
        pooled_free(s);
    }
    pthread_mutex_unlock(&p->lock);
    return is_open;
}

/* Waits until whoever opens this session has succeeded or failed. Called with the lock held, which
 * it gives back. False: failed. */
static bool wait_locked(struct session_pool *p, struct pooled *s, struct err *e)
{
    struct waiter w = {.wakeup = wakeup_new()};
    if (!w.wakeup) {
        pthread_mutex_unlock(&p->lock);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    list_push(&s->waiters, &w.link);
    pthread_mutex_unlock(&p->lock);
    metric_add(M_SESSION_WAITERS, 1);
    int64_t deadline = clock_mono_ms() + (int64_t)3 * LIMIT_PROBE_MS;
    bool is_good = true, is_done = false;
    while (is_good && !is_done) {
        is_good = wakeup_wait(w.wakeup, deadline, e);
        pthread_mutex_lock(&p->lock);
        is_done = w.is_done;
        if (!is_good)
            list_remove(&w.link);
        pthread_mutex_unlock(&p->lock);
    }
    metric_add(M_SESSION_WAITERS, -1);
    wakeup_unref(w.wakeup);
    if (is_done && w.failure.code != ERR_NONE) {
        *e = w.failure;
        return false;
    }
    return is_good;
}

struct str session_pool_key(struct arena *a, const struct registry_entry *entry,
                            const struct credential *cred, const struct pool_who *who)
{
    char hex[65] = "";
    if (!str_is_absent(who->capabilities)) {
        struct sha256 digest = hash_sha256(who->capabilities);
        hash_hex(&digest, hex);
    }
    /* A session belongs to one server and one credential: a changed address or secret needs
     * another. */
    char server[STR_I64_SIZE], secret[STR_I64_SIZE];
    return ARENA_JOIN(a, entry->conn.id, STR("|"), who->principal, STR("|"),
                      str_i64(server, entry->conn.updated_at), STR("|"),
                      str_i64(secret, cred->updated_at), STR("|"), str_c(hex));
}

bool session_pool_get(struct services *sv, struct arena *a, struct registry_entry *entry,
                      const struct credential *cred, const struct pool_who *who,
                      struct upstream_session *out, struct err *e)
{
    struct session_pool *p = sv->pool;
    struct str key = session_pool_key(a, entry, cred, who);
    if (str_is_absent(key))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (;;) {
        pthread_mutex_lock(&p->lock);
        struct pooled *s = map_get(p->by_key, key);
        if (s && s->is_opening) {
            if (!wait_locked(p, s, e))
                return false;
            continue;
        }
        if (s) {
            s->used_at = clock_mono_ms();
            session_copy(a, &s->session, out);
            pthread_mutex_unlock(&p->lock);
            return true;
        }
        struct pooled_ref evicted = {0};
        bool has_place = place_locked(p, a, key, entry, who->principal, &evicted, e) != NULL;
        pthread_mutex_unlock(&p->lock);
        if (!has_place)
            return false;
        bool is_open = open_place(sv, a, entry, cred, key, who, out, e);
        upstream_end_later(sv, &evicted);
        return is_open;
    }
}

void session_pool_drop(struct services *sv, struct arena *a, struct registry_entry *entry,
                       const struct credential *cred, const struct pool_who *who,
                       struct str session_id)
{
    struct session_pool *p = sv->pool;
    struct str key = session_pool_key(a, entry, cred, who);
    pthread_mutex_lock(&p->lock);
    struct pooled *s = str_is_absent(key) ? NULL : map_get(p->by_key, key);
    if (s && !s->is_opening && str_eq(s->session.id, session_id)) {
        (void)!map_take(p->by_key, key);
        pooled_free(s);
    }
    pthread_mutex_unlock(&p->lock);
}

static void pins_add(struct session_pool *p, struct str key, int n)
{
    pthread_mutex_lock(&p->lock);
    struct pooled *s = map_get(p->by_key, key);
    if (s && s->pins + n >= 0) { /* a session that was opened anew begins without pins */
        s->pins += n;
        s->used_at = clock_mono_ms();
    }
    pthread_mutex_unlock(&p->lock);
}

void session_pool_pin(struct session_pool *p, struct str key)
{
    pins_add(p, key, 1);
}

void session_pool_unpin(struct session_pool *p, struct str key)
{
    pins_add(p, key, -1);
}

/* ---- the idle ---- */

struct take {
    struct arena *arena;
    struct str connection_id;
    int64_t before;
    struct pooled_ref *out;
    size_t n, max;
};

static bool take_visit(struct str key unused_arg, void *value, void *arg)
{
    struct pooled *s = value;
    struct take *t = arg;
    bool is_wanted = str_is_absent(t->connection_id) ? s->used_at < t->before && s->pins == 0
                                                     : str_eq(s->connection_id, t->connection_id);
    if (s->is_opening || !is_wanted || t->n == t->max)
        return false;
    ref_copy(t->arena, s, &t->out[t->n++]);
    pooled_free(s);
    return true;
}

size_t session_pool_take(struct services *sv, struct arena *a, struct str connection_id,
                         int64_t now, struct pooled_ref *out, size_t max)
{
    struct take t = {.arena = a,
                     .connection_id = connection_id,
                     .before = now - LIMIT_SESSION_IDLE_MS,
                     .out = out,
                     .max = max};
    pthread_mutex_lock(&sv->pool->lock);
    map_each(sv->pool->by_key, take_visit, &t);
    pthread_mutex_unlock(&sv->pool->lock);
    return t.n;
}
