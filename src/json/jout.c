#include "json/jout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "json/jchars.h"

enum { DEPTH_MAX = 64 }; /* bits of has_item */

void jout_init(struct jout *j, struct buf *out)
{
    *j = (struct jout){.out = out};
}

/* A value or a key comes: the comma before it, if one is due. */
static void item(struct jout *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->depth == 0)
        return;
    uint64_t bit = UINT64_C(1) << (j->depth - 1);
    if (j->has_item & bit)
        buf_add_char(j->out, ',');
    j->has_item |= bit;
}

static void container_open(struct jout *j, char c)
{
    ensure(j->depth < DEPTH_MAX);
    item(j);
    buf_add_char(j->out, c);
    j->has_item &= ~(UINT64_C(1) << j->depth);
    j->depth++;
}

static void container_close(struct jout *j, char c)
{
    ensure(j->depth > 0 && !j->after_key);
    j->depth--;
    buf_add_char(j->out, c);
}

void jout_object(struct jout *j)
{
    container_open(j, '{');
}

void jout_object_end(struct jout *j)
{
    container_close(j, '}');
}

void jout_array(struct jout *j)
{
    container_open(j, '[');
}

void jout_array_end(struct jout *j)
{
    container_close(j, ']');
}

static void escape_add(struct buf *out, unsigned char c)
{
    static const char letters[] = "btn\0fr"; /* for 0x08 to 0x0D */
    if (c == '"' || c == '\\') {
        buf_add_char(out, '\\');
        buf_add_char(out, (char)c);
    } else if (c >= 8 && c <= 13 && letters[c - 8]) {
        buf_add_char(out, '\\');
        buf_add_char(out, letters[c - 8]);
    } else {
        buf_addf(out, "\\u%04x", c);
    }
}

/* Bytes of the valid UTF-8 sequence at p, or 0. */
static size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
    unsigned char low, high;
    int more = jchars_utf8_lead(*p, &low, &high);
    if (more < 0 || end - p <= more)
        return 0;
    for (int i = 1; i <= more; i++) {
        if (p[i] < low || p[i] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return (size_t)more + 1;
}

static void string_add(struct buf *out, struct str s)
{
    const unsigned char *p = (const unsigned char *)(s.p ? s.p : ""), *end = p + s.n;
    buf_add_char(out, '"');
    while (p < end) {
        const unsigned char *stop = jchars_plain(p, end);
        buf_add(out, (struct str){(const char *)p, (size_t)(stop - p)});
        p = stop;
        if (p == end)
            break;
        if (*p < 0x80) {
            escape_add(out, *p++);
            continue;
        }
        size_t n = utf8_length(p, end);
        buf_add(out, n ? (struct str){(const char *)p, n} : STR("\xEF\xBF\xBD"));
        p += n ? n : 1;
    }
    buf_add_char(out, '"');
}

void jout_key(struct jout *j, struct str key)
{
    ensure(j->depth > 0 && !j->after_key);
    item(j);
    string_add(j->out, key);
    buf_add_char(j->out, ':');
    j->after_key = true;
}

void jout_raw_key(struct jout *j, struct str raw)
{
    ensure(j->depth > 0 && !j->after_key);
    item(j);
    buf_add(j->out, raw);
    buf_add_char(j->out, ':');
    j->after_key = true;
}

void jout_str(struct jout *j, struct str s)
{
    if (str_is_absent(s)) {
        jout_null(j);
        return;
    }
    item(j);
    string_add(j->out, s);
}

void jout_i64(struct jout *j, int64_t v)
{
    item(j);
    buf_add_i64(j->out, v);
}

void jout_double(struct jout *j, double v)
{
    if (!isfinite(v)) {
        jout_null(j);
        return;
    }
    item(j);
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_add(j->out, str_c(text));
    if (!strpbrk(text, ".e"))
        buf_add(j->out, STR(".0"));
}

void jout_bool(struct jout *j, bool v)
{
    item(j);
    buf_add(j->out, v ? STR("true") : STR("false"));
}

void jout_null(struct jout *j)
{
    item(j);
    buf_add(j->out, STR("null"));
}

void jout_raw(struct jout *j, struct str json)
{
    item(j);
    buf_add(j->out, json);
}

void jout_kstr(struct jout *j, const char *key, struct str s)
{
    jout_key(j, str_c(key));
    jout_str(j, s);
}

void jout_ki64(struct jout *j, const char *key, int64_t v)
{
    jout_key(j, str_c(key));
    jout_i64(j, v);
}

void jout_kbool(struct jout *j, const char *key, bool v)
{
    jout_key(j, str_c(key));
    jout_bool(j, v);
}

void jout_kraw(struct jout *j, const char *key, struct str json)
{
    jout_key(j, str_c(key));
    jout_raw(j, str_is_absent(json) ? STR("null") : json);
}

void jout_ktime(struct jout *j, const char *key, int64_t wall_ms)
{
    jout_key(j, str_c(key));
    if (wall_ms == 0) {
        jout_null(j);
        return;
    }
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(wall_ms, text);
    jout_str(j, str_c(text));
}
