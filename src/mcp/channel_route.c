/* Where a message of the server goes: to the request it belongs to, to the stream of GET, or to
 * nobody. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/sse.h"
#include "json/jscan.h"
#include "log/log.h"
#include "log/metrics.h"
#include "mcp/channel_parts.h"
#include "mcp/listen_ack.h"

enum { REFUSAL_BYTES = 1024 };

/* ---- who ---- */

/* Ids on the wire are decimal numbers. */
static bool wire_id_read(struct str raw, uint64_t *out)
{
    int64_t n;
    if (str_is_absent(raw) || !str_to_i64(raw, 1, INT64_MAX, &n))
        return false;
    *out = (uint64_t)n;
    return true;
}

struct channel_exchange *channel_waiting(struct channel *c, struct str wire_id)
{
    uint64_t wanted;
    if (!wire_id_read(wire_id, &wanted))
        return NULL;
    LIST_FOR(pos, &c->waiting)
    {
        struct channel_exchange *x = CONTAINER_OF(pos, struct channel_exchange, link);
        if (x->wire_id == wanted)
            return x;
    }
    return NULL;
}

static struct channel_exchange *only_one(struct channel *c)
{
    bool is_one = !list_is_empty(&c->waiting) && c->waiting.next == c->waiting.prev;
    return is_one ? CONTAINER_OF(c->waiting.next, struct channel_exchange, link) : NULL;
}

/* Whom a message without a name concerns. Not where one caller's could go to another. */
static struct channel_exchange *likely(struct channel *c)
{
    return c->is_shared ? NULL : only_one(c);
}

static struct channel_exchange *newest(struct channel *c)
{
    return c->is_shared || list_is_empty(&c->waiting)
               ? NULL
               : CONTAINER_OF(c->waiting.prev, struct channel_exchange, link);
}

/* ---- answers ---- */

/* The subscription's name within an object that has _meta; absent: none. */
static struct str subscription_in(struct str meta)
{
    struct jwant wants[] = {{.name = STR(META_SUBSCRIPTION_ID)}};
    struct err ignored;
    return !str_is_absent(meta) && jscan_type(meta) == JTYPE_OBJECT &&
                   jscan_object(meta, wants, 1, &ignored)
               ? wants[0].value
               : STR_NONE;
}

static struct str result_meta(struct str result)
{
    struct jwant wants[] = {{.name = STR("_meta")}};
    struct err ignored;
    return !str_is_absent(result) && jscan_type(result) == JTYPE_OBJECT &&
                   jscan_object(result, wants, 1, &ignored)
               ? wants[0].value
               : STR_NONE;
}

/* A text with up to two spans replaced by the caller's own id, pushed. */
static void push_restored(struct channel_exchange *x, struct arena *a, const struct rpc_message *m,
                          const struct rpc_edit *edits, size_t n)
{
    struct str text = rpc_replace(a, m->raw, edits, n);
    struct err why;
    if (!str_is_absent(text)) {
        channel_exchange_push(x, text);
        return;
    }
    err_set(&why, ERR_UNAVAILABLE, "out of memory");
    channel_exchange_fail(x, &why);
}

/* An answer to what was never asked says that this server mixes up its ids: whoever waits alone
 * need not wait for the end of time. An id of ours that nobody waits for was cancelled. */
static void answer_to_nobody(struct channel *c, const struct rpc_message *m)
{
    uint64_t id;
    struct err why;
    metric_add(M_PEER_BUGS, 1);
    struct channel_exchange *x = only_one(c);
    if (!x || (wire_id_read(m->id, &id) && id <= c->next_id))
        return;
    err_set(&why, ERR_UPSTREAM, "the server answered a request that was not asked");
    channel_exchange_fail(x, &why);
}

/* -32020 to -32022 belong to the stateless era alone (MCP 2026-07-28, Errors). */
static bool is_stateless_refusal(struct str error)
{
    struct jwant wants[] = {{.name = STR("code")}};
    struct err ignored;
    int64_t code;
    return !str_is_absent(error) && jscan_object(error, wants, 1, &ignored) &&
           jscan_i64(wants[0].value, &code) && code <= -32020 && code >= -32022;
}

static void on_response(struct channel *c, struct arena *a, const struct rpc_message *m)
{
    struct channel_exchange *x = channel_waiting(c, m->id);
    c->has_answered = true;
    if (!x) {
        answer_to_nobody(c, m);
        return;
    }
    struct rpc_edit edits[] = {{m->id, x->id}, {STR_NONE, x->id}};
    if (x->is_listen)
        edits[1].span = subscription_in(result_meta(m->result));
    push_restored(x, a, m, edits, ARRAY_LEN(edits));
    x->is_other_era = is_stateless_refusal(m->error);
    channel_exchange_fail(x, NULL);
    /* A refused beginning leaves nothing to keep. */
    if (x->is_first && str_is_absent(m->result)) {
        c->wants_stop = true;
        channel_wake(c);
    }
}

