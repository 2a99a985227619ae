/*
 * Failures at the token endpoints, counted for each client and public address over a minute (contract "Limits": failures
 * only, never successes; what is right is always answered). One table for the process.
 */
#pragma once

#include "base/err.h"
#include "io/http.h"

/* Counts one failure. When there were too many, *e becomes ERR_RATE_LIMITED. */
void failures_count(const struct http_request *rq, struct str client_id, struct err *e);
