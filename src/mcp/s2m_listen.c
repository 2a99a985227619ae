/*
 * A session's subscriptions/listen at its stateless server: a small record on one worker, without a
 * fiber while it is open. What it hears goes to the session, whose GET stream may be elsewhere.
 * A stream that breaks is opened again; what may have been missed is said once.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "io/fiber.h"
#include "io/sse.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/hop_id.h"
#include "mcp/listen_ack.h"
#include "mcp/listen_tasks.h"
#include "mcp/s2m.h"

enum { ARENA = 16 * 1024 * 1024, FIRST_PAUSE_MS = 500, LIVED_MS = 10 * 1000 };

static const struct {
    struct str capability, kind, method;
} kinds[] = {
    {STR("tools"), STR("toolsListChanged"), STR("notifications/tools/list_changed")},
    {STR("prompts"), STR("promptsListChanged"), STR("notifications/prompts/list_changed")},
    {STR("resources"), STR("resourcesListChanged"), STR("notifications/resources/list_changed")},
};

struct listen {
    struct list link; /* in the worker's */
    struct services *sv;
    struct client_session *session; /* held */
    char *connection_id;
    struct exchange *exchange; /* NULL: not open */
    struct sse_parser parser;
    struct loop_timer retry;
    int64_t pause_ms, opened_at;
    struct fiber *opening; /* the fiber that waits for the acknowledgement, or NULL */
    struct loop_task stop; /* posted once, when the session lets go of this */
    struct str wanted_uri; /* while opening: must be honoured; absent: none */
    struct str *asked;     /* while opening: the URIs that this stream is to be about */
    size_t n_asked;
    struct listen_tasks tasks; /* of an aggregate's part: asked for, then honoured; in keep */
    struct arena *keep;        /* NULL: no tasks */
    uint64_t turn;             /* in which they were read */
    bool is_uri_honoured;
    bool is_acknowledged, has_ended; /* this stream */
    bool is_useless;                 /* the server acknowledged nothing */
    bool is_attached;                /* to the session, at some time */
    bool is_stopping;
    unsigned heard; /* kinds that were acknowledged, ever */
};

/* ---- memory ---- */

static void stream_close(struct listen *l)
{
    exchange_close(l->exchange);
    l->exchange = NULL;
    sse_parser_end(&l->parser);
}

static void listen_free(struct listen *l)
{
    loop_timer_stop(l->sv->loop, &l->retry);
    stream_close(l);
    list_remove(&l->link);
    client_session_release(l->session);
    arena_end(l->keep);
    free(l->connection_id);
    free(l);
}

/* From the loop, never while a fiber opens it. */
static void listen_end(struct listen *l)
{
    l->is_stopping = true;
    loop_timer_stop(l->sv->loop, &l->retry);
    if (l->opening)
        fiber_cancel(l->opening); /* it frees */
    else
        listen_free(l);
}

static void stop_run(struct loop_task *task)
{
    listen_end(CONTAINER_OF(task, struct listen, stop));
}

/* The session has ended or listens elsewhere now. Any thread. */
static void let_go(void *arg)
{
    struct listen *l = arg;
    loop_post(l->sv->loop, &l->stop);
}

/* Nothing more comes of it. When the session has let go already, stop_run frees. */
static void give_up(struct listen *l)
{
    if (client_session_attach(l->session, NULL, l))
        listen_free(l);
}

/* ---- what the server says ---- */

static bool is_true(struct str value)
{
    return !str_is_absent(value) && jscan_type(value) == JTYPE_TRUE;
}

static bool is_in(struct str uris, struct str uri, struct arena *a)
{
    struct jiter it;
    struct str one;
    if (!str_is_absent(uris) && jscan_type(uris) == JTYPE_ARRAY)
        for (jscan_iter(&it, uris); jscan_next(&it);)
            if (jscan_string(a, it.value, &one) && str_eq(one, uri))
                return true;
    return false;
}

/* What the server does not honour is not subscribed to: an aggregate's client is told so. What came
 * after the question is asked for by another stream. */
static void branch_trim(struct listen *l, struct arena *a, struct str honoured)
{
    for (size_t i = 0; client_session_is_branch(l->session) && i < l->n_asked; i++)
        if (!is_in(honoured, l->asked[i], a))
            client_session_unsubscribe(l->session, l->asked[i]);
}

