/* SCIM 2.0 (RFC 7643, 7644): an organization's directory manages its members and groups, and nobody
 * else's. Handlers of /scim/v2; rq->user: struct scim_client. */
#pragma once

#include "io/http.h"

/* GET, POST */
void scim_users(struct http_request *rq);
/* GET, PUT, PATCH, DELETE */
void scim_user(struct http_request *rq);
void scim_groups(struct http_request *rq);
void scim_group(struct http_request *rq);
/* What this server can do. */
void scim_provider_config(struct http_request *rq);
void scim_resource_types(struct http_request *rq);
void scim_resource_type(struct http_request *rq);
void scim_schemas(struct http_request *rq);
void scim_schema(struct http_request *rq);
/* 501: there is none. */
void scim_bulk(struct http_request *rq);

/* An error in SCIM's form (RFC 7644 section 3.12); for the guard. */
struct err;
void scim_answer_error(struct http_request *rq, const struct err *e);
