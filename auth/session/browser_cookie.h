/*
 * A cookie that names the browser, not a person: it stays through sign-outs. Links in mails belong
 * to the browser that asked, and a sign-in from a browser without a known one is worth a notice.
 * The store knows its SHA-256 only.
 */
#pragma once

#include "base/err.h"
#include "io/http.h"

/* Hex SHA-256 of the request's cookie; absent: it has none. */
struct str browser_cookie_hash(struct http_request *rq) must_use;
/* The same, and a new cookie is set when there is none. ERR_UNAVAILABLE: out of memory. */
bool browser_cookie_have(struct http_request *rq, struct str *hash, struct err *e) must_use;
