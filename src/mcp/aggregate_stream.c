/*
 * Clients of an aggregate that hear of changes: a small record each, on one worker, without a
 * fiber. It joins the watch of every member (mcp/list_watch.h); when the registry changes who the
 * members are, it joins others and says that everything may have changed.
 */
#include <stdlib.h>

#include "auth/token_check.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/map.h"
#include "core/rates.h"
#include "crypto/hash.h"
#include "io/sse.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"
#include "mcp/aggregate_rounds.h"
#include "mcp/client_sessions.h"
#include "mcp/list_watch.h"
#include "mcp/listen_ack.h"

enum {
    CHECK_ARENA = 32 * 1024 * 1024,
    UPDATE_ARENA = 16 * 1024 * 1024,
    N_CHANGES = 3,
    PLACE_RETRY_MS = 1000,
};

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
    struct round_item round; /* of the worker's */
    struct services *sv;
    struct arena *a;
    struct caller caller; /* who opened it, with the digest of its token */
    struct str where;     /* as aggregate_find wants it */
    bool wants[N_CHANGES];
    struct client_session *session; /* held; NULL: a stateless client's stream */
    struct http_request *rq;        /* of that */
    struct str subscription_id;     /* raw */
    struct str place;               /* counted under this name; absent: not counted */
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
    buf_init(&out, (size_t)2 * LIMIT_OUTBOX_BYTES);
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

/* A task may have been named by more than one of its ids. */
static void task_push(struct hearer *h, struct arena *a, const struct client_session *part,
                      const struct rpc_message *m, struct str meta)
{
    struct proxied p = {.sv = h->sv, .a = a, .caller = &h->caller};
    struct str id;
    if (str_is_absent(m->task_id) || !jscan_string(a, m->task_id, &id))
        return;
    for (size_t i = 0; i < h->parts.n_tasks; i++) {
        const struct aggregate_task *task = &h->parts.tasks[i];
        if (task->part == part && task->is_heard && str_eq(task->own, id))
            event_push(h, aggregate_task_message(
                              &p, task, id_is(h->where, "vs") ? h->where : STR_NONE, m, meta));
    }
}

