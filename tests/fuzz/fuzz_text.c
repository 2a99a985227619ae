/* Encodings: what is encoded decodes to itself, and a text that decodes is the only one for its
 * bytes. */
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void round_trips(struct str s)
{
    struct buf coded, back;
    buf_init(&coded, 1 << 24);
    buf_init(&back, 1 << 24);
    text_b64url(&coded, s.p, s.n);
    ensure(text_b64url_decode(buf_str(&coded), &back) && str_eq(buf_str(&back), s));
    buf_reset(&coded);
    buf_reset(&back);
    text_b64(&coded, s.p, s.n);
    ensure(text_b64_decode(buf_str(&coded), &back) && str_eq(buf_str(&back), s));
    buf_reset(&coded);
    buf_reset(&back);
    text_percent_encode(&coded, s);
    ensure(text_percent_decode(buf_str(&coded), &back) && str_eq(buf_str(&back), s));
    buf_end(&coded);
    buf_end(&back);
}

static void decodes_are_canonical(struct str s)
{
    struct buf decoded, again;
    buf_init(&decoded, 1 << 24);
    buf_init(&again, 1 << 24);
    if (text_b64url_decode(s, &decoded)) {
        text_b64url(&again, decoded.p, decoded.n);
        ensure(str_eq(buf_str(&again), s));
    }
    buf_reset(&decoded);
    buf_reset(&again);
    if (text_b64_decode(s, &decoded)) {
        text_b64(&again, decoded.p, decoded.n);
        ensure(str_eq(buf_str(&again), s));
    }
    buf_reset(&decoded);
    (void)!text_percent_decode(s, &decoded);
    ensure(buf_ok(&decoded));
    buf_end(&decoded);
    buf_end(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str s = {(const char *)bytes, n};
    char slug[51], time[CLOCK_RFC3339_SIZE];
    int64_t ms, back;
    if (n > 4096) /* globs cost pattern times text */
        return 0;
    round_trips(s);
    decodes_are_canonical(s);
    text_slug(s, slug);
    ensure(slug[0] == '\0' || text_is_slug(str_c(slug)));
    ensure(text_glob(s, s) || str_find_char(s, '*') != SIZE_MAX);
    (void)text_glob(str_slice(s, 0, n / 2), str_slice(s, n / 2, SIZE_MAX));
    ensure(!text_is_utf8(s) || text_is_utf8(str_slice(s, 0, 0)));
    if (clock_parse_rfc3339(s, &ms)) {
        clock_rfc3339(ms, time);
        ensure(clock_parse_rfc3339(str_c(time), &back));
    }
    return 0;
}
