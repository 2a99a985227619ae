/*
 * Clients of an aggregate that hear of changes: a small record each, on one worker, without a
 * fiber. It joins the watch of every member (mcp/list_watch.h); when the registry changes who the
 * members are, it joins others and says that everything may have changed.
 */
#include <stdlib.h>

#include "auth/token_check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "crypto/hash.h"
#include "io/sse.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"
#include "mcp/client_sessions.h"
#include "mcp/list_watch.h"
#include "mcp/listen_ack.h"

enum { CHECK_ARENA = 32 * 1024 * 1024, N_CHANGES = 3 };

static const struct {
    enum list_kind kind;
    struct str flag, method;
} changes[N_CHANGES] = {
    {LIST_TOOLS, STR("toolsListChanged"), STR("notifications/tools/list_changed")},
    {LIST_PROMPTS, STR("promptsListChanged"), STR("notifications/prompts/list_changed")},
    {LIST_RESOURCES, STR("resourcesListChanged"), STR("notifications/resources/list_changed")},
};

struct hearer;
struct member_ear {
    struct list_listener l;
    struct hearer *hearer;
};
struct hearer {
    struct list link; /* in the worker's */
    uint64_t serial;  /* names it across waits */
    uint64_t checked_epoch;
    struct services *sv;
    struct arena *a;
    struct caller caller; /* who opened it, with the digest of its token */
    struct str where;     /* as aggregate_find wants it */
    bool wants[N_CHANGES];
    struct client_session *session; /* held; NULL: a stateless client's stream */
    struct http_request *rq;        /* of that */
    struct str subscription_id;     /* raw */
    struct aggregate_parts parts;   /* what it subscribes to */
    bool is_open;
    struct member_ear *ears; /* malloc */
    size_t n_ears;
    struct sha256 members; /* what the registry says of them */
    struct loop_task stop; /* posted once, when the session lets go of this */
};

/* ---- telling ---- */

/* To the stream of a stateless client. */
static void event_push(const struct hearer *h, struct str message)
{
    struct buf out;
    buf_init(&out, LIMIT_OUTBOX_BYTES);
    sse_write_event(&out, STR("message"), STR_NONE, message);
    if (h->is_open && buf_ok(&out) && !str_is_absent(message))
        (void)!http_stream_push(h->rq, buf_str(&out)); /* that it left is noticed by its close */
    buf_end(&out);
}

static void tell(struct hearer *h, size_t change)
{
    struct arena *a = h->wants[change] ? arena_new(LIMIT_BODY_FORM) : NULL;
    if (!a)
        return;
    if (h->session) {
        struct str text = arena_printf(a, "{\"jsonrpc\":\"2.0\",\"method\":\"%.*s\"}",
                                       STR_FMT(changes[change].method));
        if (!str_is_absent(text))
            (void)client_session_push(h->session, text);
    } else {
        event_push(h, arena_printf(a,
                                   "{\"jsonrpc\":\"2.0\",\"method\":\"%.*s\",\"params\":{"
                                   "\"_meta\":{\"" META_SUBSCRIPTION_ID "\":%.*s}}}",
                                   STR_FMT(changes[change].method), STR_FMT(h->subscription_id)));
    }
    arena_end(a);
}

/* A resource that a stateless client subscribes to. */
static void on_update(void *arg, const struct client_session *part, struct str message)
{
    struct hearer *h = arg;
    struct arena *a = arena_new((size_t)2 * LIMIT_OUTBOX_BYTES + LIMIT_BODY_FORM);
    struct str meta =
        a ? arena_printf(a, "\"" META_SUBSCRIPTION_ID "\":%.*s", STR_FMT(h->subscription_id))
          : STR_NONE;
    if (!str_is_absent(meta))
        event_push(h, aggregate_part_message(a, part, message, meta));
    arena_end(a);
}

static void on_change(struct list_listener *l, enum list_kind kind)
{
    struct member_ear *ear = CONTAINER_OF(l, struct member_ear, l);
    for (size_t i = 0; i < N_CHANGES; i++)
        if (changes[i].kind == kind)
            tell(ear->hearer, i);
}

/* ---- members ---- */

static void ears_close(struct hearer *h)
{
    for (size_t i = 0; i < h->n_ears; i++)
        list_watch_leave(&h->ears[i].l);
    free(h->ears);
    h->ears = NULL;
    h->n_ears = 0;
}

static bool ears_open(struct hearer *h, const struct aggregate *g, struct err *e)
{
    ears_close(h);
    h->ears = calloc(g->n_members + 1, sizeof(*h->ears));
    if (!h->ears)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < g->n_members; i++) {
        struct member_ear *ear = &h->ears[h->n_ears++];
        ear->hearer = h;
        ear->l.on_change = on_change;
        if (!list_watch_join(h->sv, &h->caller, g->members[i].entry, &ear->l, e))
            return false;
    }
    return true;
}

