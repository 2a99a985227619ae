/* The client's side of a kept call: one HTTP request of it, from one round to the next. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"
#include "json/jfilter.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/m2s_caps.h"
#include "mcp/m2s_parts.h"
#include "mcp/m2s_result.h"
#include "mcp/m2s_state.h"

enum { QUIET_MS = 3000, URL_ELICITATION = -32042 };

struct client {
    struct proxied *p;
    struct m2s_call *call;
    struct wakeup *wakeup;
    struct jfilter filter;
    struct jfilter_stamp stamp;
    bool is_large, is_done;
    size_t bytes;
};

/* ---- input_required ---- */

static struct m2s_binding binding_of(const struct proxied *p)
{
    /* A registration that was changed is another server: it gets no answers to this one's. */
    return (struct m2s_binding){.principal = p->caller->principal,
                                .connection_id =
                                    arena_printf(p->a, "%.*s@%lld", STR_FMT(p->entry->conn.id),
                                                 (long long)p->entry->conn.updated_at),
                                .message = &p->in.msg};
}

/* params of a question without what the stateless revision does not have. */
static void params_write(struct jout *j, struct str params)
{
    static const struct str dropped[] = {STR("_meta"), STR("task"), STR("elicitationId")};
    struct jiter it;
    jout_object(j);
    if (!str_is_absent(params))
        for (jscan_iter(&it, params); jscan_next(&it);) {
            bool is_kept = true;
            for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
                is_kept = is_kept && !jscan_string_eq(it.key, dropped[i]);
            if (!is_kept)
                continue;
            jout_key(j, str_slice(it.key, 1, it.key.n - 2));
            jout_raw(j, it.value);
        }
    jout_object_end(j);
}

