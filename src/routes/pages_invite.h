/* /invite/:token: into an organization, or to the first or a new password of an account. */
#pragma once

#include "io/http.h"

void page_invite_get(struct http_request *rq); /* changes nothing: mail scanners open links */
void page_invite_post(struct http_request *rq);
