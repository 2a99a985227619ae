/* The device flow (RFC 8628): a program without a browser, and a person with one. */
#pragma once

#include "io/http.h"

/* POST /oauth/device_authorization */
void device_authorize(struct http_request *rq);
/* GET /device: where the person types the code. */
void device_page(struct http_request *rq);
/* POST /device: the code, then the answer. */
void device_post(struct http_request *rq);