static void tasks_trim(struct listen *l, struct arena *a, struct str honoured)
{
    size_t n = 0;
    for (size_t i = 0; i < l->tasks.n; i++)
        if (is_in(honoured, l->tasks.ids[i], a))
            l->tasks.ids[n++] = l->tasks.ids[i];
    l->tasks.n = n;
}

static void acknowledged(struct listen *l, struct arena *a, const struct rpc_message *m)
{
    struct str honoured = jscan_member(m->params, STR("notifications"));
    struct str uris = jscan_member(honoured, STR("resourceSubscriptions"));
    unsigned now = 0;
    tasks_trim(l, a, jscan_member(honoured, STR("taskIds")));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        now |= is_true(jscan_member(honoured, kinds[i].kind)) ? 1U << i : 0;
    bool has_uris = !str_is_absent(uris) && jscan_type(uris) == JTYPE_ARRAY &&
                    str_trim(str_slice(uris, 1, uris.n - 2)).n > 0;
    l->is_uri_honoured = !str_is_absent(l->wanted_uri) && is_in(uris, l->wanted_uri, a);
    branch_trim(l, a, uris);
    l->heard |= now;
    l->is_useless = now == 0 && !has_uris && l->tasks.n == 0;
    l->is_acknowledged = true;
}

/* Without the subscription's id, which session clients do not know. */
static struct str notification_write(struct arena *a, const struct rpc_message *m)
{
    struct buf out;
    struct jout j;
    struct jiter it, inner;
    buf_init(&out, LIMIT_OUTBOX_BYTES);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "jsonrpc", STR("2.0"));
    jout_kstr(&j, "method", m->method);
    jout_key(&j, STR("params"));
    jout_object(&j);
    if (!str_is_absent(m->params))
        for (jscan_iter(&it, m->params); jscan_next(&it);) {
            jout_raw_key(&j, it.key);
            if (!jscan_string_eq(it.key, STR("_meta")) || jscan_type(it.value) != JTYPE_OBJECT) {
                jout_raw(&j, it.value);
                continue;
            }
            jout_object(&j);
            for (jscan_iter(&inner, it.value); jscan_next(&inner);)
                if (!jscan_string_eq(inner.key, STR(META_SUBSCRIPTION_ID))) {
                    jout_raw_key(&j, inner.key);
                    jout_raw(&j, inner.value);
                }
            jout_object_end(&j);
        }
    jout_object_end(&j);
    jout_object_end(&j);
    struct str text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

static bool is_of_tasks(const struct listen *l, struct arena *a, const struct rpc_message *m)
{
    struct str id;
    if (str_is_absent(m->task_id) || !jscan_string(a, m->task_id, &id))
        return false;
    for (size_t i = 0; i < l->tasks.n; i++)
        if (str_eq(l->tasks.ids[i], id))
            return true;
    return false;
}

static bool is_for_client(const struct listen *l, struct arena *a, const struct rpc_message *m)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(m->method, kinds[i].method))
            return true;
    if (str_eq(m->method, STR(TASKS_NOTIFICATION)))
        return is_of_tasks(l, a, m);
    return str_eq(m->method, STR("notifications/resources/updated")) &&
           !str_is_absent(m->uri_text) && client_session_wants(l->session, m->uri_text);
}

static void message_take(struct listen *l, struct arena *a, const struct rpc_message *m)
{
    if (m->kind == RPC_RESPONSE) {
        l->has_ended = true;
    } else if (m->kind == RPC_NOTIFICATION &&
               str_eq(m->method, STR("notifications/subscriptions/acknowledged"))) {
        acknowledged(l, a, m);
    } else if (m->kind == RPC_NOTIFICATION && is_for_client(l, a, m)) {
        struct str text = notification_write(a, m);
        if (!str_is_absent(text))
            (void)client_session_push(l->session, text);
    }
}

