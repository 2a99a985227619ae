/* Clients of the HTTP+SSE transport. */
#include "mcp/sse_client.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/text.h"
#include "core/caller.h"
#include "core/services.h"
#include "io/fiber.h"
#include "io/forms.h"
#include "io/sse.h"
#include "mcp/inbound.h"
#include "mcp/sse_client_parts.h"

enum { KEY_BYTES = SSE_KEY_HEX / 2, ROOM_EVERY_MS = 20 };

struct sse_clients *sse_clients_new(const struct keyring *keys)
{
    struct sse_clients *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->keys = keys;
    t->by_key = map_new();
    if (!t->by_key) {
        free(t);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void sse_clients_free(struct sse_clients *t)
{
    if (!t)
        return;
    map_free(t->by_key, NULL); /* the fibers that held them are gone */
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void sse_client_release(struct sse_client *c)
{
    pthread_mutex_lock(&c->table->lock);
    bool is_last = --c->refs == 0;
    pthread_mutex_unlock(&c->table->lock);
    if (!is_last)
        return;
    replay_release(c->out);
    wakeup_unref(c->reader);
    free(c->principal);
    free(c->session);
    free(c);
}

/* ---- opening and finding ---- */

struct census {
    struct str principal;
    size_t n;
};

static bool census_visit(struct str key unused_arg, void *value, void *arg)
{
    const struct sse_client *c = value;
    struct census *census = arg;
    census->n += str_eq(str_c(c->principal), census->principal);
    return false;
}

static struct sse_client *client_alloc(struct services *sv, const struct caller *caller)
{
    unsigned char fresh[KEY_BYTES];
    struct sse_client *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    rand_bytes(fresh, sizeof(fresh));
    text_hex(c->key, fresh, sizeof(fresh));
    c->table = sv->sse_clients;
    c->refs = 1;
    c->reader = wakeup_new();
    c->out = replay_open(sv->replays, str_c(c->key), caller->user_id, REPLAY_PIPE, clock_mono_ms());
    c->principal = strndup(caller->principal.p, caller->principal.n);
    if (c->reader && c->out && c->principal)
        return c;
    sse_client_release(c);
    return NULL;
}

struct sse_client *sse_client_new(struct services *sv, const struct caller *caller, struct err *e)
{
    struct sse_clients *t = sv->sse_clients;
    struct census census = {.principal = caller->principal};
    struct sse_client *c = client_alloc(sv, caller);
    if (!c) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    pthread_mutex_lock(&t->lock);
    map_each(t->by_key, census_visit, &census);
    bool has_room = census.n < LIMIT_SESSIONS_PRINCIPAL && map_count(t->by_key) < LIMIT_SESSIONS;
    bool is_kept = has_room && map_set(t->by_key, str_c(c->key), c, NULL);
    pthread_mutex_unlock(&t->lock);
    if (is_kept) {
        replay_read(c->out, c->reader);
        return c;
    }
    err_set(e, ERR_UNAVAILABLE, "too many event streams are open");
    replay_forget(sv->replays, str_c(c->key));
    sse_client_release(c);
    return NULL;
}

/* A message must come from the same principal and to the same address as the stream. */
struct str sse_client_aad(const struct http_request *rq)
{
    const struct caller *caller = rq->user;
    return arena_printf(rq->arena, "%.*s|%.*s", STR_FMT(caller->principal), STR_FMT(rq->path));
}

static struct sse_client *client_find(struct http_request *rq, struct str handle, struct err *e)
{
    struct services *sv = rq->context;
    struct sse_clients *t = sv->sse_clients;
    struct sse_client *c = NULL;
    struct buf key;
    buf_init(&key, SSE_HANDLE_MAX);
    if (handle.n <= SSE_HANDLE_MAX &&
        keyring_open(t->keys, STR(SSE_PURPOSE), sse_client_aad(rq), handle, &key)) {
        pthread_mutex_lock(&t->lock);
        c = map_get(t->by_key, buf_str(&key));
        if (c)
            c->refs++;
        pthread_mutex_unlock(&t->lock);
    }
    buf_end(&key);
    if (!c)
        err_set(e, ERR_SESSION_NOT_FOUND, "Session not found");
    return c;
}

bool sse_client_is_over(struct sse_client *c)
{
    pthread_mutex_lock(&c->table->lock);
    bool is_over = c->is_over;
    pthread_mutex_unlock(&c->table->lock);
    return is_over;
}

static void client_end(struct sse_client *c)
{
    pthread_mutex_lock(&c->table->lock);
    if (!c->is_over) /* else the fiber may be gone, and its loop */
        wakeup_set(c->reader);
    c->is_over = true;
    pthread_mutex_unlock(&c->table->lock);
}

/* ---- inner requests ---- */

static bool is_ours(struct str name)
{
    return str_ieq(name, STR("Mcp-Session-Id")) || str_ieq(name, STR("MCP-Protocol-Version")) ||
           str_ieq(name, STR("Accept")) || str_ieq(name, STR("Last-Event-ID"));
}

/* The headers that a session client of Streamable HTTP would have sent. */
bool sse_client_headers(struct http_inner *in, const struct http_request *outer,
                        struct sse_client *c)
{
    struct arena *a = outer->arena;
    struct http_header *list = arena_alloc(a, (outer->n_headers + 2) * sizeof(*list));
    size_t n = 0;
    if (!list)
        return false;
    for (size_t i = 0; i < outer->n_headers; i++)
        if (!is_ours(outer->headers[i].name))
            list[n++] = outer->headers[i];
    list[n++] = (struct http_header){STR("Accept"), STR("application/json, text/event-stream")};
    pthread_mutex_lock(&c->table->lock);
    struct str session = arena_dup(a, str_c(c->session));
    pthread_mutex_unlock(&c->table->lock);
    if (!str_is_absent(session))
        list[n++] = (struct http_header){STR("Mcp-Session-Id"), session};
    in->rq.headers = list;
    in->rq.n_headers = n;
    return true;
}

bool sse_client_add(struct sse_client *c, struct str bytes, bool may_wait)
{
    struct err e;
    int64_t until_ms = clock_mono_ms() + LIMIT_CLIENT_READ_MS;
    while (!sse_client_is_over(c)) {
        size_t kept = replay_bytes(c->out);
        if (kept == 0 || kept + bytes.n <= LIMIT_REPLAY_BYTES) {
            (void)replay_add(c->out, bytes, clock_mono_ms());
            return true;
        }
        if (!may_wait || clock_mono_ms() > until_ms ||
            !fiber_sleep_until(clock_mono_ms() + ROOM_EVERY_MS, &e))
            return false;
    }
    return false;
}

static void out_message(struct sse_client *c, struct str message)
{
    struct buf event;
    buf_init(&event, SSE_EVENT_MAX);
    sse_write_event(&event, STR("message"), STR_NONE, message);
    if (!buf_ok(&event) || !sse_client_add(c, buf_str(&event), true))
        client_end(c); /* an answer is lost: better all of the stream than that */
    buf_end(&event);
}

/* One message of the client's, and its answer on the way to the stream. */
struct passage {
    struct sse_client *client;
    struct buf held; /* a JSON answer that comes in pieces */
    bool holds;
};

static void session_take(struct sse_client *c, const struct http_inner *in)
{
    struct str id = http_header_get(in->headers, in->n_headers, STR("Mcp-Session-Id"));
    char *copy = id.n > 0 ? strndup(id.p, id.n) : NULL;
    if (!copy)
        return;
    pthread_mutex_lock(&c->table->lock);
    char *before = c->session;
    c->session = copy;
    pthread_mutex_unlock(&c->table->lock);
    free(before);
}

static bool is_events(struct str content_type)
{
    return str_starts(content_type, STR("text/event-stream"));
}

static void on_answer(struct http_inner *in, struct str content_type, struct str body)
{
    struct passage *passage = in->arg;
    struct sse_client *c = passage->client;
    session_take(c, in);
    if (is_events(content_type)) {
        if (!sse_client_add(c, body, true))
            client_end(c);
    } else if (body.n > 0) {
        out_message(c, body);
    }
    if (in->rq.answered_status == 404) /* the session beneath is gone */
        client_end(c);
}

static bool on_begin(struct http_inner *in, struct str content_type, struct err *e unused_arg)
{
    struct passage *passage = in->arg;
    session_take(passage->client, in);
    passage->holds = !is_events(content_type);
    return true;
}

static bool on_bytes(struct http_inner *in, struct str bytes, bool may_wait, struct err *e)
{
    struct passage *passage = in->arg;
    if (passage->holds) {
        buf_add(&passage->held, bytes);
        return buf_ok(&passage->held) ||
               err_set(e, ERR_TOO_LARGE, "the answer is larger than %d bytes",
                       (int)LIMIT_ANSWER_HELD);
    }
    return sse_client_add(passage->client, bytes, may_wait) ||
           err_set(e, ERR_CANCELLED, "the client left");
}

static void on_end(struct http_inner *in, bool is_whole)
{
    struct passage *passage = in->arg;
    struct rpc_message m = {0};
    struct buf out;
    struct err e;
    if (!passage->holds)
        return;
    passage->holds = false;
    if (is_whole) {
        out_message(passage->client, buf_str(&passage->held));
        return;
    }
    (void)!rpc_parse(in->rq.arena, in->rq.body, &m, &e);
    err_set(&e, ERR_UPSTREAM,
            "the server's answer was cut off, or is too large for this transport");
    buf_init(&out, LIMIT_BODY_SMALL);
    rpc_error_from(&out, m.id, true, &e);
    out_message(passage->client, buf_str(&out));
    buf_end(&out);
}

static const struct http_inner_ops passage_ops = {on_answer, on_begin, on_bytes, on_end};

/* ---- POST ---- */

static void post_refuse(struct http_request *rq, struct inbound *in, const struct err *e)
{
    in->era = ERA_SESSION;
    inbound_fail(rq, in, 0, e);
}

static void message_run(struct http_request *rq, struct sse_client *c, const struct rpc_message *m,
                        const struct sse_door *door)
{
    struct http_inner *in = arena_alloc(rq->arena, sizeof(*in));
    struct passage *passage = arena_alloc(rq->arena, sizeof(*passage));
    if (!in || !passage) {
        client_end(c);
        return;
    }
    passage->client = c;
    buf_init(&passage->held, LIMIT_ANSWER_HELD);
    http_inner_init(in, rq, rq->body, &passage_ops, passage);
    if (sse_client_headers(in, rq, c)) {
        door->post(&in->rq);
        http_inner_returned(in);
        rq->failure = in->rq.failure;
    }
    buf_end(&passage->held);
    if (!str_eq(m->method, STR("notifications/initialized")))
        return;
    pthread_mutex_lock(&c->table->lock);
    c->wants_stream = true;
    if (!c->is_over)
        wakeup_set(c->reader);
    pthread_mutex_unlock(&c->table->lock);
}

static void post(struct http_request *rq, struct str handle, const struct sse_door *door)
{
    struct inbound in = {.era = ERA_SESSION};
    struct rpc_message m;
    struct err e;
    struct sse_client *c = client_find(rq, handle, &e);
    if (!c || !inbound_media_check(rq, &in, &e) || !rpc_parse(rq->arena, rq->body, &m, &e)) {
        post_refuse(rq, &in, &e);
    } else {
        /* From here on the client's leaving this request is nothing: it has been answered. */
        http_answer(rq, 202, STR("text/plain"), STR("Accepted"));
        message_run(rq, c, &m, door);
    }
    if (c)
        sse_client_release(c);
}

/* ---- the door ---- */

static bool is_old_get(struct http_request *rq)
{
    struct str version = str_trim(http_request_header(rq, STR("MCP-Protocol-Version")));
    struct str accept = http_request_header(rq, STR("Accept"));
    bool is_old = version.n == 0 || str_eq(version, STR("2024-11-05"));
    return is_old && str_is_absent(http_request_header(rq, STR("Mcp-Session-Id"))) &&
           !str_is_absent(accept) && str_find(accept, STR("text/event-stream")) != SIZE_MAX;
}

bool sse_client_serve(struct http_request *rq, const struct sse_door *door)
{
    struct form query;
    struct str handle;
    struct err e;
    if (rq->method == HTTP_GET && is_old_get(rq)) {
        sse_client_stream(rq, door);
        return true;
    }
    if (rq->method != HTTP_POST || str_is_absent(rq->query) ||
        str_find(rq->query, STR("sessionId=")) == SIZE_MAX ||
        !form_parse(rq->arena, rq->query, &query, &e) ||
        form_get(&query, STR("sessionId"), &handle) != FORM_ONCE)
        return false;
    post(rq, handle, door);
    return true;
}
