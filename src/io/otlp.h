/*
 * Exports finished spans as OTLP/HTTP JSON (opentelemetry-proto 1.x, POST {endpoint}/v1/traces) in
 * batches of at most LIMIT_SPAN_BATCH. Spans wait in a ring of LIMIT_SPAN_QUEUE; beyond it, and
 * when the collector refuses a batch for good, they are dropped and counted (M_SPANS_DROPPED).
 */
#pragma once

#include "io/http_client.h"

struct otlp;
/*
 * Registers the process's span sink and starts a fiber on this worker's loop that flushes each
 * second. endpoint: http or https, without the path; an operator's setting, so not judged by the
 * guard. ERR_INVALID for another one, ERR_UNAVAILABLE without memory. One at a time in a process.
 */
struct otlp *otlp_start(struct loop *l, struct http_client *c, const char *endpoint,
                        struct err *e) must_use;
/* Flushes once more (waits at most 2 s; from a fiber of the same loop), unregisters and frees. NULL
   is fine. */
void otlp_stop(struct otlp *o);
