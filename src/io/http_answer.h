/*
 * The framing of HTTP/1.1 answers: a parser that is fed bytes as they come and hands over lines of
 * the head and pieces of the body. Source: RFC 9112 sections 2.2, 4, 5, 6, 7 and 9.3.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum http_answer_state {
    HTTP_ANSWER_MORE, /* wants more bytes */
    HTTP_ANSWER_DONE, /* the answer is complete; what was not used does not belong to it */
    HTTP_ANSWER_BAD,  /* *e says why, or a callback gave up */
};

struct http_answer_parser {
    /* Every line of a head without its end: the status line, the fields, and an empty one that ends
     * it. Heads of interim answers (1xx) come first. False gives up. */
    bool (*on_line)(void *arg, struct str line);
    bool (*on_body)(void *arg, struct str bytes); /* false gives up */
    void *arg;

    /* Readable once the head is there. */
    int status;
    bool keeps;     /* the connection may be used again afterwards */
    int64_t kept_s; /* for so long, as the server said (Keep-Alive: timeout=); -1: it did not */

    /* private */
    enum {
        AT_STATUS,
        AT_FIELDS,
        AT_SIZED,
        AT_CHUNK,
        AT_CHUNK_DATA,
        AT_CHUNK_END,
        AT_TRAILERS,
        AT_CLOSE,
        AT_END
    } at;
    bool answers_head; /* the request was HEAD */
    bool is_1_0, is_chunked, has_length, closes;
    uint64_t left;     /* bytes of the body or chunk */
    struct buf line;   /* the beginning of a line that is not complete */
    size_t head_bytes; /* of heads, the size of one chunk, trailers */
};

void http_answer_init(struct http_answer_parser *p);
/* For the next answer on the connection. answers_head: its request is HEAD. */
void http_answer_begin(struct http_answer_parser *p, bool answers_head);
void http_answer_end(struct http_answer_parser *p);

/*
 * Feeds bytes; *n_used of them belong to this answer. ERR_UPSTREAM for what is no proper HTTP,
 * ERR_TOO_LARGE for more than LIMIT_ANSWER_HEADERS bytes of heads, of one chunk's size or of
 * trailers; e keeps what it holds when a callback gave up.
 */
enum http_answer_state http_answer_feed(struct http_answer_parser *p, struct str bytes,
                                        size_t *n_used, struct err *e) must_use;
/* The server closed the connection: DONE when that ends the answer, else BAD. */
enum http_answer_state http_answer_eof(struct http_answer_parser *p, struct err *e) must_use;
/* True when no byte of an answer has been fed since http_answer_begin. */
bool http_answer_is_untouched(const struct http_answer_parser *p);
