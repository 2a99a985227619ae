/* /setup: the first operator by a one-time link, then the organization; the first server follows in
 * pages_server.c. */
#pragma once

#include "io/http.h"

void page_setup_get(struct http_request *rq);
void page_setup_post(struct http_request *rq);
void page_setup_org_post(struct http_request *rq);
