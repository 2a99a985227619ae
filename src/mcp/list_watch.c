#include "mcp/list_watch.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "io/sse.h"
#include "mcp/hop_id.h"
#include "mcp/upstream_era.h"
#include "mcp/upstream_pool.h"
#include "mcp/upstream_reply.h"
#include "mcp/upstream_send.h"

enum {
    WATCH_ARENA = 32 * 1024 * 1024,
    PAUSE_FIRST_MS = 500,
    PAUSE_MAX_MS = 60 * 1000,
    USELESS_MS = 10 * 60 * 1000, /* a server without such streams may be upgraded */
};

static atomic_int watching; /* of the process */

struct list_watch {
    struct list link, listeners; /* in the worker's */
    struct services *sv;
    struct arena *a;
    struct str key, org_id, connection_id, user_id, principal;
    struct fiber *fiber;
    bool is_over; /* nobody listens any more */
    /* of the stream that is open */
    struct registry_entry *entry;
    struct credential cred;
    struct str session_key; /* pinned in the pool; absent: none */
};

/* ---- what is heard ---- */

static const struct {
    struct str method;
    enum list_kind kind;
} changes[] = {
    {STR("notifications/tools/list_changed"), LIST_TOOLS},
    {STR("notifications/prompts/list_changed"), LIST_PROMPTS},
    {STR("notifications/resources/list_changed"), LIST_RESOURCES},
};

static void emit(struct list_watch *w, enum list_kind kind)
{
    list_cache_forget(w->connection_id, kind);
    if (kind == LIST_RESOURCES)
        list_cache_forget(w->connection_id, LIST_TEMPLATES);
    LIST_FOR_SAFE(pos, next, &w->listeners)
    {
        struct list_listener *l = CONTAINER_OF(pos, struct list_listener, link);
        l->on_change(l, kind);
    }
}

static bool on_event(void *arg, const struct sse_event *event, struct err *e unused_arg)
{
    struct list_watch *w = arg;
    struct arena *a = event->data.n ? arena_new((size_t)2 * LIMIT_SSE_EVENT) : NULL;
    struct rpc_message m;
    struct err ignored; /* what is no message changes nothing */
    if (!a)
        return true;
    if (rpc_parse(a, event->data, &m, &ignored) && m.kind == RPC_NOTIFICATION)
        for (size_t i = 0; i < ARRAY_LEN(changes); i++)
            if (str_eq(changes[i].method, m.method))
                emit(w, changes[i].kind);
    arena_end(a);
    return true;
}

/* ---- one stream ---- */

static bool session_message(struct list_watch *w, struct arena *a, struct upstream_message *m,
                            struct err *e)
{
    struct upstream_session session;
    /* A session has one stream, and those of calls may have it already. */
    struct pool_who who = {.principal = arena_printf(a, "%.*s|lists", STR_FMT(w->principal))};
    if (str_is_absent(who.principal))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!session_pool_get(w->sv, a, w->entry, &w->cred, &who, &session, e))
        return false;
    if (str_is_absent(session.id))
        return err_set(e, ERR_METHOD_NOT_ALLOWED, "the server keeps no sessions");
    w->session_key = session_pool_key(a, w->entry, &w->cred, &who);
    if (!str_is_absent(w->session_key))
        session_pool_pin(w->sv->pool, w->session_key);
    m->http_method = STR("GET");
    m->session_id = session.id;
    m->version = session.version;
    return true;
}

