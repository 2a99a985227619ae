/* Requests a minute by the generic cell rate algorithm: one time stamp says how much was used. */
#include "core/rates.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/attrs.h"
#include "base/limits.h"
#include "base/map.h"

enum { SHARDS = 64, MINUTE_US = 60 * 1000 * 1000 };

struct meter {
    int64_t running;
    int64_t used_until_us; /* the past: nothing is used */
};
struct shard {
    pthread_mutex_t lock;
    struct map *meters; /* name -> struct meter */
};
struct rates {
    struct shard shards[SHARDS];
};

struct rates *rates_new(void)
{
    struct rates *r = calloc(1, sizeof(*r));
    bool is_good = r != NULL;
    for (size_t i = 0; r && i < SHARDS; i++) {
        pthread_mutex_init(&r->shards[i].lock, NULL);
        r->shards[i].meters = map_new();
        is_good = is_good && r->shards[i].meters;
    }
    if (is_good)
        return r;
    rates_free(r);
    return NULL;
}

void rates_free(struct rates *r)
{
    for (size_t i = 0; r && i < SHARDS; i++) {
        map_free(r->shards[i].meters, free);
        pthread_mutex_destroy(&r->shards[i].lock);
    }
    free(r);
}

/* FNV-1a: spreading is all that is asked of it. */
static struct shard *shard_of(struct rates *r, struct str name)
{
    uint64_t h = 14695981039346656037U;
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * 1099511628211U;
    return &r->shards[(h >> 32) % SHARDS];
}

static bool idle_drop(struct str key unused_arg, void *value, void *arg)
{
    const struct meter *m = value;
    if (m->running > 0 || m->used_until_us > *(const int64_t *)arg)
        return false;
    free(value);
    return true;
}

/* Under the lock. Meters are kept when they are idle, so that a busy caller's needs no memory each
 * time. NULL: no memory. */
static struct meter *meter_of(struct shard *s, struct str name, int64_t now_us)
{
    struct meter *m = map_get(s->meters, name);
    if (m)
        return m;
    if (map_count(s->meters) >= LIMIT_METERS / SHARDS)
        map_each(s->meters, idle_drop, &now_us);
    m = calloc(1, sizeof(*m));
    if (m && map_set(s->meters, name, m, NULL))
        return m;
    free(m);
    return NULL;
}

static bool pass(struct rates *r, struct str name, int64_t per_minute, int64_t now, bool is_counted,
                 int64_t *retry_ms)
{
    struct shard *s = shard_of(r, name);
    int64_t now_us = now * 1000, step = MINUTE_US / per_minute;
    pthread_mutex_lock(&s->lock);
    struct meter *m = meter_of(s, name, now_us);
    int64_t from = m && m->used_until_us > now_us ? m->used_until_us : now_us;
    int64_t over = m ? from + step - now_us - MINUTE_US : 0;
    if (m && over <= 0 && is_counted)
        m->used_until_us = from + step;
    pthread_mutex_unlock(&s->lock);
    *retry_ms = over > 0 ? (over + 999) / 1000 : 0;
    return over <= 0;
}

bool rates_pass(struct rates *r, struct str name, int64_t per_minute, int64_t now,
                int64_t *retry_ms)
{
    return pass(r, name, per_minute, now, true, retry_ms);
}

bool rates_would_pass(struct rates *r, struct str name, int64_t per_minute, int64_t now,
                      int64_t *retry_ms)
{
    return pass(r, name, per_minute, now, false, retry_ms);
}

bool rates_enter(struct rates *r, struct str name, int64_t max, int64_t now)
{
    struct shard *s = shard_of(r, name);
    pthread_mutex_lock(&s->lock);
    struct meter *m = meter_of(s, name, now * 1000);
    bool may = m && m->running < max;
    if (may)
        m->running++;
    pthread_mutex_unlock(&s->lock);
    return may;
}

void rates_leave(struct rates *r, struct str name)
{
    struct shard *s = shard_of(r, name);
    pthread_mutex_lock(&s->lock);
    struct meter *m = map_get(s->meters, name);
    if (m && m->running > 0)
        m->running--;
    pthread_mutex_unlock(&s->lock);
}

int64_t rates_running(struct rates *r, struct str name)
{
    struct shard *s = shard_of(r, name);
    pthread_mutex_lock(&s->lock);
    const struct meter *m = map_get(s->meters, name);
    int64_t n = m ? m->running : 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}
