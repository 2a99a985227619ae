/* The scanner against jansson: both accept the same texts but for the differences named below. */
#include <jansson.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "json/jscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* jansson keeps numbers as int64 or double and names as C strings; the scanner keeps text. jansson
   nests deeper and takes a NUL byte between tokens for the end of the text. */
static bool is_known_difference(struct str text, bool ours, const json_error_t *why,
                                const struct err *e)
{
    enum json_error_code code = json_error_code(why);
    if (ours)
        return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
               code == json_error_null_character;
    return strstr(e->msg, "no deeper nesting") != NULL || memchr(text.p, '\0', text.n) != NULL;
}

/* Walks everything that validation promised to be walkable. Depth is bounded by the scanner. */
static size_t walk(struct arena *a, struct str value)
{
    size_t n = 1;
    struct str text;
    int64_t number;
    if (jscan_type(value) == JTYPE_STRING && jscan_string(a, value, &text) &&
        !jscan_string_eq(value, text))
        abort();
    (void)!jscan_i64(value, &number);
    struct jiter it;
    jscan_iter(&it, value);
    while (jscan_next(&it))
        n += walk(a, it.value);
    return n;
}

static size_t count(const json_t *v)
{
    size_t n = 1, i;
    for (i = 0; i < json_array_size(v); i++)
        n += count(json_array_get(v, i));
    void *at = json_object_iter((json_t *)(uintptr_t)v);
    for (; at; at = json_object_iter_next((json_t *)(uintptr_t)v, at))
        n += count(json_object_iter_value(at));
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str text = {(const char *)bytes, n};
    struct err e = {0};
    json_error_t why;
    bool ours = jscan_valid(text, &e);
    json_t *theirs = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (ours != (theirs != NULL) && !is_known_difference(text, ours, &why, &e))
        abort();
    json_t *strict =
        json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
    struct jwant wants[] = {{STR("id"), STR_NONE}, {STR("a"), STR_NONE}};
    bool is_object = jscan_object(text, wants, 2, &e);
    if (is_object && !ours)
        abort();
    if (ours && strict && json_is_object(strict) != is_object &&
        json_object_size(strict) <= LIMIT_JSON_MEMBERS)
        abort();
    if (ours) {
        struct arena *a = arena_new(64u << 20);
        struct str trimmed = str_trim(text);
        size_t seen = walk(a, trimmed);
        if (strict && seen != count(strict))
            abort();
        arena_end(a);
    }
    json_decref(theirs);
    json_decref(strict);
    return 0;
}
