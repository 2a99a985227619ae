#include "mcp/list_cache.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "io/fiber.h"
#include "mcp/list_fetch.h"
#include "store/credentials.h"
#include "store/downstream_tokens.h"

enum { FETCH_ARENA = 64 * 1024 * 1024 };

/* What a server listed once. Shared by the requests of this worker while they run. */
struct cached {
    struct arena *keep;
    const struct str *items;
    size_t n, bytes;
    enum listing_state state;
    struct str reason;
    int64_t stamp; /* of connection and credential: another one, another list */
    uint32_t generation;
    int64_t expires_at; /* monotonic ms */
    int refs;
};

/* A list on its way. */
struct flight {
    struct list link, waiters;
    struct services *sv;
    struct list_cache *cache;
    struct arena *a;              /* its own: requests come and go meanwhile */
    struct registry_entry *entry; /* held by a */
    struct caller caller;
    enum list_kind kind;
    struct str key;        /* for this principal */
    struct str key_shared; /* for whoever has the same credential */
    int64_t stamp;
    uint32_t generation;
    struct fiber *fiber;
};
struct waiter {
    struct list link;
    struct fiber_wait wait;
};

struct list_cache {
    struct map *lists; /* key -> struct cached */
    struct list flights;
    size_t bytes;
};

struct list_cache *list_cache_new(void)
{
    struct list_cache *c = calloc(1, sizeof(*c));
    if (c)
        c->lists = map_new();
    if (c && !c->lists) {
        free(c);
        return NULL;
    }
    if (c)
        list_init(&c->flights);
    return c;
}

static void cached_release(void *arg)
{
    struct cached *one = arg;
    if (--one->refs > 0)
        return;
    arena_end(one->keep);
    free(one);
}

void list_cache_free(struct list_cache *c)
{
    if (!c)
        return;
    map_free(c->lists, cached_release);
    free(c);
}

void list_cache_stop(struct list_cache *c)
{
    LIST_FOR(pos, &c->flights)
    {
        struct flight *f = CONTAINER_OF(pos, struct flight, link);
        if (f->fiber)
            fiber_cancel(f->fiber);
    }
}

/* ---- what is kept ---- */

static bool drop_each(struct str key unused_arg, void *value, void *arg unused_arg)
{
    cached_release(value);
    return true;
}

static struct cached *cached_new(const struct str *items, size_t n)
{
    struct cached *one = calloc(1, sizeof(*one));
    if (!one)
        return NULL;
    one->refs = 1;
    for (size_t i = 0; i < n; i++)
        one->bytes += items[i].n + sizeof(*items);
    one->keep = arena_new(one->bytes * 2 + LIMIT_BODY_FORM);
    struct str *copies = one->keep ? arena_alloc(one->keep, (n + 1) * sizeof(*copies)) : NULL;
    bool is_good = copies != NULL;
    for (size_t i = 0; is_good && i < n; i++) {
        copies[i] = arena_dup(one->keep, items[i]);
        is_good = !str_is_absent(copies[i]);
    }
    if (!is_good) {
        cached_release(one);
        return NULL;
    }
    one->items = copies;
    one->n = n;
    return one;
}

/* Takes one. */
static void cached_put(struct list_cache *c, struct str key, struct cached *one)
{
    void *old = NULL;
    if (map_count(c->lists) >= LIMIT_CACHE_ENTRIES || c->bytes + one->bytes > LIMIT_LISTS_KEPT) {
        map_each(c->lists, drop_each, NULL);
        c->bytes = 0;
    }
    c->bytes += one->bytes;
    if (!map_set(c->lists, key, one, &old)) {
        c->bytes -= one->bytes;
        cached_release(one);
        return;
    }
    if (old) {
        c->bytes -= ((struct cached *)old)->bytes;
        cached_release(old);
    }
}

/* How often each list was said to have changed; connections may share a place, which costs a look
 * too many at most. Of the process: who hears of it is on one worker, who asks next on any. */
enum { PLACES = 1024 };
static _Atomic uint32_t generations[PLACES][LIST_OFFERS + 1];

static _Atomic uint32_t *generation_of(struct str connection_id, enum list_kind kind)
{
    size_t hash = 5381;
    for (size_t i = 0; i < connection_id.n; i++)
        hash = hash * 33 + (unsigned char)connection_id.p[i];
    return &generations[hash % PLACES][kind];
}

void list_cache_forget(struct str connection_id, enum list_kind kind)
{
    (*generation_of(connection_id, kind))++;
}

/* ---- keys ---- */

/* Whose credential the server sees: nobody's in particular, or this person's. */
static struct str owner_of(const struct registry_entry *entry, const struct caller *caller)
{
    bool is_personal =
        !str_eq(entry->conn.auth, STR("none")) && str_eq(entry->conn.credential_scope, STR("user"));
    return is_personal ? caller->user_id : STR("");
}