static bool on_event(void *arg, const struct sse_event *event, struct err *e)
{
    struct listen *l = arg;
    struct rpc_message m;
    if (event->data.n == 0 || (event->event.n > 0 && !str_eq(event->event, STR("message"))))
        return true;
    struct arena *a = arena_new((size_t)2 * LIMIT_SSE_EVENT);
    bool is_good = a != NULL && rpc_parse(a, event->data, &m, e);
    if (is_good)
        message_take(l, a, &m);
    arena_end(a);
    return is_good;
}

/* ---- opening ---- */

/* Who wants to hear of tasks says that it knows them; it is a stateless client, which declared what
 * it declared in the words of this revision. */
static struct str stamp_of(const struct listen *l, struct arena *a)
{
    struct str declared = client_session_hello(l->session)->capabilities;
    if (l->tasks.n == 0)
        return s2m_stamp(a, l->session, false);
    return arena_printf(a,
                        "\"io.modelcontextprotocol/protocolVersion\":\"" MCP_STATELESS_LATEST
                        "\",\"io.modelcontextprotocol/clientCapabilities\":{\"extensions\":%.*s}",
                        STR_FMT(jscan_member(declared, STR("extensions"))));
}

static void array_write(struct jout *j, const char *key, const struct str *list, size_t n)
{
    if (!list || n == 0)
        return;
    jout_key(j, str_c(key));
    jout_array(j);
    for (size_t i = 0; i < n; i++)
        jout_str(j, list[i]);
    jout_array_end(j);
}

static bool body_write(struct listen *l, struct arena *a, struct str id, struct str *body,
                       struct err *e)
{
    struct str *uris;
    size_t n;
    struct str offered = client_session_hello(l->session)->offered;
    struct str stamp = stamp_of(l, a);
    l->turn = client_session_turn(l->session);
    if (!client_session_uris(l->session, a, &uris, &n, e))
        return false;
    l->asked = uris;
    l->n_asked = n;
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_MCP);
    buf_addf(&out,
             "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":\"subscriptions/listen\","
             "\"params\":{\"_meta\":{%.*s},\"notifications\":",
             STR_FMT(id), STR_FMT(stamp));
    jout_init(&j, &out);
    jout_object(&j);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (is_true(jscan_member(jscan_member(offered, kinds[i].capability), STR("listChanged")))) {
            jout_key(&j, kinds[i].kind);
            jout_bool(&j, true);
        }
    array_write(&j, "resourceSubscriptions", uris, n);
    array_write(&j, "taskIds", l->tasks.ids, l->tasks.n);
    jout_object_end(&j);
    buf_add(&out, STR("}}"));
    *body = buf_ok(&out) && !str_is_absent(stamp) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return !str_is_absent(*body) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Reads until the acknowledgement. */
static bool acknowledgement_wait(struct listen *l, struct err *e)
{
    int64_t deadline = clock_mono_ms() + LIMIT_PROBE_MS;
    while (!l->is_acknowledged && !l->has_ended) {
        struct str chunk;
        if (!exchange_read(l->exchange, &chunk, deadline, e))
            return false;
        if (chunk.n == 0)
            return err_set(e, ERR_UPSTREAM, "the server's stream of notifications ended at once");
        if (!sse_parser_feed(&l->parser, chunk, e))
            return false;
    }
    if (!l->is_acknowledged || l->is_useless)
        return err_set(e, ERR_METHOD_NOT_FOUND, "the server has no notifications to offer");
    return str_is_absent(l->wanted_uri) || l->is_uri_honoured ||
           err_set(e, ERR_INVALID, "the server does not let this resource be subscribed to: %.*s",
                   STR_FMT(str_slice(l->wanted_uri, 0, 120)));
}

