/* SAML as a browser and identity providers see it (contract.md "HTTP"). */
#pragma once

#include "auth/saml/message.h"
#include "io/http.h"

/* GET /auth/saml/:provider/metadata */
void page_saml_metadata(struct http_request *rq);
/* GET /auth/saml/:provider/start?return_to= */
void page_saml_start(struct http_request *rq);
/* POST /auth/saml/:provider/acs: from the identity provider, across sites */
void page_saml_acs(struct http_request *rq);
/* GET and POST /auth/saml/:provider/finish: the same, at home */
void page_saml_finish_get(struct http_request *rq);
void page_saml_finish_post(struct http_request *rq);
/* GET and POST /auth/saml/:provider/slo */
void page_saml_slo(struct http_request *rq);
/* Sends the browser there: by redirect, or by a form with a button. */
void page_saml_depart(struct http_request *rq, const struct saml_departure *d);