/* A resource or task that a stateless client wants to hear of. */
static void on_update(void *arg, const struct client_session *part, struct str message)
{
    struct hearer *h = arg;
    struct arena *a = arena_new(UPDATE_ARENA);
    struct rpc_message m;
    struct err ignored;
    struct str meta =
        a ? arena_printf(a, "\"" META_SUBSCRIPTION_ID "\":%.*s", STR_FMT(h->subscription_id))
          : STR_NONE;
    if (!str_is_absent(meta) && rpc_parse(a, message, &m, &ignored)) {
        if (str_eq(m.method, STR(TASKS_NOTIFICATION)))
            task_push(h, a, part, &m, meta);
        else
            event_push(h, aggregate_part_message(a, part, &m, meta));
    }
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
    if (!str_is_absent(h->place))
        rates_leave(h->sv->rates, h->place);
    round_leave(&h->round);
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
    struct arena *a = arena_new(LIMIT_BODY_FORM);
    struct hearer *h = a ? arena_alloc(a, sizeof(*h)) : NULL;
    if (!h) {
        arena_end(a);
        return NULL;
    }
    const struct caller *c = g->p.caller;
    *h = (struct hearer){.sv = g->p.sv,
                         .a = a,
                         .caller = *c,
                         .where = arena_dup(a, g->p.rq->params[0]),
                         .parts = {.sink = on_update, .arg = h},
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
    round_join(&g->p.sv->aggregate_streams, &h->round, c->epoch);
    if (!str_is_absent(h->caller.principal))
        return h;
    hearer_free(h);
    return NULL;
}

static void parts_check(struct aggregate *g, struct hearer *h)
{
    if (!h->session) {
        aggregate_parts_check(g, h->parts.list, h->parts.n);
        aggregate_tasks_check(g, &h->parts);
        return;
    }
    struct client_session **list =
        arena_alloc(g->p.a, LIMIT_AGGREGATE * sizeof(struct client_session *));
    size_t n = list ? client_session_branches(h->session, list, LIMIT_AGGREGATE) : 0;
    aggregate_parts_check(g, list, n);
    for (size_t i = 0; i < n; i++)
        client_session_release(list[i]);
}

/* Who the members are now, and what of them is heard. False: not all of them could be joined. */
static bool members_follow(struct hearer *h, struct aggregate *g)
{
    struct err ignored;
    parts_check(g, h);
    struct sha256 now = members_digest(g);
    if (memcmp(&now, &h->members, sizeof(now)) == 0)
        return true;
    if (!ears_open(h, g, &ignored))
        return false;
    h->members = now;
    for (size_t i = 0; i < N_CHANGES; i++)
        tell(h, i);
    return true;
}

static bool hearer_check(void *arg, struct round_item *item)
{
    struct services *sv = arg;
    struct hearer *h = CONTAINER_OF(item, struct hearer, round);
    struct arena *a = arena_new(CHECK_ARENA);
    struct aggregate *g = a ? arena_alloc(a, sizeof(*g)) : NULL;
    uint64_t serial = item->serial;
    struct err e = {.code = ERR_UNAVAILABLE};
    struct caller before = h->caller; /* token_check_again reads its digest and its kind */
    struct str where = g ? arena_dup(a, h->where) : STR_NONE;
    before.client_id = a ? arena_dup(a, before.client_id) : STR_NONE;
    bool is_known = g && token_check_again(sv, a, &before, clock_wall_ms(), &g->p.caller, &e);
    if (is_known) {
        const struct caller *caller = g->p.caller;
        g->p = (struct proxied){.sv = sv, .a = a, .caller = caller};
        is_known = aggregate_find(g, where, STR_NONE, &e) || e.code == ERR_NOT_FOUND;
    }
    item = round_find(&sv->aggregate_streams, serial); /* it may have gone meanwhile */
    /* Who may nothing any more is seen to by those who end streams. */
    bool is_done = is_known || e.code == ERR_UNAUTHENTICATED || e.code == ERR_INSUFFICIENT_SCOPE;
    if (item && is_known)
        is_done = members_follow(CONTAINER_OF(item, struct hearer, round), g);
    arena_end(a);
    return is_done;
}

void aggregate_streams_check(struct services *sv, uint64_t epoch)
{
    round_run(&sv->aggregate_streams, epoch, hearer_check, sv);
}

void aggregate_streams_end(struct services *sv)
{
    aggregate_openings_end();
    LIST_FOR_SAFE(pos, next, &sv->aggregate_streams)
    {
        struct hearer *h = CONTAINER_OF(pos, struct hearer, round.link);
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

static bool wants_read(struct aggregate *g, struct hearer *h, struct listen_wanted *wanted,
                       struct err *e)
{
    struct jwant params[] = {{.name = STR("notifications")}};
    struct jwant wants[N_CHANGES + 2];
    if (str_is_absent(g->p.in.msg.params) || !jscan_object(g->p.in.msg.params, params, 1, e) ||
        str_is_absent(params[0].value))
        return err_set(e, ERR_INVALID, "params.notifications is missing, expected an object");
    for (size_t i = 0; i < N_CHANGES; i++)
        wants[i] = (struct jwant){.name = changes[i].flag};
    wants[N_CHANGES] = (struct jwant){.name = STR("resourceSubscriptions")};
    wants[N_CHANGES + 1] = (struct jwant){.name = STR("taskIds")};
    if (!jscan_object(params[0].value, wants, ARRAY_LEN(wants), e))
        return err_set(e, ERR_INVALID, "params.notifications is not an object");
    for (size_t i = 0; i < N_CHANGES; i++)
        h->wants[i] = !str_is_absent(wants[i].value) && jscan_type(wants[i].value) == JTYPE_TRUE;
    *wanted = (struct listen_wanted){wants[N_CHANGES].value, wants[N_CHANGES + 1].value};
    return true;
}

/* One of its principal's places, until the stream is over. */
static bool place_take(struct aggregate *g, struct hearer *h, struct err *e)
{
    struct str name = arena_printf(h->a, "listen|%.*s", STR_FMT(h->caller.principal));
    if (str_is_absent(name))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (rates_enter(g->p.sv->rates, name, LIMIT_LISTENS_PRINCIPAL, clock_mono_ms())) {
        h->place = name;
        return true;
    }
    return err_set(e, ERR_RATE_LIMITED,
                   "too many subscriptions/listen of this key or grant are open, expected at most "
                   "%d; close one",
                   LIMIT_LISTENS_PRINCIPAL);
}

/* The first event. STR_NONE: out of memory. */
static struct str acknowledge(struct aggregate *g, const struct hearer *h, struct str uris)
{
    struct listen_honoured honoured = {
        .tools = h->wants[0], .prompts = h->wants[1], .resources = h->wants[2]};
    honoured.uris = aggregate_parts_honoured(g, uris, &h->parts, &honoured.n_uris);
    honoured.tasks = aggregate_tasks_honoured(g->p.a, &h->parts, &honoured.n_tasks);
    return honoured.uris && honoured.tasks
               ? listen_acknowledge(g->p.a, h->subscription_id, &honoured)
               : STR_NONE;
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
    struct listen_wanted wanted;
    struct str first = STR_NONE;
    bool is_good = wants_read(g, h, &wanted, e) && place_take(g, h, e) &&
                   aggregate_parts_open(g, &wanted, &h->parts, e);
    if (is_good) {
        first = acknowledge(g, h, wanted.uris);
        is_good = !str_is_absent(first) || err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    is_good = is_good && proxied_record(&g->p, "ok", NULL, 0, e) && ears_open(h, g, e);
    h->is_open = is_good && proxied_relay_own(&g->p, first, on_over, h, e);
    if (h->is_open)
        return true;
    if (e->code == ERR_MISSING_CAPABILITY)
        g->p.is_in_call = false;     /* it has an HTTP status of its own */
    if (e->code == ERR_RATE_LIMITED) /* a place, or a call to open a part with */
        call_limits_say(g->p.rq, PLACE_RETRY_MS);
    hearer_free(h);
    return false;
}
