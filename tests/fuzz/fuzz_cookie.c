/* Every pair that is read can be looked up; a value that the writer accepts comes back unchanged.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "io/cookies.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void write_and_read(struct arena *a, const struct cookie_pair *pair)
{
    struct cookie c = {.name = pair->name, .value = pair->value, .max_age_s = -1};
    struct buf out;
    struct cookies back;
    struct err e;
    struct str value;
    buf_init(&out, 1u << 20);
    if (cookie_write(&out, &c)) {
        if (!cookies_parse(a, buf_str(&out), &back, &e) ||
            !str_eq(back.pairs[0].value, pair->value) || !str_eq(back.pairs[0].name, pair->name) ||
            cookies_get(&back, STR("SameSite"), &value) == COOKIE_ABSENT)
            abort();
    } else if (out.n != 0) {
        abort();
    }
    buf_end(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena *a = arena_new(64u << 20);
    struct cookies c;
    struct err e;
    if (cookies_parse(a, (struct str){(const char *)bytes, n}, &c, &e)) {
        if (c.n > LIMIT_COOKIES)
            abort();
        for (size_t i = 0; i < c.n; i++) {
            struct str value;
            if (cookies_get(&c, c.pairs[i].name, &value) == COOKIE_ABSENT)
                abort();
            write_and_read(a, &c.pairs[i]);
        }
    }
    arena_end(a);
    return 0;
}
