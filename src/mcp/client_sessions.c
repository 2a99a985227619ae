/* The table of sessions that Tulle keeps for clients. */
#include "mcp/client_session_parts.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"
#include "log/metrics.h"
#include "mcp/fair_count.h"

#define PURPOSE "mcp-client-session"
enum { KEY_BYTES = CLIENT_KEY_HEX / 2, HANDLE_MAX = 512 };

/* ---- one record ---- */

struct client_sessions *client_sessions_new(const struct keyring *keys)
{
    struct client_sessions *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->keys = keys;
    t->by_key = map_new();
    if (!t->by_key) {
        free(t);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void session_free(struct client_session *s)
{
    client_outbox_free(s);
    for (size_t i = 0; i < s->n_uris; i++)
        free(s->uris[i]);
    free((void *)s->uris);
    free(s->text);
    if (!client_session_is_branch(s))
        metric_add(M_CLIENT_SESSIONS, -1);
    free(s);
}

void client_session_hold(struct client_session *s)
{
    pthread_mutex_lock(&s->table->lock);
    s->refs++;
    pthread_mutex_unlock(&s->table->lock);
}

void client_session_release(struct client_session *s)
{
    pthread_mutex_t *lock = &s->table->lock;
    pthread_mutex_lock(lock);
    bool is_last = --s->refs == 0;
    pthread_mutex_unlock(lock);
    if (is_last)
        session_free(s);
}

static void release_at_end(void *arg)
{
    client_session_release(arg);
}

/* Copies one text behind the others. */
static struct str pack(char **at, struct str text)
{
    if (str_is_absent(text))
        return STR_NONE;
    struct str copy = {*at, text.n};
    memcpy(*at, text.p, text.n);
    *at += text.n;
    return copy;
}

struct client_session *client_session_make(struct client_sessions *t, const struct client_who *who,
                                           const struct client_hello *hello, int64_t now)
{
    size_t n = who->org_id.n + who->user_id.n + who->principal.n + who->audience.n +
               hello->version.n + hello->capabilities.n + hello->client_info.n + hello->offered.n;
    struct client_session *s = calloc(1, sizeof(*s));
    char *text = malloc(n + 1);
    if (!s || !text) {
        free(s);
        free(text);
        return NULL;
    }
    char *at = text;
    *s = (struct client_session){
        .table = t, .text = text, .opened_at = now, .used_at = now, .level = -1, .refs = 1};
    s->who = (struct client_who){.org_id = pack(&at, who->org_id),
                                 .user_id = pack(&at, who->user_id),
                                 .principal = pack(&at, who->principal),
                                 .audience = pack(&at, who->audience)};
    s->hello = (struct client_hello){.version = pack(&at, hello->version),
                                     .capabilities = pack(&at, hello->capabilities),
                                     .client_info = pack(&at, hello->client_info),
                                     .offered = pack(&at, hello->offered),
                                     .is_narrowed = hello->is_narrowed,
                                     .is_waiting = hello->is_waiting};
    list_init(&s->asks);
    list_init(&s->branches);
    list_init(&s->branch_link);
    unsigned char fresh[KEY_BYTES];
    rand_bytes(fresh, sizeof(fresh));
    text_hex(s->key, fresh, sizeof(fresh));
    return s;
}

/* ---- ending ---- */

/* A session that left the table, on its way out without the lock. */
struct leaving {
    struct client_session *session;
    void (*on_end)(void *arg);
    void *attached;
};

/* With the lock held and the session out of the map: the table's reference passes to *l. */
static void end_locked(struct client_session *s, struct leaving *l)
{
    s->is_ended = true;
    s->parent = NULL;
    list_remove(&s->branch_link);
    *l = (struct leaving){s, s->on_end, s->attached};
    s->on_end = NULL;
    s->attached = NULL;
    client_asks_end_locked(s);
    client_stream_wake_locked(s);
}

static void leave(struct leaving *l)
{
    if (!l->session)
        return;
    if (l->on_end)
        l->on_end(l->attached);
    client_branches_end(l->session);
    client_session_release(l->session);
}

void client_session_end(struct client_session *s)
{
    struct leaving l = {0};
    pthread_mutex_lock(&s->table->lock);
    if (!s->is_ended) {
        (void)!map_take(s->table->by_key, str_c(s->key));
        end_locked(s, &l);
    }
    pthread_mutex_unlock(&s->table->lock);
    leave(&l);
}

bool client_session_is_ended(const struct client_session *s)
{
    pthread_mutex_lock(&s->table->lock);
    bool is_ended = s->is_ended;
    pthread_mutex_unlock(&s->table->lock);
    return is_ended;
}

struct reaping {
    int64_t now;
    struct client_session *found;
};

static bool reap_visit(struct str key unused_arg, void *value, void *arg)
{
    struct client_session *s = value;
    struct reaping *r = arg;
    bool is_idle = !s->stream && s->used_at < r->now - LIMIT_SESSION_IDLE_MS;
    if (r->found || (!is_idle && s->opened_at >= r->now - LIMIT_SESSION_LIFE_MS))
        return false;
    r->found = s;
    return true;
}

size_t client_sessions_reap(struct client_sessions *t, int64_t now)
{
    for (size_t n = 0;; n++) {
        struct reaping r = {.now = now};
        struct leaving l = {0};
        pthread_mutex_lock(&t->lock);
        map_each(t->by_key, reap_visit, &r);
        if (r.found)
            end_locked(r.found, &l);
        pthread_mutex_unlock(&t->lock);
        if (!r.found)
            return n;
        leave(&l);
    }
}

static bool free_visit(struct str key unused_arg, void *value, void *arg)
{
    struct reaping *r = arg;
    if (r->found)
        return false;
    r->found = value;
    return true;
}

void client_sessions_free(struct client_sessions *t)
{
    if (!t)
        return;
    for (;;) {
        struct reaping r = {0};
        struct leaving l = {0};
        pthread_mutex_lock(&t->lock);
        map_each(t->by_key, free_visit, &r);
        if (r.found)
            end_locked(r.found, &l);
        pthread_mutex_unlock(&t->lock);
        if (!r.found)
            break;
        leave(&l);
    }
    map_free(t->by_key, NULL);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- opening, within the caps ---- */

struct census {
    const struct client_who *who;
    struct fair_count of_audience, of_all;
    size_t n_principal, n_user, n_audience;
    struct client_session *oldest_of_principal, *oldest_of_user;
};

static void keep_older(struct client_session **oldest, struct client_session *s)
{
    if (!*oldest || s->used_at < (*oldest)->used_at)
        *oldest = s;
}

/* "hub" is another place in each organization. */
static bool is_same_place(const struct client_session *s, const struct client_who *who)
{
    return str_eq(s->who.audience, who->audience) && str_eq(s->who.org_id, who->org_id);
}

static bool census_visit(struct str key unused_arg, void *value, void *arg)
{
    struct client_session *s = value;
    struct census *c = arg;
    if (!is_same_place(s, c->who))
        return false;
    c->n_audience++;
    if (!str_eq(s->who.user_id, c->who->user_id))
        return false;
    c->n_user++;
    keep_older(&c->oldest_of_user, s);
    if (!str_eq(s->who.principal, c->who->principal))
        return false;
    c->n_principal++;
    keep_older(&c->oldest_of_principal, s);
    return false;
}

struct fair_visit {
    struct fair_count count;
    const struct client_who *place; /* NULL: all */
};

static bool fair_visit(struct str key, void *value, void *arg)
{
    struct client_session *s = value;
    struct fair_visit *f = arg;
    if (!f->place || is_same_place(s, f->place))
        fair_count_add(&f->count, s->who.user_id, key, s->used_at);
    return false;
}

static struct client_session *fair_victim(struct client_sessions *t, const struct client_who *who,
                                          const struct client_who *place)
{
    struct fair_visit f = {.place = place};
    fair_count_begin(&f.count);
    map_each(t->by_key, fair_visit, &f);
    struct str key = fair_count_victim(&f.count, who->user_id);
    struct client_session *victim = str_is_absent(key) ? NULL : map_get(t->by_key, key);
    fair_count_end(&f.count);
    return victim;
}

/* Who gives way to a new session of `who`; NULL: nobody has to. With the lock held. */
static struct client_session *victim_of(struct client_sessions *t, const struct client_who *who)
{
    struct census c = {.who = who};
    map_each(t->by_key, census_visit, &c);
    if (c.n_principal >= LIMIT_SESSIONS_PRINCIPAL)
        return c.oldest_of_principal;
    if (c.n_user >= LIMIT_SESSIONS_USER)
        return c.oldest_of_user;
    if (c.n_audience >= LIMIT_SESSIONS_CONNECTION)
        return fair_victim(t, who, who);
    if (map_count(t->by_key) >= LIMIT_SESSIONS)
        return fair_victim(t, who, NULL);
    return NULL;
}

static struct str handle_aad(struct arena *a, const struct client_who *who)
{
    return arena_printf(a, "%.*s|%.*s", STR_FMT(who->principal), STR_FMT(who->audience));
}

static bool handle_write(struct client_sessions *t, struct arena *a, const struct client_session *s,
                         struct str *handle)
{
    struct buf sealed;
    buf_init(&sealed, HANDLE_MAX);
    struct str aad = handle_aad(a, &s->who);
    *handle = !str_is_absent(aad) &&
                      keyring_seal(t->keys, STR(PURPOSE), aad, str_c(s->key), &sealed) &&
                      buf_ok(&sealed)
                  ? arena_dup(a, buf_str(&sealed))
                  : STR_NONE;
    buf_end(&sealed);
    return !str_is_absent(*handle);
}

bool client_session_open(struct client_sessions *t, struct arena *a, const struct client_who *who,
                         const struct client_hello *hello, int64_t now, struct str *handle,
                         struct client_session **out, struct err *e)
{
    if (hello->capabilities.n > LIMIT_SESSION_HELLO)
        return err_set(e, ERR_INVALID, "params.capabilities has %zu bytes, expected at most %d",
                       hello->capabilities.n, (int)LIMIT_SESSION_HELLO);
    struct client_hello kept = *hello;
    if (kept.client_info.n > LIMIT_SESSION_HELLO) /* it is for display only */
        kept.client_info = STR_NONE;
    struct client_session *s = client_session_make(t, who, &kept, now);
    if (!s)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    metric_add(M_CLIENT_SESSIONS, 1);
    struct leaving evicted = {0};
    bool is_sealed = handle_write(t, a, s, handle);
    pthread_mutex_lock(&t->lock);
    struct client_session *victim = is_sealed ? victim_of(t, who) : NULL;
    if (victim) {
        (void)!map_take(t->by_key, str_c(victim->key));
        end_locked(victim, &evicted);
    }
    bool is_kept = is_sealed && map_set(t->by_key, str_c(s->key), s, NULL);
    s->refs += is_kept ? 1 : 0;
    pthread_mutex_unlock(&t->lock);
    leave(&evicted);
    if (is_kept && arena_on_end(a, release_at_end, s)) {
        *out = s;
        return true;
    }
    if (is_kept)
        client_session_end(s);
    client_session_release(s);
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool client_session_find(struct client_sessions *t, struct arena *a, struct str handle,
                         const struct client_who *who, int64_t now, struct client_session **out,
                         struct err *e)
{
    struct buf key;
    struct client_session *s = NULL;
    buf_init(&key, HANDLE_MAX);
    if (handle.n <= HANDLE_MAX &&
        keyring_open(t->keys, STR(PURPOSE), handle_aad(a, who), handle, &key)) {
        pthread_mutex_lock(&t->lock);
        s = map_get(t->by_key, buf_str(&key));
        if (s && s->opened_at < now - LIMIT_SESSION_LIFE_MS)
            s = NULL;
        if (s) {
            s->used_at = now;
            s->refs++;
        }
        pthread_mutex_unlock(&t->lock);
    }
    buf_end(&key);
    if (!s)
        return err_set(e, ERR_SESSION_NOT_FOUND, "Session not found");
    if (!arena_on_end(a, release_at_end, s)) {
        client_session_release(s);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    *out = s;
    return true;
}

/* ---- what it is ---- */

struct str client_session_key(const struct client_session *s)
{
    return (struct str){s->key, CLIENT_KEY_HEX};
}

const struct client_who *client_session_who(const struct client_session *s)
{
    return &s->who;
}

const struct client_hello *client_session_hello(const struct client_session *s)
{
    return &s->hello;
}

/* RFC 5424 6.2.1, as MCP names them. */
static const struct str levels[] = {STR("debug"), STR("info"),     STR("notice"), STR("warning"),
                                    STR("error"), STR("critical"), STR("alert"),  STR("emergency")};

bool client_session_set_level(struct client_session *s, struct str level)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (!str_eq(levels[i], level))
            continue;
        pthread_mutex_lock(&s->table->lock);
        s->level = (int)i;
        pthread_mutex_unlock(&s->table->lock);
        return true;
    }
    return false;
}

struct str client_session_level(const struct client_session *s)
{
    pthread_mutex_lock(&s->table->lock);
    int level = s->level;
    pthread_mutex_unlock(&s->table->lock);
    return level < 0 ? STR_NONE : levels[level];
}

/* ---- what belongs to it ---- */

uint64_t client_session_turn(struct client_session *s)
{
    pthread_mutex_lock(&s->table->lock);
    uint64_t turn = ++s->turns;
    pthread_mutex_unlock(&s->table->lock);
    return turn;
}

bool client_session_attach_in_turn(struct client_session *s, void (*on_end)(void *arg), void *arg,
                                   uint64_t turn)
{
    void (*last_end)(void *) = NULL;
    void *last = NULL;
    pthread_mutex_lock(&s->table->lock);
    bool is_good = true;
    if (!on_end) {
        is_good = s->attached == arg;
        if (is_good) {
            s->on_end = NULL;
            s->attached = NULL;
        }
    } else if (s->is_ended) {
        last_end = on_end;
        last = arg;
    } else if (s->attached && turn < s->attached_turn) {
        is_good = false;
    } else {
        last_end = s->on_end;
        last = s->attached;
        s->on_end = on_end;
        s->attached = arg;
        s->attached_turn = turn;
    }
    pthread_mutex_unlock(&s->table->lock);
    if (last_end)
        last_end(last);
    return is_good;
}

bool client_session_attach(struct client_session *s, void (*on_end)(void *arg), void *arg)
{
    return client_session_attach_in_turn(s, on_end, arg, UINT64_MAX);
}

void *client_session_attached(const struct client_session *s)
{
    pthread_mutex_lock(&s->table->lock);
    void *attached = s->attached;
    pthread_mutex_unlock(&s->table->lock);
    return attached;
}

/* ---- subscriptions ---- */

static size_t uri_find(const struct client_session *s, struct str uri)
{
    for (size_t i = 0; i < s->n_uris; i++)
        if (str_eq(str_c(s->uris[i]), uri))
            return i;
    return SIZE_MAX;
}

/* With the lock held. */
static bool uri_add(struct client_session *s, struct str uri, struct err *e)
{
    if (uri_find(s, uri) != SIZE_MAX)
        return true;
    if (s->n_uris == LIMIT_SESSION_URIS)
        return err_set(e, ERR_UNPROCESSABLE, "this session subscribes to %d resources already",
                       (int)LIMIT_SESSION_URIS);
    char **grown = realloc((void *)s->uris, (s->n_uris + 1) * sizeof(*grown));
    if (grown)
        s->uris = grown;
    char *copy = grown ? malloc(uri.n + 1) : NULL;
    if (!copy)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    memcpy(copy, uri.p, uri.n);
    copy[uri.n] = '\0';
    s->uris[s->n_uris++] = copy;
    return true;
}

bool client_session_subscribe(struct client_session *s, struct str uri, struct err *e)
{
    if (memchr(uri.p, '\0', uri.n) != NULL)
        return err_set(e, ERR_INVALID, "params.uri holds a NUL character");
    pthread_mutex_lock(&s->table->lock);
    bool is_added = uri_add(s, uri, e);
    pthread_mutex_unlock(&s->table->lock);
    return is_added;
}

bool client_session_unsubscribe(struct client_session *s, struct str uri)
{
    pthread_mutex_lock(&s->table->lock);
    size_t i = uri_find(s, uri);
    if (i != SIZE_MAX) {
        free(s->uris[i]);
        s->uris[i] = s->uris[--s->n_uris];
    }
    pthread_mutex_unlock(&s->table->lock);
    return i != SIZE_MAX;
}

bool client_session_uris(const struct client_session *s, struct arena *a, struct str **uris,
                         size_t *n, struct err *e)
{
    *n = 0;
    *uris = arena_alloc(a, (LIMIT_SESSION_URIS + 1) * sizeof(**uris));
    bool is_good = *uris != NULL;
    pthread_mutex_lock(&s->table->lock);
    for (size_t i = 0; is_good && i < s->n_uris; i++) {
        (*uris)[i] = arena_dup(a, str_c(s->uris[i]));
        is_good = !str_is_absent((*uris)[i]);
        *n = i + 1;
    }
    pthread_mutex_unlock(&s->table->lock);
    return is_good || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool client_session_wants(const struct client_session *s, struct str uri)
{
    bool is_wanted = false;
    pthread_mutex_lock(&s->table->lock);
    for (size_t i = 0; !is_wanted && i < s->n_uris; i++) {
        struct str own = str_c(s->uris[i]);
        bool is_below = !s->hello.is_narrowed && str_starts(uri, own) && uri.n > own.n &&
                        (str_ends(own, STR("/")) || strchr("/?#", uri.p[own.n]) != NULL);
        is_wanted = is_below || str_eq(uri, own);
    }
    pthread_mutex_unlock(&s->table->lock);
    return is_wanted;
}