static bool stream_begin(struct listen *l, struct arena *a, struct err *e)
{
    const struct client_who *who = client_session_who(l->session);
    struct registry_entry *entry;
    auto_free(credential_end) struct credential cred = {0};
    struct str id = hop_id_fresh(a, l->sv->worker), body;
    struct http_answer_head head;
    if (!registry_get(l->sv, a, who->org_id, str_c(l->connection_id), &entry, e) ||
        !credential_load(l->sv, a, entry, who->user_id, &cred, e) ||
        !body_write(l, a, id, &body, e))
        return false;
    struct upstream_message m = {.entry = entry,
                                 .credential = &cred,
                                 .principal = who->principal,
                                 .http_method = STR("POST"),
                                 .body = body,
                                 .era = ERA_STATELESS,
                                 .version = STR(MCP_STATELESS_LATEST),
                                 .method = STR("subscriptions/listen"),
                                 .first_byte_ms = LIMIT_PROBE_MS,
                                 .idle_ms = -1,
                                 .total_ms = -1};
    l->is_acknowledged = l->has_ended = l->is_uri_honoured = l->is_useless = false;
    l->exchange = upstream_send(l->sv, a, &m, &head, e);
    if (!l->exchange)
        return false;
    if (head.status == 400 || head.status == 404 ||
        (head.status == 200 && upstream_body_kind(&head) != UPSTREAM_EVENTS))
        return err_set(e, ERR_METHOD_NOT_FOUND, "the server has no stream of notifications");
    return upstream_status_check(&head, false, e) && acknowledgement_wait(l, e);
}

static bool stream_open(struct listen *l, struct arena *a, struct err *e)
{
    bool is_open = stream_begin(l, a, e);
    l->asked = NULL; /* in the arena */
    l->n_asked = 0;
    return is_open;
}

/* ---- while it is open, and after ---- */

static void retry_set(struct listen *l);

static bool on_data(void *arg, struct str bytes)
{
    struct listen *l = arg;
    struct err e;
    return sse_parser_feed(&l->parser, bytes, &e);
}

static void on_end(void *arg, const struct err *e unused_arg)
{
    struct listen *l = arg;
    l->exchange = NULL;
    if (clock_mono_ms() - l->opened_at > LIVED_MS)
        l->pause_ms = FIRST_PAUSE_MS;
    retry_set(l);
}

static void run(struct listen *l)
{
    l->opened_at = clock_mono_ms();
    exchange_detach(l->exchange, on_data, on_end, l);
}

/* What may have been missed while nobody listened. */
static void missed_say(struct listen *l, struct arena *a)
{
    struct str *uris;
    size_t n;
    struct err ignored;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (l->heard & (1U << i))
            (void)client_session_push(l->session,
                                      arena_printf(a, "{\"jsonrpc\":\"2.0\",\"method\":\"%.*s\"}",
                                                   STR_FMT(kinds[i].method)));
    if (!client_session_uris(l->session, a, &uris, &n, &ignored))
        return;
    for (size_t i = 0; i < n; i++) {
        struct buf out;
        struct jout j;
        buf_init(&out, LIMIT_BODY_SMALL);
        buf_add(&out, STR("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\","
                          "\"params\":{\"uri\":"));
        jout_init(&j, &out);
        jout_str(&j, uris[i]);
        buf_add(&out, STR("}}"));
        if (buf_ok(&out))
            (void)client_session_push(l->session, buf_str(&out));
        buf_end(&out);
    }
}

static bool is_wanted(struct listen *l, struct arena *a)
{
    struct str *uris;
    size_t n = 0;
    struct err ignored;
    return !client_session_is_ended(l->session) &&
           (client_session_has_stream(l->session) || l->tasks.n > 0 ||
            (client_session_uris(l->session, a, &uris, &n, &ignored) && n > 0));
}

static void reopen_run(void *arg)
{
    struct listen *l = arg;
    struct err e = {.code = ERR_NONE};
    struct arena *a = arena_new(ARENA);
    l->opening = fiber_self();
    bool is_wanted_still = a && is_wanted(l, a);
    bool is_open = is_wanted_still && stream_open(l, a, &e);
    if (is_open && !l->is_stopping) {
        missed_say(l, a);
    } else {
        exchange_close(l->exchange);
        l->exchange = NULL;
    }
    arena_end(a);
    l->opening = NULL;
    if (l->is_stopping)
        listen_free(l);
    else if (is_open)
        run(l);
    else if (!is_wanted_still || e.code == ERR_METHOD_NOT_FOUND || e.code == ERR_NOT_FOUND)
        give_up(l);
    else
        retry_set(l);
}

static void retry_fire(struct loop_timer *timer)
{
    struct listen *l = CONTAINER_OF(timer, struct listen, retry);
    stream_close(l);
    sse_parser_init(&l->parser, on_event, l);
    if (!fiber_start(l->sv->loop, reopen_run, l, NULL, NULL))
        retry_set(l);
}

