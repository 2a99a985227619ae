/* Answers of plain HTTP. */
#include "routes/answers.h"

#include "base/limits.h"
#include "json/jout.h"

void answer_json(struct http_request *rq, int status, const struct buf *json)
{
    struct str body = buf_ok(json) ? arena_dup(rq->arena, buf_str(json)) : STR_NONE;
    if (str_is_absent(body))
        http_answer(rq, 503, STR_NONE, STR_NONE);
    else
        http_answer(rq, status, STR("application/json"), body);
}

void answer_error(struct http_request *rq, const struct err *e)
{
    struct buf out;
    struct jout j;
    http_note_failure(rq, e);
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_key(&j, STR("error"));
    jout_object(&j);
    jout_kstr(&j, "code", str_c(err_text(e->code)));
    jout_kstr(&j, "message", str_c(e->msg));
    jout_kstr(&j, "request_id", str_c(rq->request_id));
    jout_object_end(&j);
    jout_object_end(&j);
    answer_json(rq, err_http(e->code), &out);
    buf_end(&out);
}
