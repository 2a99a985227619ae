/* /account/security: the second factors and passkeys of a person. */
#pragma once

#include "io/http.h"

void page_security_get(struct http_request *rq);
/* An authenticator app: a new seed; its QR code; its first code; its end. */
void page_security_app_post(struct http_request *rq);
void page_security_app_get(struct http_request *rq);
void page_security_app_confirm(struct http_request *rq);
void page_security_app_remove(struct http_request *rq);
/* Ten new recovery codes, shown once. */
void page_security_codes_post(struct http_request *rq);
/* A passkey: registration, another name, its end. */
void page_security_passkey_post(struct http_request *rq);
void page_security_passkey_rename(struct http_request *rq);
void page_security_passkey_remove(struct http_request *rq);
