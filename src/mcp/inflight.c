/* Requests that wait for their server. */
#include "mcp/inflight.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"

/* Two may hold one: the waiting fiber, and a cancellation on its way to the fiber's loop. */
struct inflight {
    struct buf key;
    struct loop *loop;
    struct fiber *fiber; /* touched on its own thread only */
    struct loop_task cancel;
    int refs;                   /* under the table's lock */
    bool is_cancelled, is_over; /* on the fiber's thread only */
    bool ends_session;          /* written before the cancellation is posted */
    struct inflight_table *table;
};

struct inflight_table {
    pthread_mutex_t lock;
    struct map *by_key;
};

struct inflight_table *inflight_table_new(void)
{
    struct inflight_table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->by_key = map_new();
    if (!t->by_key) {
        free(t);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void inflight_table_free(struct inflight_table *t)
{
    if (!t)
        return;
    map_free(t->by_key, NULL);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void key_build(struct buf *key, struct str session_key, struct str id)
{
    buf_init(key, LIMIT_RPC_ID + LIMIT_TOKEN);
    buf_add(key, session_key);
    buf_add_char(key, '|');
    buf_add(key, id);
}

static void release(struct inflight_table *t, struct inflight *f)
{
    pthread_mutex_lock(&t->lock);
    bool is_last = --f->refs == 0;
    pthread_mutex_unlock(&t->lock);
    if (!is_last)
        return;
    buf_end(&f->key);
    free(f);
}

/* On the fiber's own thread. */
static void cancel_run(struct loop_task *task)
{
    struct inflight *f = CONTAINER_OF(task, struct inflight, cancel);
    if (!f->is_over) {
        f->is_cancelled = !f->ends_session;
        fiber_cancel(f->fiber);
    }
    release(f->table, f);
}

struct inflight *inflight_begin(struct inflight_table *t, struct loop *l, struct str session_key,
                                struct str id)
{
    struct inflight *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    *f = (struct inflight){
        .loop = l, .fiber = fiber_self(), .cancel = {.run = cancel_run}, .refs = 1, .table = t};
    key_build(&f->key, session_key, id);
    pthread_mutex_lock(&t->lock);
    bool is_kept = buf_ok(&f->key) && !map_get(t->by_key, buf_str(&f->key)) &&
                   map_set(t->by_key, buf_str(&f->key), f, NULL);
    pthread_mutex_unlock(&t->lock);
    if (is_kept)
        return f;
    buf_end(&f->key);
    free(f);
    return NULL;
}

bool inflight_end(struct inflight_table *t, struct inflight *f)
{
    if (!f)
        return false;
    bool was_cancelled = f->is_cancelled;
    f->is_over = true;
    pthread_mutex_lock(&t->lock);
    if (map_get(t->by_key, buf_str(&f->key)) == f) /* a cancellation may have taken it out */
        (void)!map_take(t->by_key, buf_str(&f->key));
    pthread_mutex_unlock(&t->lock);
    release(t, f);
    return was_cancelled;
}

void inflight_cancel(struct inflight_table *t, struct str session_key, struct str id)
{
    struct buf key;
    key_build(&key, session_key, id);
    pthread_mutex_lock(&t->lock);
    /* Taken out at once: a second cancellation of the same request finds nothing. */
    struct inflight *f = map_take(t->by_key, buf_str(&key));
    if (f)
        f->refs++;
    pthread_mutex_unlock(&t->lock);
    if (f)
        loop_post(f->loop, &f->cancel);
    buf_end(&key);
}

struct session_cancel {
    struct str key; /* with the '|' that ends it */
};

static bool session_visit(struct str key, void *value, void *arg)
{
    struct inflight *f = value;
    const struct session_cancel *c = arg;
    if (!str_starts(key, c->key))
        return false;
    f->refs++;
    f->ends_session = true;
    loop_post(f->loop, &f->cancel);
    return true;
}

void inflight_cancel_session(struct inflight_table *t, struct str session_key)
{
    struct buf prefix;
    key_build(&prefix, session_key, STR(""));
    struct session_cancel c = {buf_str(&prefix)};
    pthread_mutex_lock(&t->lock);
    map_each(t->by_key, session_visit, &c);
    pthread_mutex_unlock(&t->lock);
    buf_end(&prefix);
}
