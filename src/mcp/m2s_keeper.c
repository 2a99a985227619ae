/* The keeper: one call's fiber at the server's side. It outlives the client's requests. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/m2s_caps.h"
#include "mcp/m2s_parts.h"
#include "mcp/m2s_result.h"
#include "mcp/upstream_resume.h"

struct keeping {
    struct m2s_call *call;
    struct m2s_link link;
    bool is_sent; /* the server may be working on it */
};

/* ---- questions ---- */

/* An answer of Tulle's own to a request of the server's. */
void m2s_refuse(struct m2s_link *k, const struct rpc_message *m, const struct err *why)
{
    struct buf body;
    struct err ignored; /* the server waits for its own time-out then */
    buf_init(&body, LIMIT_BODY_SMALL);
    if (str_eq(m->method, STR("ping")))
        rpc_write_result(&body, m->id, STR("{}"));
    else
        rpc_write_error(&body, m->id, false, why->code == ERR_INTERNAL ? -32603 : -32601,
                        str_c(why->msg), STR_NONE);
    (void)!m2s_link_post(k, buf_str(&body), &ignored);
    buf_end(&body);
}

static struct str append(char **to, struct str s)
{
    struct str copy = {*to, s.n};
    if (str_is_absent(s))
        return STR_NONE;
    memcpy(*to, s.p, s.n);
    *to += s.n;
    return copy;
}

static struct m2s_question *question_new(const struct rpc_message *m)
{
    size_t n = m->id.n + m->method.n + m->params.n;
    struct m2s_question *q = malloc(sizeof(*q) + n + 1);
    if (!q)
        return NULL;
    char *to = (char *)(q + 1);
    list_init(&q->link);
    q->id = append(&to, m->id);
    q->method = append(&to, m->method);
    q->params = append(&to, m->params);
    return q;
}

void m2s_question_take(struct m2s_call *c, struct m2s_link *k, const struct rpc_message *m)
{
    struct err why = {.code = ERR_NONE};
    pthread_mutex_lock(&c->table->lock);
    int caps = c->caps; /* of the round that runs */
    pthread_mutex_unlock(&c->table->lock);
    if (str_eq(m->method, STR("ping")) || !m2s_caps_allow(caps, m, &why)) {
        m2s_refuse(k, m, &why);
        return;
    }
    struct m2s_question *q = question_new(m);
    pthread_mutex_lock(&c->table->lock);
    bool is_kept = q && c->state != M2S_OVER && c->n_questions < M2S_QUESTIONS;
    if (is_kept) {
        if (c->n_questions++ == 0)
            c->asked_at = clock_mono_ms();
        list_push(&c->questions, &q->link);
        if (c->reader)
            wakeup_set(c->reader);
    }
    pthread_mutex_unlock(&c->table->lock);
    if (is_kept)
        return;
    free(q);
    err_set(&why, ERR_INTERNAL, "nobody is there to be asked");
    m2s_refuse(k, m, &why);
}

/* ---- answers: posted on the home worker by a fiber of their own ---- */

/* All that are there now. False: none, and the fiber that posts has come to its end. */
static bool answers_take(struct m2s_call *c, struct list *out)
{
    list_init(out);
    pthread_mutex_lock(&c->table->lock);
    bool is_needed = !list_is_empty(&c->answers) && c->state != M2S_OVER;
    c->is_posting = is_needed;
    while (is_needed && !list_is_empty(&c->answers)) {
        struct list *first = c->answers.next;
        list_remove(first);
        list_push(out, first);
    }
    pthread_mutex_unlock(&c->table->lock);
    return is_needed;
}

static void answers_fiber(void *arg)
{
    struct m2s_call *c = arg;
    struct m2s_fiber self;
    struct m2s_link k = {0};
    struct err e;
    struct arena *a = arena_new(LIMIT_REQUEST_ARENA);
    m2s_fiber_enter(&self, c->home);
    bool is_good = a && m2s_link_open(&k, c->home, a, &c->party, &e) && m2s_link_session(&k, &e);
    struct list batch;
    while (answers_take(c, &batch)) {
        LIST_FOR(pos, &batch)
        {
            const struct m2s_item *item = CONTAINER_OF(pos, struct m2s_item, link);
            /* Another session means that the one that asked is gone, and the call with it. */
            is_good = is_good && str_eq(k.session.id, c->session_id) &&
                      m2s_link_post(&k, (struct str){item->bytes, item->n}, &e);
        }
        m2s_items_free(&batch);
    }
    if (!is_good) {
        err_set(&e, ERR_INVALID, "request state expired; start again");
        m2s_push(c, M2S_FAILURE, STR_NONE, &e);
    }
    m2s_link_end(&k);
    m2s_fiber_leave(&self);
    arena_end(a);
    m2s_call_unref(c);
}