static struct str key_of(struct arena *a, const struct registry_entry *entry, enum list_kind kind,
                         struct str owner)
{
    return arena_printf(a, "%.*s|%d|%.*s", STR_FMT(entry->conn.id), (int)kind, STR_FMT(owner));
}

/* Changes with the registration and with the credential. */
static int64_t stamp_of(struct services *sv, struct arena *a, struct registry_entry *entry,
                        const struct caller *caller)
{
    const struct credential_row *row;
    struct err ignored;
    if (str_eq(entry->conn.auth, STR("none")))
        return entry->conn.updated_at;
    if (str_eq(entry->conn.auth, STR("oauth"))) {
        struct downstream_token token;
        bool is_there = downstream_tokens_get(sv->db, a, entry->conn.org_id, entry->conn.id,
                                              owner_of(entry, caller), &token, &ignored);
        return entry->conn.updated_at + (is_there ? token.authorized_at : 0);
    }
    bool is_set = registry_credential(sv, a, entry, owner_of(entry, caller), &row, &ignored);
    return entry->conn.updated_at + (is_set ? row->updated_at : 0);
}

/* ---- fetching ---- */

/* What is known of a server that asks for a credential which is not there: its tools as last seen
 * by anybody. */
static struct cached *known_tools(const struct flight *f)
{
    struct connection_tool *tools;
    struct err ignored;
    struct str *items;
    size_t n = 0;
    if (f->kind != LIST_TOOLS || !connection_tools_list(f->sv->db, f->a, f->entry->conn.org_id,
                                                        f->entry->conn.id, &tools, &n, &ignored))
        n = 0;
    items = arena_alloc(f->a, (n + 1) * sizeof(*items));
    for (size_t i = 0; items && i < n; i++)
        items[i] = tools[i].definition;
    return items ? cached_new(items, n) : NULL;
}

/* What to remember of a failure: shortly, so that a server that is back is soon seen. */
static struct cached *failure_keep(const struct flight *f, const struct err *e)
{
    bool is_auth = e->code == ERR_UPSTREAM_AUTH;
    struct cached *one = is_auth ? known_tools(f) : cached_new(NULL, 0);
    if (!one)
        return NULL;
    one->state = is_auth ? LISTING_UNAUTHORIZED : LISTING_ABSENT;
    one->reason = arena_dup(one->keep, str_c(e->msg));
    one->expires_at = clock_mono_ms() + LIMIT_LIST_FAILED_MS;
    return one;
}

static void flight_land(struct flight *f, const struct fetched_list *got)
{
    struct cached *one = cached_new(got->items, got->n);
    if (!one)
        return;
    int64_t ttl = got->ttl_ms < 0                   ? LIMIT_LIST_SILENT_MS
                  : got->ttl_ms > LIMIT_LIST_TTL_MS ? LIMIT_LIST_TTL_MS
                                                    : got->ttl_ms;
    one->stamp = f->stamp;
    one->generation = f->generation;
    one->expires_at = clock_mono_ms() + ttl;
    cached_put(f->cache, got->is_private ? f->key : f->key_shared, one);
}

static void flight_run(void *arg)
{
    struct flight *f = arg;
    struct fetched_list got;
    struct err e;
    if (list_fetch(f->sv, f->a, f->entry, &f->caller, f->kind, &got, &e)) {
        flight_land(f, &got);
    } else if (e.code != ERR_CANCELLED) {
        struct cached *one = failure_keep(f, &e);
        /* The principal's own: what failed for one may work for another. */
        if (one) {
            one->stamp = f->stamp;
            one->generation = f->generation;
            cached_put(f->cache, f->key, one);
        }
    }
    list_remove(&f->link);
    LIST_FOR_SAFE(pos, next, &f->waiters)
    {
        struct waiter *w = CONTAINER_OF(pos, struct waiter, link);
        list_remove(&w->link);
        fiber_wake(&w->wait);
    }
    arena_end(f->a); /* f is in it */
}

/* One that began before the list changed brings nobody what they want. */
static struct flight *flight_find(struct list_cache *c, struct str key, uint32_t generation)
{
    LIST_FOR(pos, &c->flights)
    {
        struct flight *f = CONTAINER_OF(pos, struct flight, link);
        if (f->generation == generation && str_eq(f->key, key))
            return f;
    }
    return NULL;
}

/* A caller of its own for what outlives the request. */
static bool caller_copy(struct arena *a, const struct caller *from, struct caller *to)
{
    *to = *from;
    to->org_id = arena_dup(a, from->org_id);
    to->user_id = arena_dup(a, from->user_id);
    to->user_email = arena_dup(a, from->user_email);
    to->key_id = arena_dup(a, from->key_id);
    to->client_id = arena_dup(a, from->client_id);
    to->principal = arena_dup(a, from->principal);
    to->audience_connection_id = arena_dup(a, from->audience_connection_id);
    to->statements = NULL;
    to->tools = to->connection_ids = NULL;
    to->n_statements = to->n_tools = to->n_connection_ids = 0;
    return !str_is_absent(to->principal);
}

