/* /health, /health/live, /health/ready, /metrics. */
#pragma once

#include "io/http.h"

void health_live(struct http_request *rq); /* the process answers */
void health_ready(
    struct http_request *rq); /* the store answers and the server is not draining; else 503 */
void health_all(struct http_request *rq); /* both, with the version */
void health_metrics(struct http_request *rq);
