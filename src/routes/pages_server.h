/* One connection as a person sees it: test, address, recipes, API key. */
#pragma once

#include "io/http.h"

void page_server_get(struct http_request *rq);       /* GET /account/servers/:connection */
void page_server_test_post(struct http_request *rq); /* POST /account/test */
void page_key_post(struct http_request *rq);         /* POST /account/keys */

/* Registers a server from the form of setup_server.html, then tests and shows it. */
void page_setup_server_get(struct http_request *rq);
void page_setup_server_post(struct http_request *rq);
