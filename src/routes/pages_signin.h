/*
 * /login in two steps without script: an address, then what applies to it. A form that brings a
 * password at once is judged at once.
 */
#pragma once

#include "io/http.h"

void page_login_get(struct http_request *rq);
void page_login_post(struct http_request *rq);
/* Ask for a link that signs in, or for one that sets a password. */
void page_login_link_post(struct http_request *rq);
void page_login_reset_post(struct http_request *rq);
