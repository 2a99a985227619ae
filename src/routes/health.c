/* Health and metrics: no secrets, no tenant's data. */
#include "routes/health.h"

#include "base/limits.h"
#include "core/services.h"
#include "json/jout.h"
#include "log/metrics.h"
#include "routes/answers.h"
#include "store/db.h"

static void answer(struct http_request *rq, bool is_ready, bool store_answers, bool with_version)
{
    struct services *sv = rq->context;
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "status",
              is_ready           ? STR("ok")
              : *sv->is_draining ? STR("draining")
                                 : STR("unavailable"));
    if (with_version) {
        jout_kstr(&j, "store", store_answers ? STR("ok") : STR("unavailable"));
        jout_kstr(&j, "version", STR(TULLE_VERSION));
    }
    jout_object_end(&j);
    answer_json(rq, is_ready ? 200 : 503, &out);
    buf_end(&out);
}

void health_live(struct http_request *rq)
{
    http_answer(rq, 200, STR("application/json"), STR("{\"status\":\"ok\"}"));
}

void health_ready(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct err ignored;
    bool store_answers = db_ping(sv->db, &ignored);
    answer(rq, store_answers && !*sv->is_draining, store_answers, false);
}

void health_all(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct err ignored;
    bool store_answers = db_ping(sv->db, &ignored);
    answer(rq, store_answers && !*sv->is_draining, store_answers, true);
}

void health_metrics(struct http_request *rq)
{
    struct buf out;
    buf_init(&out, (size_t)1024 * 1024);
    metrics_write(&out);
    struct str body = arena_dup(rq->arena, buf_str(&out));
    buf_end(&out);
    http_answer(rq, 200, STR("text/plain; version=0.0.4; charset=utf-8"), body);
}
