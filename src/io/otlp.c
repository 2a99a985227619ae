/* Traces to a collector: a ring filled by every thread, emptied by one fiber. */
#include "io/otlp.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/uri.h"
#include "io/fiber.h"
#include "json/jout.h"
#include "log/log.h"
#include "log/metrics.h"

enum {
    FLUSH_EVERY_MS = 1000,
    EXPORT_MS = 10 * 1000, /* the default of OTEL_EXPORTER_OTLP_TIMEOUT */
    STOP_MS = 2000,
    MAX_EXPORT = 8 * 1024 * 1024, /* bytes of one request */
    MAX_ANSWER = 64 * 1024,
    SPAN_KIND_SERVER = 2,
    SPAN_KIND_CLIENT = 3,
    STATUS_ERROR = 2,
};

struct otlp {
    struct http_client *client;
    char url[LIMIT_URL + 1];
    struct span *ring; /* under ring_lock */
    size_t first;
    size_t n;
    struct span *batch; /* the fiber's */
    size_t n_batch;     /* not yet accepted */
    struct buf body;
    struct fiber *fiber;
    struct fiber_wait wake;
    struct fiber_wait ended;
    bool is_stopping;
    bool is_failing; /* the last export failed: said once */
};

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static struct otlp *active; /* under ring_lock */

static void on_span(const struct span *s);
static void flush_fiber(void *arg);
static void otlp_free(struct otlp *o);

static bool url_make(struct otlp *o, struct str endpoint, struct err *e)
{
    struct uri u;
    while (str_ends(endpoint, STR("/")))
        endpoint.n--;
    if (!uri_parse(endpoint, &u) || !uri_is_http(&u) || u.host.n == 0 || !str_is_absent(u.query) ||
        endpoint.n > LIMIT_URL - sizeof "/v1/traces")
        return err_set(e, ERR_INVALID,
                       "OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https address");
    snprintf(o->url, sizeof o->url, "%.*s/v1/traces", STR_FMT(endpoint));
    return true;
}

struct otlp *otlp_start(struct loop *l, struct http_client *c, const char *endpoint, struct err *e)
{
    struct otlp *o = calloc(1, sizeof *o);
    if (o) {
        o->ring = calloc(LIMIT_SPAN_QUEUE, sizeof *o->ring);
        o->batch = calloc(LIMIT_SPAN_BATCH, sizeof *o->batch);
        o->client = c;
        buf_init(&o->body, MAX_EXPORT);
    }
    bool ok = o && o->ring && o->batch;
    if (!ok)
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!ok || !url_make(o, str_c(endpoint), e) || !fiber_start(l, flush_fiber, o, &o->fiber, e)) {
        otlp_free(o);
        return NULL;
    }
    pthread_mutex_lock(&ring_lock);
    ensure(!active);
    active = o;
    pthread_mutex_unlock(&ring_lock);
    trace_set_sink(on_span);
    return o;
}

void otlp_stop(struct otlp *o)
{
    if (!o)
        return;
    trace_set_sink(NULL);
    pthread_mutex_lock(&ring_lock); /* a thread that is within on_span ends first */
    active = NULL;
    pthread_mutex_unlock(&ring_lock);

    fiber_shield(true); /* the fiber uses what is freed here */
    o->is_stopping = true;
    fiber_wake(&o->wake);
    if (!fiber_wait(&o->ended, clock_mono_ms() + STOP_MS, NULL)) {
        fiber_cancel(o->fiber);
        if (!fiber_wait(&o->ended, INT64_MAX, NULL))
            bug("the fiber of the span exporter does not end");
    }
    fiber_shield(false);
    metric_add(M_SPANS_DROPPED, (int64_t)(o->n + o->n_batch));
    otlp_free(o);
}

static void otlp_free(struct otlp *o)
{
    if (!o)
        return;
    buf_end(&o->body);
    free(o->ring);
    free(o->batch);
    free(o);
}

/* From any thread. */
static void on_span(const struct span *s)
{
    pthread_mutex_lock(&ring_lock);
    struct otlp *o = active;
    bool has_room = o && o->n < LIMIT_SPAN_QUEUE;
    if (has_room)
        o->ring[(o->first + o->n++) % LIMIT_SPAN_QUEUE] = *s;
    pthread_mutex_unlock(&ring_lock);
    if (!has_room)
        metric_add(M_SPANS_DROPPED, 1);
}

static void batch_fill(struct otlp *o)
{
    pthread_mutex_lock(&ring_lock);
    while (o->n > 0 && o->n_batch < LIMIT_SPAN_BATCH) {
        o->batch[o->n_batch++] = o->ring[o->first];
        o->first = (o->first + 1) % LIMIT_SPAN_QUEUE;
        o->n--;
    }
    pthread_mutex_unlock(&ring_lock);
}

/* ---- JSON ---- */

/* The protobuf JSON mapping of OTLP: ids in hex, 64-bit integers as strings. */
static void write_id(struct jout *j, const char *key, const uint8_t *id, size_t n)
{
    char hex[2 * 16 + 1];
    text_hex(hex, id, n);
    jout_kstr(j, key, str_c(hex));
}

