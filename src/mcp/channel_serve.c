/* The Streamable HTTP server that a channel plays. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/channel_parts.h"

enum { EDITS_MAX = 4 };

/* Where the administrator says that the server keeps nothing of anyone, one process serves all. Not
 * with personal credentials, which are its environment. */
bool channel_is_shared(const struct connection *conn)
{
    struct jwant wants[] = {{.name = STR("shared_process")}};
    struct err ignored;
    return str_eq(conn->credential_scope, STR("organization")) && !str_is_absent(conn->metadata) &&
           jscan_object(conn->metadata, wants, 1, &ignored) && !str_is_absent(wants[0].value) &&
           jscan_type(wants[0].value) == JTYPE_TRUE;
}

/* The process of the stateless era that serves this principal. */
static struct channel *stateless_channel(struct services *sv, struct arena *a,
                                         const struct upstream_message *m, bool *is_new,
                                         struct err *e)
{
    const struct connection *conn = &m->entry->conn;
    struct str principal = channel_is_shared(conn) ? STR("*") : m->principal;
    struct str key =
        arena_printf(a, "%.*s|%.*s|%lld|%lld", STR_FMT(conn->id), STR_FMT(principal),
                     (long long)conn->updated_at, (long long)m->credential->updated_at);
    if (str_is_absent(key)) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    struct channel *c = channel_find(sv->channels, STR_NONE, key, conn->id);
    *is_new = c == NULL;
    return c ? c : channel_open(sv, a, m, key, e);
}

/* ---- one message ---- */

struct sending {
    struct services *sv;
    struct arena *arena;
    const struct upstream_message *m;
    struct rpc_message rpc;
    struct http_answer_head *head;
    struct channel *c;
    bool is_new; /* the channel was opened for this message */
};

/* White space between tokens is all that a line end can be in valid JSON; on the wire it would end
 * the message. */
static void line_ends_blank(struct str text)
{
    char *p = (char *)(uintptr_t)text.p;
    for (size_t i = 0; i < text.n; i++)
        if (p[i] == '\n' || p[i] == '\r')
            p[i] = ' ';
}

static struct str own_copy(struct str s)
{
    char *p = str_is_absent(s) ? NULL : malloc(s.n + 1);
    if (!p)
        return STR_NONE;
    memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (struct str){p, s.n};
}

