/* Where an act of kind "auth" came from, for its audit row. */
#pragma once

#include "io/http.h"

/* {"address":"203.0.113.9"}: the client's address, for audit_row.arguments. rq NULL or no memory:
 * STR_NONE. */
struct str audit_origin(const struct http_request *rq);
