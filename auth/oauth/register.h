/* Client registration (RFC 7591) and its management (RFC 7592). Nobody needs a credential to
 * register, so a client is worth nothing until a person consents to it. */
#pragma once

#include "core/services.h"
#include "io/http.h"

/* POST /oauth/register: identical metadata of public clients answers the same client_id. */
void register_post(struct http_request *rq);
/* GET, PUT, DELETE /oauth/register/:client */
void register_manage(struct http_request *rq);
/* Room for one more client that nobody has consented to; old ones make it. ERR_RATE_LIMITED. */
bool register_make_room(const struct services *sv, struct arena *a, int64_t now,
                        struct err *e) must_use;