static void answers_run(struct loop_task *task)
{
    struct m2s_call *c = CONTAINER_OF(task, struct m2s_call, answer_task);
    struct err e;
    pthread_mutex_lock(&c->table->lock);
    c->is_answer_posted = false;
    bool is_needed = !c->is_posting;
    c->is_posting = true;
    pthread_mutex_unlock(&c->table->lock);
    if (!is_needed) {
        m2s_call_unref(c); /* the fiber that posts looks again before it ends */
    } else if (!fiber_start(c->home->loop, answers_fiber, c, NULL, &e)) {
        m2s_push(c, M2S_FAILURE, STR_NONE, &e);
        m2s_call_unref(c);
    }
}

void m2s_answers_post_locked(struct m2s_call *c)
{
    if (c->is_answer_posted)
        return;
    c->is_answer_posted = true;
    c->answer_task.run = answers_run;
    c->refs++;
    loop_post(c->home->loop, &c->answer_task);
}

/* ---- reading ---- */

static bool is_for_session(struct str method)
{
    return str_ends(method, STR("/list_changed")) ||
           str_eq(method, STR("notifications/resources/updated"));
}

/* While more waits for the client than it should, the server waits too. */
static bool wait_for_room(struct m2s_call *c, struct err *e)
{
    for (;;) {
        pthread_mutex_lock(&c->table->lock);
        bool is_full = c->bytes > M2S_HELD && c->state != M2S_OVER;
        pthread_mutex_unlock(&c->table->lock);
        if (!is_full)
            return true;
        if (!wakeup_wait(c->keeper_up, clock_mono_ms() + LIMIT_CALL_MS, e))
            return false;
    }
}

static bool on_message(void *arg, const struct rpc_message *m, struct err *e)
{
    struct keeping *g = arg;
    struct m2s_call *c = g->call;
    if (m->kind == RPC_REQUEST) {
        m2s_question_take(c, &g->link, m);
        return true;
    }
    if (m->kind == RPC_NOTIFICATION && is_for_session(m->method)) {
        m2s_live_dispatch(c->live, &g->link, m);
        return true;
    }
    m2s_push(c, M2S_MESSAGE, m->raw, NULL);
    return wait_for_room(c, e);
}

/* JSON: held and given whole, or in pieces when it is large. */
static bool read_json(struct keeping *g, struct exchange *x, struct err *e)
{
    struct buf held;
    struct str chunk;
    bool is_large = false, is_good;
    buf_init(&held, (size_t)2 * M2S_HELD + LIMIT_PAUSE_HIGH);
    while ((is_good = exchange_read(x, &chunk, 0, e)) && chunk.n > 0) {
        if (is_large) {
            m2s_push(g->call, M2S_CHUNK, chunk, NULL);
            is_good = wait_for_room(g->call, e);
        } else {
            buf_add(&held, chunk);
            is_good = buf_ok(&held) || err_set(e, ERR_UNAVAILABLE, "out of memory");
            is_large = held.n > M2S_HELD;
            if (is_good && is_large) {
                m2s_push(g->call, M2S_CHUNK, buf_str(&held), NULL);
                buf_end(&held);
            }
        }
        if (!is_good)
            break;
    }
    if (is_good)
        m2s_push(g->call, is_large ? M2S_END : M2S_RESPONSE, buf_str(&held), NULL);
    buf_end(&held);
    return is_good;
}

static struct exchange *resume(void *arg, struct str last_id, int64_t retry_ms, struct err *e)
{
    struct keeping *g = arg;
    struct upstream_message m;
    m2s_link_message(&g->link, &m);
    m.idle_ms = LIMIT_IDLE_MS + g->call->home->config->input_wait_seconds * 1000;
    return upstream_resume(g->link.sv, g->link.a, &m, last_id, retry_ms, e);
}

static bool read_answer(struct keeping *g, struct exchange *x, const struct http_answer_head *head,
                        struct err *e)
{
    struct upstream_response r;
    struct upstream_listener listener = {.on_message = on_message, .resume = resume, .arg = g};
    if (upstream_era_is_refused(head, e)) {
        m2s_link_lost(&g->link);
        return false;
    }
    if (!upstream_status_check(head, !str_is_absent(g->link.session.id), e))
        return false;
    if (upstream_body_kind(head) == UPSTREAM_JSON)
        return read_json(g, x, e);
    if (!upstream_reply_read(g->link.a, x, head, g->call->hop_id, LIMIT_SSE_EVENT, &listener, &r,
                             e))
        return false;
    m2s_push(g->call, M2S_RESPONSE, r.text, NULL);
    return true;
}

/* ---- the call ---- */

static bool attach(struct keeping *g)
{
    struct m2s_call *c = g->call;
    struct m2s_live *live = m2s_live_get(&g->link), *before = c->live;
    if (!live)
        return false;
    pthread_mutex_lock(&c->table->lock);
    list_remove(&c->live_link);
    c->live = live;
    list_push(&c->live->calls, &c->live_link);
    c->session_id = arena_dup(c->a, g->link.session.id);
    pthread_mutex_unlock(&c->table->lock);
    if (before)
        m2s_live_unref(before);
    return true;
}

