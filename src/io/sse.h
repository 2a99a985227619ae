/*
 * Server-sent events (WHATWG HTML, section 9.2.6): an incremental parser for what servers send us
 * and a writer for what we send to clients.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* All text lives until the callback returns. Bytes are as sent: that they are UTF-8 is for the
 * reader of `data` to check. */
struct sse_event {
    struct str event; /* the type; empty when the event names none (then it is a "message") */
    struct str data;  /* the data lines joined by LF; may be empty */
    struct str id;    /* the stream's last id so far, empty when there was none */
    int64_t retry_ms; /* reconnection time that the stream asked for last, or -1 */
    bool has_id;      /* this very event carried an id line */
};

/* Called for each event; false stops the parser, *e is then sse_parser_feed's. */
typedef bool sse_event_fn(void *arg, const struct sse_event *event, struct err *e);

/* `last_id` and `retry_ms` may be read at any time: events without data change them and are not
 * called back. */
struct sse_parser {
    struct buf last_id;
    int64_t retry_ms;
    /* private */
    sse_event_fn *on_event;
    void *arg;
    struct buf line; /* the beginning of a line whose end has not come yet */
    struct buf event, data;
    size_t bytes; /* of the current event, all its lines */
    bool has_data, has_id;
    bool skip_lf; /* the last byte was CR */
    int bom;      /* bytes of the byte order mark still possible, counted down from 3 */
};

void sse_parser_init(struct sse_parser *p, sse_event_fn *on_event, void *arg);
void sse_parser_end(struct sse_parser *p);
/*
 * Takes one chunk. ERR_TOO_LARGE: a line beyond LIMIT_SSE_LINE or an event beyond LIMIT_SSE_EVENT;
 * else what the callback said. After a failure nothing more may be fed. An event that the end of
 * the stream cuts off is dropped.
 */
bool sse_parser_feed(struct sse_parser *p, struct str chunk, struct err *e) must_use;

/*
 * Appends one event; `event` and `id` may be absent, absent data writes no data line (readers then
 * see no event, but remember the id). Data is split at CR, LF and CRLF. A line end or NUL in
 * `event` or `id` makes the buffer fail.
 */
void sse_write_event(struct buf *out, struct str event, struct str id, struct str data);
/* Appends a comment, which readers ignore: a sign of life. Split at line ends like data. */
void sse_write_comment(struct buf *out, struct str comment);
