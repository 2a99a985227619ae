/* Reachability of servers. */
#include "mcp/upstream_health.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/rand.h"
#include "io/fiber.h"
#include "log/metrics.h"
#include "mcp/breaker.h"
#include "mcp/channel.h"
#include "mcp/upstream_era.h"
#include "mcp/upstream_send.h"

enum {
    NOTE_ARENA = 256 * 1024,
    LOOK_EVERY_MS = 500,
    PROBE_MS = 3000,
    GRACE_MS = 2000,
};

/* A server that failed and has not succeeded since. */
struct patient {
    struct breaker breaker;
    char connection_id[ID_SIZE], org_id[ID_SIZE];
    char reason[200]; /* of the last failure */
};
struct upstream_health {
    pthread_mutex_t lock;
    struct map *patients; /* connection id -> struct patient * */
    _Atomic size_t n_patients;
};

struct upstream_health *upstream_health_new(void)
{
    struct upstream_health *h = calloc(1, sizeof *h);
    if (h && (h->patients = map_new()) != NULL) {
        pthread_mutex_init(&h->lock, NULL);
        return h;
    }
    free(h);
    return NULL;
}

void upstream_health_free(struct upstream_health *h)
{
    if (!h)
        return;
    map_free(h->patients, free);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* ---- the registry's status ---- */

struct status_note {
    struct services *sv;
    struct arena *arena;
    struct str org_id, connection_id;
    const char *status;
};

static void status_run(void *arg)
{
    struct status_note *n = arg;
    struct arena *a = n->arena;
    struct err ignored; /* the next change of its state is noted again */
    struct connection_note note = {.status = str_c(n->status), .tool_count = -1};
    (void)!connections_note(n->sv->db, a, n->org_id, n->connection_id, &note, clock_wall_ms(),
                            &ignored);
    arena_end(a);
}

static void status_set(struct services *sv, struct registry_entry *entry, const char *status)
{
    if (str_eq(entry->conn.status, str_c(status)))
        return;
    entry->conn.status = str_c(status);
    struct arena *a = arena_new(NOTE_ARENA);
    struct status_note *n = a ? arena_alloc(a, sizeof *n) : NULL;
    if (n)
        *n = (struct status_note){sv, a, arena_dup(a, entry->conn.org_id),
                                  arena_dup(a, entry->conn.id), status};
    if (!n || !fiber_start(sv->loop, status_run, n, NULL, NULL))
        arena_end(a);
}

/* ---- the prober ---- */

struct due {
    char connection_id[ID_SIZE], org_id[ID_SIZE];
    int64_t now_ms;
    bool is_found;
};

static bool look_for_due(unused_arg struct str key, void *value, void *arg)
{
    const struct patient *p = value;
    struct due *d = arg;
    if (d->is_found || p->breaker.state == BREAKER_CLOSED || p->breaker.retry_at_ms > d->now_ms)
        return false;
    d->is_found = true;
    memcpy(d->connection_id, p->connection_id, ID_SIZE);
    memcpy(d->org_id, p->org_id, ID_SIZE);
    return false;
}

static bool due_take(struct upstream_health *h, struct due *out)
{
    *out = (struct due){.now_ms = clock_mono_ms()};
    if (h->n_patients == 0)
        return false;
    pthread_mutex_lock(&h->lock);
    map_each(h->patients, look_for_due, out);
    pthread_mutex_unlock(&h->lock);
    return out->is_found;
}

static void forget(struct upstream_health *h, struct str connection_id)
{
    pthread_mutex_lock(&h->lock);
    free(map_take(h->patients, connection_id));
    h->n_patients = map_count(h->patients);
    pthread_mutex_unlock(&h->lock);
}

/* A probe that never went out, for want of the store or memory, is not tried again at once. */
static void put_off(struct upstream_health *h, const struct due *d)
{
    pthread_mutex_lock(&h->lock);
    struct patient *p = map_get(h->patients, str_c(d->connection_id));
    if (p && p->breaker.state != BREAKER_CLOSED && p->breaker.retry_at_ms <= d->now_ms)
        p->breaker.retry_at_ms = d->now_ms + BREAKER_PROBE_MS;
    pthread_mutex_unlock(&h->lock);
}

/* What comes of it is noted on its way like that of any call. */
static void probe(struct services *sv, struct arena *a, const struct due *d)
{
    struct registry_entry *entry;
    struct err e;
    if (!registry_get(sv, a, str_c(d->org_id), str_c(d->connection_id), &entry, &e)) {
        if (e.code == ERR_NOT_FOUND)
            forget(sv->health, str_c(d->connection_id));
        return;
    }
    /* What is reached over a channel by now says itself how it fares. */
    if (!entry->conn.enabled || channel_is_used(entry)) {
        forget(sv->health, str_c(d->connection_id));
        return;
    }
    const struct credential nobody = {0};
    struct upstream_message m;
    upstream_discover_message(a, entry, &nobody, STR("\"probe\""), PROBE_MS, &m);
    struct http_answer_head head;
    if (!str_is_absent(m.body))
        exchange_close(upstream_send(sv, a, &m, &head, &e));
}

static void prober_run(void *arg)
{
    struct services *sv = arg;
    struct err e;
    struct due d;
    while (fiber_sleep_until(clock_mono_ms() + LOOK_EVERY_MS, &e)) {
        while (!fiber_is_cancelled(fiber_self()) && due_take(sv->health, &d)) {
            struct arena *a = arena_new(NOTE_ARENA);
            if (!a)
                break;
            probe(sv, a, &d);
            put_off(sv->health, &d);
            arena_end(a);
        }
    }
}

bool upstream_health_start(struct services *sv, struct err *e)
{
    return fiber_start(sv->loop, prober_run, sv, &sv->prober, e);
}

/* ---- calls ---- */

bool upstream_health_admit(struct services *sv, const struct registry_entry *entry, struct err *e)
{
    struct upstream_health *h = sv->health;
    if (h->n_patients == 0)
        return true;
    pthread_mutex_lock(&h->lock);
    struct patient *p = map_get(h->patients, entry->conn.id);
    int64_t now_ms = clock_mono_ms();
    bool is_admitted = !p || breaker_admit(&p->breaker, now_ms);
    if (!is_admitted) {
        int64_t seconds = (p->breaker.retry_at_ms - now_ms + 999) / 1000;
        err_set(e, ERR_UPSTREAM,
                "the server has failed %d times in a row and is left alone; the next try is in "
                "%lld s (%s)",
                p->breaker.failures, (long long)seconds, p->reason);
        metric_add(M_BREAKER_REFUSED, 1);
    }
    pthread_mutex_unlock(&h->lock);
    return is_admitted;
}

static bool is_answer(int status)
{
    /* These two are said by gateways about a server that does not answer them. */
    return status != 0 && status != 502 && status != 504;
}

static void well(struct services *sv, struct registry_entry *entry, int status)
{
    struct upstream_health *h = sv->health;
    bool is_refused = status == 401 || status == 403;
    if (h->n_patients > 0)
        forget(h, entry->conn.id);
    /* One person's credential says nothing about the server, and a probe has none. */
    if (is_refused && fiber_self() != sv->prober &&
        str_eq(entry->conn.credential_scope, STR("organization")))
        status_set(sv, entry, "needs_authorization");
    else if (is_refused ? str_eq(entry->conn.status, STR("down")) : status < 500)
        status_set(sv, entry, "healthy");
}

static struct patient *patient_get(struct upstream_health *h, const struct connection *c)
{
    struct patient *p = map_get(h->patients, c->id);
    if (p || h->n_patients >= LIMIT_HEALTH_PATIENTS)
        return p;
    p = calloc(1, sizeof *p);
    if (!p || !map_set(h->patients, c->id, p, NULL)) {
        free(p);
        return NULL;
    }
    snprintf(p->connection_id, ID_SIZE, "%.*s", STR_FMT(c->id));
    snprintf(p->org_id, ID_SIZE, "%.*s", STR_FMT(c->org_id));
    h->n_patients = map_count(h->patients);
    return p;
}

static void ill(struct services *sv, struct registry_entry *entry, const char *reason)
{
    struct upstream_health *h = sv->health;
    pthread_mutex_lock(&h->lock);
    struct patient *p = patient_get(h, &entry->conn);
    bool has_opened = p && breaker_fail(&p->breaker, clock_mono_ms(), rand_u64());
    bool is_open = p && p->breaker.state != BREAKER_CLOSED;
    if (p)
        snprintf(p->reason, sizeof p->reason, "%s", reason);
    pthread_mutex_unlock(&h->lock);
    metric_add(M_BREAKER_OPENED, has_opened);
    status_set(sv, entry, is_open ? "down" : "degraded");
}

void upstream_health_note(struct services *sv, struct registry_entry *entry, int status,
                          const struct err *why, int64_t took_ms)
{
    char text[64];
    if (is_answer(status)) {
        well(sv, entry, status);
    } else if (status != 0) {
        snprintf(text, sizeof text, "the server answered HTTP %d", status);
        ill(sv, entry, text);
    } else if (why->code == ERR_UPSTREAM ||
               (why->code == ERR_TIMEOUT && took_ms < LIMIT_CONNECT_MS + GRACE_MS)) {
        ill(sv, entry, why->msg); /* a tool may be slow, connecting may not */
    }
}

void upstream_health_look(struct upstream_health *h, struct str connection_id,
                          struct upstream_health_view *out)
{
    static const char *const states[] = {"closed", "open", "half_open"};
    *out = (struct upstream_health_view){.state = states[0]};
    pthread_mutex_lock(&h->lock);
    const struct patient *p = map_get(h->patients, connection_id);
    if (p) {
        int64_t left_ms = p->breaker.retry_at_ms - clock_mono_ms();
        out->state = states[p->breaker.state];
        out->failures = p->breaker.failures;
        out->retry_ms = p->breaker.state == BREAKER_OPEN && left_ms > 0 ? left_ms : 0;
        memcpy(out->reason, p->reason, sizeof out->reason);
    }
    pthread_mutex_unlock(&h->lock);
}