static struct exchange *send_once(struct keeping *g, struct http_answer_head *head, struct err *e)
{
    struct m2s_call *c = g->call;
    struct upstream_message m;
    if (!m2s_link_session(&g->link, e))
        return NULL;
    if (!attach(g)) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    if (!m2s_live_stream(c->live, c->home, M2S_STREAM_MS, e))
        return NULL;
    m2s_live_level(c->live, &g->link);
    struct http_header *state = arena_alloc(g->link.a, sizeof(*state));
    struct http_request *shadow = arena_alloc(g->link.a, sizeof(*shadow));
    if (!state || !shadow) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    *state = (struct http_header){STR("tracestate"), c->tracestate};
    shadow->trace = c->trace;
    shadow->headers = state;
    shadow->n_headers = str_is_absent(c->tracestate) ? 0 : 1;
    m2s_link_message(&g->link, &m);
    m.body = c->body;
    m.rq = shadow;
    /* A person may have to think: the server's silence meanwhile is no fault of its own. */
    m.idle_ms = m.first_byte_ms = LIMIT_IDLE_MS + c->home->config->input_wait_seconds * 1000;
    g->is_sent = true;
    return upstream_send(g->link.sv, g->link.a, &m, head, e);
}

/* A 404 to a request in a session means that the server never took it: once more in another. */
static bool call_run(struct keeping *g, struct err *e)
{
    struct m2s_call *c = g->call;
    if (!m2s_link_open(&g->link, c->home, g->link.a, &c->party, e))
        return false;
    for (int attempt = 0;; attempt++) {
        struct http_answer_head head;
        auto_free(exchange_closep) struct exchange *x = send_once(g, &head, e);
        if (!x)
            return false;
        bool is_lost = head.status == 404 && !str_is_absent(g->link.session.id);
        if (!is_lost)
            return read_answer(g, x, &head, e);
        m2s_link_lost(&g->link);
        if (attempt > 0)
            return err_set(e, ERR_UPSTREAM, "the server forgets its sessions at once");
    }
}

/* Whoever asked waits no longer: nor does the client that was to answer. */
static void tell_server(struct keeping *g)
{
    struct m2s_call *c = g->call;
    struct arena *a = g->link.a;
    struct err ignored;
    struct list questions;
    g->link.patience_ms = M2S_FAREWELL_MS;
    list_init(&questions);
    pthread_mutex_lock(&c->table->lock);
    while (!list_is_empty(&c->questions)) {
        struct list *first = c->questions.next;
        list_remove(first);
        list_push(&questions, first);
    }
    pthread_mutex_unlock(&c->table->lock);
    LIST_FOR_SAFE(pos, next, &questions)
    {
        struct m2s_question *q = CONTAINER_OF(pos, struct m2s_question, link);
        (void)!m2s_link_post(&g->link,
                             arena_printf(a,
                                          "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"error\":{\"code\":"
                                          "-32603,\"message\":\"the client did not answer\"}}",
                                          STR_FMT(q->id)),
                             &ignored);
        list_remove(pos);
        free(q);
    }
    (void)!m2s_link_post(&g->link,
                         arena_printf(a,
                                      "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
                                      "\"params\":{\"requestId\":%.*s}}",
                                      STR_FMT(c->hop_id)),
                         &ignored);
}

static void keeper_fiber(void *arg)
{
    struct m2s_call *c = arg;
    struct m2s_fiber self;
    struct keeping g = {.call = c};
    struct err e = {.code = ERR_NONE};
    c->keeper = fiber_self();
    m2s_fiber_enter(&self, c->home);
    c->keeper_up = wakeup_new();
    g.link.a = arena_new(LIMIT_REQUEST_ARENA);
    bool is_good =
        c->keeper_up && g.link.a ? call_run(&g, &e) : err_set(&e, ERR_UNAVAILABLE, "out of memory");
    if (!is_good) {
        m2s_push(c, M2S_FAILURE, STR_NONE, &e);
        pthread_mutex_lock(&c->table->lock);
        if (c->state == M2S_PARKED) /* there is nothing to come back to */
            m2s_call_abandon_locked(c);
        pthread_mutex_unlock(&c->table->lock);
        fiber_shield(true);
        if (g.is_sent && (e.code == ERR_CANCELLED || e.code == ERR_TIMEOUT))
            tell_server(&g);
        fiber_shield(false);
    }
    c->keeper = NULL;
    pthread_mutex_lock(&c->table->lock);
    list_remove(&c->live_link);
    pthread_mutex_unlock(&c->table->lock);
    if (c->live)
        m2s_live_unref(c->live);
    m2s_link_end(&g.link);
    m2s_fiber_leave(&self);
    arena_end(g.link.a);
    m2s_call_unref(c);
}

bool m2s_keeper_start(struct m2s_call *c, struct services *sv, struct err *e)
{
    c->home = sv;
    m2s_call_ref(c);
    if (fiber_start(sv->loop, keeper_fiber, c, NULL, e))
        return true;
    m2s_call_unref(c);
    return false;
}
