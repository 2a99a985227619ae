/* What is alive at one pooled session: its calls, its listeners, its own stream. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/sse.h"
#include "mcp/hop_id.h"
#include "mcp/m2s_parts.h"
#include "mcp/m2s_result.h"

enum { TICK_MS = 5000, BACKOFF_FIRST_MS = 250, BACKOFF_MAX_MS = 30 * 1000, LINGER_TICKS = 12 };

struct stream_waiter {
    struct list link;
    struct wakeup *wakeup;
};

/* ---- life ---- */

static struct m2s_live *live_new(struct m2s_link *k)
{
    struct m2s_live *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->a = arena_new((size_t)2 * LIMIT_BODY_MCP);
    l->uris = map_new();
    if (!l->a || !l->uris) {
        arena_end(l->a);
        map_free(l->uris, NULL);
        free(l);
        return NULL;
    }
    l->table = k->sv->m2s;
    l->key = arena_dup(l->a, k->key);
    l->party = (struct m2s_party){.org_id = arena_dup(l->a, k->party->org_id),
                                  .connection_id = arena_dup(l->a, k->party->connection_id),
                                  .user_id = arena_dup(l->a, k->party->user_id),
                                  .principal = arena_dup(l->a, k->party->principal),
                                  .capabilities = arena_dup(l->a, k->party->capabilities)};
    l->level = -1;
    list_init(&l->calls);
    list_init(&l->listens);
    list_init(&l->waiters);
    return l;
}

static bool is_session_of(const struct m2s_live *l, struct str id)
{
    return str_eq(str_c(l->session_id), id);
}

/* The server has another session now: what the old one knew is gone, and the calls that waited in
 * it for their clients. */
static void session_set_locked(struct m2s_live *l, struct str id)
{
    size_t n = id.n < sizeof(l->session_id) ? id.n : 0;
    if (n > 0)
        memcpy(l->session_id, id.p, n);
    l->session_id[n] = '\0';
    l->level = -1;
    l->is_renewed = !list_is_empty(&l->listens);
    l->generation++;
    l->stream = M2S_STREAM_NONE;
    LIST_FOR(pos, &l->calls)
    {
        struct m2s_call *c = CONTAINER_OF(pos, struct m2s_call, live_link);
        if (c->state == M2S_PARKED)
            m2s_call_abandon_locked(c);
    }
}

struct m2s_live *m2s_live_get(struct m2s_link *k)
{
    struct m2s_table *t = k->sv->m2s;
    pthread_mutex_lock(&t->lock);
    struct m2s_live *l = map_get(t->lives, k->key);
    bool is_new = l == NULL;
    if (is_new && (l = live_new(k)) != NULL && !map_set(t->lives, l->key, l, NULL)) {
        arena_end(l->a);
        map_free(l->uris, NULL);
        free(l);
        l = NULL;
    }
    bool is_other = l && !is_session_of(l, k->session.id);
    if (l)
        l->refs++;
    if (is_other)
        session_set_locked(l, k->session.id);
    bool is_listened = l && !list_is_empty(&l->listens);
    pthread_mutex_unlock(&t->lock);
    struct err ignored; /* it is tried again when it ends */
    if (is_other && is_listened)
        (void)!m2s_live_stream(l, k->sv, M2S_STREAM_MS, &ignored);
    return l;
}

void m2s_live_unref(struct m2s_live *l)
{
    struct m2s_table *t = l->table;
    pthread_mutex_lock(&t->lock);
    bool is_last = --l->refs == 0;
    if (is_last)
        (void)!map_take(t->lives, l->key);
    pthread_mutex_unlock(&t->lock);
    if (!is_last)
        return;
    map_free(l->uris, NULL);
    arena_end(l->a);
    free(l);
}

/* ---- messages to their places ---- */

/* The call that a message of the session's own stream belongs to, with a reference: by its progress
 * token, or the only one; of those that run, not wait, when it is a question. NULL: nobody can
 * say. */
static struct m2s_call *call_of(struct m2s_live *l, struct arena *a, struct str token,
                                bool is_question)
{
    struct m2s_call *found = NULL;
    int n = 0;
    pthread_mutex_lock(&l->table->lock);
    LIST_FOR(pos, &l->calls)
    {
        struct m2s_call *c = CONTAINER_OF(pos, struct m2s_call, live_link);
        bool is_it = str_is_absent(token) || hop_id_same(a, token, c->hop_id);
        is_it = is_it && (!is_question || c->state == M2S_RUNNING);
        n += is_it;
        if (is_it)
            found = c;
    }
    if (n != 1 || found->state == M2S_OVER ||
        found->bytes > M2S_HELD) /* this stream is everybody's: it waits for nobody */
        found = NULL;
    if (found)
        found->refs++;
    pthread_mutex_unlock(&l->table->lock);
    return found;
}

