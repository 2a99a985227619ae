/*
 * The subscriptions/listen of a stateless client of an aggregate: a part for each server that it is
 * about (mcp/client_sessions.h), which hears of resources and tasks as a client of that server's
 * own address would. The servers are asked at the same time, each by a fiber of its own.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "core/rates.h"
#include "io/fiber.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"
#include "mcp/m2s.h"
#include "mcp/m2s_caps.h"

enum { OPENING_ARENA = 16 * 1024 * 1024 };

/* ---- which there are ---- */

bool aggregate_may_ask(struct aggregate *g, const struct aggregate_member *member,
                       struct str method, struct str uri, struct err *e)
{
    struct proxied p = {.sv = g->p.sv,
                        .a = g->p.a,
                        .caller = g->p.caller,
                        .view = &g->view,
                        .entry = member->entry};
    p.in.msg =
        (struct rpc_message){.kind = RPC_REQUEST, .method = method, .uri = uri, .uri_text = uri};
    return proxied_decide(&p, e);
}

static bool may_read(struct aggregate *g, const struct aggregate_entry *entry, struct err *e)
{
    return aggregate_may_ask(g, entry->member, STR("resources/read"), entry->own, e);
}

static struct client_session *part_of(const struct aggregate_parts *parts, struct str name)
{
    for (size_t i = 0; i < parts->n; i++)
        if (str_eq(client_session_who(parts->list[i])->audience, name))
            return parts->list[i];
    return NULL;
}

static struct client_session *part_new(struct aggregate *g, struct aggregate_parts *parts,
                                       struct str name)
{
    const struct caller *caller = g->p.caller;
    struct client_who who = {.org_id = caller->org_id,
                             .user_id = caller->user_id,
                             .principal = caller->principal,
                             .audience = name};
    struct client_hello hello = {.version = g->p.in.version,
                                 .capabilities = g->p.in.msg.client_capabilities,
                                 .is_narrowed = aggregate_is_narrowed(g)};
    struct client_session **grown =
        realloc((void *)parts->list, (parts->n + 1) * sizeof(struct client_session *));
    if (grown)
        parts->list = grown;
    struct client_session *part =
        grown ? client_session_alone(g->p.sv->clients, &who, &hello, parts->sink, parts->arg)
              : NULL;
    if (part)
        parts->list[parts->n++] = part;
    return part;
}

struct client_session *aggregate_part_for(struct aggregate *g, struct aggregate_parts *parts,
                                          const struct aggregate_member *member, struct err *e)
{
    struct str name = aggregate_part_name(g->p.a, &member->entry->conn);
    struct client_session *part = str_is_absent(name) ? NULL : part_of(parts, name);
    if (!part && !str_is_absent(name))
        part = part_new(g, parts, name);
    if (!part)
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    return part;
}

static bool uri_add(struct aggregate *g, struct aggregate_parts *parts, struct str given,
                    struct err *e)
{
    struct aggregate_entry entry = {0};
    if (!aggregate_resolve_uri(g, given, &entry, e) || !may_read(g, &entry, e))
        return false;
    struct client_session *part = aggregate_part_for(g, parts, entry.member, e);
    return part && client_session_subscribe(part, entry.own, e);
}

static bool uris_read(struct aggregate *g, struct aggregate_parts *parts, struct str given,
                      struct err *e)
{
    struct jiter it;
    size_t n = 0;
    if (str_is_absent(given))
        return true;
    if (jscan_type(given) != JTYPE_ARRAY)
        return err_set(e, ERR_INVALID,
                       "params.notifications.resourceSubscriptions is not an array");
    for (jscan_iter(&it, given); jscan_next(&it);) {
        struct str uri;
        if (++n > LIMIT_LISTEN_URIS)
            return err_set(e, ERR_INVALID, "more than %d resourceSubscriptions", LIMIT_LISTEN_URIS);
        if (!jscan_string(g->p.a, it.value, &uri))
            return err_set(
                e, ERR_INVALID,
                "params.notifications.resourceSubscriptions holds something else than strings");
        if (!uri_add(g, parts, uri, e))
            return false;
    }
    return true;
}

/* ---- one server ---- */

