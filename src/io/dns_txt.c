/* Look-ups run on offload threads: c-ares is driven by poll there, under one deadline. */
#include "io/dns_txt.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CARES_NO_DEPRECATED
#include <ares.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"

enum { RUNNING_MAX = 4, TRY_MS = 1200, TRIES = 3, DNS_CLASS_IN = 1, DNS_TYPE_TXT = 16 };

struct lookup {
    struct offload_job job; /* first */
    char *name, *server;    /* server NULL: the system's */
    int64_t deadline;
    int status;       /* of c-ares */
    bool is_answered; /* the callback ran */
    size_t n;
    struct buf records[LIMIT_DNS_RECORDS];
};

static atomic_int running;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int started; /* of c-ares */

static void library_start(void)
{
    started = ares_library_init(ARES_LIB_INIT_ALL);
}

static void lookup_free(struct offload_job *job)
{
    struct lookup *l = (struct lookup *)job;
    for (size_t i = 0; i < l->n; i++)
        buf_end(&l->records[i]);
    free(l->name);
    free(l->server);
    free(l);
    atomic_fetch_sub(&running, 1);
}

/* A record is one or more strings, which belong together. */
static void records_take(struct lookup *l, const struct ares_txt_ext *list)
{
    for (const struct ares_txt_ext *t = list; t; t = t->next) {
        if (t->record_start || l->n == 0) {
            if (l->n == LIMIT_DNS_RECORDS)
                return;
            buf_init(&l->records[l->n++], UINT16_MAX);
        }
        buf_add(&l->records[l->n - 1], (struct str){(const char *)t->txt, t->length});
    }
}

static void answered(void *arg, int status, int timeouts unused_arg, unsigned char *bytes, int n)
{
    struct lookup *l = arg;
    struct ares_txt_ext *list = NULL;
    l->is_answered = true;
    l->status = status;
    if (status != ARES_SUCCESS)
        return;
    l->status = ares_parse_txt_reply_ext(bytes, n, &list);
    if (l->status == ARES_SUCCESS)
        records_take(l, list);
    else if (l->status != ARES_ENODATA)
        l->status = ARES_EBADRESP; /* whatever is wrong with it, it is not the question */
    ares_free_data(list);
}

/* One turn: waits for a socket or c-ares's own clock. False: nothing is under way any more. */
static bool turn(ares_channel channel, const struct lookup *l)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct pollfd polled[ARES_GETSOCK_MAXNUM];
    struct timeval most = {.tv_sec = 0}, left;
    nfds_t n = 0;
    int bits = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
    int64_t rest = l->deadline - clock_mono_ms();
    if (bits == 0 || rest <= 0)
        return false;
    for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        bool is_read = ((unsigned)bits >> i) & 1U;
        bool is_write = ((unsigned)bits >> (i + ARES_GETSOCK_MAXNUM)) & 1U;
        if (!is_read && !is_write)
            break;
        polled[n++] = (struct pollfd){
            .fd = sockets[i], .events = (short)((is_read ? POLLIN : 0) | (is_write ? POLLOUT : 0))};
    }
    most.tv_sec = rest / 1000;
    most.tv_usec = (rest % 1000) * 1000;
    const struct timeval *wait = ares_timeout(channel, &most, &left);
    int ready = poll(polled, n, (int)(wait->tv_sec * 1000 + wait->tv_usec / 1000) + 1);
    if (ready <= 0)
        ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    for (nfds_t i = 0; i < n && ready > 0; i++) {
        bool is_read = polled[i].revents & (POLLIN | POLLERR | POLLHUP);
        bool is_write = polled[i].revents & POLLOUT;
        if (is_read || is_write)
            ares_process_fd(channel, is_read ? polled[i].fd : ARES_SOCKET_BAD,
                            is_write ? polled[i].fd : ARES_SOCKET_BAD);
    }
    return true;
}

static void lookup_run(struct offload_job *job)
{
    struct lookup *l = (struct lookup *)job;
    ares_channel channel;
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES, .timeout = TRY_MS, .tries = TRIES};
    pthread_once(&once, library_start);
    l->status = started;
    if (started != ARES_SUCCESS)
        return;
    l->status =
        ares_init_options(&channel, &options, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (l->status != ARES_SUCCESS)
        return;
    if (l->server)
        l->status = ares_set_servers_ports_csv(channel, l->server);
    if (l->status == ARES_SUCCESS) {
        ares_query(channel, l->name, DNS_CLASS_IN, DNS_TYPE_TXT, answered, l);
        while (!l->is_answered && turn(channel, l))
            continue;
    } else {
        l->status = ARES_EBADSTR;
    }
    ares_destroy(channel); /* answers what is open: ARES_EDESTRUCTION */
}

static bool failed(int status, struct err *e)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
        return err_set(e, ERR_NOT_FOUND, "there is no such record in the DNS");
    case ARES_ETIMEOUT:
    case ARES_EDESTRUCTION:
        return err_set(e, ERR_TIMEOUT, "the DNS resolver did not answer in time");
    case ARES_EBADNAME:
        return err_set(e, ERR_INVALID, "that is no name in the DNS");
    case ARES_EBADSTR:
        return err_set(e, ERR_INVALID, "DNS_SERVER is no address");
    default:
        return err_set(e, ERR_UNAVAILABLE, "the DNS resolver failed: %s", ares_strerror(status));
    }
}

static bool result_read(const struct lookup *l, struct arena *a, struct str **out, size_t *n,
                        struct err *e)
{
    if (l->status != ARES_SUCCESS)
        return failed(l->status, e);
    struct str *list = arena_alloc(a, (l->n + 1) * sizeof(*list));
    if (!list)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < l->n; i++) {
        list[i] = arena_dup(a, buf_str(&l->records[i]));
        if (str_is_absent(list[i]) || !buf_ok(&l->records[i]))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    *out = list;
    *n = l->n;
    return true;
}

bool dns_txt_find(struct offload *o, struct arena *a, const char *server, struct str name,
                  struct str **out, size_t *n, struct err *e)
{
    struct lookup *l = NULL;
    if (atomic_fetch_add(&running, 1) < RUNNING_MAX)
        l = calloc(1, sizeof(*l));
    if (!l) {
        atomic_fetch_sub(&running, 1);
        return err_set(e, ERR_UNAVAILABLE, "too many DNS look-ups are running: try again");
    }
    l->job = (struct offload_job){.run = lookup_run, .free = lookup_free};
    l->deadline = clock_mono_ms() + LIMIT_DNS_MS;
    l->name = strndup(name.p, name.n);
    l->server = server ? strdup(server) : NULL;
    if (!l->name || (server && !l->server)) {
        lookup_free(&l->job);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (!offload_run(o, &l->job, l->deadline + 1000, e))
        return false; /* the pool frees it */
    bool is_good = result_read(l, a, out, n, e);
    lookup_free(&l->job);
    return is_good;
}
