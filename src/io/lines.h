/* Cuts bytes into lines as they come, in whatever pieces: the framing of MCP over stdio (one JSON
 * text a line) and of a program's stderr. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* `line` without its LF or CRLF, valid until the callback returns. is_cut: its end was dropped,
 * because it was longer than the maximum. False stops. */
typedef bool lines_fn(void *arg, struct str line, bool is_cut);

struct lines {
    struct buf held; /* the beginning of a line whose end has not come yet */
    size_t max;      /* bytes of one line */
    bool is_over;    /* the rest of this line is dropped */
    lines_fn *on_line;
    void *arg;
};

void lines_init(struct lines *l, size_t max, lines_fn *on_line, void *arg);
void lines_end(struct lines *l);
/* Takes one piece. False when the callback stopped it, or without memory: nothing more may be fed.
 */
bool lines_feed(struct lines *l, struct str piece) must_use;
/* The stream has ended: what has no line end is a line too, if there is any. */
bool lines_finish(struct lines *l) must_use;
