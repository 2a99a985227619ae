/* Programs that keep ending: each start waits longer. Counted for each principal: what one does to
 * its process is no other's business. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "mcp/channel_parts.h"

enum {
    SECOND_MS = 1000,
    COUNT_MAX = 30,
    WHY_BYTES = 160,
    ALLOWED_AT_START = 1,   /* once may be chance */
    ALLOWED_AFTER_WORK = 5, /* it worked: a call may have ended it */
    KEY_BYTES = 512,
};

struct channel_trouble {
    int n;
    int64_t not_before, updated_at;
    char why[WHY_BYTES];
};

static struct str key_of(char out[KEY_BYTES], struct str connection_id, struct str principal)
{
    int n = snprintf(out, KEY_BYTES, "%.*s|%.*s", STR_FMT(connection_id), STR_FMT(principal));
    return str_slice((struct str){out, (size_t)n}, 0, KEY_BYTES - 1);
}

bool channel_trouble_check(struct channel_table *t, const struct upstream_message *m, struct err *e)
{
    char room[KEY_BYTES];
    struct str key = key_of(room, m->entry->conn.id, m->principal);
    struct channel_trouble last = {0};
    pthread_mutex_lock(&t->lock);
    const struct channel_trouble *trouble = map_get(t->trouble, key);
    if (trouble && trouble->updated_at == m->entry->conn.updated_at)
        last = *trouble;
    pthread_mutex_unlock(&t->lock);
    int64_t left = last.not_before - clock_mono_ms();
    if (left <= 0)
        return true;
    return err_set(e, ERR_UPSTREAM,
                   "the server failed %d times in a row (%s); it is started again in %lld s",
                   last.n, last.why, (long long)(left + SECOND_MS - 1) / SECOND_MS);
}

static bool is_past(struct str key unused_arg, void *value, void *arg)
{
    const struct channel_trouble *trouble = value;
    const int64_t *now = arg;
    if (trouble->not_before > *now)
        return false;
    free(value);
    return true;
}

/* Without room, those whose pause is over begin anew. */
static struct channel_trouble *find_or_make(struct channel_table *t, struct str key)
{
    struct channel_trouble *trouble = map_get(t->trouble, key);
    int64_t now = clock_mono_ms();
    if (trouble)
        return trouble;
    if (map_count(t->trouble) >= LIMIT_CACHE_ENTRIES)
        map_each(t->trouble, is_past, &now);
    if (map_count(t->trouble) >= LIMIT_CACHE_ENTRIES)
        return NULL;
    trouble = calloc(1, sizeof(*trouble));
    if (trouble && map_set(t->trouble, key, trouble, NULL))
        return trouble;
    free(trouble);
    return NULL;
}

/* 1, 2, 4 ... seconds after what is allowed. */
static int64_t pause_of(int n, bool has_answered)
{
    int beyond = n - (has_answered ? ALLOWED_AFTER_WORK : ALLOWED_AT_START);
    int64_t pause = beyond > 0 ? (int64_t)SECOND_MS << (beyond - 1) : 0;
    return pause > LIMIT_STDIO_BACKOFF_MS ? LIMIT_STDIO_BACKOFF_MS : pause;
}

void channel_trouble_note(struct channel_table *t, const struct channel *c, bool has_answered,
                          const struct err *why)
{
    char room[KEY_BYTES];
    struct str key = key_of(room, c->connection_id, c->principal);
    pthread_mutex_lock(&t->lock);
    struct channel_trouble *trouble = why ? find_or_make(t, key) : NULL;
    if (!why)
        free(map_take(t->trouble, key));
    if (trouble) {
        if (trouble->updated_at != c->connection_updated_at)
            trouble->n = 0;
        trouble->updated_at = c->connection_updated_at;
        trouble->n += trouble->n < COUNT_MAX;
        trouble->not_before = clock_mono_ms() + pause_of(trouble->n, has_answered);
        (void)snprintf(trouble->why, sizeof(trouble->why), "%.150s", why->msg);
    }
    pthread_mutex_unlock(&t->lock);
}
