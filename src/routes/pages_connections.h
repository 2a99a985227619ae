/* Where people authorize Tulle at downstream servers. */
#pragma once

#include "io/http.h"

/* GET /account/connections: what is connected and what is missing; POST: disconnects. */
void page_connections_get(struct http_request *rq);
void page_connections_post(struct http_request *rq);
/* GET /oauth/connect/:connection asks the person; POST sends them to the server. */
void page_connect_get(struct http_request *rq);
void page_connect_post(struct http_request *rq);
/* GET /oauth/connect/callback */
void page_connect_return(struct http_request *rq);
