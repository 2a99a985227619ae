/* Channels: the table, their beginning and end, and the Streamable HTTP server that they play. */
#include "mcp/channel.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/map.h"
#include "log/metrics.h"
#include "mcp/channel_parts.h"

enum { KEEP_BYTES = 64 * 1024 };

/* No server's own session ids look like this. */
#define ID_PREFIX "tulle_channel"

/* ---- the table ---- */

struct channel_table *channel_table_new(void)
{
    struct channel_table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->trouble = map_new();
    if (!t->trouble) {
        free(t);
        return NULL;
    }
    list_init(&t->all);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void channel_table_free(struct channel_table *t)
{
    if (!t)
        return;
    map_free(t->trouble, free);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int channels_count(const struct channel_table *t)
{
    return atomic_load(&t->n);
}

static void channel_free(struct channel *c)
{
    wakeup_unref(c->turn);
    buf_end(&c->kept);
    buf_end(&c->out);
    pthread_mutex_destroy(&c->lock);
    arena_end(c->keep);
    free(c);
}

void channel_unref(struct channel *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1)
        channel_free(c);
}

struct channel *channel_find(struct channel_table *t, struct str id, struct str key,
                             struct str connection_id)
{
    struct channel *found = NULL;
    pthread_mutex_lock(&t->lock);
    LIST_FOR(pos, &t->all)
    {
        struct channel *c = CONTAINER_OF(pos, struct channel, link);
        bool is_it = str_is_absent(id) ? !str_is_absent(c->key) && str_eq(c->key, key)
                                       : str_eq(c->id, id) && str_is_absent(c->key);
        if (!is_it || !str_eq(c->connection_id, connection_id))
            continue;
        pthread_mutex_lock(&c->lock);
        bool is_alive = c->state != CHANNEL_ENDED && !c->wants_stop;
        pthread_mutex_unlock(&c->lock);
        if (!is_alive)
            continue;
        atomic_fetch_add(&c->refs, 1);
        atomic_store(&c->used_at, clock_mono_ms()); /* its idleness is judged under the same lock */
        found = c;
        break;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* ---- room ---- */

enum reach { OF_PRINCIPAL, OF_CONNECTION, OF_ALL, N_REACHES };

struct room {
    struct {
        int n_live, n; /* n: with those that are ending */
        struct channel *idlest;
    } of[N_REACHES];
};

static const struct {
    int max;
    const char *name;
} reaches[N_REACHES] = {{LIMIT_CHANNELS_PRINCIPAL, "yours"},
                        {LIMIT_CHANNELS_CONNECTION, "this connection's"},
                        {LIMIT_CHANNELS, "this installation's"}};

static enum reach reach_of(const struct channel *c, const struct channel *wanted)
{
    if (!str_eq(c->connection_id, wanted->connection_id))
        return OF_ALL;
    return str_eq(c->principal, wanted->principal) ? OF_PRINCIPAL : OF_CONNECTION;
}

static bool is_ending(struct channel *c)
{
    pthread_mutex_lock(&c->lock);
    bool is = c->wants_stop;
    pthread_mutex_unlock(&c->lock);
    return is;
}

static void room_count(struct channel_table *t, const struct channel *wanted, struct room *r)
{
    *r = (struct room){0};
    LIST_FOR(pos, &t->all)
    {
        struct channel *c = CONTAINER_OF(pos, struct channel, link);
        enum reach own = reach_of(c, wanted);
        bool is_live = !is_ending(c);
        /* A stranger's gives way only if it keeps nothing. */
        bool may_end = is_live && atomic_load(&c->n_open) == 0 &&
                       (own == OF_PRINCIPAL || !str_is_absent(c->key));
        for (enum reach s = own; s < N_REACHES; s++) {
            struct channel *best = r->of[s].idlest;
            r->of[s].n++;
            r->of[s].n_live += is_live;
            if (may_end && (!best || atomic_load(&c->used_at) < atomic_load(&best->used_at)))
                r->of[s].idlest = c;
        }
    }
}

/* Under the table's lock. The place of one that gives way is free in a moment: until then there are
 * a few more than the cap. */
static bool room_make(struct channel_table *t, const struct channel *wanted, struct err *e)
{
    struct room r;
    room_count(t, wanted, &r);
    struct channel *victim = NULL;
    for (enum reach s = OF_PRINCIPAL; s < N_REACHES; s++) {
        bool is_full = r.of[s].n_live >= reaches[s].max;
        if (is_full && !victim)
            victim = r.of[s].idlest;
        if ((is_full && !victim) || r.of[s].n >= reaches[s].max + LIMIT_CHANNELS_PRINCIPAL)
            return err_set(e, ERR_UNAVAILABLE,
                           "too many processes of this server are busy (%s); try again later",
                           reaches[s].name);
    }
    if (victim)
        channel_stop(victim);
    return true;
}

/* ---- its worker ---- */

void channel_wake(struct channel *c)
{
    if (!c->is_owner_gone)
        wakeup_set(c->turn);
}

void channel_stop(struct channel *c)
{
    pthread_mutex_lock(&c->lock);
    c->wants_stop = true;
    channel_wake(c);
    pthread_mutex_unlock(&c->lock);
}

static void on_turn(void *arg)
{
    struct channel *c = arg;
    pthread_mutex_lock(&c->lock);
    bool is_open = c->state == CHANNEL_OPEN;
    bool is_to_stop = is_open && c->wants_stop && !c->is_stopping;
    c->is_stopping = c->is_stopping || is_to_stop;
    pthread_mutex_unlock(&c->lock);
    if (is_open)
        c->carrier->turn(c);
    if (is_to_stop)
        c->carrier->stop(c);
}

static void fail_all(struct channel *c, const struct err *why)
{
    while (!list_is_empty(&c->waiting))
        channel_exchange_fail(CONTAINER_OF(c->waiting.next, struct channel_exchange, link), why);
    if (c->listener)
        channel_exchange_fail(c->listener, NULL); /* a stream may end at any time */
}

void channel_ended(struct channel *c, const struct err *why)
{
    struct channel_table *t = c->table;
    pthread_mutex_lock(&c->lock);
    c->state = CHANNEL_ENDED;
    c->why = *why;
    c->is_owner_gone = true;
    wakeup_mute(c->turn);
    fail_all(c, why);
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&t->lock);
    list_remove(&c->link);
    pthread_mutex_unlock(&t->lock);
    atomic_fetch_sub(&t->n, 1);
    metric_add(M_CHANNELS, -1);
    channel_unref(c);
}

/* ---- opening ---- */

static bool is_stdio(const struct registry_entry *entry)
{
    return str_eq(entry->conn.transport, STR("stdio"));
}

bool channel_is_used(const struct registry_entry *entry)
{
    return is_stdio(entry) || str_eq(entry->conn.transport, STR("sse")) || entry->is_sse;
}

bool channel_carries(const struct upstream_message *m)
{
    bool may_be_both =
        !str_is_absent(m->session_id) && str_eq(m->entry->conn.transport, STR("auto"));
    return may_be_both ? id_is(m->session_id, ID_PREFIX) : channel_is_used(m->entry);
}

static struct channel *channel_new(struct services *sv, const struct upstream_message *m,
                                   struct str key)
{
    const struct connection *conn = &m->entry->conn;
    struct channel *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    struct id id = id_new(ID_PREFIX);
    c->keep = arena_new(KEEP_BYTES);
    c->turn = wakeup_for(sv->loop, on_turn, c);
    if (!c->keep || !c->turn) {
        arena_end(c->keep);
        wakeup_unref(c->turn);
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    list_init(&c->link);
    list_init(&c->waiting);
    buf_init(&c->kept, LIMIT_CHANNEL_KEPT_BYTES);
    buf_init(&c->out, (size_t)2 * LIMIT_STDIO_QUEUE);
    c->table = sv->channels;
    c->id = arena_dup(c->keep, id_str(&id));
    c->key = arena_dup(c->keep, key);
    c->org_id = arena_dup(c->keep, conn->org_id);
    c->connection_id = arena_dup(c->keep, conn->id);
    c->principal = arena_dup(c->keep, m->principal);
    c->connection_updated_at = conn->updated_at;
    c->is_shared = !str_is_absent(key) && channel_is_shared(conn);
    c->sv = sv;
    c->carrier = is_stdio(m->entry) ? &channel_stdio : &channel_sse;
    c->started_at = clock_mono_ms();
    atomic_init(&c->refs, 2); /* the carrier's and the caller's */
    atomic_init(&c->used_at, c->started_at);
    return c;
}

static bool enter(struct channel *c, struct err *e)
{
    struct channel_table *t = c->table;
    pthread_mutex_lock(&t->lock);
    bool has_room = room_make(t, c, e);
    if (has_room)
        list_push(&t->all, &c->link);
    pthread_mutex_unlock(&t->lock);
    if (!has_room)
        return false;
    atomic_fetch_add(&t->n, 1);
    metric_add(M_CHANNELS, 1);
    return true;
}

struct channel *channel_open(struct services *sv, struct arena *a, const struct upstream_message *m,
                             struct str key, struct err *e)
{
    if (!channel_trouble_check(sv->channels, m, e))
        return NULL;
    struct channel *c = channel_new(sv, m, key);
    if (!c) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    if (!enter(c, e)) {
        channel_free(c);
        return NULL;
    }
    if (!c->carrier->start(sv, a, c, m, e)) {
        channel_ended(c, e);
        channel_unref(c); /* NOLINT(clang-analyzer-unix.Malloc): the caller's own reference */
        return NULL;
    }
    pthread_mutex_lock(&c->lock);
    if (c->state == CHANNEL_STARTING)
        c->state = CHANNEL_OPEN;
    channel_wake(c);
    pthread_mutex_unlock(&c->lock);
    return c;
}