static void question_dispatch(struct m2s_live *l, struct m2s_link *k, const struct rpc_message *m)
{
    struct err why;
    struct m2s_call *c = call_of(l, k->a, STR_NONE, true);
    err_set(&why, ERR_METHOD_NOT_FOUND, "no request in flight could be asked this");
    if (!c) {
        m2s_refuse(k, m, &why);
        return;
    }
    m2s_question_take(c, k, m);
    m2s_call_unref(c);
}

void m2s_live_dispatch(struct m2s_live *l, struct m2s_link *k, const struct rpc_message *m)
{
    if (m->kind == RPC_REQUEST) {
        question_dispatch(l, k, m);
        return;
    }
    if (m->kind != RPC_NOTIFICATION)
        return;
    bool is_progress = str_eq(m->method, STR("notifications/progress"));
    if ((is_progress && !str_is_absent(m->params_progress_token)) ||
        str_eq(m->method, STR("notifications/message"))) {
        struct m2s_call *c =
            call_of(l, k->a, is_progress ? m->params_progress_token : STR_NONE, false);
        if (c) {
            m2s_push(c, M2S_MESSAGE, m->raw, NULL);
            m2s_call_unref(c);
        }
        return;
    }
    pthread_mutex_lock(&l->table->lock);
    LIST_FOR(pos, &l->listens)
    {
        m2s_listen_offer(CONTAINER_OF(pos, struct m2s_listen, link), m);
    }
    pthread_mutex_unlock(&l->table->lock);
}

/* ---- the session's own stream ---- */

struct streaming {
    struct m2s_live *live;
    struct m2s_link link;
    int generation;
    int idle_ticks;
    bool was_open, is_pinned;
};

static void stream_state(struct streaming *s, enum m2s_stream state)
{
    struct m2s_live *l = s->live;
    pthread_mutex_lock(&l->table->lock);
    if (s->generation == l->generation)
        l->stream = state;
    LIST_FOR_SAFE(pos, next, &l->waiters)
    {
        list_remove(pos);
        wakeup_set(CONTAINER_OF(pos, struct stream_waiter, link)->wakeup);
    }
    pthread_mutex_unlock(&l->table->lock);
}

/* Does anybody use it? */
static bool is_needed(struct streaming *s, bool *is_listened)
{
    struct m2s_live *l = s->live;
    pthread_mutex_lock(&l->table->lock);
    *is_listened = !list_is_empty(&l->listens);
    bool is_current = s->generation == l->generation;
    bool is_used = *is_listened || !list_is_empty(&l->calls);
    pthread_mutex_unlock(&l->table->lock);
    s->idle_ticks = is_used ? 0 : s->idle_ticks + 1;
    return is_current && s->idle_ticks < LINGER_TICKS;
}

static bool on_event(void *arg, const struct sse_event *event, struct err *e)
{
    struct streaming *s = arg;
    if (event->data.n == 0 || (event->event.n > 0 && !str_eq(event->event, STR("message"))))
        return true;
    struct arena *a = arena_new((size_t)2 * LIMIT_SSE_EVENT), *before = s->link.a;
    struct rpc_message m;
    if (!a)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    s->link.a = a; /* what one message takes ends with it */
    bool is_good = rpc_parse(a, event->data, &m, e);
    if (is_good)
        m2s_live_dispatch(s->live, &s->link, &m);
    s->link.a = before;
    arena_end(a);
    return is_good;
}

/* Until the stream ends, nobody needs it, or the session is another. False: cancelled. */
static bool stream_read(struct streaming *s, struct exchange *x, struct err *e)
{
    struct sse_parser parser;
    bool is_listened, is_good = true;
    sse_parser_init(&parser, on_event, s);
    while (is_good && is_needed(s, &is_listened)) {
        struct str chunk;
        if (exchange_read(x, &chunk, clock_mono_ms() + TICK_MS, e)) {
            if (chunk.n == 0)
                break;
            is_good = sse_parser_feed(&parser, chunk, e);
        } else if (e->code != ERR_TIMEOUT) {
            is_good = false;
        }
    }
    sse_parser_end(&parser);
    return is_good || e->code != ERR_CANCELLED;
}

static bool resubscribe_visit(struct str key, void *value unused_arg, void *arg)
{
    struct buf *out = arg;
    buf_add(out, key);
    buf_add_char(out, '\n');
    return false;
}

