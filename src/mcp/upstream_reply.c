/* Answers of MCP servers. */
#include "mcp/upstream_reply.h"

#include "base/clock.h"
#include "base/limits.h"
#include "io/sse.h"
#include "json/jscan.h"
#include "mcp/hop_id.h"

enum { SOON_MS = 100 }; /* no client minds hearing nothing for that long */

enum upstream_body upstream_body_kind(const struct http_answer_head *head)
{
    struct str type = http_header_get(head->headers, head->n_headers, STR("Content-Type"));
    struct str name = str_trim(str_slice(type, 0, str_find_char(type, ';')));
    if (str_ieq(name, STR("application/json")))
        return UPSTREAM_JSON;
    return str_ieq(name, STR("text/event-stream")) ? UPSTREAM_EVENTS : UPSTREAM_OTHER;
}

bool upstream_status_check(const struct http_answer_head *head, bool has_session, struct err *e)
{
    int status = head->status;
    if (status == 200 || status == 202)
        return true;
    if (status == 401 || status == 403)
        return err_set(e, ERR_UPSTREAM_AUTH, "the server refused our credential (HTTP %d)", status);
    if (status == 404 && has_session)
        return err_set(e, ERR_SESSION_NOT_FOUND, "Session not found");
    if (status >= 300 && status < 400)
        return err_set(e, ERR_UPSTREAM,
                       "the server answered with a redirect (HTTP %d), which is not followed",
                       status);
    struct str retry = http_header_get(head->headers, head->n_headers, STR("Retry-After"));
    int64_t seconds;
    if (!str_is_absent(retry) && str_to_i64(str_trim(retry), 0, 86400, &seconds))
        return err_set(e, ERR_UPSTREAM,
                       "the server answered HTTP %d; it asks to retry after %lld s", status,
                       (long long)seconds);
    return err_set(e, ERR_UPSTREAM, "the server answered HTTP %d", status);
}

bool upstream_response_parse(struct arena *a, struct str text, struct str id,
                             struct upstream_response *out, struct err *e)
{
    struct jwant wants[] = {{.name = STR("id")}, {.name = STR("result")}, {.name = STR("error")}};
    if (!jscan_object(text, wants, ARRAY_LEN(wants), e)) {
        struct err why = *e;
        err_set(e, ERR_UPSTREAM, "the server's answer is not valid JSON-RPC: %.200s", why.msg);
        return false;
    }
    if (str_is_absent(wants[0].value) || !hop_id_same(a, wants[0].value, id))
        return err_set(e, ERR_UPSTREAM,
                       "the server answered a request that was not asked (id does not match)");
    if (str_is_absent(wants[1].value) == str_is_absent(wants[2].value))
        return err_set(e, ERR_UPSTREAM,
                       "the server's answer must have either a result or an error");
    if (!str_is_absent(wants[2].value) && jscan_type(wants[2].value) != JTYPE_OBJECT)
        return err_set(e, ERR_UPSTREAM, "the server's error is not an object");
    *out = (struct upstream_response){
        .text = text, .id = wants[0].value, .result = wants[1].value, .error = wants[2].value};
    return true;
}

/* ---- JSON ---- */

static bool read_whole(struct exchange *x, size_t max_held, struct buf *body, struct err *e)
{
    buf_init(body, max_held);
    for (;;) {
        struct str chunk;
        if (!exchange_read(x, &chunk, 0, e))
            return false;
        if (chunk.n == 0)
            return true;
        buf_add(body, chunk);
        if (!buf_ok(body))
            return err_set(e, ERR_TOO_LARGE, "the server's answer is larger than %zu bytes",
                           max_held);
    }
}

static bool read_json(struct arena *a, struct exchange *x, struct str id, size_t max_held,
                      struct upstream_response *out, struct err *e)
{
    struct buf body;
    bool is_read = read_whole(x, max_held, &body, e);
    struct str text = is_read ? arena_dup(a, buf_str(&body)) : STR_NONE;
    buf_end(&body);
    if (!is_read)
        return false;
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return upstream_response_parse(a, text, id, out, e);
}

/* ---- events ---- */

struct event_reader {
    struct arena *arena;
    struct str id;
    const struct upstream_listener *listener; /* NULL: nobody */
    int64_t soon_until_ms;
    bool has_events; /* of which the listener knows */
    bool has_waited;
    bool is_ended;      /* the stream is over, without a response */
    struct str last_id; /* of all its events so far; absent: they have none */
    int64_t retry_ms;
    struct upstream_response *out;
    bool is_answered;
};

/* Peeks whether a message is a response, without parsing it as a request. */
static bool is_response(struct str text)
{
    struct jwant wants[] = {{.name = STR("method")}};
    struct err ignored;
    return jscan_object(text, wants, 1, &ignored) && str_is_absent(wants[0].value);
}

