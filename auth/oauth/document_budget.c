#include "auth/oauth/document_budget.h"

#include <pthread.h>

#include "crypto/hash.h"

enum {
    SLOTS = 1024,
    RUNNING_MAX = 16,
    MINUTE_MS = 60 * 1000,
    IN_MINUTE_MAX = 120,
    OF_HOST_MAX = 30,
    FAILURE_KEPT_MS = 1000,
    LOST_TURN_MS = 30 * 1000, /* no fetch takes that long */
    SHUT_AFTER = 3,
    SHUT_MS = 10 * 60 * 1000,
};

/* Two that share a slot take turns in it: the table bounds memory. */
struct slot {
    uint64_t name;
    int64_t begun_ms; /* 0: nobody fetches */
    int64_t failed_ms;
    struct err failure;
};
struct count {
    uint64_t name;
    int64_t since_ms;
    int n;
};
static struct slot slots[SLOTS];
static struct count hosts[SLOTS];
static struct count all;
static int n_running;
static uint64_t shut_hosts[SHUT_AFTER];
static int n_shut;
static int64_t shut_at_ms;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t name_of(struct str text)
{
    struct sha256 digest = hash_sha256(text);
    uint64_t name;
    memcpy(&name, digest.b, sizeof(name));
    return name ? name : 1;
}

static bool is_over(struct count *c, uint64_t name, int64_t now, int max)
{
    if (c->name != name || now - c->since_ms >= MINUTE_MS)
        *c = (struct count){name, now, 0};
    return ++c->n > max;
}

static enum document_turn turn_take(struct slot *s, uint64_t name, uint64_t host, int64_t now,
                                    struct err *e)
{
    if (s->begun_ms && now - s->begun_ms >= LOST_TURN_MS) {
        s->begun_ms = 0;
        n_running--;
    }
    if (s->begun_ms)
        return DOCUMENT_WAIT;
    if (s->name == name && s->failed_ms && now - s->failed_ms < FAILURE_KEPT_MS) {
        *e = s->failure;
        return DOCUMENT_FAILED;
    }
    if (n_running >= RUNNING_MAX || is_over(&all, 1, now, IN_MINUTE_MAX) ||
        is_over(&hosts[host % SLOTS], host, now, OF_HOST_MAX)) {
        err_set(e, ERR_RATE_LIMITED,
                "Too many programs introduce themselves just now. Try again in a minute.");
        return DOCUMENT_BUSY;
    }
    *s = (struct slot){.name = name, .begun_ms = now};
    n_running++;
    return DOCUMENT_FETCH;
}

enum document_turn document_turn_take(struct str url, struct str host, int64_t now_mono_ms,
                                      struct err *e)
{
    uint64_t name = name_of(url), of_host = name_of(host);
    pthread_mutex_lock(&lock);
    enum document_turn turn = turn_take(&slots[name % SLOTS], name, of_host, now_mono_ms, e);
    pthread_mutex_unlock(&lock);
    return turn;
}

/* What says something of the way out rather than of the document. */
static void network_note(uint64_t name, const struct err *e, int64_t now)
{
    bool is_unreachable = e && (e->code == ERR_UPSTREAM || e->code == ERR_TIMEOUT);
    if (!e)
        n_shut = 0;
    if (!is_unreachable)
        return;
    for (int i = 0; i < n_shut; i++)
        if (shut_hosts[i] == name)
            return;
    if (n_shut < SHUT_AFTER)
        shut_hosts[n_shut++] = name;
    shut_at_ms = now;
}

void document_turn_end(struct str url, const struct err *e, int64_t now_mono_ms)
{
    uint64_t name = name_of(url);
    struct slot *s = &slots[name % SLOTS];
    pthread_mutex_lock(&lock);
    if (s->name == name && s->begun_ms) {
        s->begun_ms = 0;
        n_running--;
        s->failed_ms = e ? now_mono_ms : 0;
        if (e)
            s->failure = *e;
    }
    network_note(name, e, now_mono_ms);
    pthread_mutex_unlock(&lock);
}

bool document_network_seems_shut(int64_t now_mono_ms)
{
    pthread_mutex_lock(&lock);
    bool is_shut = n_shut >= SHUT_AFTER && now_mono_ms - shut_at_ms < SHUT_MS;
    if (n_shut >= SHUT_AFTER && !is_shut)
        n_shut = 0;
    pthread_mutex_unlock(&lock);
    return is_shut;
}
