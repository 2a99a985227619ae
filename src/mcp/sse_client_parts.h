/* The inside of the clients of HTTP+SSE. Private to sse_client*.c. */
#pragma once

#include <pthread.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"
#include "io/http_inner.h"
#include "mcp/replay.h"
#include "mcp/sse_client.h"
#include "mcp/wakeup.h"

struct services;
struct caller;

#define SSE_PURPOSE "mcp-sse-client"
enum { SSE_KEY_HEX = 32, SSE_HANDLE_MAX = 512, SSE_EVENT_MAX = 2 * LIMIT_SSE_EVENT };

/* Held by its stream's fiber and by each message under way. What changes is under the table's lock.
 */
struct sse_client {
    struct sse_clients *table;
    char key[SSE_KEY_HEX + 1];
    char *principal;
    struct replay *out;    /* bytes of events for the stream */
    struct wakeup *reader; /* the stream's fiber */
    char *session;         /* Mcp-Session-Id of the inner session; NULL: none */
    bool wants_stream;     /* it is initialized */
    bool is_over;
    int refs;
};

struct sse_clients {
    pthread_mutex_t lock;
    struct map *by_key;
    const struct keyring *keys;
};

/* ---- sse_client.c ---- */

/* Registers a client for the calling fiber. ERR_UNAVAILABLE: too many, or out of memory. */
struct sse_client *sse_client_new(struct services *sv, const struct caller *caller, struct err *e);
void sse_client_release(struct sse_client *c);
bool sse_client_is_over(struct sse_client *c);
/* What its handle is sealed to: the principal and the address. */
struct str sse_client_aad(const struct http_request *rq);
/* Gives an inner request the headers that a session client of Streamable HTTP would have sent. */
bool sse_client_headers(struct http_inner *in, const struct http_request *outer,
                        struct sse_client *c) must_use;
/* Bytes of events for the stream. False: it is over, or has no room. */
bool sse_client_add(struct sse_client *c, struct str bytes, bool may_wait);

/* ---- sse_client_stream.c ---- */

/* Answers the GET. */
void sse_client_stream(struct http_request *rq, const struct sse_door *door);
