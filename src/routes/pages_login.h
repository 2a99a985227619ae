/* /, /logout, GET /api/session. */
#pragma once

#include "io/http.h"

void page_home(struct http_request *rq);
void page_logout_get(struct http_request *rq);
void page_logout_post(struct http_request *rq);
/* {"user": {id, email, name} | null, "csrf_token", "organizations": [{id, name, slug, role}]} */
void session_api_get(struct http_request *rq);
