/* The first byte chooses the chunking, the rest is the document: the filter must agree with the
 * scanner. */
#include <stdlib.h>

#include "base/buf.h"
#include "json/jfilter.h"
#include "json/jscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* id: the value that the scanner found, absent for none; NULL: it found fault. */
static bool run(struct str text, uint32_t seed, const struct jfilter_stamp *stamp,
                const struct str *id, struct buf *out, struct err *e)
{
    struct jfilter f;
    jfilter_init(&f, STR("\"new\""));
    if (stamp)
        jfilter_stamp_with(&f, stamp);
    bool is_good = true;
    for (size_t at = 0; is_good && at < text.n;) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = 1 + (seed >> 24) % (seed & 0x800 ? 3 : 40);
        struct str chunk = str_slice(text, at, n);
        char *copy = malloc(chunk.n); /* exact bounds for the sanitizer */
        memcpy(copy, chunk.p, chunk.n);
        is_good = jfilter_feed(&f, (struct str){copy, chunk.n}, out, e);
        free(copy);
        at += chunk.n;
    }
    is_good = is_good && jfilter_is_complete(&f);
    if (is_good && id && id->n <= JFILTER_ID_SIZE && !str_eq(jfilter_id(&f), *id))
        abort();
    if (is_good && id && id->n > JFILTER_ID_SIZE && !str_is_absent(jfilter_id(&f)))
        abort();
    jfilter_end(&f);
    return is_good;
}

/* A stamped answer is an answer, and says once what the stamp says. */
static void run_stamped(struct str text, uint32_t seed, const struct str *id)
{
    const struct jfilter_stamp stamp = {.members = STR("\"resultType\":\"complete\""),
                                        .meta = STR("\"info\":{}")};
    struct buf out;
    struct err e;
    buf_init(&out, 1u << 24);
    if (run(text, seed, &stamp, id, &out, &e)) {
        struct str result = jscan_member(buf_str(&out), STR("result"));
        struct jiter it;
        size_t n = 0;
        if (!jscan_valid(buf_str(&out), &e))
            abort();
        if (!str_is_absent(result) && jscan_type(result) == JTYPE_OBJECT) {
            for (jscan_iter(&it, result); jscan_next(&it);)
                n += jscan_string_eq(it.key, STR("resultType")) &&
                     str_eq(it.value, STR("\"complete\""));
            if (n != 1)
                abort();
        }
    }
    buf_end(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return 0;
    struct str text = {(const char *)bytes + 1, n - 1};
    struct jwant id = {STR("id"), STR_NONE};
    struct err scan_e = {0}, filter_e = {0};
    struct buf out;
    buf_init(&out, 1u << 24);
    bool scanned = jscan_object(text, &id, 1, &scan_e);
    const struct str *found = scanned ? &id.value : NULL;
    bool filtered = run(text, bytes[0], NULL, found, &out, &filter_e);
    run_stamped(text, bytes[0], found);
    if (scanned && !filtered)
        abort();
    if (filtered && !scanned &&
        scan_e.code != ERR_BAD_REQUEST) /* another repeated member, or too many */
        abort();
    if (scanned) {
        struct buf want;
        buf_init(&want, 1u << 24);
        size_t before = str_is_absent(id.value) ? text.n : (size_t)(id.value.p - text.p);
        buf_add(&want, str_slice(text, 0, before));
        if (!str_is_absent(id.value)) {
            buf_add(&want, STR("\"new\""));
            buf_add(&want, str_slice(text, before + id.value.n, SIZE_MAX));
        }
        if (!str_eq(buf_str(&want), buf_str(&out)))
            abort();
        buf_end(&want);
    }
    buf_end(&out);
    return 0;
}
