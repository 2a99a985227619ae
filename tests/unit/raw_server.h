/* A server for tests of the HTTP client: a thread a connection, behaviour by path, everything bad
 * that servers do. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RAW_CONNECTIONS = 64, RAW_REQUEST = 256 * 1024 };

struct raw_server {
    int fd;
    int port;
    pthread_t thread;
    pthread_t workers[RAW_CONNECTIONS];
    atomic_int connections; /* accepted */
    atomic_int requests;    /* read completely */
    atomic_int hangups;     /* clients that left in the middle of an answer */
    atomic_int resets;      /* connections that it has broken off */
    atomic_int go;          /* permits for the steps that wait */
    atomic_int status;      /* for /status and /v1/traces */
    atomic_bool is_ending;
    pthread_mutex_t lock;
    char last[RAW_REQUEST]; /* the last request, under lock */
    size_t last_n;
    char tunnel[256]; /* the target of the last CONNECT, under lock */
};

struct raw_conn {
    struct raw_server *s;
    int fd;
    char *in; /* RAW_REQUEST bytes */
    int n_answered;
    size_t n;
};

static inline bool raw_send(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, bytes, n, MSG_NOSIGNAL);
        if (done <= 0)
            return false;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

static inline bool raw_say(int fd, const char *text)
{
    return raw_send(fd, text, strlen(text));
}

/* Waits for the test's permission (raw_server_go) or for the client to leave. */
static inline bool raw_wait(struct raw_conn *c)
{
    while (!c->s->is_ending) {
        int go = c->s->go;
        if (go > 0 && atomic_compare_exchange_strong(&c->s->go, &go, go - 1))
            return true;
        struct pollfd p = {.fd = c->fd, .events = POLLIN | POLLRDHUP};
        if (poll(&p, 1, 1) > 0) {
            c->s->hangups++;
            return false;
        }
    }
    return false;
}

static inline bool raw_fill(struct raw_conn *c, size_t n, char byte)
{
    char piece[4096];
    memset(piece, byte, sizeof piece);
    while (n > 0) {
        size_t now = n < sizeof piece ? n : sizeof piece;
        if (!raw_send(c->fd, piece, now))
            return false;
        n -= now;
    }
    return true;
}

static inline bool raw_endless(struct raw_conn *c)
{
    raw_say(c->fd, "HTTP/1.1 200 OK\r\n\r\n");
    while (!c->s->is_ending && raw_fill(c, 65536, 'x')) {
    }
    c->s->hangups++;
    return false;
}

static inline bool raw_large_head(struct raw_conn *c)
{
    raw_say(c->fd, "HTTP/1.1 200 OK\r\n");
    char line[1100];
    memset(line, 'v', sizeof line);
    for (int i = 0; i < 70; i++) {
        int n = snprintf(line, sizeof line, "X-Large-%d: ", i);
        line[n] = 'v';
        memcpy(line + 1022, "\r\n", 2);
        if (!raw_send(c->fd, line, 1024))
            return false;
    }
    return raw_say(c->fd, "Content-Length: 0\r\n\r\n");
}

