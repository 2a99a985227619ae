/*
 * An MCP server that costs next to nothing: one thread, epoll, no allocation per request. It is the
 * common upstream of every row of the benchmark. Tools: "echo" (about 200 bytes), "big" (1 MB of
 * JSON), "sse" (an event stream with one progress notification and the answer). GET holds an event
 * stream open. Usage: upstream PORT (sessions), upstream PORT modern (2026-07-28, stateless),
 * upstream stdio (sessions, a message a line).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_MAX = 64 * 1024, CLIENTS_MAX = 65536, BIG_BYTES = 1024 * 1024, EVENTS = 256 };

struct client {
    int fd;
    size_t n_in;
    char in[IN_MAX];
    char *out; /* answer in flight, when the socket was full */
    size_t n_out, at;
};

static int loop_fd;
static bool is_modern, is_stdio;
static char *big_text;

static void client_drop(struct client *c)
{
    (void)close(c->fd);
    free(c->out);
    free(c);
}

/* Sends what is left; false when the client is gone. */
static bool client_flush(struct client *c)
{
    while (c->at < c->n_out) {
        ssize_t n = send(c->fd, c->out + c->at, c->n_out - c->at, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
            return epoll_ctl(loop_fd, EPOLL_CTL_MOD, c->fd, &e) == 0;
        }
        if (n <= 0)
            return false;
        c->at += (size_t)n;
    }
    free(c->out);
    c->out = NULL;
    c->n_out = c->at = 0;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    return epoll_ctl(loop_fd, EPOLL_CTL_MOD, c->fd, &e) == 0;
}

static bool client_send(struct client *c, const char *text, size_t n)
{
    ssize_t sent = c->out ? 0 : send(c->fd, text, n, MSG_NOSIGNAL);
    if (sent == (ssize_t)n)
        return true;
    if (sent < 0 && errno != EAGAIN)
        return false;
    size_t done = sent > 0 ? (size_t)sent : 0;
    char *grown = realloc(c->out, c->n_out + n - done);
    if (!grown)
        return false;
    memcpy(grown + c->n_out, text + done, n - done);
    c->out = grown;
    c->n_out += n - done;
    return client_flush(c);
}

static bool client_send_text(struct client *c, const char *text)
{
    return client_send(c, text, strlen(text));
}

static bool answer(struct client *c, const char *headers, const char *body, size_t n)
{
    if (is_stdio)
        return fwrite(body, 1, n, stdout) == n && putchar('\n') != EOF && fflush(stdout) == 0;
    char head[512];
    int used = snprintf(
        head, sizeof(head),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
        headers, n);
    if (n > 8192)
        return client_send(c, head, (size_t)used) && client_send(c, body, n);
    char whole[512 + 8192];
    memcpy(whole, head, (size_t)used);
    memcpy(whole + used, body, n);
    return client_send(c, whole, (size_t)used + n);
}

static bool answer_events(struct client *c, const char *id, int id_n)
{
    char body[1024], whole[2048];
    int n = snprintf(body, sizeof(body),
                     "event: message\ndata: "
                     "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":"
                     "{\"level\":\"info\",\"data\":\"half way\"}}\n\nevent: message\ndata: "
                     "{\"jsonrpc\":\"2.0\",\"id\":%.*s,"
                     "\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"done\"}]}}\n\n",
                     id_n, id);
    int used = snprintf(whole, sizeof(whole),
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
                        "chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
                        (unsigned)n, body);
    return client_send(c, whole, (size_t)used);
}

static bool call(struct client *c, const char *body, const char *id, int id_n)
{
    static char *whole;
    if (strstr(body, "\"name\":\"sse\""))
        return answer_events(c, id, id_n);
    if (strstr(body, "\"name\":\"big\"")) {
        if (!whole)
            whole = malloc(BIG_BYTES + 512);
        int n = snprintf(whole, BIG_BYTES + 512,
                         "{\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"%s\"}]},"
                         "\"jsonrpc\":\"2.0\",\"id\":%.*s}",
                         big_text, id_n, id);
        return answer(c, "", whole, (size_t)n);
    }
    char text[1024];
    int n =
        snprintf(text, sizeof(text),
                 "{\"result\":{%s\"content\":[{\"type\":\"text\",\"text\":\"The quick brown fox "
                 "jumps over the lazy dog, and the dog "
                 "does not mind at all.\"}]},\"jsonrpc\":\"2.0\",\"id\":%.*s}",
                 is_modern ? "\"resultType\":\"complete\"," : "", id_n, id);
    return answer(c, "", text, (size_t)n);
}

static bool discover(struct client *c, const char *id, int id_n)
{
    char text[512];
    int n = snprintf(text, sizeof(text),
                     "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{\"resultType\":\"complete\","
                     "\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{}},"
                     "\"ttlMs\":60000,\"cacheScope\":\"public\"}}",
                     id_n, id);
    return answer(c, "", text, (size_t)n);
}

