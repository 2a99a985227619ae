/* Accounts that people make for themselves, while ALLOW_REGISTRATION allows it: an address that a
 * mail proves, then a name and a password. And another address for an account that there is. */
#pragma once

#include "io/http.h"

void page_signup_get(struct http_request *rq);
void page_signup_post(struct http_request *rq);
void page_signup_link_get(struct http_request *rq);
void page_signup_link_post(struct http_request *rq);
/* /account/email: asking; /account/email/:token: the link to the new address. */
void page_email_post(struct http_request *rq);
void page_email_link_get(struct http_request *rq);
void page_email_link_post(struct http_request *rq);
