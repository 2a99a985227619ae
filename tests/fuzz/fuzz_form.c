/* Whatever is accepted decodes to valid text within the limit and reads back the same when encoded
 * again. */
#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/forms.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena *a = arena_new(64u << 20);
    struct form form, again;
    struct err e;
    if (form_parse(a, (struct str){(const char *)bytes, n}, &form, &e)) {
        struct buf encoded;
        buf_init(&encoded, 1u << 24);
        for (size_t i = 0; i < form.n; i++) {
            if (!text_is_utf8(form.pairs[i].name) ||
                memchr(form.pairs[i].value.p, 0, form.pairs[i].value.n))
                abort();
            struct str value;
            if (form_get(&form, form.pairs[i].name, &value) == FORM_ABSENT)
                abort();
            text_percent_encode(&encoded, form.pairs[i].name);
            buf_add_char(&encoded, '=');
            text_percent_encode(&encoded, form.pairs[i].value);
            buf_add_char(&encoded, '&');
        }
        if (form.n > LIMIT_QUERY_PARAMS || !form_parse(a, buf_str(&encoded), &again, &e) ||
            again.n != form.n)
            abort();
        for (size_t i = 0; i < form.n; i++)
            if (!str_eq(form.pairs[i].name, again.pairs[i].name) ||
                !str_eq(form.pairs[i].value, again.pairs[i].value))
                abort();
        buf_end(&encoded);
    }
    arena_end(a);
    return 0;
}
