/* Counters, gauges and histograms, one array per thread, added up when they are read. metrics.def
 * names them. */
#pragma once

#include "base/buf.h"

enum metric {
#define X(id, name, kind, help) id,
#include "log/metrics.def"
#undef X
    METRIC_COUNT
};

/* Called from any thread; no lock, no allocation after a thread's first call. */
void metric_add(enum metric m, int64_t n); /* counters and gauges */
void metric_observe_us(
    enum metric m, int64_t us); /* histograms: seconds in the text, fixed buckets 0.5 ms .. 60 s */
/* Prometheus text format 0.0.4 of everything, process figures included (resident memory,
 * descriptors, start time). */
void metrics_write(struct buf *out);
int64_t metric_value(enum metric m); /* for tests and health */