/* The answer that asks the client for what is in c->questions. With the lock held. */
static struct str input_required(struct proxied *p, const struct m2s_call *c)
{
    struct buf out;
    struct jout j;
    struct m2s_binding binding = binding_of(p);
    char key[16];
    buf_init(&out, (size_t)4 * LIMIT_SSE_EVENT);
    buf_add(&out, STR("{\"jsonrpc\":\"2.0\",\"id\":"));
    buf_add(&out, p->in.msg.id);
    buf_add(&out, STR(",\"result\":{\"resultType\":\"input_required\",\"inputRequests\":"));
    jout_init(&j, &out);
    jout_object(&j);
    LIST_FOR(pos, &c->questions)
    {
        const struct m2s_question *q = CONTAINER_OF(pos, struct m2s_question, link);
        struct buf name;
        buf_init(&name, sizeof(key));
        buf_addf(&name, "r%d", q->number);
        jout_key(&j, buf_str(&name));
        buf_end(&name);
        jout_object(&j);
        jout_kstr(&j, "method", q->method);
        jout_key(&j, STR("params"));
        params_write(&j, q->params);
        jout_object_end(&j);
    }
    jout_object_end(&j);
    buf_add(&out, STR(",\"requestState\":"));
    int64_t life = c->parked_until - clock_mono_ms();
    bool is_sealed = m2s_state_seal(p->sv->keys, p->a, &binding, str_c(c->handle), c->round,
                                    clock_wall_ms() + life, &out);
    buf_add(&out, STR(",\"_meta\":{"));
    buf_add(&out, m2s_meta_member(p->a, m2s_server_info(p->pooled.initialize)));
    buf_add(&out, STR("}}}"));
    struct str text = is_sealed && buf_ok(&out) ? arena_dup(p->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

struct count {
    const struct m2s_party *party;
    int of_principal, of_user;
};

static bool count_visit(struct str key unused_arg, void *value, void *arg)
{
    const struct m2s_call *c = value;
    struct count *count = arg;
    count->of_principal += str_eq(c->party.principal, count->party->principal);
    count->of_user += str_eq(c->party.user_id, count->party->user_id);
    return false;
}

/* Lets a call wait for its client. With the lock held. False: too many wait. */
static bool park_locked(struct proxied *p, struct m2s_call *c)
{
    struct count count = {.party = &c->party};
    map_each(c->table->calls, count_visit, &count);
    if (count.of_principal >= LIMIT_PARKED_PRINCIPAL || count.of_user >= LIMIT_PARKED_USER ||
        map_count(c->table->calls) >= LIMIT_PARKED)
        return false;
    if (c->handle[0] == '\0') {
        unsigned char fresh[M2S_HANDLE_BYTES];
        rand_bytes(fresh, sizeof(fresh));
        text_hex(c->handle, fresh, sizeof(fresh));
    }
    if (!map_set(c->table->calls, str_c(c->handle), c, NULL))
        return false;
    c->refs++;
    c->round++;
    c->state = M2S_PARKED;
    c->parked_until = clock_mono_ms() + p->sv->config->input_wait_seconds * 1000;
    int number = 0;
    LIST_FOR(pos, &c->questions)
    {
        CONTAINER_OF(pos, struct m2s_question, link)->number = ++number;
    }
    return true;
}

/* Takes body into what goes to the server. False: out of memory. */
static bool answer_push(struct m2s_call *c, const struct buf *body)
{
    struct m2s_item *item = buf_ok(body) ? malloc(sizeof(*item) + body->n) : NULL;
    if (!item)
        return false;
    item->n = body->n;
    memcpy(item->bytes, body->p, body->n);
    list_push(&c->answers, &item->link);
    return true;
}

/* The server hears that its questions have no answer. */
static void questions_refuse_locked(struct m2s_call *c, const char *why)
{
    LIST_FOR_SAFE(pos, next, &c->questions)
    {
        struct m2s_question *q = CONTAINER_OF(pos, struct m2s_question, link);
        struct buf body;
        buf_init(&body, LIMIT_BODY_SMALL);
        rpc_write_error(&body, q->id, false, -32603, str_c(why), STR_NONE);
        if (!c->is_ticket)
            (void)answer_push(c, &body); /* without memory the server waits for its own time-out */
        buf_end(&body);
        list_remove(pos);
        free(q);
    }
    c->n_questions = 0;
    if (!c->is_ticket)
        m2s_answers_post_locked(c);
}

static bool answer(struct proxied *p, struct str text, struct err *e)
{
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return proxied_record(p, "ok", NULL, text.n, e) && proxied_send(p, text, 200, e);
}

static bool park(struct client *k, struct err *e)
{
    struct m2s_call *c = k->call;
    struct str text = STR_NONE;
    pthread_mutex_lock(&c->table->lock);
    bool is_parked = !k->is_large && park_locked(k->p, c);
    if (is_parked) {
        text = input_required(k->p, c);
        c->reader = NULL; /* ours; the next round has its own */
    } else {
        questions_refuse_locked(c, k->is_large ? "the call has half its answer"
                                               : "too many requests wait for their clients");
    }
    pthread_mutex_unlock(&c->table->lock);
    if (!is_parked)
        return true;
    wakeup_unref(k->wakeup); /* the call's */
    k->is_done = true;
    return answer(k->p, text, e);
}

/* ---- -32042: the server wants a URL opened and the call once more ---- */

static bool question_of_elicitation(struct m2s_call *c, struct str elicitation)
{
    if (jscan_type(elicitation) != JTYPE_OBJECT)
        return false;
    struct m2s_question *q = malloc(sizeof(*q) + elicitation.n + 1);
    if (!q)
        return false;
    memcpy(q + 1, elicitation.p, elicitation.n);
    q->id = STR("0");
    q->method = STR("elicitation/create");
    q->params = (struct str){(char *)(q + 1), elicitation.n};
    list_push(&c->questions, &q->link);
    return true;
}

/* A call that has ended with it becomes a ticket: the retry, with the client's consent, begins
 * anew, for the server has done nothing yet. False: it is no such error. */
static bool ticket(struct client *k, const struct upstream_response *r, bool *is_good,
                   struct err *e)
{
    struct m2s_call *c = k->call;
    struct jwant data = {.name = STR("data")}, list = {.name = STR("elicitations")};
    struct err ignored;
    struct jiter it;
    bool is_one = !str_is_absent(r->error) && m2s_error_code(r->error) == URL_ELICITATION &&
                  (c->caps & M2S_URL) && jscan_object(r->error, &data, 1, &ignored) &&
                  !str_is_absent(data.value) && jscan_type(data.value) == JTYPE_OBJECT &&
                  jscan_object(data.value, &list, 1, &ignored) && !str_is_absent(list.value) &&
                  jscan_type(list.value) == JTYPE_ARRAY;
    if (!is_one)
        return false;
    pthread_mutex_lock(&c->table->lock);
    int n = 0;
    for (jscan_iter(&it, list.value); jscan_next(&it) && n < M2S_QUESTIONS;)
        n += question_of_elicitation(c, it.value);
    c->is_ticket = n > 0;
    pthread_mutex_unlock(&c->table->lock);
    if (n > 0)
        *is_good = park(k, e);
    return k->is_done;
}

/* ---- what the server says ---- */

static bool message(struct client *k, struct str text, struct err *e)
{
    struct proxied *p = k->p;
    struct arena *a = arena_new((size_t)2 * LIMIT_SSE_EVENT);
    struct rpc_message m;
    struct str out = STR_NONE;
    if (!a)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    bool is_good = rpc_parse(a, text, &m, e) && proxied_translate(p, a, &m, &out, e);
    if (is_good && !str_is_absent(out) && p->in.accepts_sse) {
        p->is_streaming = true;
        is_good = proxied_event(p, out, e);
    }
    arena_end(a);
    return is_good;
}

static bool response(struct client *k, struct str text, struct err *e)
{
    struct proxied *p = k->p;
    struct upstream_response r;
    bool is_good;
    struct str copy = arena_dup(p->a, text);
    if (str_is_absent(copy))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!upstream_response_parse(p->a, copy, k->call->hop_id, &r, e))
        return false;
    if (ticket(k, &r, &is_good, e))
        return is_good;
    k->is_done = true;
    return proxied_finish(p, &r, 200, e);
}

/* Within an event there are no line ends: JSON has them between its tokens only. */
static bool large_write(struct client *k, struct buf *out, struct err *e)
{
    if (k->p->is_stream_open)
        for (size_t i = 0; i < out->n; i++)
            if (out->p[i] == '\n' || out->p[i] == '\r')
                out->p[i] = ' ';
    k->bytes += out->n;
    return http_stream_write(k->p->rq, buf_str(out), e);
}

/* A JSON answer too large to hold, as it comes: in the event stream if there is one. */
static bool large(struct client *k, const struct m2s_item *item, struct err *e)
{
    struct proxied *p = k->p;
    struct buf out;
    bool is_good = true;
    if (!k->is_large) {
        k->is_large = true;
        jfilter_init(&k->filter, p->in.msg.id);
        m2s_stamp_of(p, &k->stamp);
        jfilter_stamp_with(&k->filter, &k->stamp);
        if (p->is_streaming && !p->is_stream_open)
            is_good = proxied_stream_open(p, e);
        else if (!p->is_streaming)
            is_good = http_stream_begin(p->rq, 200, STR("application/json"), -1, e);
        if (is_good && p->is_stream_open)
            is_good = http_stream_write(p->rq, STR("event: message\ndata: "), e);
    }
    buf_init(&out, LIMIT_BODY_MCP);
    is_good = is_good && jfilter_feed(&k->filter, (struct str){item->bytes, item->n}, &out, e) &&
              large_write(k, &out, e);
    buf_end(&out);
    return is_good;
}

static bool large_end(struct client *k, struct err *e)
{
    struct proxied *p = k->p;
    bool is_good = proxied_large_check(p, &k->filter, e);
    is_good = is_good && (!p->is_stream_open || http_stream_write(p->rq, STR("\n\n"), e)) &&
              proxied_record(p, "ok", NULL, k->bytes, e);
    if (is_good)
        http_stream_end(p->rq);
    k->is_done = is_good;
    return is_good;
}

static bool item_handle(struct client *k, const struct m2s_item *item, struct err *e)
{
    struct str bytes = {item->bytes, item->n};
    switch (item->kind) {
    case M2S_MESSAGE: /* within half an answer there is no place for it */
        return k->is_large || message(k, bytes, e);
    case M2S_RESPONSE:
        return response(k, bytes, e);
    case M2S_CHUNK:
        return large(k, item, e);
    case M2S_END:
        return large_end(k, e);
    default:
        *e = item->failure;
        if (e->code == ERR_SESSION_NOT_FOUND) /* the server's word, not the client's session */
            err_set(e, ERR_UPSTREAM, "the server answered HTTP 404");
        return false;
    }
}

/* ---- a round ---- */

/* Nothing to do now: waits for the server, with a stream to the client when it takes long. */
static bool await_more(struct client *k, struct err *e)
{
    struct proxied *p = k->p;
    struct m2s_call *c = k->call;
    int64_t now = clock_mono_ms(), until = now + LIMIT_CALL_MS;
    bool may_stream = p->in.accepts_sse && !p->is_stream_open && !k->is_large;
    if (may_stream && p->is_streaming && !proxied_stream_open(p, e))
        return false;
    pthread_mutex_lock(&c->table->lock);
    bool is_asked = c->n_questions > 0;
    int64_t asked_at = c->asked_at;
    pthread_mutex_unlock(&c->table->lock);
    if (is_asked && now >= asked_at + M2S_COALESCE_MS)
        return park(k, e);
    if (is_asked)
        until = asked_at + M2S_COALESCE_MS;
    else if (may_stream && !p->is_streaming)
        until = now + QUIET_MS;
    if (wakeup_wait(k->wakeup, until, e))
        return true;
    if (e->code != ERR_TIMEOUT || until >= now + LIMIT_CALL_MS)
        return false;
    p->is_streaming = p->is_streaming || (!is_asked && may_stream);
    return true;
}

static void consume_end(struct client *k, bool is_good)
{
    struct m2s_call *c = k->call;
    pthread_mutex_lock(&c->table->lock);
    if (c->reader == k->wakeup) {
        c->reader = NULL;
        wakeup_unref(k->wakeup);
    }
    if (c->state == M2S_RUNNING && k->is_done && is_good)
        c->state = M2S_OVER;
    else if (!is_good)
        m2s_call_abandon_locked(c);
    pthread_mutex_unlock(&c->table->lock);
    wakeup_unref(k->wakeup);
    m2s_call_unref(c);
}

/* Serves the client until this round is over. Takes the caller's reference; c->reader is the
 * wakeup. */
static bool consume(struct client *k, struct err *e)
{
    struct proxied *p = k->p;
    bool is_good = true;
    p->is_pooled = false; /* the keeper tells the server */
    p->hop_id = p->hop_token = k->call->hop_id;
    buf_init(&p->early, (size_t)2 * LIMIT_SSE_EVENT);
    while (is_good && !k->is_done) {
        struct m2s_item *item = m2s_take(k->call);
        is_good = item ? item_handle(k, item, e) : await_more(k, e);
        free(item);
    }
    if (!is_good && k->is_large)
        http_stream_cut(p->rq); /* half an answer must not be taken for a whole one */
    buf_end(&p->early);
    p->hop_id = p->hop_token = STR_NONE;
    consume_end(k, is_good);
    return is_good;
}

static bool client_open(struct client *k, struct proxied *p, struct m2s_call *c, struct err *e)
{
    *k = (struct client){.p = p, .call = c, .wakeup = wakeup_new()};
    c->caps = m2s_caps_read(p->in.msg.client_capabilities);
    c->level = m2s_level(p->in.msg.log_level);
    return k->wakeup || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool m2s_run(struct proxied *p, struct err *e)
{
    struct str body;
    struct client k;
    struct pool_who who = proxied_pool_who(p);
    if (!session_pool_get(p->sv, p->a, p->entry, &p->cred, &who, &p->pooled, e) ||
        !proxied_ids_choose(p, e) || !proxied_body(p, &body, e))
        return false;
    struct m2s_call *c = m2s_call_new(p);
    if (!c)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    c->body = arena_dup(c->a, body);
    bool is_good = client_open(&k, p, c, e) &&
                   (!str_is_absent(c->body) || err_set(e, ERR_UNAVAILABLE, "out of memory"));
    if (is_good)
        c->reader = wakeup_ref(k.wakeup);
    if (!is_good || !m2s_keeper_start(c, p->sv, e)) {
        wakeup_unref(k.wakeup);
        m2s_call_unref(c);
        return false;
    }
    return consume(&k, e);
}

/* ---- the next round ---- */

static bool expired(struct err *e)
{
    return err_set(e, ERR_INVALID, "request state expired; start again");
}

/* What the client gave for a question: an object, or absent. */
static struct str given(struct str responses, int number)
{
    char name[16];
    struct buf text;
    buf_init(&text, sizeof(name));
    buf_addf(&text, "r%d", number);
    struct jwant want = {.name = buf_str(&text)};
    struct err ignored;
    bool is_there = !str_is_absent(responses) && jscan_object(responses, &want, 1, &ignored) &&
                    !str_is_absent(want.value) && jscan_type(want.value) == JTYPE_OBJECT;
    buf_end(&text);
    return is_there ? want.value : STR_NONE;
}

static bool all_given(const struct m2s_call *c, struct str responses)
{
    LIST_FOR(pos, &c->questions)
    {
        if (str_is_absent(given(responses, CONTAINER_OF(pos, struct m2s_question, link)->number)))
            return false;
    }
    return true;
}

static bool is_accepted(struct str given_object)
{
    struct jwant want = {.name = STR("action")};
    struct err ignored;
    return jscan_object(given_object, &want, 1, &ignored) && !str_is_absent(want.value) &&
           jscan_type(want.value) == JTYPE_STRING && jscan_string_eq(want.value, STR("accept"));
}

/* Moves the client's answers to the server's side. With the lock held. False: out of memory. */
static bool answers_move(struct m2s_call *c, struct str responses, bool *all_accepted)
{
    *all_accepted = true;
    LIST_FOR_SAFE(pos, next, &c->questions)
    {
        struct m2s_question *q = CONTAINER_OF(pos, struct m2s_question, link);
        struct str result = given(responses, q->number);
        struct buf body;
        buf_init(&body, (size_t)2 * LIMIT_BODY_MCP);
        *all_accepted = *all_accepted && is_accepted(result);
        rpc_write_result(&body, q->id, result);
        bool is_good = answer_push(c, &body);
        buf_end(&body);
        if (!is_good)
            return false;
        list_remove(pos);
        free(q);
    }
    c->n_questions = 0;
    return true;
}

enum resumed { RESUMED_NOT, RESUMED_SAME, RESUMED_ON, RESUMED_ANEW, RESUMED_DECLINED };

/* Finds what the state names and takes it out, so that nobody else does. With the lock held. *out:
 * with a reference. */
static enum resumed take_locked(struct proxied *p, struct str handle, int round,
                                struct str responses, struct m2s_call **out, struct str *text)
{
    struct m2s_table *t = p->sv->m2s;
    struct m2s_call *c = map_get(t->calls, handle);
    bool all_accepted;
    if (!c || c->state != M2S_PARKED || c->round != round || c->parked_until <= clock_mono_ms())
        return RESUMED_NOT;
    if (!all_given(c, responses)) {
        *text = input_required(p, c);
        return RESUMED_SAME;
    }
    (void)!map_take(t->calls, handle); /* the table's reference is the caller's now */
    *out = c;
    if (!answers_move(c, responses, &all_accepted)) {
        m2s_call_abandon_locked(c);
        return RESUMED_NOT;
    }
    c->state = c->is_ticket ? M2S_OVER : M2S_RUNNING;
    if (c->is_ticket)
        return all_accepted ? RESUMED_ANEW : RESUMED_DECLINED;
    return RESUMED_ON;
}

static bool declined(struct proxied *p, struct err *e)
{
    if (p->kind != METHOD_TOOL_CALL)
        return err_set(e, ERR_UPSTREAM, "the URL that the server asks for was not opened");
    struct upstream_response r;
    struct str text = arena_printf(
        p->a,
        "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{\"content\":[{\"type\":\"text\","
        "\"text\":\"The URL that the server asks for was not opened.\"}],\"isError\":true}}",
        STR_FMT(p->in.msg.id));
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return upstream_response_parse(p->a, text, p->in.msg.id, &r, e) &&
           proxied_finish(p, &r, 200, e);
}

bool m2s_resume(struct proxied *p, struct str state, struct str responses, struct err *e)
{
    struct m2s_binding binding = binding_of(p);
    struct pool_who who = proxied_pool_who(p);
    struct str handle, text = STR_NONE;
    struct m2s_call *c = NULL;
    struct client k;
    int round;
    if (str_is_absent(state))
        return err_set(e, ERR_INVALID, "params.inputResponses came without a requestState");
    if (!str_is_absent(responses) && jscan_type(responses) != JTYPE_OBJECT)
        return err_set(e, ERR_INVALID, "params.inputResponses is not an object");
    if (!m2s_state_open(p->sv->keys, p->a, &binding, state, clock_wall_ms(), &handle, &round, e))
        return false;
    pthread_mutex_lock(&p->sv->m2s->lock);
    bool is_known = map_get(p->sv->m2s->calls, handle) != NULL;
    pthread_mutex_unlock(&p->sv->m2s->lock);
    if (!is_known)
        return expired(e);
    if (!session_pool_get(p->sv, p->a, p->entry, &p->cred, &who, &p->pooled, e))
        return false;
    pthread_mutex_lock(&p->sv->m2s->lock);
    enum resumed how = take_locked(p, handle, round, responses, &c, &text);
    if (how == RESUMED_ON && client_open(&k, p, c, e)) {
        c->reader = wakeup_ref(k.wakeup);
        m2s_answers_post_locked(c);
    } else if (how == RESUMED_ON) {
        m2s_call_abandon_locked(c);
    }
    bool goes_on = how == RESUMED_ON && c->state == M2S_RUNNING;
    pthread_mutex_unlock(&p->sv->m2s->lock);
    if (goes_on)
        return consume(&k, e);
    if (c)
        m2s_call_unref(c);
    if (how == RESUMED_SAME)
        return answer(p, text, e);
    if (how == RESUMED_ANEW)
        return m2s_run(p, e);
    return how == RESUMED_DECLINED ? declined(p, e) : how == RESUMED_NOT ? expired(e) : false;
}
