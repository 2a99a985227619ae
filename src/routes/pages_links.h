/*
 * Links that came by mail. Following one never uses it up: programs that look at mails do that. It
 * shows what the link is for, and a button.
 */
#pragma once

#include "io/http.h"

void page_magic_get(struct http_request *rq);
void page_magic_post(struct http_request *rq);
void page_reset_get(struct http_request *rq);
void page_reset_post(struct http_request *rq);
