/* W3C Trace Context (https://www.w3.org/TR/trace-context/): one span per request and per outgoing
 * call. */
#pragma once

#include "base/str.h"

struct trace {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8]; /* zero: root */
    bool sampled;
};

/* Continues the trace of a `traceparent` header, or starts a new one when it is absent or
 * ill-formed. */
void trace_start(struct trace *t, struct str traceparent);
/* A child span of t. */
void trace_child(const struct trace *t, struct trace *child);
enum { TRACEPARENT_SIZE = 56 };
void trace_format(const struct trace *t, char out[TRACEPARENT_SIZE]);

/* A finished span, handed to the exporter (io/otlp) through a per-process sink set at start; none
 * set: dropped. */
struct span {
    struct trace trace;
    char name[64];
    bool is_client; /* outgoing */
    int64_t start_wall_us, duration_us;
    struct {
        const char *key;
        char value[96];
    } attrs[8];
    size_t n_attrs;
    bool failed;
};
void trace_set_sink(void (*sink)(const struct span *));
void trace_finish(const struct span *s);
bool trace_has_sink(void);
