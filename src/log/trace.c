#include "log/trace.h"

#include <stdatomic.h>

#include "base/rand.h"
#include "base/text.h"

typedef void span_sink(const struct span *);
static _Atomic(span_sink *) current_sink;

static bool is_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static bool take_hex(struct str *s, uint8_t *out, size_t n)
{
    struct str digits = str_slice(*s, 0, 2 * n);
    for (size_t i = 0; i < digits.n; i++)
        if (digits.p[i] >= 'A' && digits.p[i] <= 'F')
            return false; /* section 3.2.2: lower case */
    *s = str_slice(*s, 2 * n, SIZE_MAX);
    return text_hex_decode(digits, out, n);
}

static bool take_dash(struct str *s)
{
    bool is_dash = s->n > 0 && s->p[0] == '-';
    *s = str_slice(*s, 1, SIZE_MAX);
    return is_dash;
}

/* version "-" trace-id "-" parent-id "-" flags; a later version may go on after a dash
 * (section 3.2.4). */
static bool parse(struct str s, struct trace *t)
{
    uint8_t version, flags;
    if (!take_hex(&s, &version, 1) || version == 0xFF || !take_dash(&s) ||
        !take_hex(&s, t->trace_id, sizeof(t->trace_id)) || !take_dash(&s) ||
        !take_hex(&s, t->parent_id, sizeof(t->parent_id)) || !take_dash(&s) ||
        !take_hex(&s, &flags, 1))
        return false;
    if (s.n > 0 && (version == 0 || s.p[0] != '-'))
        return false;
    t->sampled = (flags & 1) != 0;
    return !is_zero(t->trace_id, sizeof(t->trace_id)) &&
           !is_zero(t->parent_id, sizeof(t->parent_id));
}

void trace_start(struct trace *t, struct str traceparent)
{
    struct trace made = {0};
    if (!parse(traceparent, &made)) {
        made = (struct trace){.sampled = trace_has_sink()};
        rand_bytes(made.trace_id, sizeof(made.trace_id));
    }
    rand_bytes(made.span_id, sizeof(made.span_id));
    *t = made;
}

void trace_child(const struct trace *t, struct trace *child)
{
    struct trace made = *t;
    memcpy(made.parent_id, t->span_id, sizeof(made.parent_id));
    rand_bytes(made.span_id, sizeof(made.span_id));
    *child = made;
}

void trace_format(const struct trace *t, char out[TRACEPARENT_SIZE])
{
    uint8_t flags = t->sampled ? 1 : 0;
    out[0] = out[1] = '0';
    out[2] = '-';
    text_hex(out + 3, t->trace_id, sizeof(t->trace_id));
    out[35] = '-';
    text_hex(out + 36, t->span_id, sizeof(t->span_id));
    out[52] = '-';
    text_hex(out + 53, &flags, 1);
}

void trace_set_sink(void (*sink)(const struct span *))
{
    atomic_store(&current_sink, sink);
}

bool trace_has_sink(void)
{
    return atomic_load_explicit(&current_sink, memory_order_relaxed) != NULL;
}

void trace_finish(const struct span *s)
{
    span_sink *sink = atomic_load(&current_sink);
    if (sink && s->trace.sampled)
        sink(s);
}