static bool rpc(struct client *c, const char *body)
{
    const char *id = strstr(body, "\"id\":");
    if (!id)
        return is_stdio ||
               client_send_text(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    id += 5;
    int id_n = (int)strcspn(id, ",}");
    char text[512];
    if (strstr(body, "\"method\":\"tools/call\""))
        return call(c, body, id, id_n);
    if (is_modern && strstr(body, "\"method\":\"server/discover\""))
        return discover(c, id, id_n);
    if (is_modern && strstr(body, "\"method\":\"tools/list\"")) {
        int n = snprintf(text, sizeof(text),
                         "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{\"resultType\":\"complete\","
                         "\"tools\":[{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}],"
                         "\"ttlMs\":60000,\"cacheScope\":\"public\"}}",
                         id_n, id);
        return answer(c, "", text, (size_t)n);
    }
    if (!is_modern && strstr(body, "\"method\":\"initialize\"")) {
        int n = snprintf(text, sizeof(text),
                         "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{\"protocolVersion\":\"2025-"
                         "11-25\",\"capabilities\":{\"tools\":{}},"
                         "\"serverInfo\":{\"name\":\"upstream\",\"version\":\"1\"}}}",
                         id_n, id);
        return answer(c, "Mcp-Session-Id: bench\r\n", text, (size_t)n);
    }
    int n = snprintf(text, sizeof(text),
                     "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"error\":{\"code\":-32601,\"message\":"
                     "\"Method not found\"}}",
                     id_n, id);
    return answer(c, "", text, (size_t)n);
}

/* Handles every whole request in the buffer; false when the client is to be dropped. */
static bool requests(struct client *c)
{
    for (;;) {
        c->in[c->n_in] = '\0';
        char *end = strstr(c->in, "\r\n\r\n");
        if (!end)
            return c->n_in < IN_MAX - 1;
        size_t head = (size_t)(end - c->in) + 4, length = 0;
        char *field = strcasestr(c->in, "\r\nContent-Length:");
        if (field && field < end)
            length = strtoul(field + 17, NULL, 10);
        if (c->n_in < head + length)
            return head + length < IN_MAX - 1;
        char kept = c->in[head + length];
        c->in[head + length] = '\0';
        bool is_good =
            strncmp(c->in, "GET", 3) == 0
                ? client_send_text(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                      "Transfer-Encoding: chunked\r\n\r\n")
                : rpc(c, c->in + head);
        c->in[head + length] = kept;
        if (!is_good)
            return false;
        memmove(c->in, c->in + head + length, c->n_in - head - length);
        c->n_in -= head + length;
    }
}

static void client_ready(struct client *c, unsigned events)
{
    bool is_good = !(events & EPOLLOUT) || client_flush(c);
    while (is_good && (events & EPOLLIN)) {
        ssize_t n = recv(c->fd, c->in + c->n_in, IN_MAX - 1 - c->n_in, 0);
        if (n < 0 && errno == EAGAIN)
            break;
        c->n_in += n > 0 ? (size_t)n : 0;
        is_good = n > 0 && requests(c);
    }
    if (!is_good || (events & (EPOLLHUP | EPOLLERR)))
        client_drop(c);
}

static void client_accept(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *c = malloc(sizeof(*c));
        int one = 1;
        if (!c)
            exit(1);
        *c = (struct client){.fd = fd};
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(loop_fd, EPOLL_CTL_ADD, fd, &e) != 0)
            client_drop(c);
    }
}

static int serve_stdio(void)
{
    static char line[IN_MAX];
    while (fgets(line, sizeof(line), stdin))
        if (!rpc(NULL, line))
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    is_stdio = argc == 2 && strcmp(argv[1], "stdio") == 0;
    is_modern = argc == 3 && strcmp(argv[2], "modern") == 0;
    if (is_stdio)
        return serve_stdio();
    struct rlimit files = {CLIENTS_MAX, CLIENTS_MAX};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (argc != (is_modern ? 3 : 2))
        return 2;
    at.sin_port = htons((unsigned short)strtol(argv[1], NULL, 10));
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 4096) != 0) {
        perror("upstream");
        return 1;
    }
    big_text = malloc(BIG_BYTES + 1);
    memset(big_text, 'x', BIG_BYTES);
    big_text[BIG_BYTES] = '\0';
    loop_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    (void)epoll_ctl(loop_fd, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        struct epoll_event ready[EVENTS];
        int n = epoll_wait(loop_fd, ready, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr)
                client_ready(ready[i].data.ptr, ready[i].events);
            else
                client_accept(listener);
        }
    }
}