static bool stateless_message(struct list_watch *w, struct arena *a, struct upstream_message *m,
                              struct err *e)
{
    m->http_method = STR("POST");
    m->version = STR(MCP_STATELESS_LATEST);
    m->method = STR("subscriptions/listen");
    m->body = arena_printf(a,
                           "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":\"subscriptions/listen\","
                           "\"params\":{\"_meta\":%s,\"notifications\":{\"toolsListChanged\":true,"
                           "\"promptsListChanged\":true,\"resourcesListChanged\":true}}}",
                           STR_FMT(hop_id_fresh(a, w->sv->worker)), UPSTREAM_META);
    return !str_is_absent(m->body) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ERR_METHOD_NOT_ALLOWED: the server has no such stream. */
static struct exchange *stream_open(struct list_watch *w, struct arena *a, struct err *e)
{
    struct http_answer_head head;
    enum era era;
    if (!registry_get(w->sv, a, w->org_id, w->connection_id, &w->entry, e) ||
        !credential_load(w->sv, a, w->entry, w->user_id, &w->cred, e) ||
        !upstream_era_find(w->sv, a, w->entry, &w->cred, &era, NULL, e))
        return NULL;
    struct upstream_message m = {.entry = w->entry,
                                 .credential = &w->cred,
                                 .principal = w->principal,
                                 .era = era,
                                 .first_byte_ms = LIMIT_PROBE_MS,
                                 .idle_ms = -1,
                                 .total_ms = -1};
    if (!(era == ERA_STATELESS ? stateless_message(w, a, &m, e) : session_message(w, a, &m, e)))
        return NULL;
    struct exchange *x = upstream_send(w->sv, a, &m, &head, e);
    if (x && head.status == 200 && upstream_body_kind(&head) == UPSTREAM_EVENTS)
        return x;
    exchange_close(x);
    if (x)
        err_set(e, ERR_METHOD_NOT_ALLOWED, "the server has no stream of notifications");
    return NULL;
}

static void stream_end(struct list_watch *w)
{
    if (!str_is_absent(w->session_key))
        session_pool_unpin(w->sv->pool, w->session_key);
    w->session_key = STR_NONE;
    credential_end(&w->cred);
}

/* Opens and reads one stream until it breaks. True: it was open. */
static bool stream_run(struct list_watch *w, bool may_have_missed, struct err *e)
{
    struct arena *a = arena_new(WATCH_ARENA);
    struct sse_parser parser;
    struct str chunk = STR("");
    struct exchange *x = a ? stream_open(w, a, e) : NULL;
    bool was_open = x != NULL;
    if (!a)
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; was_open && may_have_missed && i < ARRAY_LEN(changes); i++)
        emit(w, changes[i].kind);
    sse_parser_init(&parser, on_event, w);
    while (was_open && !w->is_over && exchange_read(x, &chunk, INT64_MAX, e) && chunk.n > 0 &&
           sse_parser_feed(&parser, chunk, e))
        continue;
    sse_parser_end(&parser);
    exchange_close(x);
    stream_end(w);
    arena_end(a);
    return was_open;
}

static void watch_run(void *arg)
{
    struct list_watch *w = arg;
    struct err e = {.code = ERR_NONE};
    int64_t pause = PAUSE_FIRST_MS;
    bool was_open = false;
    while (!w->is_over) {
        bool is_open = stream_run(w, was_open, &e);
        was_open = was_open || is_open;
        pause = is_open                            ? PAUSE_FIRST_MS
                : e.code == ERR_METHOD_NOT_ALLOWED ? USELESS_MS
                : pause < PAUSE_MAX_MS / 2         ? pause * 2
                                                   : PAUSE_MAX_MS;
        if (w->is_over || !fiber_sleep_until(clock_mono_ms() + pause, &e))
            break;
    }
    LIST_FOR_SAFE(pos, next, &w->listeners)
    {
        struct list_listener *l = CONTAINER_OF(pos, struct list_listener, link);
        list_remove(&l->link);
        l->watch = NULL;
    }
    list_remove(&w->link);
    arena_end(w->a); /* w is in it */
    atomic_fetch_sub(&watching, 1);
}

/* ---- who listens ---- */

/* Whose eyes: everybody's for whom the server sees the same credential. That a list has changed is
 * no secret, and a stream for each key of each person would be many. A process is one's own. */
