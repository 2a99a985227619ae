/* Pieces must not matter, no line is longer than the maximum, and what is whole is what was sent.
 */
#include <stdlib.h>

#include "io/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { MAX = 16 };

static bool note(void *arg, struct str line, bool is_cut)
{
    struct buf *log = arg;
    if (line.n > MAX || memchr(line.p, '\n', line.n))
        abort();
    buf_addf(log, "%zu%s:", line.n, is_cut ? "!" : "");
    buf_add(log, line);
    return true;
}

static void run(struct str text, size_t step, struct buf *log)
{
    struct lines l;
    lines_init(&l, MAX, note, log);
    for (size_t at = 0; at < text.n; at += step)
        if (!lines_feed(&l, str_slice(text, at, step)))
            abort();
    if (!lines_finish(&l))
        abort();
    lines_end(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return 0;
    struct str text = {(const char *)bytes + 1, n - 1};
    struct buf whole, pieces;
    buf_init(&whole, 1u << 24);
    buf_init(&pieces, 1u << 24);
    run(text, n, &whole);
    run(text, 1 + bytes[0] % 32, &pieces);
    if (!str_eq(buf_str(&whole), buf_str(&pieces)))
        abort();
    buf_end(&whole);
    buf_end(&pieces);
    return 0;
}
