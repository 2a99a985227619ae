/* Whatever comes in: what converts stays the same when it is converted again, and JSON keeps its
 * value. */
#include "json/jread.h"
#include "json/json5.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void write_value(struct str text, struct buf *out)
{
    struct err e;
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(text, &e);
    if (doc)
        jv_write(jdoc_root(doc), out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str text = {(const char *)bytes, n};
    struct err e;
    struct buf once, twice, plain, converted;
    buf_init(&once, 1 << 20);
    buf_init(&twice, 1 << 20);
    buf_init(&plain, 1 << 20);
    buf_init(&converted, 1 << 20);
    write_value(text, &plain);
    bool is_good = json5_to_json(text, &once, &e);
    ensure(is_good || e.code == ERR_PARSE);
    if (is_good) {
        write_value(buf_str(&once), &converted);
        ensure(json5_to_json(buf_str(&once), &twice, &e));
        ensure(str_eq(buf_str(&once), buf_str(&twice)));
    }
    ensure(plain.n == 0 || (is_good && str_eq(buf_str(&plain), buf_str(&converted))));
    buf_end(&once);
    buf_end(&twice);
    buf_end(&plain);
    buf_end(&converted);
    return 0;
}