static bool flight_start(struct services *sv, const struct caller *caller,
                         const struct listing *wanted, int64_t stamp, struct err *e)
{
    struct arena *a = arena_new(FETCH_ARENA);
    struct flight *f = a ? arena_alloc(a, sizeof(*f)) : NULL;
    struct registry_entry *entry = wanted->entry;
    bool is_good = f != NULL && caller_copy(a, caller, &f->caller);
    if (is_good) {
        f->sv = sv;
        f->cache = sv->lists;
        f->a = a;
        f->kind = wanted->kind;
        f->key = key_of(a, entry, f->kind, caller->principal);
        f->key_shared = key_of(a, entry, f->kind, owner_of(entry, caller));
        f->stamp = stamp;
        f->generation = *generation_of(entry->conn.id, f->kind);
        list_init(&f->waiters);
        is_good =
            !str_is_absent(f->key) && !str_is_absent(f->key_shared) && registry_hold(a, entry);
    }
    if (!is_good) {
        arena_end(a);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    f->entry = entry;
    list_push(&sv->lists->flights, &f->link);
    if (fiber_start(sv->loop, flight_run, f, &f->fiber, e))
        return true;
    list_remove(&f->link);
    arena_end(a);
    return false;
}

/* ---- asking ---- */

/* The newest that this caller may see; NULL: nothing is known. */
static struct cached *look_up(struct list_cache *c, struct arena *a, const struct caller *caller,
                              const struct listing *wanted, int64_t stamp)
{
    struct cached *best = NULL;
    struct str owners[] = {caller->principal, owner_of(wanted->entry, caller)};
    for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
        struct str key = key_of(a, wanted->entry, wanted->kind, owners[i]);
        struct cached *one = str_is_absent(key) ? NULL : map_get(c->lists, key);
        if (one && one->stamp == stamp && (!best || one->expires_at > best->expires_at))
            best = one;
    }
    return best;
}

static bool fill(struct arena *a, struct listing *out, struct cached *one, struct err *e)
{
    if (!one) {
        out->state = LISTING_ABSENT;
        out->reason = STR("it has not answered in time");
        return true;
    }
    one->refs++;
    if (!arena_on_end(a, cached_release, one)) {
        cached_release(one);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    out->state = one->state;
    out->items = one->items;
    out->n = one->n;
    out->reason = one->reason;
    return true;
}

/* Waits for the flight of a key, if there is one. */
static bool flight_wait(struct list_cache *c, struct str key, uint32_t generation, int64_t deadline,
                        struct err *e)
{
    struct waiter w = {0};
    struct flight *f = flight_find(c, key, generation);
    if (!f)
        return true;
    list_push(&f->waiters, &w.link);
    bool is_done = fiber_wait(&w.wait, deadline, e);
    list_remove(&w.link);
    return is_done || e->code == ERR_TIMEOUT;
}

static bool is_usable(const struct cached *one, uint32_t generation, bool is_stale_good)
{
    if (!one)
        return false;
    return (one->expires_at > clock_mono_ms() && one->generation == generation) ||
           (is_stale_good && one->state == LISTING_FRESH);
}

bool list_cache_get(struct services *sv, struct arena *a, const struct caller *caller,
                    struct listing *list, size_t n, bool is_stale_good, int64_t deadline_ms,
                    struct err *e)
{
    struct list_cache *c = sv->lists;
    struct asked {
        int64_t stamp;
        uint32_t generation;
        struct str key;
    } *asked = arena_alloc(a, (n + 1) * sizeof(*asked));
    if (!asked)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < n; i++) {
        list[i].items = NULL;
        list[i].n = 0;
        asked[i].stamp = stamp_of(sv, a, list[i].entry, caller);
        asked[i].generation = *generation_of(list[i].entry->conn.id, list[i].kind);
        asked[i].key = key_of(a, list[i].entry, list[i].kind, caller->principal);
        struct cached *one = look_up(c, a, caller, &list[i], asked[i].stamp);
        if (!is_usable(one, asked[i].generation, is_stale_good) &&
            !flight_find(c, asked[i].key, asked[i].generation) &&
            !flight_start(sv, caller, &list[i], asked[i].stamp, e))
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        struct cached *one = look_up(c, a, caller, &list[i], asked[i].stamp);
        if (!is_usable(one, asked[i].generation, is_stale_good) &&
            !flight_wait(c, asked[i].key, asked[i].generation, deadline_ms, e))
            return false;
        if (!fill(a, &list[i], look_up(c, a, caller, &list[i], asked[i].stamp), e))
            return false;
    }
    return true;
}
