/* Events kept for clients whose connection broke. */
#include "mcp/replay.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "mcp/wakeup.h"

struct event {
    struct event *next;
    uint64_t seq;
    size_t n;
    char bytes[];
};

struct session {
    struct list streams;
    size_t n_streams;
    size_t bytes;
    char key[];
};

/* What one person has of the table. */
struct owner {
    size_t bytes, n_calls;
    size_t n_streams; /* the last one takes it along */
    char name[];
};

/* Everything that changes is under the table's lock. */
struct replay {
    struct list link; /* in the session's; unlinked once forgotten */
    struct replay_table *table;
    struct session *session; /* NULL once forgotten */
    struct owner *owner;
    enum replay_kind kind;
    uint64_t number; /* unique in the process, and not guessed from another process's */
    int refs;        /* the session's own is one */
    struct event *first, *last;
    size_t bytes;
    uint64_t next_seq;
    bool is_over;
    int64_t used_at;
    struct wakeup *reader;
    bool is_taken;
    char *origin;
};

struct replay_table {
    pthread_mutex_t lock;
    struct map *by_session;
    struct map *owners;
    uint64_t next_number;
    size_t bytes;
    size_t n_calls; /* running */
    bool is_ending;
};

struct replay_table *replay_table_new(void)
{
    struct replay_table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->by_session = map_new();
    t->owners = map_new();
    if (!t->by_session || !t->owners) {
        map_free(t->by_session, NULL);
        map_free(t->owners, NULL);
        free(t);
        return NULL;
    }
    rand_bytes(&t->next_number, sizeof(t->next_number));
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

/* ---- ends; with the lock held ---- */

static void event_drop(struct replay *r)
{
    struct event *old = r->first;
    r->first = old->next;
    if (!r->first)
        r->last = NULL;
    r->bytes -= old->n;
    r->table->bytes -= old->n;
    r->owner->bytes -= old->n;
    if (r->session)
        r->session->bytes -= old->n;
    free(old);
}

static void owner_leave(struct replay_table *t, struct owner *o)
{
    if (--o->n_streams == 0)
        free(map_take(t->owners, str_c(o->name)));
}

static void stream_free(struct replay *r)
{
    while (r->first)
        event_drop(r);
    wakeup_unref(r->reader);
    free(r->origin);
    owner_leave(r->table, r->owner);
    free(r);
}

static void unref(struct replay *r)
{
    if (--r->refs == 0)
        stream_free(r);
}

static void wake(struct replay *r)
{
    if (r->reader && !r->table->is_ending)
        wakeup_set(r->reader);
}

static void over(struct replay *r)
{
    if (!r->is_over && r->kind == REPLAY_CALL) {
        r->table->n_calls--;
        r->owner->n_calls--;
    }
    r->is_over = true;
}

/* Takes a stream out of its session. */
static void stream_forget(struct replay *r)
{
    struct session *s = r->session;
    ensure(s != NULL);
    list_remove(&r->link);
    s->n_streams--;
    s->bytes -= r->bytes;
    r->session = NULL;
    over(r);
    wake(r);
    unref(r);
}

static void session_free(void *arg)
{
    struct session *s = arg;
    LIST_FOR_SAFE(pos, next, &s->streams)
    {
        stream_forget(CONTAINER_OF(pos, struct replay, link));
    }
    free(s);
}

void replay_table_free(struct replay_table *t)
{
    if (!t)
        return;
    t->is_ending = true; /* the loops of those who read are gone */
    map_free(t->by_session, session_free);
    map_free(t->owners, NULL);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static bool is_stale(const struct replay *r, int64_t now)
{
    bool is_unused = r->is_over || r->refs == 1;
    return is_unused && r->used_at < now - LIMIT_REPLAY_MS;
}

static void session_prune(struct session *s, int64_t now)
{
    LIST_FOR_SAFE(pos, next, &s->streams)
    {
        struct replay *r = CONTAINER_OF(pos, struct replay, link);
        if (is_stale(r, now))
            stream_forget(r);
    }
}

/* ---- opening ---- */

static struct session *session_of(struct replay_table *t, struct str key)
{
    struct session *s = map_get(t->by_session, key);
    if (s)
        return s;
    s = calloc(1, sizeof(*s) + key.n + 1);
    if (!s)
        return NULL;
    memcpy(s->key, key.p, key.n);
    list_init(&s->streams);
    if (map_set(t->by_session, key, s, NULL))
        return s;
    free(s);
    return NULL;
}

static struct replay *get_stream(const struct session *s)
{
    LIST_FOR(pos, &s->streams)
    {
        struct replay *r = CONTAINER_OF(pos, struct replay, link);
        if (r->kind == REPLAY_GET)
            return r;
    }
    return NULL;
}

/* The oldest stream that is over; NULL: all are being written. */
static struct replay *oldest_over(const struct session *s)
{
    struct replay *oldest = NULL;
    LIST_FOR(pos, &s->streams)
    {
        struct replay *r = CONTAINER_OF(pos, struct replay, link);
        if (r->is_over && (!oldest || r->used_at < oldest->used_at))
            oldest = r;
    }
    return oldest;
}

/* Joined by one more stream. NULL: no memory. */
static struct owner *owner_join(struct replay_table *t, struct str name)
{
    struct owner *o = map_get(t->owners, name);
    if (!o) {
        o = calloc(1, sizeof(*o) + name.n + 1);
        if (!o)
            return NULL;
        if (name.n > 0)
            memcpy(o->name, name.p, name.n);
        if (!map_set(t->owners, name, o, NULL)) {
            free(o);
            return NULL;
        }
    }
    o->n_streams++;
    return o;
}

static struct replay *stream_new(struct replay_table *t, struct session *s, struct str owner,
                                 enum replay_kind kind)
{
    if (s->n_streams >= LIMIT_REPLAY_STREAMS) {
        struct replay *oldest = oldest_over(s);
        if (!oldest)
            return NULL;
        stream_forget(oldest);
    }
    struct owner *o = owner_join(t, owner);
    bool is_full =
        kind == REPLAY_CALL && o &&
        (t->n_calls >= LIMIT_REPLAY_CALLS || o->n_calls >= LIMIT_REPLAY_CALLS / LIMIT_REPLAY_SHARE);
    struct replay *r = o && !is_full ? calloc(1, sizeof(*r)) : NULL;
    if (!r) {
        if (o)
            owner_leave(t, o);
        return NULL;
    }
    t->n_calls += kind == REPLAY_CALL ? 1 : 0;
    o->n_calls += kind == REPLAY_CALL ? 1 : 0;
    *r = (struct replay){.table = t,
                         .session = s,
                         .owner = o,
                         .kind = kind,
                         .number = t->next_number++,
                         .refs = 1,
                         .next_seq = 1};
    list_push(&s->streams, &r->link);
    s->n_streams++;
    return r;
}

struct replay *replay_open(struct replay_table *t, struct str session_key, struct str owner,
                           enum replay_kind kind, int64_t now)
{
    pthread_mutex_lock(&t->lock);
    struct session *s = session_of(t, session_key);
    struct replay *r = NULL;
    if (s) {
        session_prune(s, now);
        r = kind == REPLAY_GET ? get_stream(s) : NULL;
        if (!r)
            r = stream_new(t, s, owner, kind);
    }
    if (r) {
        r->refs++;
        r->used_at = now;
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

void replay_release(struct replay *r)
{
    if (!r)
        return;
    pthread_mutex_t *lock = &r->table->lock;
    pthread_mutex_lock(lock);
    unref(r);
    pthread_mutex_unlock(lock);
}

enum replay_kind replay_kind_of(const struct replay *r)
{
    return r->kind; /* never changes */
}

/* ---- ids: "c" (call) or "g" (GET), then "<number>-<seq>", hexadecimal ---- */

bool replay_id_is_call(struct str id)
{
    return id.n > 0 && id.p[0] == 'c';
}

void replay_id(const struct replay *r, uint64_t seq, char id[REPLAY_ID_SIZE])
{
    (void)snprintf(id, REPLAY_ID_SIZE, "%c%016" PRIx64 "-%" PRIx64,
                   r->kind == REPLAY_GET ? 'g' : 'c', r->number, seq);
}

static bool hex_read(struct str text, uint64_t *out)
{
    *out = 0;
    if (text.n == 0 || text.n > 16)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const char *digits = "0123456789abcdef";
        const char *at = text.p[i] ? strchr(digits, text.p[i]) : NULL;
        if (!at)
            return false;
        *out = *out << 4 | (uint64_t)(at - digits);
    }
    return true;
}

struct replay *replay_find(struct replay_table *t, struct str session_key, struct str event_id,
                           uint64_t *seq)
{
    uint64_t number;
    size_t dash = str_find_char(event_id, '-');
    struct replay *found = NULL;
    if (dash == SIZE_MAX || dash == 0 || !hex_read(str_slice(event_id, 1, dash - 1), &number) ||
        !hex_read(str_slice(event_id, dash + 1, SIZE_MAX), seq))
        return NULL;
    pthread_mutex_lock(&t->lock);
    struct session *s = map_get(t->by_session, session_key);
    if (s) {
        LIST_FOR(pos, &s->streams)
        {
            struct replay *r = CONTAINER_OF(pos, struct replay, link);
            if (r->number == number && *seq < r->next_seq)
                found = r;
        }
    }
    if (found)
        found->refs++;
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* ---- messages ---- */

uint64_t replay_add(struct replay *r, struct str message, int64_t now)
{
    struct event *e = malloc(sizeof(*e) + message.n);
    pthread_mutex_lock(&r->table->lock);
    uint64_t seq = r->next_seq++;
    r->used_at = now;
    while (r->first && r->bytes + message.n > LIMIT_REPLAY_BYTES)
        event_drop(r);
    bool has_room = e && r->session && r->table->bytes + message.n <= LIMIT_REPLAY_ALL &&
                    r->owner->bytes + message.n <= LIMIT_REPLAY_ALL / LIMIT_REPLAY_SHARE;
    while (has_room && r->session->bytes + message.n > 2 * (size_t)LIMIT_REPLAY_BYTES) {
        struct replay *oldest = oldest_over(r->session);
        has_room = oldest != NULL;
        if (oldest)
            stream_forget(oldest);
    }
    if (has_room) {
        *e = (struct event){.seq = seq, .n = message.n};
        memcpy(e->bytes, message.p, message.n);
        if (r->last)
            r->last->next = e;
        else
            r->first = e;
        r->last = e;
        r->bytes += e->n;
        r->session->bytes += e->n;
        r->table->bytes += e->n;
        r->owner->bytes += e->n;
    }
    wake(r);
    pthread_mutex_unlock(&r->table->lock);
    if (!has_room)
        free(e); /* a gap, which a reader will find */
    return seq;
}

uint64_t replay_next_seq(const struct replay *r)
{
    pthread_mutex_lock(&r->table->lock);
    uint64_t seq = r->next_seq;
    pthread_mutex_unlock(&r->table->lock);
    return seq;
}

void replay_finish(struct replay *r, int64_t now)
{
    pthread_mutex_lock(&r->table->lock);
    over(r);
    r->used_at = now;
    wake(r);
    pthread_mutex_unlock(&r->table->lock);
}

enum replay_step replay_next(struct replay *r, struct arena *a, uint64_t *seq, struct str *message)
{
    enum replay_step step;
    pthread_mutex_lock(&r->table->lock);
    const struct event *e = r->first;
    while (e && e->seq <= *seq)
        e = e->next;
    if (e && e->seq == *seq + 1) {
        *message = arena_dup(a, (struct str){e->bytes, e->n});
        step = str_is_absent(*message) ? REPLAY_LOST : REPLAY_MESSAGE;
        *seq = e->seq;
    } else if (e || r->next_seq > *seq + 1) {
        step = REPLAY_LOST;
    } else {
        step = r->is_over ? REPLAY_OVER : REPLAY_WAIT;
    }
    pthread_mutex_unlock(&r->table->lock);
    return step;
}

/* ---- readers ---- */

void replay_read(struct replay *r, struct wakeup *reader)
{
    pthread_mutex_lock(&r->table->lock);
    wake(r);
    wakeup_unref(r->reader);
    r->reader = wakeup_ref(reader);
    r->is_taken = true;
    pthread_mutex_unlock(&r->table->lock);
}

void replay_unread(struct replay *r, const struct wakeup *reader)
{
    pthread_mutex_lock(&r->table->lock);
    if (r->reader == reader) {
        wakeup_unref(r->reader);
        r->reader = NULL;
    }
    pthread_mutex_unlock(&r->table->lock);
}

bool replay_is_reader(const struct replay *r, const struct wakeup *reader)
{
    pthread_mutex_lock(&r->table->lock);
    bool is_reader = r->reader == reader;
    pthread_mutex_unlock(&r->table->lock);
    return is_reader;
}

bool replay_is_taken(const struct replay *r)
{
    pthread_mutex_lock(&r->table->lock);
    bool is_taken = r->is_taken;
    pthread_mutex_unlock(&r->table->lock);
    return is_taken;
}

void replay_trim(struct replay *r, uint64_t seq)
{
    pthread_mutex_lock(&r->table->lock);
    while (r->first && r->first->seq <= seq)
        event_drop(r);
    pthread_mutex_unlock(&r->table->lock);
}

size_t replay_bytes(const struct replay *r)
{
    pthread_mutex_lock(&r->table->lock);
    size_t bytes = r->bytes;
    pthread_mutex_unlock(&r->table->lock);
    return bytes;
}

/* ---- the server's side ---- */

void replay_note_origin(struct replay *r, struct str event_id)
{
    bool is_fit = event_id.n > 0 && event_id.n <= LIMIT_EVENT_ID;
    for (size_t i = 0; is_fit && i < event_id.n; i++)
        is_fit = event_id.p[i] >= ' ' && event_id.p[i] < 0x7F;
    char *copy = is_fit ? malloc(event_id.n + 1) : NULL;
    if (copy) {
        memcpy(copy, event_id.p, event_id.n);
        copy[event_id.n] = '\0';
    }
    pthread_mutex_lock(&r->table->lock);
    free(r->origin);
    r->origin = copy;
    pthread_mutex_unlock(&r->table->lock);
}

struct str replay_origin(const struct replay *r, struct arena *a)
{
    pthread_mutex_lock(&r->table->lock);
    struct str origin = arena_dup(a, str_c(r->origin));
    pthread_mutex_unlock(&r->table->lock);
    return origin;
}

/* ---- the table ---- */

void replay_forget(struct replay_table *t, struct str session_key)
{
    pthread_mutex_lock(&t->lock);
    struct session *s = map_take(t->by_session, session_key);
    if (s)
        session_free(s);
    pthread_mutex_unlock(&t->lock);
}

static bool reap_visit(struct str key unused_arg, void *value, void *arg)
{
    struct session *s = value;
    session_prune(s, *(const int64_t *)arg);
    if (s->n_streams > 0)
        return false;
    free(s);
    return true;
}

void replay_reap(struct replay_table *t, int64_t now)
{
    pthread_mutex_lock(&t->lock);
    map_each(t->by_session, reap_visit, &now);
    pthread_mutex_unlock(&t->lock);
}
