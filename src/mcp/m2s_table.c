/* Kept calls: what passes between a server's side and a client's, whatever threads they are on. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "mcp/m2s_parts.h"

struct m2s_table *m2s_table_new(void)
{
    struct m2s_table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->calls = map_new();
    t->lives = map_new();
    list_init(&t->fibers);
    pthread_mutex_init(&t->lock, NULL);
    if (t->calls && t->lives)
        return t;
    m2s_table_free(t);
    return NULL;
}

static bool call_drop(struct str key unused_arg, void *value, void *arg unused_arg)
{
    m2s_call_unref(value);
    return true;
}

void m2s_table_free(struct m2s_table *t)
{
    if (!t)
        return;
    if (t->calls)
        map_each(t->calls, call_drop, NULL);
    map_free(t->calls, NULL);
    map_free(t->lives, NULL); /* none is left: each belongs to a fiber or a stream */
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- fibers without a request ---- */

void m2s_fiber_enter(struct m2s_fiber *f, struct services *sv)
{
    f->sv = sv;
    f->fiber = fiber_self();
    pthread_mutex_lock(&sv->m2s->lock);
    list_push(&sv->m2s->fibers, &f->link);
    pthread_mutex_unlock(&sv->m2s->lock);
}

void m2s_fiber_leave(struct m2s_fiber *f)
{
    pthread_mutex_lock(&f->sv->m2s->lock);
    list_remove(&f->link);
    pthread_mutex_unlock(&f->sv->m2s->lock);
}

void m2s_stop(struct services *sv)
{
    pthread_mutex_lock(&sv->m2s->lock);
    LIST_FOR(pos, &sv->m2s->fibers)
    {
        struct m2s_fiber *f = CONTAINER_OF(pos, struct m2s_fiber, link);
        if (f->sv == sv)
            fiber_cancel(f->fiber); /* only makes it runnable */
    }
    pthread_mutex_unlock(&sv->m2s->lock);
    m2s_hearings_end(sv);
}

/* ---- calls ---- */

static void cancel_run(struct loop_task *task)
{
    struct m2s_call *c = CONTAINER_OF(task, struct m2s_call, cancel_task);
    if (c->keeper)
        fiber_cancel(c->keeper);
    m2s_call_unref(c);
}

struct m2s_call *m2s_call_new(struct proxied *p)
{
    struct m2s_call *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->a = arena_new(LIMIT_REQUEST_ARENA);
    if (!c->a) {
        free(c);
        return NULL;
    }
    c->refs = 1;
    c->table = p->sv->m2s;
    m2s_party_of(p, c->a, &c->party);
    c->method = arena_dup(c->a, p->in.msg.method);
    c->hop_id = arena_dup(c->a, p->hop_id);
    c->trace = p->rq->trace;
    c->tracestate = arena_dup(c->a, http_request_header(p->rq, STR("tracestate")));
    list_init(&c->live_link);
    list_init(&c->items);
    list_init(&c->questions);
    list_init(&c->answers);
    c->cancel_task.run = cancel_run;
    return c;
}

void m2s_call_ref(struct m2s_call *c)
{
    pthread_mutex_lock(&c->table->lock);
    c->refs++;
    pthread_mutex_unlock(&c->table->lock);
}

void m2s_items_free(struct list *items)
{
    LIST_FOR_SAFE(pos, next, items)
    {
        list_remove(pos);
        free(CONTAINER_OF(pos, struct m2s_item, link));
    }
}

void m2s_call_unref(struct m2s_call *c)
{
    pthread_mutex_lock(&c->table->lock);
    bool is_last = --c->refs == 0;
    pthread_mutex_unlock(&c->table->lock);
    if (!is_last)
        return;
    m2s_items_free(&c->items);
    m2s_items_free(&c->answers);
    LIST_FOR_SAFE(pos, next, &c->questions)
    {
        list_remove(pos);
        free(CONTAINER_OF(pos, struct m2s_question, link));
    }
    wakeup_unref(c->reader);
    wakeup_unref(c->keeper_up);
    arena_end(c->a);
    free(c);
}

static struct m2s_item *item_new(enum m2s_item_kind kind, struct str bytes, const struct err *why)
{
    struct m2s_item *item = malloc(sizeof(*item) + bytes.n);
    if (!item)
        return NULL;
    item->kind = kind;
    item->failure = why ? *why : (struct err){.code = ERR_NONE};
    item->n = bytes.n;
    if (bytes.n > 0)
        memcpy(item->bytes, bytes.p, bytes.n);
    list_init(&item->link);
    return item;
}

void m2s_push(struct m2s_call *c, enum m2s_item_kind kind, struct str bytes, const struct err *why)
{
    struct m2s_item *item = item_new(kind, bytes, why);
    pthread_mutex_lock(&c->table->lock);
    if (item && c->state != M2S_OVER) {
        list_push(&c->items, &item->link);
        c->bytes += item->n;
        item = NULL;
    }
    if (c->reader)
        wakeup_set(c->reader);
    pthread_mutex_unlock(&c->table->lock);
    free(item);
}

struct m2s_item *m2s_take(struct m2s_call *c)
{
    struct m2s_item *item = NULL;
    pthread_mutex_lock(&c->table->lock);
    if (!list_is_empty(&c->items)) {
        item = CONTAINER_OF(c->items.next, struct m2s_item, link);
        list_remove(&item->link);
        c->bytes -= item->n;
        if (c->keeper_up)
            wakeup_set(c->keeper_up);
    }
    pthread_mutex_unlock(&c->table->lock);
    return item;
}

void m2s_call_abandon_locked(struct m2s_call *c)
{
    if (c->state == M2S_OVER)
        return;
    c->state = M2S_OVER;
    if (c->is_ticket || c->is_cancel_posted)
        return;
    c->is_cancel_posted = true;
    c->refs++;
    loop_post(c->home->loop, &c->cancel_task);
}

void m2s_call_abandon(struct m2s_call *c)
{
    pthread_mutex_lock(&c->table->lock);
    m2s_call_abandon_locked(c);
    pthread_mutex_unlock(&c->table->lock);
}

/* ---- waiting too long ---- */

struct reaping {
    int64_t now;
    struct list taken;
};

struct reaped {
    struct list link;
    struct m2s_call *call;
};

static bool reap_visit(struct str key unused_arg, void *value, void *arg)
{
    struct m2s_call *c = value;
    struct reaping *r = arg;
    if (c->state == M2S_PARKED && c->parked_until > r->now)
        return false;
    struct reaped *one = malloc(sizeof(*one));
    if (!one)
        return false;
    one->call = c;
    list_push(&r->taken, &one->link);
    m2s_call_abandon_locked(c);
    return true;
}

void m2s_reap(struct m2s_table *t, int64_t now)
{
    struct reaping r = {.now = now};
    list_init(&r.taken);
    pthread_mutex_lock(&t->lock);
    map_each(t->calls, reap_visit, &r);
    pthread_mutex_unlock(&t->lock);
    LIST_FOR_SAFE(pos, next, &r.taken)
    {
        struct reaped *one = CONTAINER_OF(pos, struct reaped, link);
        m2s_call_unref(one->call); /* the table's */
        free(one);
    }
}
