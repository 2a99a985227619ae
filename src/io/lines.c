/* Lines. */
#include "io/lines.h"

#include <string.h>

enum { KEPT_BYTES = 64 * 1024 };

void lines_init(struct lines *l, size_t max, lines_fn *on_line, void *arg)
{
    *l = (struct lines){.max = max, .on_line = on_line, .arg = arg};
    buf_init(&l->held, max + 2); /* CR and the NUL that buf keeps */
}

void lines_end(struct lines *l)
{
    buf_end(&l->held);
}

/* CR counts as part of a line until its LF has come, so a full line may hold one byte more. */
static bool hold(struct lines *l, struct str part)
{
    size_t room = l->max + 1 - l->held.n;
    if (part.n > room) {
        l->is_over = true;
        part.n = room;
    }
    buf_add(&l->held, part);
    return buf_ok(&l->held);
}

/* One huge line must not keep its memory for the rest of the stream. */
static void forget(struct lines *l)
{
    if (l->held.cap > KEPT_BYTES)
        buf_end(&l->held);
    else
        buf_reset(&l->held);
    l->is_over = false;
}

static bool give(struct lines *l, struct str line)
{
    bool is_cut = l->is_over;
    if (!is_cut && line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n > l->max) {
        line.n = l->max;
        is_cut = true;
    }
    return l->on_line(l->arg, line, is_cut);
}

bool lines_feed(struct lines *l, struct str piece)
{
    while (piece.n > 0) {
        const char *end = memchr(piece.p, '\n', piece.n);
        size_t n = end ? (size_t)(end - piece.p) : piece.n;
        struct str part = {piece.p, n};
        /* A line that came in one piece is given as it lies there. */
        bool is_whole = end && l->held.n == 0 && !l->is_over && n <= l->max;
        if (!is_whole && !hold(l, part))
            return false;
        if (!end)
            return true;
        bool is_good = give(l, is_whole ? part : buf_str(&l->held));
        forget(l);
        if (!is_good)
            return false;
        piece = str_slice(piece, n + 1, piece.n);
    }
    return true;
}

bool lines_finish(struct lines *l)
{
    if (l->held.n == 0)
        return true;
    bool is_good = give(l, buf_str(&l->held));
    forget(l);
    return is_good;
}
