/* Answers of plain HTTP: the error envelope and JSON bodies. */
#pragma once

#include "base/buf.h"
#include "io/http.h"

/* {"error":{"code","message","request_id"}} with the error's own HTTP status. */
void answer_error(struct http_request *rq, const struct err *e);
/* Copies a finished JSON text into the arena and answers it. */
void answer_json(struct http_request *rq, int status, const struct buf *json);
