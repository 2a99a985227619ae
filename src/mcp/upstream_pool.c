/* Pooled downstream sessions of one worker. */
#include "mcp/upstream_pool.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "io/fiber.h"
#include "log/metrics.h"

struct pooled {
    struct arena *keep;
    struct str org_id, connection_id, user_id;
    struct upstream_session session;
    int64_t used_at;
    bool is_opening;
    struct list waiters; /* of struct waiter, while is_opening */
};

struct waiter {
    struct list link;
    struct fiber_wait wait;
};

struct session_pool {
    struct map *by_key; /* "connection|principal" */
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
    free(p);
}

static void session_copy(struct arena *a, const struct upstream_session *from,
                         struct upstream_session *to)
{
    to->id = arena_dup(a, from->id);
    to->version = arena_dup(a, from->version);
    to->initialize = arena_dup(a, from->initialize);
}

static void wake_waiters(struct pooled *s)
{
    LIST_FOR_SAFE(pos, next, &s->waiters)
    {
        struct waiter *w = CONTAINER_OF(pos, struct waiter, link);
        list_remove(pos);
        fiber_wake(&w->wait);
    }
}

/* Waits until whoever opens this session has succeeded or failed. */
static bool wait_for_opener(struct pooled *s, struct err *e)
{
    struct waiter w = {0};
    list_push(&s->waiters, &w.link);
    bool is_done = fiber_wait(&w.wait, clock_mono_ms() + (int64_t)3 * LIMIT_PROBE_MS, e);
    list_remove(&w.link);
    return is_done;
}

static struct pooled *pooled_new(struct registry_entry *entry, struct str user_id)
{
    struct pooled *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->keep = arena_new((size_t)2 * 1024 * 1024);
    if (!s->keep) {
        free(s);
        return NULL;
    }
    s->org_id = arena_dup(s->keep, entry->conn.org_id);
    s->connection_id = arena_dup(s->keep, entry->conn.id);
    s->user_id = arena_dup(s->keep, user_id);
    s->is_opening = true;
    list_init(&s->waiters);
    return s;
}

/* "org|usr|key": the middle piece, for ending the session with the right credential later. */
static struct str user_of(struct str principal)
{
    struct str rest = principal, org, user;
    return str_next(&rest, '|', &org) && str_next(&rest, '|', &user) ? user : STR("");
}

/* Opens a session under the key; other fibers that want it wait meanwhile. */
static bool open_new(struct services *sv, struct arena *a, struct registry_entry *entry,
                     const struct credential *cred, struct str key, struct str principal,
                     struct upstream_session *out, struct err *e)
{
    struct session_pool *p = sv->pool;
    struct pooled *s = pooled_new(entry, user_of(principal));
    if (!s || map_count(p->by_key) >= LIMIT_SESSIONS || !map_set(p->by_key, key, s, NULL)) {
        if (s)
            pooled_free(s);
        return err_set(e, ERR_UNAVAILABLE,
                       "too many downstream sessions are open; try again later");
    }
    bool is_open = upstream_session_start(sv, a, entry, cred, out, e);
    s->is_opening = false;
    s->used_at = clock_mono_ms();
    metric_add(M_SESSIONS, 1);
    if (is_open)
        session_copy(s->keep, out, &s->session);
    wake_waiters(s);
    if (!is_open) {
        (void)!map_take(p->by_key, key);
        pooled_free(s);
    }
    return is_open;
}

/* A session belongs to one server and one credential: a changed address or secret needs another. */
static struct str key_of(struct arena *a, const struct registry_entry *entry,
                         const struct credential *cred, struct str principal)
{
    return arena_printf(a, "%.*s|%.*s|%lld|%lld", STR_FMT(entry->conn.id), STR_FMT(principal),
                        (long long)entry->conn.updated_at, (long long)cred->updated_at);
}

bool session_pool_get(struct services *sv, struct arena *a, struct registry_entry *entry,
                      const struct credential *cred, struct str principal,
                      struct upstream_session *out, struct err *e)
{
    struct str key = key_of(a, entry, cred, principal);
    if (str_is_absent(key))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (;;) {
        struct pooled *s = map_get(sv->pool->by_key, key);
        if (!s)
            return open_new(sv, a, entry, cred, key, principal, out, e);
        if (!s->is_opening) {
            s->used_at = clock_mono_ms();
            session_copy(a, &s->session, out);
            return true;
        }
        if (!wait_for_opener(s, e))
            return false;
    }
}

void session_pool_drop(struct services *sv, struct arena *a, struct registry_entry *entry,
                       const struct credential *cred, struct str principal, struct str session_id)
{
    struct str key = key_of(a, entry, cred, principal);
    struct pooled *s = map_get(sv->pool->by_key, key);
    if (!s || s->is_opening || !str_eq(s->session.id, session_id))
        return;
    (void)!map_take(sv->pool->by_key, key);
    pooled_free(s);
}

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
    bool is_wanted = str_is_absent(t->connection_id) ? s->used_at < t->before
                                                     : str_eq(s->connection_id, t->connection_id);
    if (s->is_opening || !is_wanted || t->n == t->max)
        return false;
    struct pooled_ref *ref = &t->out[t->n++];
    ref->org_id = arena_dup(t->arena, s->org_id);
    ref->connection_id = arena_dup(t->arena, s->connection_id);
    ref->user_id = arena_dup(t->arena, s->user_id);
    session_copy(t->arena, &s->session, &ref->session);
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
    map_each(sv->pool->by_key, take_visit, &t);
    return t.n;
}
