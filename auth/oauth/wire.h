/* What the OAuth endpoints share: parameters that occur once, answers in the form of RFC 6749
 * section 5. */
#pragma once

#include "base/buf.h"
#include "core/services.h"
#include "io/forms.h"
#include "io/http.h"

/*
 * The body as a form. ERR_BAD_REQUEST: another content type, ill-formed, a query beside it, or a
 * parameter twice (but `resource`).
 */
bool wire_form_read(struct http_request *rq, struct form *out, struct err *e) must_use;
/* The text (a query, or a form body) as parameters; the same rules. */
bool wire_params_read(struct arena *a, struct str text, struct form *out, struct err *e) must_use;
/* A parameter's value; absent and empty are the same: absent (RFC 6749 section 3.1). */
struct str wire_param(const struct form *form, const char *name);
/* Every `resource` names the same thing or there is one: ERR_INVALID_TARGET otherwise. Absent:
 * none. */
bool wire_resource(const struct form *form, struct str *out, struct err *e) must_use;

/* {"error","error_description"}: no-store. 401 with WWW-Authenticate: Basic where the request used
 * it. */
void wire_answer_error(struct http_request *rq, const struct err *e);
/* A finished JSON text, no-store. */
void wire_answer(struct http_request *rq, int status, const struct buf *json);
/* A text that may stand in error_description: other bytes become spaces (RFC 6749 section 5.2).
 * STR_NONE: memory. */
struct str wire_description(struct arena *a, struct str text) must_use;

/* BASE_URL as this request reached it: itself, or the loopback name of its Host. STR_NONE: memory.
 */
struct str wire_origin(const struct http_request *rq) must_use;

struct wire_event {
    const char *method; /* "oauth_grant", "oauth_register", ... */
    struct str org_id, user_id, client_id, name;
    const char *outcome; /* ok, denied, failed */
    const char *error;   /* NULL: none */
};
/* An audit row of kind "auth". ERR_UNAVAILABLE: the queue is full. */
bool wire_audit(struct http_request *rq, const struct wire_event *event, struct err *e) must_use;