static bool on_event(void *arg, const struct sse_event *event, struct err *e)
{
    struct event_reader *r = arg;
    if (r->is_answered || event->data.n == 0)
        return true;
    if (event->event.n > 0 && !str_eq(event->event, STR("message")))
        return true;
    if (is_response(event->data)) {
        struct str text = arena_dup(r->arena, event->data);
        if (str_is_absent(text))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        r->is_answered = upstream_response_parse(r->arena, text, r->id, r->out, e);
        return r->is_answered;
    }
    if (!r->listener)
        return true;
    r->has_events = true;
    struct arena *one = arena_new((size_t)2 * LIMIT_SSE_EVENT);
    struct rpc_message message;
    bool is_good = one != NULL && rpc_parse(one, event->data, &message, e);
    if (!is_good)
        err_set(e, ERR_UPSTREAM, "the server sent an event that is no JSON-RPC message");
    else
        is_good = r->listener->on_message(r->listener->arg, &message, e);
    arena_end(one);
    return is_good;
}

static bool tell_wait(struct event_reader *r, struct err *e)
{
    if (r->has_waited || !r->listener || !r->listener->on_wait)
        return true;
    r->has_waited = true;
    return r->listener->on_wait(r->listener->arg, e);
}

/*
 * The next bytes; an end is an error here. The listener hears of the wait when it is not short:
 * what a server answers soon reaches the client in one piece, and an error with a status of its
 * own.
 */
static bool next_chunk(struct event_reader *r, struct exchange *x, struct str *chunk, struct err *e)
{
    bool may_be_soon = r->listener && r->listener->on_wait && !r->has_events && !r->has_waited;
    bool is_read = may_be_soon && exchange_read(x, chunk, r->soon_until_ms, e);
    if (!may_be_soon || (!is_read && e->code == ERR_TIMEOUT)) {
        if (!exchange_read_is_ready(x) && !tell_wait(r, e))
            return false;
        is_read = exchange_read(x, chunk, 0, e);
    }
    r->is_ended = is_read ? chunk->n == 0 : e->code == ERR_UPSTREAM;
    if (is_read && r->is_ended)
        return err_set(e, ERR_UPSTREAM, "the server's event stream ended before it had answered");
    return is_read;
}

/* An id that no header can carry counts as none. */
static void remember_id(struct event_reader *r, const struct sse_parser *parser)
{
    struct str id = buf_str(&parser->last_id);
    r->retry_ms = parser->retry_ms;
    if (id.n == 0 || str_eq(id, r->last_id))
        return;
    bool is_fit = id.n <= LIMIT_EVENT_ID;
    for (size_t i = 0; is_fit && i < id.n; i++)
        is_fit = (unsigned char)id.p[i] >= ' ' && (unsigned char)id.p[i] < 0x7F;
    r->last_id = is_fit ? arena_dup(r->arena, id) : STR_NONE;
}

static bool read_stream(struct event_reader *r, struct exchange *x, struct err *e)
{
    struct sse_parser parser;
    sse_parser_init(&parser, on_event, r);
    r->is_ended = false;
    bool is_good = true;
    while (is_good && !r->is_answered) {
        struct str chunk;
        is_good = next_chunk(r, x, &chunk, e) && sse_parser_feed(&parser, chunk, e);
    }
    if (r->is_ended)
        remember_id(r, &parser);
    sse_parser_end(&parser);
    return is_good && r->is_answered;
}

static bool read_events(struct event_reader *r, struct exchange *x, struct err *e)
{
    bool is_good = read_stream(r, x, e);
    for (int n = 0; !is_good && r->is_ended && n < LIMIT_RESUMES; n++) {
        if (!r->listener || !r->listener->resume || str_is_absent(r->last_id) || !tell_wait(r, e))
            return false;
        auto_free(exchange_closep) struct exchange *next =
            r->listener->resume(r->listener->arg, r->last_id, r->retry_ms, e);
        is_good = next && read_stream(r, next, e);
        if (!next)
            return false;
    }
    return is_good;
}

bool upstream_reply_read(struct arena *a, struct exchange *x, const struct http_answer_head *head,
                         struct str id, size_t max_held, const struct upstream_listener *listener,
                         struct upstream_response *out, struct err *e)
{
    switch (upstream_body_kind(head)) {
    case UPSTREAM_JSON:
        return read_json(a, x, id, max_held, out, e);
    case UPSTREAM_EVENTS: {
        struct event_reader reader = {.arena = a,
                                      .id = id,
                                      .listener = listener,
                                      .last_id = STR_NONE,
                                      .out = out,
                                      .soon_until_ms = clock_mono_ms() + SOON_MS};
        return read_events(&reader, x, e);
    }
    default:
        return err_set(e, ERR_UPSTREAM,
                       "the server answered with neither JSON nor an event stream");
    }
}
