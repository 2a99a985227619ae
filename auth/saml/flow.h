/*
 * Sign-in through a SAML provider: there, back, and the step between. The identity provider's form
 * comes from another site, so our cookies are not with it: the answer is judged, kept under a
 * ticket, and the browser fetches the rest from our own address, where its cookie is. The request's
 * id is made from the handle that travels as RelayState; the state that was stored for it is used
 * up only in the browser that began. Source: SAML V2.0 profiles 4.1; reference/auth.md 2.2, 2.3.
 */
#pragma once

#include "auth/saml/message.h"
#include "auth/saml/response.h"
#include "auth/sso/identity.h"
#include "auth/sso/steps.h"
#include "io/forms.h"

/* Why somebody goes to a provider. */
struct saml_errand {
    const char *purpose;  /* signin, test, link, reauth */
    struct str return_to; /* absent: none */
    struct str user_id;   /* who links, tests or proves themselves again; absent: nobody yet */
    struct str context;   /* given back: the id of a test; absent: none */
};
/* Begins; the browser's cookie is set on the answer. ERR_NOT_FOUND: no such provider, or disabled.
 * Waits (store, offload). */
bool saml_begin(struct http_request *rq, struct str provider_id, const struct saml_errand *errand,
                struct saml_departure *out, struct err *e) must_use;

/*
 * The identity provider's form: judges the assertion, uses it up, and keeps what it says under a
 * ticket. A message that is refused gets a ticket too (the dry run that waits for it, and the audit
 * log, learn why): *ticket is then of that. ERR_BAD_REQUEST: not such a form. ERR_NOT_FOUND.
 */
bool saml_receive(struct http_request *rq, struct str provider_id, struct str *ticket,
                  struct err *e) must_use;

/* What came back. */
struct saml_return {
    struct str purpose, return_to, user_id, context; /* of the errand; purpose "signin" without */
    struct str org_id, provider_name;
    struct identity identity;
    bool is_unsolicited; /* the identity provider began: the person is asked first */
    struct str refused;  /* the code of what was wrong; absent: nothing */
    struct str why;      /* of that, for administrators */
};
/*
 * What the ticket holds, in the browser that began. take: uses it up, with the state behind it;
 * otherwise what the provider began by itself is only looked at. ERR_NOT_FOUND: unknown, used,
 * expired. ERR_FORBIDDEN: begun in another browser, or too long ago. Waits (store).
 */
bool saml_finish(struct http_request *rq, struct str provider_id, struct str ticket, bool take,
                 struct saml_return *out, struct err *e) must_use;
