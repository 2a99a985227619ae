/*
 * What we say to an identity provider, and how it travels: by redirect (DEFLATE, base64, query) or
 * by a form that posts itself. Source: SAML V2.0 bindings 3.4, 3.5; core 3.4, 3.7. Made and signed
 * on an offload thread.
 */
#pragma once

#include "auth/saml/settings.h"

enum saml_kind { SAML_AUTHN_REQUEST, SAML_LOGOUT_REQUEST, SAML_LOGOUT_RESPONSE };

struct saml_outgoing {
    enum saml_kind kind;
    struct str id;          /* "_..." */
    struct str destination; /* where it goes */
    bool is_post;           /* else by redirect */
    bool is_signed;
    struct str relay_state;    /* absent: none */
    bool is_forced;            /* AuthnRequest: the person must prove it again */
    struct str in_response_to; /* LogoutResponse: the request's id */
    bool is_success;           /* LogoutResponse */
    /* LogoutRequest: whose */
    struct str name_id, name_id_format, name_id_qualifier, session_index;
};
/* How the browser gets there. */
struct saml_departure {
    bool is_post;
    struct str url;     /* by redirect: all of it; by POST: the form's action */
    struct str field;   /* by POST: SAMLRequest or SAMLResponse */
    struct str message; /* by POST: base64 */
    struct str relay_state;
};
/* A fresh id of a message. */
struct str saml_message_id(struct arena *a) must_use;
/* Makes and, if it is to be, signs the message. ERR_INTERNAL, ERR_UNAVAILABLE. Waits (offload). */
bool saml_depart(struct services *sv, struct arena *a, const struct saml_settings *s,
                 const struct saml_outgoing *m, struct saml_departure *out, struct err *e) must_use;
