/*
 * Wrong guesses of secrets, codes and tokens, counted for each client and public address over a
 * minute (contract "Limits": failures only, never successes; what is right is always answered). One
 * table for the process.
 */
#pragma once

#include "base/err.h"
#include "io/http.h"

/* Counts one. When there were too many, *e becomes ERR_RATE_LIMITED. Returns false, as err_set
 * does. */
bool failures_count(const struct http_request *rq, struct str client_id, struct err *e);
