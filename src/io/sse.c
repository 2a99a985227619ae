#include "io/sse.h"

#include "base/limits.h"

static const unsigned char BOM[] = {0xEF, 0xBB, 0xBF};

void sse_parser_init(struct sse_parser *p, sse_event_fn *on_event, void *arg)
{
    *p = (struct sse_parser){.on_event = on_event, .arg = arg, .retry_ms = -1, .bom = sizeof BOM};
    buf_init(&p->last_id, LIMIT_SSE_LINE);
    buf_init(&p->line, LIMIT_SSE_LINE);
    buf_init(&p->event, LIMIT_SSE_LINE);
    buf_init(&p->data, LIMIT_SSE_EVENT);
}

void sse_parser_end(struct sse_parser *p)
{
    buf_end(&p->last_id);
    buf_end(&p->line);
    buf_end(&p->event);
    buf_end(&p->data);
}

/* Keeps small buffers for the next event and gives large ones back: streams are many and mostly
 * idle. */
static void buf_clear(struct buf *b)
{
    enum { KEEP_MAX = 4096 };
    if (b->cap > KEEP_MAX)
        buf_end(b);
    else
        buf_reset(b);
}

static bool too_large(struct err *e)
{
    return err_set(e, ERR_TOO_LARGE, "a server-sent event exceeds %d bytes", LIMIT_SSE_EVENT);
}

/* An empty line: the event is whole. */
static bool dispatch(struct sse_parser *p, struct err *e)
{
    struct sse_event event = {.event = buf_str(&p->event),
                              .data = buf_str(&p->data),
                              .id = buf_str(&p->last_id),
                              .retry_ms = p->retry_ms,
                              .has_id = p->has_id};
    bool is_good = !p->has_data || p->on_event(p->arg, &event, e);
    buf_clear(&p->event);
    buf_clear(&p->data);
    p->bytes = 0;
    p->has_data = p->has_id = false;
    return is_good;
}

static void set(struct buf *b, struct str value)
{
    buf_reset(b);
    buf_add(b, value);
}

static bool field(struct sse_parser *p, struct str name, struct str value)
{
    if (str_eq(name, STR("data"))) {
        if (p->has_data)
            buf_add_char(&p->data, '\n');
        p->has_data = true;
        buf_add(&p->data, value);
    } else if (str_eq(name, STR("event"))) {
        set(&p->event, value);
    } else if (str_eq(name, STR("id")) && str_find_char(value, '\0') == SIZE_MAX) {
        p->has_id = true;
        set(&p->last_id, value);
    } else if (str_eq(name, STR("retry")) && value.n > 0 && value.p[0] != '-') {
        int64_t ms;
        if (str_to_i64(value, 0, INT32_MAX, &ms))
            p->retry_ms = ms;
    }
    return buf_ok(&p->data) && buf_ok(&p->event) && buf_ok(&p->last_id);
}

static bool line_whole(struct sse_parser *p, struct str line, struct err *e)
{
    if (line.n == 0)
        return dispatch(p, e);
    p->bytes += line.n;
    if (p->bytes > LIMIT_SSE_EVENT)
        return too_large(e);
    size_t colon = str_find_char(line, ':');
    if (colon == 0)
        return true;
    struct str value = colon == SIZE_MAX ? STR("") : str_slice(line, colon + 1, SIZE_MAX);
    if (value.n > 0 && value.p[0] == ' ')
        value = str_slice(value, 1, SIZE_MAX);
    return field(p, str_slice(line, 0, colon), value) || too_large(e);
}

/* The line's end came: `rest` is what this chunk holds of it. */
static bool line_end(struct sse_parser *p, struct str rest, struct err *e)
{
    if (p->line.n == 0)
        return line_whole(p, rest, e);
    buf_add(&p->line, rest);
    if (!buf_ok(&p->line))
        return too_large(e);
    bool is_good = line_whole(p, buf_str(&p->line), e);
    buf_clear(&p->line);
    return is_good;
}

/* Drops a byte order mark at the very start, also when it comes in pieces. */
static void skip_bom(struct sse_parser *p, struct str *chunk)
{
    while (p->bom > 0 && chunk->n > 0) {
        size_t done = sizeof BOM - (size_t)p->bom;
        if ((unsigned char)chunk->p[0] != BOM[done]) {
            buf_add(&p->line, (struct str){(const char *)BOM,
                                           done}); /* it was none: the bytes belong to the line */
            p->bom = 0;
            return;
        }
        p->bom--;
        chunk->p++;
        chunk->n--;
    }
}

bool sse_parser_feed(struct sse_parser *p, struct str chunk, struct err *e)
{
    skip_bom(p, &chunk);
    if (chunk.n == 0)
        return true;
    const char *from = chunk.p, *end = chunk.p + chunk.n, *lf = NULL;
    bool is_lf_known =
        false; /* searched once per line feed, not once per line: those may end in CR */
    if (p->skip_lf && *from == '\n')
        from++;
    p->skip_lf = false;
    while (from < end) {
        if (!is_lf_known || (lf && lf < from))
            lf = memchr(from, '\n', (size_t)(end - from));
        is_lf_known = true;
        const char *stop = lf ? lf : end;
        const char *cr = memchr(from, '\r', (size_t)(stop - from));
        if (cr)
            stop = cr;
        struct str piece = {from, (size_t)(stop - from)};
        if (stop == end) {
            buf_add(&p->line, piece);
            return buf_ok(&p->line) || too_large(e);
        }
        if (!line_end(p, piece, e))
            return false;
        from = stop + 1;
        if (cr && from < end && *from == '\n')
            from++;
        else if (cr && from == end)
            p->skip_lf = true;
    }
    return true;
}

/* Each line of `text` behind `lead`. */
static void write_lines(struct buf *out, struct str lead, struct str text)
{
    const char *p = text.p, *end = text.p + text.n;
    for (;;) {
        const char *stop = p;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        buf_add(out, lead);
        buf_add(out, (struct str){p, (size_t)(stop - p)});
        buf_add_char(out, '\n');
        if (stop == end)
            return;
        p = stop + (*stop == '\r' && stop + 1 < end && stop[1] == '\n' ? 2 : 1);
    }
}

static void write_field(struct buf *out, struct str lead, struct str value)
{
    if (str_is_absent(value))
        return;
    if (memchr(value.p, '\n', value.n) || memchr(value.p, '\r', value.n) ||
        memchr(value.p, '\0', value.n)) {
        out->failed = true;
        return;
    }
    write_lines(out, lead, value);
}

void sse_write_event(struct buf *out, struct str event, struct str id, struct str data)
{
    write_field(out, STR("event: "), event);
    write_field(out, STR("id: "), id);
    if (!str_is_absent(data))
        write_lines(out, STR("data: "), data);
    buf_add_char(out, '\n');
}

void sse_write_comment(struct buf *out, struct str comment)
{
    write_lines(out, STR(": "), str_is_absent(comment) ? STR("") : comment);
    buf_add_char(out, '\n');
}