/* Begins to answer at the head of the request, and reads the rest when the test lets it. */
static inline bool raw_early(struct raw_conn *c)
{
    raw_say(c->fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n");
    while (!c->s->is_ending && c->s->go == 0)
        usleep(1000);
    while (recv(c->fd, c->in, RAW_REQUEST, 0) > 0) {
    }
    c->s->hangups++;
    return false;
}

static inline bool raw_echo(struct raw_conn *c, size_t n)
{
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    return raw_say(c->fd, head) && raw_send(c->fd, c->in, n);
}

/* Answers, and breaks the connection off when the test lets it. */
static inline bool raw_reset(struct raw_conn *c)
{
    const struct linger none = {.l_onoff = 1};
    if (!raw_say(c->fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") || !raw_wait(c))
        return false;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(c->fd);
    c->fd = -1;
    c->s->resets++;
    return false;
}

/* Answers one request; false ends the connection. */
static inline bool raw_answer(struct raw_conn *c, const char *path, size_t n)
{
    static const struct {
        const char *path, *answer;
        bool goes_on;
    } fixed[] = {
        {"/ok",
         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Empty:\r\nContent-Length: "
         "11\r\n\r\n"
         "{\"ok\":true}",
         true},
        {"/once", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
        {"/until-close", "HTTP/1.1 200 OK\r\n\r\nuntil close", false},
        {"/none", "HTTP/1.1 204 No Content\r\n\r\n", true},
        {"/chunked",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n"
         "X-Trailer: t\r\n\r\n",
         true},
        {"/hints",
         "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nX-Real: 1\r\n"
         "Content-Length: 2\r\n\r\nok",
         true},
        {"/gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b!",
         true},
        {"/cookie", "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n",
         true},
        {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", false},
        {"/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false},
        {"/garbage", "Welcome to a server that does not speak HTTP\r\n\r\n", false},
        {"/bad-status", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", false},
        {"/switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", false},
        {"/folded", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n", false},
        {"/close", "", false},
    };
    if (strcmp(path, "/close-kept") == 0) {
        if (c->n_answered > 0)
            return false;
        path = "/ok";
    }
    char text[256];
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (strcmp(path, fixed[i].path) == 0)
            return raw_say(c->fd, fixed[i].answer) && fixed[i].goes_on;
    }
    if (strcmp(path, "/echo") == 0)
        return raw_echo(c, n);
    if (strcmp(path, "/redirect") == 0) {
        snprintf(text, sizeof text,
                 "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/ok\r\n"
                 "Content-Length: 0\r\n\r\n",
                 c->s->port);
        return raw_say(c->fd, text);
    }
    if (strcmp(path, "/status") == 0 || strcmp(path, "/v1/traces") == 0) {
        snprintf(text, sizeof text, "HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n",
                 (int)c->s->status);
        return raw_say(c->fd, text);
    }
    if (strcmp(path, "/large") == 0)
        return raw_say(c->fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n") &&
               raw_fill(c, 1000000, 'l');
    if (strcmp(path, "/endless") == 0)
        return raw_endless(c);
    if (strcmp(path, "/early") == 0)
        return raw_early(c);
    if (strcmp(path, "/reset") == 0)
        return raw_reset(c);
    if (strcmp(path, "/large-head") == 0)
        return raw_large_head(c);
    if (strcmp(path, "/silent") == 0)
        return raw_wait(c);
    if (strcmp(path, "/stall") == 0)
        return raw_say(c->fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst") &&
               raw_wait(c) && raw_say(c->fd, "other");
    if (strcmp(path, "/events") == 0)
        return raw_say(c->fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n") &&
               raw_wait(c) && raw_say(c->fd, "9\r\ndata: 2\n\n\r\n") && raw_wait(c) &&
               raw_say(c->fd, "0\r\n\r\n");
    return raw_say(c->fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

/* Reads one request; its length, or 0 when the client left. */
static inline size_t raw_read(struct raw_conn *c)
{
    for (;;) {
        c->in[c->n] = 0;
        char *end = strstr(c->in, "\r\n\r\n");
        if (end) {
            const char *length = strcasestr(c->in, "\r\nContent-Length:");
            size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
            size_t n = (size_t)(end + 4 - c->in) + body;
            if (strncmp(c->in, "POST /early ", 12) == 0)
                return (size_t)(end + 4 - c->in);
            if (n >= RAW_REQUEST)
                return 0;
            if (c->n >= n)
                return n;
        }
        ssize_t got =
            c->n + 1 < RAW_REQUEST ? recv(c->fd, c->in + c->n, RAW_REQUEST - 1 - c->n, 0) : 0;
        if (got <= 0)
            return 0;
        c->n += (size_t)got;
    }
}

static inline bool raw_connect(struct raw_conn *c)
{
    char target[256];
    sscanf(c->in, "CONNECT %255s", target);
    pthread_mutex_lock(&c->s->lock);
    snprintf(c->s->tunnel, sizeof c->s->tunnel, "%s", target);
    pthread_mutex_unlock(&c->s->lock);
    if (strstr(target, "127.0.0.9"))
        return raw_say(c->fd, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    return raw_say(c->fd, "HTTP/1.1 200 Connected\r\nX-Proxy: 1\r\n\r\n");
}

static inline void *raw_worker(void *arg)
{
    struct raw_conn *c = arg;
    bool goes_on = true;
    for (size_t n; goes_on && (n = raw_read(c)) > 0;) {
        if (strncmp(c->in, "CONNECT ", 8) == 0) {
            goes_on = raw_connect(c);
        } else {
            char path[256] = "";
            sscanf(c->in, "%*s %255s", path);
            pthread_mutex_lock(&c->s->lock);
            memcpy(c->s->last, c->in, n);
            c->s->last[n] = 0;
            c->s->last_n = n;
            pthread_mutex_unlock(&c->s->lock);
            c->s->requests++;
            goes_on = raw_answer(c, path, n);
            c->n_answered++;
        }
        memmove(c->in, c->in + n, c->n - n);
        c->n -= n;
    }
    if (c->fd >= 0)
        close(c->fd);
    free(c->in);
    free(c);
    return NULL;
}

static inline void *raw_accept(void *arg)
{
    struct raw_server *s = arg;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0 || s->is_ending || s->connections >= RAW_CONNECTIONS) {
            if (fd >= 0)
                close(fd);
            return NULL;
        }
        /* So that a client that never speaks does not hold the end up. */
        const struct timeval patience = {.tv_sec = 20};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        struct raw_conn *c = calloc(1, sizeof *c);
        c->s = s;
        c->fd = fd;
        c->in = calloc(1, RAW_REQUEST);
        int slot = s->connections++;
        pthread_create(&s->workers[slot], NULL, raw_worker, c);
    }
}

/* Listens on every IPv4 address, so that 127.0.0.2 reaches it as well. */
static inline struct raw_server *raw_server_start(void)
{
    struct raw_server *s = calloc(1, sizeof *s);
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t n = sizeof in;
    pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A test may take one address of its port. */
    (void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    if (s->fd < 0 || bind(s->fd, (const struct sockaddr *)&in, sizeof in) != 0 ||
        listen(s->fd, 64) != 0 || getsockname(s->fd, (struct sockaddr *)&in, &n) != 0)
        abort();
    s->port = ntohs(in.sin_port);
    pthread_create(&s->thread, NULL, raw_accept, s);
    return s;
}

static inline void raw_server_go(struct raw_server *s)
{
    s->go++;
}

/* The clients have closed their connections. */
static inline void raw_server_stop(struct raw_server *s)
{
    s->is_ending = true;
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < s->connections; i++)
        pthread_join(s->workers[i], NULL);
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
