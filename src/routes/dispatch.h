/* Between the HTTP server and the handlers: finds the route, runs its guard, answers what matches
 * none, keeps the access log. */
#pragma once

#include "io/http.h"

size_t dispatch_on_head(struct http_request *rq);
void dispatch_handle(struct http_request *rq);
void dispatch_refuse(struct http_request *rq, const struct err *e);
void dispatch_on_done(struct http_request *rq, bool client_left);