static void write_time(struct jout *j, const char *key, int64_t us)
{
    char text[32];
    snprintf(text, sizeof text, "%lld000", (long long)us);
    jout_kstr(j, key, str_c(text));
}

static void write_attribute(struct jout *j, const char *key, struct str value)
{
    jout_object(j);
    jout_kstr(j, "key", str_c(key));
    jout_key(j, STR("value"));
    jout_object(j);
    jout_kstr(j, "stringValue", value);
    jout_object_end(j);
    jout_object_end(j);
}

static void write_span(struct jout *j, const struct span *s)
{
    static const uint8_t none[sizeof s->trace.parent_id];
    jout_object(j);
    write_id(j, "traceId", s->trace.trace_id, sizeof s->trace.trace_id);
    write_id(j, "spanId", s->trace.span_id, sizeof s->trace.span_id);
    if (memcmp(s->trace.parent_id, none, sizeof none) != 0)
        write_id(j, "parentSpanId", s->trace.parent_id, sizeof s->trace.parent_id);
    jout_kstr(j, "name", (struct str){s->name, strnlen(s->name, sizeof s->name)});
    jout_ki64(j, "kind", s->is_client ? SPAN_KIND_CLIENT : SPAN_KIND_SERVER);
    write_time(j, "startTimeUnixNano", s->start_wall_us);
    write_time(j, "endTimeUnixNano", s->start_wall_us + s->duration_us);
    jout_key(j, STR("attributes"));
    jout_array(j);
    for (size_t i = 0; i < s->n_attrs && i < ARRAY_LEN(s->attrs); i++)
        write_attribute(
            j, s->attrs[i].key,
            (struct str){s->attrs[i].value, strnlen(s->attrs[i].value, sizeof s->attrs[i].value)});
    jout_array_end(j);
    jout_key(j, STR("status"));
    jout_object(j);
    if (s->failed)
        jout_ki64(j, "code", STATUS_ERROR);
    jout_object_end(j);
    jout_object_end(j);
}

static void open_list(struct jout *j, struct str key)
{
    jout_key(j, key);
    jout_array(j);
}

static void write_export(struct jout *j, const struct span *spans, size_t n)
{
    jout_object(j);
    open_list(j, STR("resourceSpans"));
    jout_object(j);
    jout_key(j, STR("resource"));
    jout_object(j);
    open_list(j, STR("attributes"));
    write_attribute(j, "service.name", STR("tulle"));
    write_attribute(j, "service.version", STR(TULLE_VERSION));
    jout_array_end(j);
    jout_object_end(j);
    open_list(j, STR("scopeSpans"));
    jout_object(j);
    jout_key(j, STR("scope"));
    jout_object(j);
    jout_kstr(j, "name", STR("tulle"));
    jout_object_end(j);
    open_list(j, STR("spans"));
    for (size_t i = 0; i < n; i++)
        write_span(j, &spans[i]);
    jout_array_end(j);
    jout_object_end(j);
    jout_array_end(j);
    jout_object_end(j);
    jout_array_end(j);
    jout_object_end(j);
}

/* ---- sending ---- */

static void say_failure(struct otlp *o, const char *why)
{
    if (!o->is_failing)
        LOG(EV_OTLP_FAILED, LF_STR("why", str_c(why)));
    o->is_failing = true;
}

/* What to send again (OTLP specification, "Failures"). */
static bool may_retry(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* One batch. False: not now; it is kept. */
static bool export_batch(struct otlp *o)
{
    static const struct http_header headers[] = {
        {STR("Content-Type"), STR("application/json")},
    };
    struct jout j;
    buf_reset(&o->body);
    jout_init(&j, &o->body);
    write_export(&j, o->batch, o->n_batch);
    auto_free(arena_endp) struct arena *a = arena_new((size_t)2 * MAX_ANSWER);
    if (!a || !buf_ok(&o->body))
        return false;

    struct http_call call = {
        .method = STR("POST"),
        .url = str_c(o->url),
        .headers = headers,
        .n_headers = ARRAY_LEN(headers),
        .body = buf_str(&o->body),
        .is_operator_destination = true,
        .total_ms = EXPORT_MS,
    };
    struct http_fetched got;
    struct err e = {.code = ERR_NONE};
    if (!http_fetch(o->client, a, &call, MAX_ANSWER, &got, &e)) {
        say_failure(o, e.msg);
        return false;
    }
    if (may_retry(got.head.status)) {
        say_failure(o, "the collector is not ready");
        return false;
    }
    if (got.head.status / 100 == 2) {
        o->is_failing = false;
    } else {
        say_failure(o, "the collector refused the spans");
        metric_add(M_SPANS_DROPPED, (int64_t)o->n_batch);
    }
    o->n_batch = 0;
    return true;
}

static void flush_fiber(void *arg)
{
    struct otlp *o = arg;
    struct err e = {.code = ERR_NONE};
    do {
        bool is_last = o->is_stopping;
        do
            batch_fill(o);
        while (o->n_batch > 0 && export_batch(o));
        if (is_last)
            break;
    } while (fiber_wait(&o->wake, clock_mono_ms() + FLUSH_EVERY_MS, &e) || e.code == ERR_TIMEOUT);
    fiber_wake(&o->ended);
}