static struct str eyes_of(struct arena *a, const struct caller *caller,
                          const struct registry_entry *entry)
{
    bool is_personal =
        !str_eq(entry->conn.auth, STR("none")) && str_eq(entry->conn.credential_scope, STR("user"));
    if (str_eq(entry->conn.transport, STR("stdio")))
        return caller->principal;
    return arena_printf(a, "%.*s|%.*s|", STR_FMT(entry->conn.org_id),
                        STR_FMT(is_personal ? caller->user_id : STR("")));
}

static struct list_watch *watch_find(struct services *sv, struct str key)
{
    LIST_FOR(pos, &sv->list_watches)
    {
        struct list_watch *w = CONTAINER_OF(pos, struct list_watch, link);
        if (!w->is_over && str_eq(w->key, key))
            return w;
    }
    return NULL;
}

static struct list_watch *watch_new(struct services *sv, const struct caller *caller,
                                    const struct registry_entry *entry, struct str eyes,
                                    struct str key)
{
    struct arena *a = arena_new(LIMIT_BODY_FORM);
    struct list_watch *w = a ? arena_alloc(a, sizeof(*w)) : NULL;
    if (!w) {
        arena_end(a);
        return NULL;
    }
    *w = (struct list_watch){.sv = sv,
                             .a = a,
                             .key = arena_dup(a, key),
                             .org_id = arena_dup(a, entry->conn.org_id),
                             .connection_id = arena_dup(a, entry->conn.id),
                             .user_id = arena_dup(a, caller->user_id),
                             .principal = arena_dup(a, eyes)};
    list_init(&w->listeners);
    if (str_is_absent(w->key) || str_is_absent(w->connection_id) || str_is_absent(w->principal)) {
        arena_end(a);
        return NULL;
    }
    return w;
}

bool list_watch_join(struct services *sv, const struct caller *caller,
                     const struct registry_entry *entry, struct list_listener *l, struct err *e)
{
    struct arena *a = arena_new(LIMIT_BODY_FORM);
    struct str eyes = a ? eyes_of(a, caller, entry) : STR_NONE;
    struct str key = str_is_absent(eyes)
                         ? STR_NONE
                         : arena_printf(a, "%.*s|%.*s", STR_FMT(entry->conn.id), STR_FMT(eyes));
    struct list_watch *w = str_is_absent(key) ? NULL : watch_find(sv, key);
    bool is_new = !w && !str_is_absent(key);
    if (is_new && atomic_load(&watching) >= LIMIT_LIST_WATCHES) {
        arena_end(a); /* this one's lists are as new as their time to live */
        return true;
    }
    if (is_new)
        w = watch_new(sv, caller, entry, eyes, key);
    arena_end(a);
    if (!w)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    l->watch = w;
    list_push(&w->listeners, &l->link);
    if (!is_new)
        return true;
    list_push(&sv->list_watches, &w->link);
    atomic_fetch_add(&watching, 1);
    if (fiber_start(sv->loop, watch_run, w, &w->fiber, e))
        return true;
    atomic_fetch_sub(&watching, 1);
    list_remove(&l->link);
    l->watch = NULL;
    list_remove(&w->link);
    arena_end(w->a);
    return false;
}

void list_watch_leave(struct list_listener *l)
{
    struct list_watch *w = l->watch;
    if (!w)
        return;
    l->watch = NULL;
    list_remove(&l->link);
    if (!list_is_empty(&w->listeners) || w->is_over)
        return;
    w->is_over = true;
    if (w->fiber)
        fiber_cancel(w->fiber);
}

void list_watch_stop(struct services *sv)
{
    LIST_FOR(pos, &sv->list_watches)
    {
        struct list_watch *w = CONTAINER_OF(pos, struct list_watch, link);
        w->is_over = true;
        if (w->fiber)
            fiber_cancel(w->fiber);
    }
}
