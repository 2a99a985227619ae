/* /account: who I am, my organizations, servers and browsers. */
#pragma once

#include "io/http.h"

void page_account_get(struct http_request *rq);
void page_account_profile_post(struct http_request *rq);
void page_account_password_post(struct http_request *rq);
void page_account_org_post(struct http_request *rq);
void page_account_session_post(struct http_request *rq);