static bool mark_add(struct str key, void *value, void *arg)
{
    const struct connection_tool *tool = value;
    struct buf *out = arg;
    if (!tool->enabled || !str_is_absent(tool->renamed_to) || !str_is_absent(tool->effect))
        buf_addf(out, "%.*s|%d|%.*s|%.*s\n", STR_FMT(key), tool->enabled, STR_FMT(tool->renamed_to),
                 STR_FMT(tool->effect));
    return false;
}

/* What decides which things are shown here, and how they are called. */
static struct sha256 members_digest(const struct aggregate *g)
{
    struct buf out;
    const struct caller *c = g->p.caller;
    buf_init(&out, LIMIT_BODY_MCP);
    buf_addf(&out, "%d|%d|%u|%zu|%zu\n", (int)g->mode, g->wants_search, c->builtin_roles,
             c->n_statements, c->n_tools);
    for (size_t i = 0; i < g->n_members; i++) {
        const struct registry_entry *entry = g->members[i].entry;
        buf_addf(&out, "%.*s|%lld|%zu\n", STR_FMT(entry->conn.id),
                 (long long)entry->conn.updated_at, g->members[i].n_chosen[LIST_TOOLS]);
        map_each(entry->tools, mark_add, &out);
    }
    struct sha256 digest = hash_sha256(buf_str(&out));
    buf_end(&out);
    return digest;
}

/* ---- life ---- */

static void hearer_free(struct hearer *h)
{
    ears_close(h);
    aggregate_parts_end(&h->parts);
    list_remove(&h->link);
    if (h->session)
        client_session_release(h->session);
    arena_end(h->a); /* h is in it */
}

static void stop_run(struct loop_task *task)
{
    hearer_free(CONTAINER_OF(task, struct hearer, stop));
}

/* The session has ended or begun another stream, on any thread. */
static void let_go(void *arg)
{
    struct hearer *h = arg;
    loop_post(h->sv->loop, &h->stop);
}

static struct hearer *hearer_new(struct aggregate *g)
{
    static _Thread_local uint64_t next_serial;
    struct arena *a = arena_new(LIMIT_BODY_FORM);
    struct hearer *h = a ? arena_alloc(a, sizeof(*h)) : NULL;
    if (!h) {
        arena_end(a);
        return NULL;
    }
    const struct caller *c = g->p.caller;
    *h = (struct hearer){.serial = ++next_serial,
                         .checked_epoch = db_epoch(db_store_of(g->p.sv->db)),
                         .sv = g->p.sv,
                         .a = a,
                         .caller = *c,
                         .where = arena_dup(a, g->p.rq->params[0]),
                         .members = members_digest(g),
                         .stop = {.run = stop_run}};
    h->caller.org_id = arena_dup(a, c->org_id);
    h->caller.user_id = arena_dup(a, c->user_id);
    h->caller.user_email = STR_NONE;
    h->caller.key_id = arena_dup(a, c->key_id);
    h->caller.client_id = arena_dup(a, c->client_id);
    h->caller.principal = arena_dup(a, c->principal);
    h->caller.audience_connection_id = arena_dup(a, c->audience_connection_id);
    h->caller.statements = NULL;
    h->caller.tools = h->caller.connection_ids = NULL;
    h->caller.n_statements = h->caller.n_tools = h->caller.n_connection_ids = 0;
    list_push(&g->p.sv->aggregate_streams, &h->link);
    if (!str_is_absent(h->caller.principal))
        return h;
    hearer_free(h);
    return NULL;
}

static struct hearer *hearer_find(struct services *sv, uint64_t serial, uint64_t epoch)
{
    LIST_FOR(pos, &sv->aggregate_streams)
    {
        struct hearer *h = CONTAINER_OF(pos, struct hearer, link);
        if (serial ? h->serial == serial : h->checked_epoch != epoch)
            return h;
    }
    return NULL;
}

static void parts_check(struct aggregate *g, struct hearer *h)
{
    if (!h->session) {
        aggregate_parts_check(g, h->parts.list, h->parts.n);
        return;
    }
    struct client_session **list =
        arena_alloc(g->p.a, LIMIT_AGGREGATE * sizeof(struct client_session *));
    size_t n = list ? client_session_branches(h->session, list, LIMIT_AGGREGATE) : 0;
    aggregate_parts_check(g, list, n);
    for (size_t i = 0; i < n; i++)
        client_session_release(list[i]);
}