/* What the session before this one was asked to tell. */
static void resubscribe(struct streaming *s)
{
    struct m2s_live *l = s->live;
    struct buf uris;
    struct err ignored;
    struct str rest, uri;
    buf_init(&uris, LIMIT_ANSWER_HELD);
    pthread_mutex_lock(&l->table->lock);
    map_each(l->uris, resubscribe_visit, &uris);
    pthread_mutex_unlock(&l->table->lock);
    for (rest = buf_str(&uris); str_next(&rest, '\n', &uri);)
        if (uri.n > 0)
            (void)!m2s_link_ask(&s->link, "resources/subscribe",
                                arena_printf(s->link.a, "{\"uri\":%.*s}", STR_FMT(uri)), &ignored);
    buf_end(&uris);
    pthread_mutex_lock(&l->table->lock);
    LIST_FOR(pos, &l->listens)
    {
        m2s_listen_offer_all(CONTAINER_OF(pos, struct m2s_listen, link));
    }
    pthread_mutex_unlock(&l->table->lock);
}

/* A call may have been the first to open the new session. */
static bool renewed_take(struct m2s_live *l)
{
    pthread_mutex_lock(&l->table->lock);
    bool is_renewed = l->is_renewed;
    l->is_renewed = false;
    pthread_mutex_unlock(&l->table->lock);
    return is_renewed;
}

/* One GET. False: no more of them. */
static bool stream_once(struct streaming *s, struct err *e)
{
    struct upstream_message m;
    struct http_answer_head head;
    if (!m2s_link_session(&s->link, e))
        return false;
    pthread_mutex_lock(&s->live->table->lock);
    bool is_other = !is_session_of(s->live, s->link.session.id);
    if (is_other && s->generation == s->live->generation) {
        session_set_locked(s->live, s->link.session.id);
        s->live->stream = M2S_STREAM_OPENING;
        s->generation = s->live->generation;
    }
    bool is_current = s->generation == s->live->generation;
    pthread_mutex_unlock(&s->live->table->lock);
    if (!is_current)
        return false;
    if (!s->is_pinned || is_other) /* a session opened anew has no pins */
        session_pool_pin(s->link.sv->pool, s->live->key);
    s->is_pinned = true;
    m2s_link_message(&s->link, &m);
    m.http_method = STR("GET");
    m.idle_ms = m.total_ms = -1;
    m.first_byte_ms = LIMIT_IDLE_MS;
    auto_free(exchange_closep) struct exchange *x =
        upstream_send(s->link.sv, s->link.a, &m, &head, e);
    if (!x)
        return e->code != ERR_CANCELLED;
    if (head.status == 404 && !str_is_absent(s->link.session.id) && s->was_open) {
        m2s_link_lost(&s->link);
        return true;
    }
    if (head.status != 200 || upstream_body_kind(&head) != UPSTREAM_EVENTS) {
        stream_state(s, M2S_STREAM_REFUSED);
        return false;
    }
    if (renewed_take(s->live) || s->was_open || is_other)
        resubscribe(s);
    s->was_open = true;
    stream_state(s, M2S_STREAM_OPEN);
    return stream_read(s, x, e);
}

static void stream_fiber(void *arg)
{
    struct streaming *given = arg, s = *given;
    struct services *sv = s.link.sv;
    struct m2s_fiber self;
    struct err e = {.code = ERR_NONE};
    struct arena *a = arena_new(LIMIT_REQUEST_ARENA);
    int64_t pause = BACKOFF_FIRST_MS;
    bool is_listened = true;
    free(given);
    m2s_fiber_enter(&self, sv);
    bool goes_on = a && m2s_link_open(&s.link, sv, a, &s.live->party, &e);
    while (goes_on && stream_once(&s, &e) && is_needed(&s, &is_listened)) {
        stream_state(&s, M2S_STREAM_REFUSED); /* for now: nobody is made to wait for it */
        if (!is_listened)
            break;
        goes_on = fiber_sleep_until(clock_mono_ms() + pause, &e);
        pause = pause * 2 < BACKOFF_MAX_MS ? pause * 2 : BACKOFF_MAX_MS;
    }
    pthread_mutex_lock(&s.live->table->lock);
    bool is_refused = s.live->stream == M2S_STREAM_REFUSED && !s.was_open;
    pthread_mutex_unlock(&s.live->table->lock);
    if (!is_refused)
        stream_state(&s, M2S_STREAM_NONE);
    m2s_link_end(&s.link);
    m2s_fiber_leave(&self);
    arena_end(a);
    if (s.is_pinned)
        session_pool_unpin(sv->pool, s.live->key);
    m2s_live_unref(s.live);
}

