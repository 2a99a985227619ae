/*
 * Single log-out: an identity provider ends the sessions that it proved, and is told when a person
 * signs out here. Only signed requests count. Source: SAML V2.0 core 3.7, profiles 4.4, bindings
 * 3.4.4.1; reference/auth.md 2.9.
 */
#pragma once

#include "auth/saml/message.h"
#include "auth/session/session.h"

/*
 * Judges a LogoutRequest (query of a GET, form of a POST), ends the person's sessions and makes the
 * answer to it. *has_answer false: the message was the provider's answer to a log-out of ours, or
 * the provider takes none: there is nothing more to say. ERR_FORBIDDEN: not signed by it, or not
 * meant for us, or used before. ERR_BAD_REQUEST, ERR_NOT_FOUND. Waits (store, offload).
 */
bool saml_logout_receive(struct http_request *rq, struct str provider_id,
                         struct saml_departure *answer, bool *has_answer, struct err *e) must_use;
/*
 * Tells the provider that proved this session that the person signs out. *has_it false: it was no
 * such provider, or it has no address for that. Waits (store, offload).
 */
bool saml_logout_begin(struct http_request *rq, const struct browser_session *session,
                       struct saml_departure *out, bool *has_it, struct err *e) must_use;