/* What a fiber of its own opens. It knows no request, which may end before. */
struct opening {
    struct list link; /* of this worker's, while it runs */
    struct services *sv;
    struct arena *a;             /* this is in it */
    struct client_session *part; /* held */
    struct listen_tasks tasks;   /* asked for, then heard */
    struct fiber *fiber;
    struct fiber_wait done;
    bool is_done;
    bool is_left; /* nobody waits for it any more */
};

static struct list *openings(void)
{
    static _Thread_local struct list head;
    if (!head.next)
        list_init(&head);
    return &head;
}

static struct str opening_user(const struct opening *o)
{
    return client_session_who(o->part)->user_id;
}

static void opening_free(struct opening *o)
{
    client_session_release(o->part);
    arena_end(o->a);
}

static bool part_open(struct opening *o, struct err *e)
{
    const struct client_who *who = client_session_who(o->part);
    struct registry_entry *entry;
    struct str connection_id, *uris, capabilities;
    auto_free(credential_end) struct credential cred = {0};
    enum era era;
    size_t n = 0;
    (void)aggregate_part_slug(o->part, &connection_id);
    capabilities = m2s_caps_project(o->a, client_session_hello(o->part)->capabilities);
    if (str_is_absent(capabilities))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!registry_get(o->sv, o->a, who->org_id, connection_id, &entry, e) ||
        !credential_load(o->sv, o->a, entry, who->user_id, &cred, e) ||
        !upstream_era_find(o->sv, o->a, entry, &cred, &era, NULL, e) ||
        !client_session_uris(o->part, o->a, &uris, &n, e))
        return false;
    if (era == ERA_STATELESS)
        return s2m_listen_tasks(o->sv, o->a, o->part, connection_id, &o->tasks, e);
    o->tasks.n = 0; /* session servers have no such tasks */
    return n == 0 || m2s_hear(o->sv, o->a, o->part, connection_id, capabilities, STR_NONE, e);
}

/* What a server does not take leaves the part; one that cannot be asked takes nothing. */
static void opening_run(void *arg)
{
    struct opening *o = arg;
    struct str *uris;
    struct err e;
    size_t n = 0;
    if (!part_open(o, &e)) {
        o->tasks.n = 0;
        if (client_session_uris(o->part, o->a, &uris, &n, &e))
            for (size_t i = 0; i < n; i++)
                client_session_unsubscribe(o->part, uris[i]);
    }
    rates_leave(o->sv->rates, opening_user(o));
    list_remove(&o->link);
    o->is_done = true;
    if (o->is_left)
        opening_free(o);
    else
        fiber_wake(&o->done);
}