/* ---- the rest ---- */

/* Kept for a GET that comes soon; the oldest are not missed as much as the newest. */
static void keep(struct channel *c, struct str text)
{
    if (c->n_kept == LIMIT_CHANNEL_KEPT ||
        c->kept.n + text.n > (size_t)LIMIT_CHANNEL_KEPT_BYTES / 2) {
        buf_reset(&c->kept);
        c->n_kept = 0;
    }
    sse_write_event(&c->kept, STR("message"), STR_NONE, text);
    if (buf_ok(&c->kept))
        c->n_kept++;
    else
        buf_reset(&c->kept);
}

static void to_stream(struct channel *c, struct str text)
{
    if (c->listener)
        channel_exchange_push(c->listener, text);
    else if (str_is_absent(c->key)) /* a stateless process has no stream of its own */
        keep(c, text);
}

static bool is_of_session(struct str method)
{
    return str_ends(method, STR("/list_changed")) ||
           str_eq(method, STR("notifications/resources/updated"));
}

static void on_notification(struct channel *c, struct arena *a, const struct rpc_message *m)
{
    if (str_eq(m->method, STR("notifications/progress"))) {
        struct channel_exchange *x = channel_waiting(c, m->params_progress_token);
        if (x && x->token.p)
            push_restored(x, a, m, &(struct rpc_edit){m->params_progress_token, x->token}, 1);
        return;
    }
    struct str subscription = subscription_in(m->meta);
    struct channel_exchange *listening = channel_waiting(c, subscription);
    if (listening && listening->is_listen) {
        push_restored(listening, a, m, &(struct rpc_edit){subscription, listening->id}, 1);
        return;
    }
    struct channel_exchange *x = is_of_session(m->method) ? NULL : likely(c);
    if (x)
        channel_exchange_push(x, m->raw);
    else
        to_stream(c, m->raw);
}

/* Said by the channel itself, in the place of a client. */
static void answer(struct channel *c, struct str id, const char *refusal)
{
    struct buf text;
    buf_init(&text, REFUSAL_BYTES + LIMIT_RPC_ID);
    if (refusal)
        rpc_write_error(&text, id, false, -32603, str_c(refusal), STR_NONE);
    else
        rpc_write_result(&text, id, STR("{}"));
    buf_add_char(&text, '\n');
    if (buf_ok(&text) && c->backlog + c->out.n + text.n < LIMIT_STDIO_QUEUE)
        buf_add(&c->out, buf_str(&text));
    buf_end(&text);
    channel_wake(c);
}

/* A request of the server's goes out with the call that caused it, as far as that can be known;
 * within a session every stream leads to the same client. */
static void on_request(struct channel *c, const struct rpc_message *m)
{
    if (str_eq(m->method, STR("ping"))) {
        answer(c, m->id, NULL);
        return;
    }
    struct channel_exchange *x = likely(c);
    if (!x)
        x = c->listener ? c->listener : newest(c);
    if (x)
        channel_exchange_push(x, m->raw);
    else if (str_is_absent(c->key) && c->n_kept < LIMIT_CHANNEL_KEPT / 2)
        keep(c, m->raw);
    else
        answer(c, m->id, "there is nobody to ask");
}

/* What is no message is often a program's log on the wrong stream: it is passed over, unless it
 * was meant to be the answer that somebody waits for. */
static void on_nonsense(struct channel *c, struct str text, const struct err *e)
{
    metric_add(M_PEER_BUGS, 1);
    struct channel_exchange *x = only_one(c);
    if (!x || str_find(str_slice(text, 0, 64), STR("\"jsonrpc\"")) == SIZE_MAX)
        return;
    struct err why;
    err_set(&why, ERR_UPSTREAM, "the server's answer is not valid JSON-RPC: %.200s", e->msg);
    channel_exchange_fail(x, &why);
}

void channel_incoming(struct channel *c, struct str text)
{
    struct arena *a = arena_new((size_t)3 * LIMIT_STDIO_LINE);
    struct rpc_message m;
    struct err e;
    text = str_trim(text);
    if (!a || text.n == 0) {
        arena_end(a);
        return;
    }
    bool is_message = rpc_parse(a, text, &m, &e);
    atomic_store(&c->used_at, clock_mono_ms());
    pthread_mutex_lock(&c->lock);
    if (!is_message)
        on_nonsense(c, text, &e);
    else if (m.kind == RPC_RESPONSE)
        on_response(c, a, &m);
    else if (m.kind == RPC_NOTIFICATION)
        on_notification(c, a, &m);
    else
        on_request(c, &m);
    pthread_mutex_unlock(&c->lock);
    arena_end(a);
}