/* With the lock held, which it gives back and takes again. */
static bool stream_start(struct m2s_live *l, struct services *sv, struct err *e)
{
    struct streaming *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    l->stream = M2S_STREAM_OPENING;
    l->is_late = false;
    l->refs++;
    *s = (struct streaming){.live = l, .link = {.sv = sv}, .generation = l->generation};
    pthread_mutex_unlock(&l->table->lock);
    bool is_started = fiber_start(sv->loop, stream_fiber, s, NULL, e);
    pthread_mutex_lock(&l->table->lock);
    if (!is_started) {
        free(s);
        l->refs--; /* the caller has its own */
        l->stream = M2S_STREAM_NONE;
    }
    return is_started;
}

bool m2s_live_stream(struct m2s_live *l, struct services *sv, int64_t patience_ms, struct err *e)
{
    bool is_good = true;
    pthread_mutex_lock(&l->table->lock);
    if (l->stream == M2S_STREAM_NONE)
        is_good = stream_start(l, sv, e);
    if (is_good && l->stream == M2S_STREAM_OPENING && !l->is_late) {
        struct stream_waiter w = {.wakeup = wakeup_new()};
        if (w.wakeup) {
            list_push(&l->waiters, &w.link);
            pthread_mutex_unlock(&l->table->lock);
            is_good = wakeup_wait(w.wakeup, clock_mono_ms() + patience_ms, e);
            pthread_mutex_lock(&l->table->lock);
            l->is_late = l->stream == M2S_STREAM_OPENING && !is_good && e->code == ERR_TIMEOUT;
            list_remove(&w.link);
            wakeup_unref(w.wakeup);
        }
    }
    pthread_mutex_unlock(&l->table->lock);
    return is_good || e->code == ERR_TIMEOUT; /* without the stream, what can be done is done */
}

/* ---- levels and subscriptions ---- */

void m2s_live_level(struct m2s_live *l, struct m2s_link *k)
{
    struct err ignored; /* it says what it likes then, and is filtered here */
    int wanted = -1;
    pthread_mutex_lock(&l->table->lock);
    LIST_FOR(pos, &l->calls)
    {
        const struct m2s_call *c = CONTAINER_OF(pos, struct m2s_call, live_link);
        if (c->level >= 0 && (wanted < 0 || c->level < wanted))
            wanted = c->level;
    }
    bool is_news =
        wanted >= 0 && wanted != l->level && m2s_server_has(k->session.initialize, "logging", NULL);
    if (is_news)
        l->level = wanted;
    pthread_mutex_unlock(&l->table->lock);
    if (is_news)
        (void)!m2s_link_ask(k, "logging/setLevel",
                            arena_printf(k->a, "{\"level\":\"%s\"}", m2s_level_name(wanted)),
                            &ignored);
}

bool m2s_subscribe(struct m2s_live *l, struct m2s_link *k, struct str uri, struct err *e)
{
    pthread_mutex_lock(&l->table->lock);
    uintptr_t n = (uintptr_t)map_get(l->uris, uri);
    bool is_counted = map_set(l->uris, uri, (void *)(n + 1), NULL);
    pthread_mutex_unlock(&l->table->lock);
    if (!is_counted)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (n > 0)
        return true;
    if (m2s_link_ask(k, "resources/subscribe", arena_printf(k->a, "{\"uri\":%.*s}", STR_FMT(uri)),
                     e))
        return true;
    pthread_mutex_lock(&l->table->lock);
    n = (uintptr_t)map_get(l->uris, uri);
    if (n > 1)
        (void)!map_set(l->uris, uri, (void *)(n - 1), NULL);
    else
        (void)!map_take(l->uris, uri);
    pthread_mutex_unlock(&l->table->lock);
    return false;
}

void m2s_unsubscribe(struct m2s_live *l, struct m2s_link *k, struct str uri)
{
    struct err ignored;
    pthread_mutex_lock(&l->table->lock);
    uintptr_t n = (uintptr_t)map_get(l->uris, uri);
    if (n > 1)
        (void)!map_set(l->uris, uri, (void *)(n - 1), NULL);
    else
        (void)!map_take(l->uris, uri);
    pthread_mutex_unlock(&l->table->lock);
    if (n == 1)
        (void)!m2s_link_ask(k, "resources/unsubscribe",
                            arena_printf(k->a, "{\"uri\":%.*s}", STR_FMT(uri)), &ignored);
}