/* Doubling pauses, each with up to half of it more, so that many do not come back at once. */
static void retry_set(struct listen *l)
{
    unsigned char noise;
    rand_bytes(&noise, sizeof(noise));
    int64_t pause = l->pause_ms + l->pause_ms * noise / 512;
    l->pause_ms = l->pause_ms * 2 > LIMIT_LISTEN_RETRY_MS ? LIMIT_LISTEN_RETRY_MS : l->pause_ms * 2;
    loop_timer_set(l->sv->loop, &l->retry, clock_mono_ms() + pause);
}

/* ---- doors ---- */

static struct listen *listen_new(struct services *sv, struct client_session *s,
                                 struct str connection_id)
{
    struct listen *l = calloc(1, sizeof(*l));
    char *id = malloc(connection_id.n + 1);
    if (!l || !id) {
        free(l);
        free(id);
        return NULL;
    }
    memcpy(id, connection_id.p, connection_id.n);
    id[connection_id.n] = '\0';
    *l = (struct listen){.sv = sv,
                         .session = s,
                         .connection_id = id,
                         .retry = {.on_fire = retry_fire},
                         .stop = {.run = stop_run},
                         .pause_ms = FIRST_PAUSE_MS};
    client_session_hold(s);
    list_push(&sv->client_listens, &l->link);
    sse_parser_init(&l->parser, on_event, l);
    return l;
}

/* Its own copy: streams are opened again later. */
static bool tasks_keep(struct listen *l, const struct listen_tasks *tasks, struct err *e)
{
    l->keep = arena_new(LIMIT_BODY_MCP);
    l->tasks.ids = l->keep ? arena_alloc(l->keep, (tasks->n + 1) * sizeof(*tasks->ids)) : NULL;
    for (size_t i = 0; l->tasks.ids && i < tasks->n; i++) {
        struct str id = arena_dup(l->keep, tasks->ids[i]);
        if (!str_is_absent(id))
            l->tasks.ids[l->tasks.n++] = id;
    }
    return (l->tasks.ids && l->tasks.n == tasks->n) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Takes l. heard: what it keeps of the tasks that it wanted; or NULL. */
static bool listen_begin(struct listen *l, struct arena *a, struct listen_tasks *heard,
                         struct err *e)
{
    l->opening = fiber_self();
    bool is_open = stream_open(l, a, e) &&
                   (!l->is_stopping || err_set(e, ERR_CANCELLED, "the program is stopping"));
    l->opening = NULL;
    l->wanted_uri = STR_NONE;
    if (!is_open) {
        listen_free(l);
        return false;
    }
    l->is_attached = true;
    if (heard && heard->ids && l->tasks.ids) {
        heard->n = l->tasks.n;
        for (size_t i = 0; i < l->tasks.n; i++)
            heard->ids[i] = arena_dup(a, l->tasks.ids[i]);
    }
    if (client_session_attach_in_turn(l->session, let_go, l, l->turn))
        run(l);
    else
        listen_free(l); /* one that asked later is there already, for these as well */
    return true;
}

bool s2m_listen(struct services *sv, struct arena *a, struct client_session *s,
                struct str connection_id, struct str uri, struct err *e)
{
    struct listen *l = listen_new(sv, s, connection_id);
    if (!l)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    l->wanted_uri = uri;
    return listen_begin(l, a, NULL, e);
}

bool s2m_listen_tasks(struct services *sv, struct arena *a, struct client_session *part,
                      struct str connection_id, struct listen_tasks *tasks, struct err *e)
{
    struct listen *l = listen_new(sv, part, connection_id);
    if (!l)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (tasks->n == 0 || tasks_keep(l, tasks, e))
        return listen_begin(l, a, tasks, e);
    listen_free(l);
    return false;
}

void s2m_listens_end(struct services *sv)
{
    LIST_FOR_SAFE(pos, next, &sv->client_listens)
    {
        struct listen *l = CONTAINER_OF(pos, struct listen, link);
        if (!l->is_attached) { /* the fiber that opens it frees it */
            l->is_stopping = true;
            fiber_cancel(l->opening);
        } else if (client_session_attach(l->session, NULL, l)) {
            listen_end(l); /* else stop_run is on its way */
        }
    }
}
