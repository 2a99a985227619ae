/* Ending channels: of one connection, of a worker, the unused. */
#include "base/clock.h"
#include "base/limits.h"
#include "mcp/channel_parts.h"

typedef bool channel_test(const struct channel *c, const void *arg);

static void stop_where(struct channel_table *t, channel_test *is_wanted, const void *arg)
{
    pthread_mutex_lock(&t->lock);
    LIST_FOR(pos, &t->all)
    {
        struct channel *c = CONTAINER_OF(pos, struct channel, link);
        if (is_wanted(c, arg))
            channel_stop(c);
    }
    pthread_mutex_unlock(&t->lock);
}

static bool is_of_connection(const struct channel *c, const void *arg)
{
    const struct str *id = arg;
    return str_eq(c->connection_id, *id);
}

void channels_forget(struct services *sv, struct str connection_id)
{
    stop_where(sv->channels, is_of_connection, &connection_id);
}

static bool is_of_worker(const struct channel *c, const void *arg)
{
    return c->sv == arg;
}

void channels_stop(struct services *sv)
{
    stop_where(sv->channels, is_of_worker, sv);
}

/* A session is kept as long as its client may come back; a stateless process is quickly replaced.
 */
static bool is_unused(const struct channel *c, const void *arg)
{
    const int64_t *now = arg;
    int64_t patience = str_is_absent(c->key) ? LIMIT_SESSION_IDLE_MS : LIMIT_CHANNEL_IDLE_MS;
    return atomic_load(&c->n_open) == 0 && atomic_load(&c->used_at) < *now - patience;
}

void channels_reap(struct services *sv)
{
    int64_t now = clock_mono_ms();
    stop_where(sv->channels, is_unused, &now);
}

/* Takes one of this worker's channels; the carrier's reference is the caller's. */
static struct channel *own_next(struct services *sv)
{
    struct channel_table *t = sv->channels;
    struct channel *found = NULL;
    pthread_mutex_lock(&t->lock);
    LIST_FOR(pos, &t->all)
    {
        struct channel *c = CONTAINER_OF(pos, struct channel, link);
        if (c->sv == sv) {
            found = c;
            break;
        }
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

void channels_abandon(struct services *sv)
{
    struct err why;
    struct channel *c;
    err_set(&why, ERR_UNAVAILABLE, "the server is shutting down");
    while (sv->channels && (c = own_next(sv)) != NULL) {
        if (c->carried) /* else it is still waiting for its beginning */
            c->carrier->abandon(c);
        channel_ended(c, &why);
    }
}
