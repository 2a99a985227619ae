/* The table of client sessions at downstream servers. */
#include "mcp/sessions.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/text.h"
#include "log/metrics.h"
#include "mcp/fair_count.h"

#define PURPOSE "mcp-session"
enum { KEY_BYTES = 16, KEY_HEX = 32, HANDLE_MAX = 4096, KEEP_BYTES = 64 * 1024 };

struct record {
    int64_t used_at;
    struct arena *keep;
    struct session_ref ref;
    struct str key;
    struct str handle; /* as it was opened before; absent: not yet */
    int64_t expires_at;
    char *level;
    char **uris;
    size_t n_uris;
    bool is_lossy; /* there was more than is remembered */
};

/* A key that ended; the ring forgets the oldest. */
struct tombstone {
    char key[KEY_HEX + 1];
};

struct session_table {
    pthread_mutex_t lock;
    struct map *by_key;
    struct map *by_handle; /* those whose handle was opened: opening costs more than the rest */
    struct map *ended;     /* the keys of the ring */
    struct tombstone *ring;
    size_t ring_room, ring_at; /* ring_at: the place of the next */
    const struct keyring *keys;
};

static void record_free(void *arg)
{
    struct record *r = arg;
    for (size_t i = 0; i < r->n_uris; i++)
        free(r->uris[i]);
    free((void *)r->uris);
    free(r->level);
    arena_end(r->keep);
    free(r);
    metric_add(M_SESSIONS, -1);
}

