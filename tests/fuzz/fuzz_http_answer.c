/* Chunking must not matter. The first byte chooses it. */
#include <stdlib.h>

#include "io/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool on_line(void *arg, struct str line)
{
    buf_add(arg, line);
    buf_add_char(arg, '\n');
    return true;
}

static bool on_body(void *arg, struct str bytes)
{
    buf_add(arg, bytes);
    return true;
}

static enum http_answer_state run(struct str text, uint32_t seed, struct buf *out)
{
    struct http_answer_parser p;
    struct err e;
    http_answer_init(&p);
    p.on_line = on_line;
    p.on_body = on_body;
    p.arg = out;
    http_answer_begin(&p, false);
    enum http_answer_state state = HTTP_ANSWER_MORE;
    for (size_t at = 0; state == HTTP_ANSWER_MORE && at < text.n;) {
        seed = seed * 1664525u + 1013904223u;
        struct str chunk = str_slice(text, at, seed & 1 ? text.n : 1 + (seed >> 24) % 7);
        size_t used;
        state = http_answer_feed(&p, chunk, &used, &e);
        if (used > chunk.n || (state == HTTP_ANSWER_MORE && used != chunk.n))
            abort();
        at += used;
    }
    if (state == HTTP_ANSWER_MORE)
        state = http_answer_eof(&p, &e);
    if (state == HTTP_ANSWER_DONE && (p.status < 200 || p.status > 599))
        abort();
    http_answer_end(&p);
    return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return 0;
    struct str text = {(const char *)bytes + 1, n - 1};
    struct buf whole, pieces;
    buf_init(&whole, 1u << 24);
    buf_init(&pieces, 1u << 24);
    enum http_answer_state a = run(text, 1, &whole), b = run(text, bytes[0], &pieces);
    if (a != b || (a == HTTP_ANSWER_DONE && !str_eq(buf_str(&whole), buf_str(&pieces))))
        abort();
    buf_end(&whole);
    buf_end(&pieces);
    return 0;
}
