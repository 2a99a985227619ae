/* Chunking must not matter, and what the writer writes the parser reads back. The first byte
 * chooses the chunking. */
#include <stdlib.h>

#include "io/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool record(void *arg, const struct sse_event *ev, struct err *e)
{
    (void)e;
    struct buf *log = arg;
    buf_addf(log, "%zu:%zu:%zu:%lld:%d|", ev->event.n, ev->data.n, ev->id.n,
             (long long)ev->retry_ms, ev->has_id);
    buf_add(log, ev->event);
    buf_add(log, ev->data);
    buf_add(log, ev->id);
    return true;
}

static bool copy(void *arg, const struct sse_event *ev, struct err *e)
{
    (void)e;
    sse_write_event(arg, ev->event, ev->has_id ? ev->id : STR_NONE, ev->data);
    sse_write_comment(arg, ev->data);
    return true;
}

static bool run(struct str text, uint32_t seed, sse_event_fn *fn, struct buf *out)
{
    struct sse_parser p;
    struct err e;
    sse_parser_init(&p, fn, out);
    bool is_good = true;
    for (size_t at = 0; is_good && at < text.n;) {
        seed = seed * 1664525u + 1013904223u;
        struct str chunk = str_slice(text, at, seed & 1 ? text.n : 1 + (seed >> 24) % 7);
        is_good = sse_parser_feed(&p, chunk, &e);
        at += chunk.n;
    }
    sse_parser_end(&p);
    return is_good;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return 0;
    struct str text = {(const char *)bytes + 1, n - 1};
    struct buf whole, pieces, written, again;
    buf_init(&whole, 1u << 24);
    buf_init(&pieces, 1u << 24);
    buf_init(&written, 1u << 24);
    buf_init(&again, 1u << 24);
    if (run(text, 1, record, &whole) != run(text, bytes[0], record, &pieces) ||
        !str_eq(buf_str(&whole), buf_str(&pieces)))
        abort();
    /* writing and reading twice gives the same as once */
    if (!run(text, 1, copy, &written) || !run(buf_str(&written), bytes[0], copy, &again) ||
        !str_eq(buf_str(&written), buf_str(&again)))
        abort();
    buf_end(&whole);
    buf_end(&pieces);
    buf_end(&written);
    buf_end(&again);
    return 0;
}
