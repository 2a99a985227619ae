/* Private to auth/session: the cookies and the tokens made from them. */
#pragma once

#include "crypto/keyring.h"
#include "io/http.h"

enum { COOKIE_VALUE_SIZE = 44 }; /* base64url of 32 bytes, NUL included */

/* "__Host-tulle" or "tulle-dev". */
struct str session_cookie_name(const struct http_request *rq);
/* The value of a cookie of ours: sent once and well-formed, else STR_NONE. */
struct str session_cookie_value(struct http_request *rq, struct str name);
/* 256 random bits in the form of a cookie. */
void session_cookie_make(char out[COOKIE_VALUE_SIZE]);
/* Adds Set-Cookie. max_age_s 0: removes it. */
bool session_cookie_set(struct http_request *rq, struct str name, struct str value,
                        int64_t max_age_s, struct err *e) must_use;
/* The token of forms that belongs to a cookie's value. STR_NONE: out of memory. */
struct str csrf_token_of(struct http_request *rq, struct str cookie) must_use;
/* Is the request's Origin this server's own, as the browser reached it? Absent is not. */
bool csrf_origin_is_own(const struct http_request *rq);