static void hearer_check(struct services *sv, struct hearer *h, uint64_t epoch)
{
    struct arena *a = arena_new(CHECK_ARENA);
    struct aggregate *g = a ? arena_alloc(a, sizeof(*g)) : NULL;
    uint64_t serial = h->serial;
    struct err e;
    h->checked_epoch = epoch;
    struct caller before = h->caller; /* token_check_again reads its digest and its kind */
    struct str where = g ? arena_dup(a, h->where) : STR_NONE;
    before.client_id = a ? arena_dup(a, before.client_id) : STR_NONE;
    bool is_known = g && token_check_again(sv, a, &before, clock_wall_ms(), &g->p.caller, &e);
    if (is_known) {
        const struct caller *caller = g->p.caller;
        g->p = (struct proxied){.sv = sv, .a = a, .caller = caller};
        is_known = aggregate_find(g, where, STR_NONE, &e) || e.code == ERR_NOT_FOUND;
    }
    h = is_known ? hearer_find(sv, serial, 0) : NULL; /* it may have gone meanwhile */
    if (h) {
        parts_check(g, h);
        struct sha256 now = members_digest(g);
        if (memcmp(&now, &h->members, sizeof(now)) != 0) {
            h->members = now;
            (void)!ears_open(h, g, &e); /* those that could not be joined are not heard */
            for (size_t i = 0; i < N_CHANGES; i++)
                tell(h, i);
        }
    }
    arena_end(a);
}

void aggregate_streams_check(struct services *sv, uint64_t epoch)
{
    struct hearer *h;
    while ((h = hearer_find(sv, 0, epoch)) != NULL)
        hearer_check(sv, h, epoch);
}

void aggregate_streams_end(struct services *sv)
{
    LIST_FOR_SAFE(pos, next, &sv->aggregate_streams)
    {
        struct hearer *h = CONTAINER_OF(pos, struct hearer, link);
        ears_close(h);
        /* One that its session has let go of ends by the task that was posted then. */
        if (h->session && client_session_attach(h->session, NULL, h))
            hearer_free(h);
    }
}

/* ---- session clients: GET ---- */

static bool stream_holds(struct services *sv, struct arena *a, const struct caller *now,
                         struct str audience)
{
    struct aggregate *g = arena_alloc(a, sizeof(*g));
    struct err e;
    if (!g)
        return true;
    g->p = (struct proxied){.sv = sv, .a = a, .caller = now};
    bool is_hub = str_eq(audience, STR("hub"));
    return aggregate_find(g, is_hub ? STR_NONE : audience, STR_NONE, &e) ||
           (e.code != ERR_NOT_FOUND && e.code != ERR_UNAUTHENTICATED &&
            e.code != ERR_INSUFFICIENT_SCOPE);
}

bool aggregate_stream_open(struct aggregate *g, struct err *e)
{
    struct hearer *h = hearer_new(g);
    if (!h)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < N_CHANGES; i++)
        h->wants[i] = true;
    h->session = g->session;
    client_session_hold(h->session);
    parts_check(g, h);
    if (!ears_open(h, g, e) || !client_session_stream(g->session, g->p.rq, stream_holds, e)) {
        hearer_free(h);
        return false;
    }
    client_session_attach(g->session, let_go, h);
    return true;
}

/* ---- stateless clients: subscriptions/listen ---- */

static bool wants_read(struct aggregate *g, struct hearer *h, struct str *uris, struct err *e)
{
    struct jwant params[] = {{.name = STR("notifications")}};
    struct jwant wants[N_CHANGES + 1];
    if (str_is_absent(g->p.in.msg.params) || !jscan_object(g->p.in.msg.params, params, 1, e) ||
        str_is_absent(params[0].value))
        return err_set(e, ERR_INVALID, "params.notifications is missing, expected an object");
    for (size_t i = 0; i < N_CHANGES; i++)
        wants[i] = (struct jwant){.name = changes[i].flag};
    wants[N_CHANGES] = (struct jwant){.name = STR("resourceSubscriptions")};
    if (!jscan_object(params[0].value, wants, N_CHANGES + 1, e))
        return err_set(e, ERR_INVALID, "params.notifications is not an object");
    for (size_t i = 0; i < N_CHANGES; i++)
        h->wants[i] = !str_is_absent(wants[i].value) && jscan_type(wants[i].value) == JTYPE_TRUE;
    *uris = wants[N_CHANGES].value;
    return true;
}

static void on_over(void *arg)
{
    hearer_free(arg);
}

bool aggregate_listen(struct aggregate *g, struct err *e)
{
    struct hearer *h = hearer_new(g);
    if (!h)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    h->rq = g->p.rq;
    h->subscription_id = arena_dup(h->a, g->p.in.msg.id);
    struct str first = STR_NONE, uris = STR_NONE;
    bool is_good =
        wants_read(g, h, &uris, e) && aggregate_parts_open(g, uris, on_update, h, &h->parts, e);
    if (is_good) {
        struct listen_honoured honoured = {
            .tools = h->wants[0], .prompts = h->wants[1], .resources = h->wants[2]};
        honoured.uris = aggregate_parts_honoured(g, uris, &h->parts, &honoured.n_uris);
        if (honoured.uris)
            first = listen_acknowledge(g->p.a, h->subscription_id, &honoured);
    }
    if (is_good && str_is_absent(first))
        is_good = err_set(e, ERR_UNAVAILABLE, "out of memory");
    is_good = is_good && proxied_record(&g->p, "ok", NULL, 0, e) && ears_open(h, g, e);
    h->is_open = is_good && proxied_relay_own(&g->p, first, on_over, h, e);
    if (h->is_open)
        return true;
    hearer_free(h);
    return false;
}