struct session_table *session_table_new(const struct keyring *keys)
{
    struct session_table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->keys = keys;
    t->by_key = map_new();
    t->by_handle = map_new();
    t->ended = map_new();
    if (!t->by_key || !t->by_handle || !t->ended) {
        map_free(t->by_key, NULL);
        map_free(t->by_handle, NULL);
        map_free(t->ended, NULL);
        free(t);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void session_table_free(struct session_table *t)
{
    if (!t)
        return;
    map_free(t->by_key, record_free);
    map_free(t->by_handle, NULL);
    map_free(t->ended, NULL);
    free(t->ring);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void ref_copy(struct arena *a, const struct session_ref *from, struct session_ref *to)
{
    *to = (struct session_ref){.org_id = arena_dup(a, from->org_id),
                               .connection_id = arena_dup(a, from->connection_id),
                               .user_id = arena_dup(a, from->user_id),
                               .principal = arena_dup(a, from->principal),
                               .downstream_id = arena_dup(a, from->downstream_id),
                               .version = arena_dup(a, from->version),
                               .client_version = arena_dup(a, from->client_version),
                               .caps = from->caps,
                               .hello = arena_dup(a, from->hello),
                               .connection_updated_at = from->connection_updated_at};
}

static struct record *record_new(struct str key, const struct session_ref *ref, int64_t now)
{
    struct record *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->keep = arena_new(KEEP_BYTES);
    if (!r->keep) {
        free(r);
        return NULL;
    }
    r->used_at = now;
    r->key = arena_dup(r->keep, key);
    ref_copy(r->keep, ref, &r->ref);
    r->is_lossy = str_is_absent(r->ref.hello);
    metric_add(M_SESSIONS, 1);
    return r;
}

/* ---- under the lock ---- */

static void handle_forget(struct session_table *t, const struct record *r)
{
    if (!str_is_absent(r->handle))
        (void)!map_take(t->by_handle, r->handle);
}

/* NULL: there is none. */
static struct record *record_take(struct session_table *t, struct str key)
{
    struct record *r = map_take(t->by_key, key);
    if (r)
        handle_forget(t, r);
    return r;
}

struct census {
    const struct session_ref *ref;
    int of_principal, of_user, of_connection;
    struct str oldest_of_principal, oldest_of_user;
    int64_t principal_at, user_at;
};

static void keep_older(struct str *oldest, int64_t *oldest_at, struct str key, int64_t at)
{
    if (!str_is_absent(*oldest) && at >= *oldest_at)
        return;
    *oldest = key;
    *oldest_at = at;
}

static bool census_visit(struct str key, void *value, void *arg)
{
    const struct record *r = value;
    struct census *c = arg;
    if (!str_eq(r->ref.connection_id, c->ref->connection_id))
        return false;
    c->of_connection++;
    if (!str_eq(r->ref.user_id, c->ref->user_id))
        return false;
    c->of_user++;
    keep_older(&c->oldest_of_user, &c->user_at, key, r->used_at);
    if (!str_eq(r->ref.principal, c->ref->principal))
        return false;
    c->of_principal++;
    keep_older(&c->oldest_of_principal, &c->principal_at, key, r->used_at);
    return false;
}

struct fair_visit {
    struct fair_count count;
    struct str connection_id; /* absent: of all connections */
};

static bool fair_visit(struct str key, void *value, void *arg)
{
    const struct record *r = value;
    struct fair_visit *f = arg;
    if (str_is_absent(f->connection_id) || str_eq(r->ref.connection_id, f->connection_id))
        fair_count_add(&f->count, r->ref.user_id, key, r->used_at);
    return false;
}

/* Takes out whoever has to give way; NULL: nobody has to. */
static struct record *victim_take(struct session_table *t, const struct session_ref *ref)
{
    struct census c = {.ref = ref};
    map_each(t->by_key, census_visit, &c);
    if (c.of_principal >= LIMIT_SESSIONS_PRINCIPAL)
        return record_take(t, c.oldest_of_principal);
    if (c.of_user >= LIMIT_SESSIONS_USER)
        return record_take(t, c.oldest_of_user);
    bool is_connection_full = c.of_connection >= LIMIT_SESSIONS_CONNECTION;
    if (!is_connection_full && map_count(t->by_key) < LIMIT_SESSIONS)
        return NULL;
    struct fair_visit f = {.connection_id = is_connection_full ? ref->connection_id : STR_NONE};
    fair_count_begin(&f.count);
    map_each(t->by_key, fair_visit, &f);
    struct str key = fair_count_victim(&f.count, ref->user_id);
    struct record *victim = str_is_absent(key) ? NULL : record_take(t, key);
    fair_count_end(&f.count);
    return victim;
}

/* Puts a record in, within the caps. NULL: ERR_UNAVAILABLE. */
static struct record *insert(struct session_table *t, struct arena *a, struct str key,
                             const struct session_ref *ref, int64_t now,
                             struct session_ref *evicted, struct err *e)
{
    struct record *victim = victim_take(t, ref);
    if (victim) {
        if (evicted)
            ref_copy(a, &victim->ref, evicted);
        record_free(victim);
    }
    struct record *r = record_new(key, ref, now);
    if (r && map_set(t->by_key, key, r, NULL))
        return r;
    if (r)
        record_free(r);
    err_set(e, ERR_UNAVAILABLE, "out of memory");
    return NULL;
}

/* ---- handles: "key|expiry|caps|client's version|server's version|downstream id", sealed to
 * principal and connection ---- */

static struct str handle_aad(struct arena *a, const struct session_ref *ref)
{
    char digits[STR_I64_SIZE];
    return ARENA_JOIN(a, ref->principal, STR("|"), ref->connection_id, STR("|"),
                      str_i64(digits, ref->connection_updated_at));
}

bool session_open(struct session_table *t, struct arena *a, const struct session_ref *ref,
                  int64_t now, struct str *handle, struct session_ref *evicted, struct err *e)
{
    *evicted = (struct session_ref){0};
    unsigned char fresh[KEY_BYTES];
    char hex[KEY_HEX + 1];
    rand_bytes(fresh, sizeof(fresh));
    text_hex(hex, fresh, sizeof(fresh));
    struct str plain = arena_printf(
        a, "%s|%lld|%d|%.*s|%.*s|%.*s", hex, (long long)now + LIMIT_SESSION_LIFE_MS, ref->caps,
        STR_FMT(ref->client_version), STR_FMT(ref->version), STR_FMT(ref->downstream_id));
    struct buf sealed;
    buf_init(&sealed, HANDLE_MAX);
    bool is_sealed = !str_is_absent(plain) &&
                     keyring_seal(t->keys, STR(PURPOSE), handle_aad(a, ref), plain, &sealed) &&
                     buf_ok(&sealed);
    *handle = is_sealed ? arena_dup(a, buf_str(&sealed)) : STR_NONE;
    buf_end(&sealed);
    if (str_is_absent(*handle))
        return err_set(e, ERR_UPSTREAM, "the server's session id is longer than can be carried");
    pthread_mutex_lock(&t->lock);
    bool is_kept = insert(t, a, str_c(hex), ref, now, evicted, e) != NULL;
    pthread_mutex_unlock(&t->lock);
    return is_kept;
}

static bool handle_read(struct session_table *t, struct arena *a, struct str handle,
                        const struct session_ref *who, int64_t now, struct session *out,
                        int64_t *expires_at)
{
    struct buf plain;
    buf_init(&plain, HANDLE_MAX);
    bool is_open = handle.n < HANDLE_MAX &&
                   keyring_open(t->keys, STR(PURPOSE), handle_aad(a, who), handle, &plain);
    struct str rest = is_open ? arena_dup(a, buf_str(&plain)) : STR_NONE;
    buf_end(&plain);
    struct str key, expiry, caps_text, client_version, version;
    int64_t caps;
    if (!str_next(&rest, '|', &key) || !str_next(&rest, '|', &expiry) ||
        !str_next(&rest, '|', &caps_text) || !str_next(&rest, '|', &client_version) ||
        !str_next(&rest, '|', &version) || str_is_absent(rest) ||
        !str_to_i64(expiry, 0, INT64_MAX, expires_at) ||
        !str_to_i64(caps_text, 0, INT32_MAX, &caps) || *expires_at <= now)
        return false;
    *out = (struct session){.key = key,
                            .version = version,
                            .client_version = client_version,
                            .caps = (int)caps,
                            .downstream_id = rest};
    return true;
}

/* What opening it again would say: the text is the same, and so are those that it was sealed to. */
static bool is_opened(const struct record *r, const struct session_ref *who, int64_t now)
{
    return r->expires_at > now && str_eq(r->ref.principal, who->principal) &&
           str_eq(r->ref.connection_id, who->connection_id) &&
           r->ref.connection_updated_at == who->connection_updated_at;
}

/* Of all that is known by now, as it is now. False: out of memory. */
static bool record_show(struct record *r, struct arena *a, int64_t now, struct session *out)
{
    r->used_at = now;
    *out = (struct session){.key = arena_dup(a, r->key),
                            .version = arena_dup(a, r->ref.version),
                            .client_version = arena_dup(a, r->ref.client_version),
                            .caps = r->ref.caps,
                            .downstream_id = arena_dup(a, r->ref.downstream_id)};
    return !str_is_absent(out->key) && !str_is_absent(out->downstream_id);
}

static bool session_known(struct session_table *t, struct arena *a, struct str handle,
                          const struct session_ref *who, int64_t now, struct session *out)
{
    pthread_mutex_lock(&t->lock);
    struct record *r = map_get(t->by_handle, handle);
    bool is_known = r && is_opened(r, who, now) && record_show(r, a, now, out);
    pthread_mutex_unlock(&t->lock);
    return is_known;
}

/* Without memory it is opened again the next time. */
static void handle_keep(struct session_table *t, struct record *r, struct str handle,
                        int64_t expires_at)
{
    struct str copy = str_is_absent(r->handle) ? arena_dup(r->keep, handle) : STR_NONE;
    if (str_is_absent(copy) || !map_set(t->by_handle, copy, r, NULL))
        return;
    r->handle = copy;
    r->expires_at = expires_at;
}

bool session_lookup(struct session_table *t, struct arena *a, struct str handle,
                    const struct session_ref *who, int64_t now, struct session *out, struct err *e)
{
    int64_t expires_at;
    if (session_known(t, a, handle, who, now, out))
        return true;
    if (!handle_read(t, a, handle, who, now, out, &expires_at))
        return err_set(e, ERR_SESSION_NOT_FOUND, "Session not found");
    pthread_mutex_lock(&t->lock);
    struct record *r = map_get(t->by_key, out->key);
    if (!r && map_get(t->ended, out->key)) {
        err_set(e, ERR_SESSION_NOT_FOUND, "Session not found");
    } else if (!r) {
        /* Made before a restart, or at another node: counted here from now on. */
        struct session_ref ref = *who;
        ref.downstream_id = out->downstream_id;
        ref.version = out->version;
        ref.client_version = out->client_version;
        ref.caps = out->caps;
        ref.hello = STR_NONE;
        r = insert(t, a, out->key, &ref, now, NULL, e);
    }
    if (r)
        handle_keep(t, r, handle, expires_at);
    bool is_shown = r && record_show(r, a, now, out);
    pthread_mutex_unlock(&t->lock);
    return is_shown || (r && err_set(e, ERR_UNAVAILABLE, "out of memory"));
}

void session_forget(struct session_table *t, struct str key)
{
    pthread_mutex_lock(&t->lock);
    struct record *r = record_take(t, key);
    pthread_mutex_unlock(&t->lock);
    if (r)
        record_free(r);
}

/* ---- the ended ---- */

/* The place of the next tombstone: a new one while the ring may grow, else that of the oldest. With
 * the lock held; NULL: out of memory. */
static struct tombstone *tombstone_place(struct session_table *t)
{
    if (t->ring_at == 0 && t->ring_room < LIMIT_TOMBSTONES) {
        size_t room = t->ring_room ? 2 * t->ring_room : 256;
        struct tombstone *grown = realloc(t->ring, room * sizeof(*grown));
        if (!grown)
            return NULL;
        memset(grown + t->ring_room, 0, (room - t->ring_room) * sizeof(*grown));
        t->ring = grown;
        t->ring_at = t->ring_room;
        t->ring_room = room;
    }
    struct tombstone *place = &t->ring[t->ring_at];
    t->ring_at = (t->ring_at + 1) % t->ring_room;
    if (place->key[0])
        (void)!map_take(t->ended, str_c(place->key));
    return place;
}

void session_kill(struct session_table *t, struct str key)
{
    pthread_mutex_lock(&t->lock);
    struct record *r = record_take(t, key);
    struct tombstone *place =
        key.n == KEY_HEX && !map_get(t->ended, key) ? tombstone_place(t) : NULL;
    if (place) {
        memcpy(place->key, key.p, KEY_HEX);
        place->key[KEY_HEX] = '\0';
        if (!map_set(t->ended, key, t, NULL))
            place->key[0] = '\0';
    }
    pthread_mutex_unlock(&t->lock);
    if (r)
        record_free(r);
}

/* ---- what is remembered for a new beginning ---- */

bool session_recall(struct session_table *t, struct arena *a, struct str key,
                    struct session_memory *out)
{
    *out = (struct session_memory){0};
    out->uris = arena_alloc(a, (LIMIT_SESSION_URIS + 1) * sizeof(*out->uris));
    if (!out->uris)
        return false;
    pthread_mutex_lock(&t->lock);
    const struct record *r = map_get(t->by_key, key);
    bool is_known = r && !r->is_lossy;
    if (is_known) {
        out->downstream_id = arena_dup(a, r->ref.downstream_id);
        out->version = arena_dup(a, r->ref.version);
        out->hello = arena_dup(a, r->ref.hello);
        out->level = arena_dup(a, str_c(r->level));
        for (; out->n_uris < r->n_uris; out->n_uris++)
            out->uris[out->n_uris] = arena_dup(a, str_c(r->uris[out->n_uris]));
    }
    pthread_mutex_unlock(&t->lock);
    return is_known && !str_is_absent(out->hello);
}

static char *copy_of(struct str text)
{
    char *copy = memchr(text.p, '\0', text.n) ? NULL : malloc(text.n + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return copy;
}

void session_note_level(struct session_table *t, struct str key, struct str level_raw)
{
    char *level = str_is_absent(level_raw) ? NULL : copy_of(level_raw);
    pthread_mutex_lock(&t->lock);
    struct record *r = level ? map_get(t->by_key, key) : NULL;
    if (r) {
        char *before = r->level;
        r->level = level;
        level = before;
    }
    pthread_mutex_unlock(&t->lock);
    free(level);
}

static void uri_add(struct record *r, struct str uri)
{
    char **grown = r->n_uris < LIMIT_SESSION_URIS && uri.n <= LIMIT_RESOURCE_URI
                       ? realloc((void *)r->uris, (r->n_uris + 1) * sizeof(*grown))
                       : NULL;
    if (grown)
        r->uris = grown;
    char *copy = grown ? copy_of(uri) : NULL;
    if (copy)
        r->uris[r->n_uris++] = copy;
    else
        r->is_lossy = true;
}

void session_note_uri(struct session_table *t, struct str key, struct str uri_raw,
                      bool is_subscribed)
{
    if (str_is_absent(uri_raw))
        return;
    pthread_mutex_lock(&t->lock);
    struct record *r = map_get(t->by_key, key);
    size_t i = 0;
    while (r && i < r->n_uris && !str_eq(str_c(r->uris[i]), uri_raw))
        i++;
    if (r && is_subscribed && i == r->n_uris) {
        uri_add(r, uri_raw);
    } else if (r && !is_subscribed && i < r->n_uris) {
        free(r->uris[i]);
        r->uris[i] = r->uris[--r->n_uris];
    }
    pthread_mutex_unlock(&t->lock);
}

bool session_renew(struct session_table *t, struct str key, struct str old_id, struct str new_id,
                   struct str version)
{
    pthread_mutex_lock(&t->lock);
    struct record *r = map_get(t->by_key, key);
    bool is_ours = r && str_eq(r->ref.downstream_id, old_id);
    struct str id = is_ours ? arena_dup(r->keep, new_id) : STR_NONE;
    struct str kept_version = is_ours ? arena_dup(r->keep, version) : STR_NONE;
    is_ours = is_ours && !str_is_absent(id) && !str_is_absent(kept_version);
    if (is_ours) {
        r->ref.downstream_id = id;
        r->ref.version = kept_version;
    }
    pthread_mutex_unlock(&t->lock);
    return is_ours;
}

/* ---- the idle ---- */

struct idle_search {
    struct session_table *table;
    struct arena *arena;
    int64_t before;
    struct session_ref *out;
    size_t n, max;
};

static bool idle_visit(struct str key unused_arg, void *value, void *arg)
{
    struct record *r = value;
    struct idle_search *s = arg;
    if (s->n == s->max || r->used_at >= s->before)
        return false;
    ref_copy(s->arena, &r->ref, &s->out[s->n++]);
    handle_forget(s->table, r);
    record_free(r);
    return true;
}

size_t session_take_idle(struct session_table *t, struct arena *a, int64_t now,
                         struct session_ref *out, size_t max)
{
    struct idle_search search = {
        .table = t, .arena = a, .before = now - LIMIT_SESSION_IDLE_MS, .out = out, .max = max};
    pthread_mutex_lock(&t->lock);
    map_each(t->by_key, idle_visit, &search);
    pthread_mutex_unlock(&t->lock);
    return search.n;
}