/* It counts as one of the person's calls. NULL: see *e. */
static struct opening *opening_start(struct aggregate *g, const struct aggregate_parts *parts,
                                     struct client_session *part, struct err *e)
{
    struct arena *a = arena_new(OPENING_ARENA);
    struct opening *o = a ? arena_alloc(a, sizeof(*o)) : NULL;
    if (!o || !aggregate_tasks_asked(parts, part, a, &o->tasks)) {
        arena_end(a);
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    o->sv = g->p.sv;
    o->a = a;
    o->part = part;
    client_session_hold(part);
    if (!rates_enter(o->sv->rates, opening_user(o), LIMIT_CALLS_USER, clock_mono_ms())) {
        opening_free(o);
        err_set(e, ERR_RATE_LIMITED, "too many calls at once of this person; wait a moment");
        return NULL;
    }
    list_push(openings(), &o->link);
    if (fiber_start(o->sv->loop, opening_run, o, &o->fiber, e))
        return o;
    rates_leave(o->sv->rates, opening_user(o));
    list_remove(&o->link);
    opening_free(o);
    return NULL;
}

/* Lets go of it: what is not done goes on alone, to be ready for the next one who asks, unless
 * nobody wants it. */
static void opening_leave(struct opening *o, bool is_wanted)
{
    if (o->is_done) {
        opening_free(o);
        return;
    }
    o->is_left = true;
    if (!is_wanted)
        fiber_cancel(o->fiber);
}

void aggregate_openings_end(void)
{
    LIST_FOR(pos, openings())
    {
        fiber_cancel(CONTAINER_OF(pos, struct opening, link)->fiber);
    }
}

/* ---- all of them ---- */

/* A part that is not heard in time is none. */
static void part_drop(struct aggregate_parts *parts, const struct client_session *part)
{
    for (size_t i = 0; i < parts->n; i++)
        if (parts->list[i] == part) {
            client_session_end(parts->list[i]);
            parts->list[i] = parts->list[--parts->n];
            return;
        }
}

static bool openings_wait(struct opening **list, size_t n, struct err *e)
{
    int64_t deadline = clock_mono_ms() + LIMIT_PROBE_MS;
    for (size_t i = 0; i < n; i++)
        if (!fiber_wait(&list[i]->done, deadline, e) && e->code != ERR_TIMEOUT)
            return false;
    return true;
}

static bool all_open(struct aggregate *g, struct aggregate_parts *parts, struct err *e)
{
    struct opening **list = arena_alloc(g->p.a, (parts->n + 1) * sizeof(struct opening *));
    size_t n = 0;
    if (!list)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    bool is_good = true;
    for (size_t i = 0; is_good && i < parts->n; i++) {
        list[n] = opening_start(g, parts, parts->list[i], e);
        is_good = list[n] != NULL;
        n += is_good;
    }
    is_good = is_good && openings_wait(list, n, e);
    for (size_t i = 0; i < n; i++) {
        struct opening *o = list[i];
        if (is_good && o->is_done)
            aggregate_tasks_heard(parts, o->part, &o->tasks);
        else if (is_good)
            part_drop(parts, o->part);
        opening_leave(o, is_good);
    }
    return is_good;
}

bool aggregate_parts_open(struct aggregate *g, const struct listen_wanted *wanted,
                          struct aggregate_parts *parts, struct err *e)
{
    return uris_read(g, parts, wanted->uris, e) &&
           aggregate_tasks_read(g, parts, wanted->tasks, e) && all_open(g, parts, e);
}

struct str *aggregate_parts_honoured(struct aggregate *g, struct str given,
                                     const struct aggregate_parts *parts, size_t *n)
{
    /* None are the rule, and the request's memory stays as long as the stream. */
    size_t room = str_is_absent(given) ? 1 : LIMIT_LISTEN_URIS;
    struct str *list = arena_alloc(g->p.a, room * sizeof(*list));
    struct jiter it;
    *n = 0;
    if (!list || str_is_absent(given))
        return list;
    for (jscan_iter(&it, given); jscan_next(&it);) {
        struct str uri, slug, own, connection_id;
        if (!jscan_string(g->p.a, it.value, &uri) || !names_uri_split(g->p.a, uri, &slug, &own))
            continue;
        for (size_t i = 0; i < parts->n; i++)
            if (str_eq(aggregate_part_slug(parts->list[i], &connection_id), slug) &&
                client_session_wants(parts->list[i], own)) {
                list[(*n)++] = it.value;
                break;
            }
    }
    return list;
}

void aggregate_parts_end(struct aggregate_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++)
        client_session_end(parts->list[i]);
    free((void *)parts->list);
    arena_end(parts->keep);
    *parts = (struct aggregate_parts){0};
}

/* ---- who may ---- */

bool aggregate_is_narrowed(const struct aggregate *g)
{
    const struct caller *c = g->p.caller;
    return !g->is_hub || c->builtin_roles == 0 || c->n_statements > 0 || c->tools != NULL;
}

void aggregate_parts_check(struct aggregate *g, struct client_session *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct str connection_id, *uris, slug = aggregate_part_slug(list[i], &connection_id);
        struct err ignored;
        size_t n_uris = 0;
        if (!client_session_uris(list[i], g->p.a, &uris, &n_uris, &ignored))
            continue;
        for (size_t k = 0; k < n_uris; k++) {
            struct aggregate_entry entry = {0};
            struct str given = names_uri(g->p.a, slug, uris[k]);
            if (!aggregate_resolve_uri(g, given, &entry, &ignored) ||
                !may_read(g, &entry, &ignored))
                client_session_unsubscribe(list[i], uris[k]);
        }
    }
}