/* The message as it goes over the wire. wire_id 0: it is no request. */
static bool body_make(struct sending *s, uint64_t wire_id, struct str cancelled, struct str *out,
                      struct err *e)
{
    struct rpc_edit edits[EDITS_MAX];
    size_t n = 0;
    if (wire_id > 0) {
        struct str id = arena_printf(s->arena, "%llu", (unsigned long long)wire_id);
        edits[n++] = (struct rpc_edit){s->rpc.id, id};
        edits[n++] = (struct rpc_edit){s->rpc.progress_token, id};
        if (str_is_absent(id))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (!str_is_absent(cancelled))
        edits[n++] = (struct rpc_edit){s->rpc.request_id, cancelled};
    *out = rpc_replace(s->arena, s->rpc.raw, edits, n);
    if (str_is_absent(*out))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    line_ends_blank(*out);
    return true;
}

/* What the caller calls a request, as it was called on the wire; also just after it gave up. */
static struct str cancelled_id(struct sending *s)
{
    struct channel *c = s->c;
    uint64_t wire_id = 0;
    if (!str_is_absent(c->key)) /* several clients may use this id; theirs end with their streams */
        return STR_NONE;
    pthread_mutex_lock(&c->lock);
    LIST_FOR(pos, &c->waiting)
    {
        const struct channel_exchange *x = CONTAINER_OF(pos, struct channel_exchange, link);
        if (str_eq(x->id, s->rpc.request_id))
            wire_id = x->wire_id;
    }
    for (size_t i = 0; wire_id == 0 && i < CHANNEL_RECENT; i++)
        if (str_eq(str_c(c->recent[i].id), s->rpc.request_id))
            wire_id = c->recent[i].wire_id;
    pthread_mutex_unlock(&c->lock);
    return wire_id ? arena_printf(s->arena, "%llu", (unsigned long long)wire_id) : STR_NONE;
}

static struct exchange *send_unanswered(struct sending *s, struct err *e)
{
    struct str body, cancelled = STR_NONE;
    if (str_eq(s->rpc.method, STR("notifications/cancelled"))) {
        cancelled = cancelled_id(s);
        if (str_is_absent(cancelled)) /* nothing that this server still works on */
            return channel_exchange_plain(202, s->head, e);
    }
    if (!body_make(s, 0, cancelled, &body, e) ||
        !s->c->carrier->send(s->sv, s->arena, s->c, s->m, body, NULL, e))
        return NULL;
    return channel_exchange_plain(202, s->head, e);
}

/* ---- requests ---- */

static int64_t or_default(int64_t ms, int64_t by_default)
{
    return ms == 0 ? by_default : ms;
}

static void patience_set(struct sending *s, struct channel_exchange *x)
{
    const struct upstream_message *m = s->m;
    int64_t total = or_default(m->total_ms, LIMIT_CALL_MS);
    x->first_byte_ms = or_default(m->first_byte_ms, LIMIT_FIRST_BYTE_MS);
    x->idle_ms = or_default(m->idle_ms, LIMIT_IDLE_MS);
    pthread_mutex_lock(&s->c->lock);
    bool is_starting = !s->c->has_answered;
    pthread_mutex_unlock(&s->c->lock);
    if (is_starting && x->first_byte_ms >= 0 && x->first_byte_ms < LIMIT_STDIO_START_MS)
        x->first_byte_ms = LIMIT_STDIO_START_MS;
    if (is_starting && total >= 0 && total < LIMIT_STDIO_START_MS)
        total = LIMIT_STDIO_START_MS;
    x->deadline = total < 0 ? INT64_MAX : x->since + total;
}

/* Into the list of those who wait. False: the channel has ended. */
static bool wait_begin(struct sending *s, struct channel_exchange *x, struct err *e)
{
    struct channel *c = s->c;
    pthread_mutex_lock(&c->lock);
    bool is_alive = c->state != CHANNEL_ENDED;
    if (is_alive) {
        x->wire_id = ++c->next_id;
        list_push(&c->waiting, &x->link);
    } else {
        *e = c->why;
        x->is_ended = true;
    }
    pthread_mutex_unlock(&c->lock);
    return is_alive;
}

static void head_fill(struct sending *s, struct channel_exchange *x)
{
    x->headers[0] = (struct http_header){STR("Content-Type"), STR("text/event-stream")};
    x->head = (struct http_answer_head){.status = 200, .headers = x->headers, .n_headers = 1};
    if (s->is_new && str_is_absent(s->c->key)) {
        memcpy(x->session_id, s->c->id.p, s->c->id.n);
        x->headers[x->head.n_headers++] =
            (struct http_header){STR("Mcp-Session-Id"), {x->session_id, s->c->id.n}};
    }
    *s->head = x->head;
}

/*
 * Era detection over a pipe (MCP 2026-07-28, stdio): whatever is no answer of the stateless era,
 * silence and exit included, means a server that begins with initialize, on a fresh process. Said
 * as an HTTP server of that era would say it.
 */
static bool is_old_server(struct channel_exchange *x, struct err *e)
{
    struct err why;
    if (!channel_exchange_wait(x, x->since + LIMIT_STDIO_PROBE_MS, &why)) {
        if (why.code == ERR_TIMEOUT)
            return true;
        *e = why;
        return false;
    }
    pthread_mutex_lock(&x->c->lock);
    bool has_ended = x->is_ended && x->in.n == 0;
    *e = x->why;
    pthread_mutex_unlock(&x->c->lock);
    if (!has_ended || e->code == ERR_UNPROCESSABLE) /* it could not be started at all */
        return false;
    e->code = ERR_NONE;
    return true;
}

static void probe_note(struct channel *c)
{
    pthread_mutex_lock(&c->lock);
    c->is_probe = true;
    pthread_mutex_unlock(&c->lock);
}

static struct exchange *probe_finish(struct sending *s, struct channel_exchange *x, struct err *e)
{
    e->code = ERR_NONE;
    bool is_old = is_old_server(x, e);
    if (!is_old && e->code == ERR_NONE)
        return &x->base;
    exchange_close(&x->base);
    channel_stop(s->c);
    return is_old ? channel_exchange_plain(400, s->head, e) : NULL;
}

/* A server of the stateless era alone refuses initialize: said as such a server says it over HTTP.
 */
static struct exchange *initialize_finish(struct sending *s, struct channel_exchange *x,
                                          struct err *e)
{
    int64_t deadline = x->since + x->first_byte_ms;
    if (!channel_exchange_wait(x, deadline < x->deadline ? deadline : x->deadline, e) &&
        e->code != ERR_TIMEOUT) {
        exchange_close(&x->base);
        return NULL;
    }
    pthread_mutex_lock(&x->c->lock);
    bool is_other_era = x->is_other_era;
    pthread_mutex_unlock(&x->c->lock);
    if (!is_other_era)
        return &x->base; /* whatever it is, the reader will find it */
    exchange_close(&x->base);
    return channel_exchange_plain(400, s->head, e);
}

static struct exchange *send_request(struct sending *s, struct err *e)
{
    struct str body = STR_NONE;
    struct channel_exchange *x = channel_exchange_new(s->c, e);
    if (!x)
        return NULL;
    x->id = own_copy(s->rpc.id);
    x->token = own_copy(s->rpc.progress_token);
    x->is_stateless = s->m->era == ERA_STATELESS;
    x->is_listen = str_eq(s->rpc.method, STR("subscriptions/listen"));
    bool is_probe = s->is_new && str_eq(s->rpc.method, STR("server/discover"));
    x->is_first = s->is_new && (!x->is_stateless || is_probe);
    patience_set(s, x);
    if (is_probe)
        probe_note(s->c);
    bool is_good = !str_is_absent(x->id) || err_set(e, ERR_UNAVAILABLE, "out of memory");
    is_good = is_good && wait_begin(s, x, e) && body_make(s, x->wire_id, STR_NONE, &body, e) &&
              s->c->carrier->send(s->sv, s->arena, s->c, s->m, body, x, e);
    if (!is_good) {
        exchange_close(&x->base);
        return NULL;
    }
    x->has_sent = true;
    head_fill(s, x);
    if (is_probe)
        return probe_finish(s, x, e);
    return s->is_new && !x->is_stateless ? initialize_finish(s, x, e) : &x->base;
}

/* ---- GET and DELETE ---- */

static struct exchange *stream_open(struct sending *s, struct err *e)
{
    struct channel *c = s->c;
    struct channel_exchange *x = channel_exchange_new(c, e);
    if (!x)
        return NULL;
    x->is_get = true;
    x->first_byte_ms = x->idle_ms = -1;
    pthread_mutex_lock(&c->lock);
    if (c->listener) /* its client came back before we saw it leave */
        channel_exchange_fail(c->listener, NULL);
    if (c->state == CHANNEL_ENDED) {
        x->is_ended = true;
    } else {
        c->listener = x;
        buf_add(&x->in, buf_str(&c->kept));
        buf_end(&c->kept);
        c->n_kept = 0;
    }
    pthread_mutex_unlock(&c->lock);
    head_fill(s, x);
    return &x->base;
}

/* ---- by method ---- */

static struct exchange *in_session(struct sending *s, struct err *e)
{
    struct str method = s->m->http_method;
    if (str_eq(method, STR("GET")))
        return stream_open(s, e);
    if (str_eq(method, STR("DELETE"))) {
        channel_stop(s->c);
        return channel_exchange_plain(204, s->head, e);
    }
    return s->rpc.kind == RPC_REQUEST ? send_request(s, e) : send_unanswered(s, e);
}

static bool channel_choose(struct sending *s, int *refused, struct err *e)
{
    const struct upstream_message *m = s->m;
    *refused = 0;
    if (!str_is_absent(m->session_id)) {
        s->c = channel_find(s->sv->channels, m->session_id, STR_NONE, m->entry->conn.id);
        *refused = s->c ? 0 : 404;
    } else if (str_is_absent(m->body)) {
        *refused = 405;
    } else if (m->era == ERA_STATELESS && str_eq(m->entry->conn.transport, STR("stdio"))) {
        s->c = stateless_channel(s->sv, s->arena, m, &s->is_new, e);
    } else if (m->era != ERA_STATELESS && str_eq(s->rpc.method, STR("initialize"))) {
        s->c = channel_open(s->sv, s->arena, m, STR_NONE, e);
        s->is_new = true;
    } else {
        *refused = 400; /* HTTP+SSE is of the session era, and a session begins with initialize */
    }
    return s->c || *refused;
}

struct exchange *channel_send(struct services *sv, struct arena *a,
                              const struct upstream_message *m, struct http_answer_head *head,
                              struct err *e)
{
    struct sending s = {.sv = sv, .arena = a, .m = m, .head = head};
    int refused;
    if (str_eq(m->entry->conn.transport, STR("stdio")) && !sv->config->allow_stdio_effective) {
        err_set(e, ERR_UNPROCESSABLE,
                "stdio servers are not allowed on this installation: its operator sets "
                "ALLOW_STDIO=1");
        return NULL;
    }
    if (!str_is_absent(m->body) && !rpc_parse(a, m->body, &s.rpc, e))
        return NULL;
    if (!channel_choose(&s, &refused, e))
        return NULL;
    if (refused)
        return channel_exchange_plain(refused, head, e);
    struct exchange *x = in_session(&s, e);
    if (!x && s.is_new)
        channel_stop(s.c);
    channel_unref(s.c);
    return x;
}
