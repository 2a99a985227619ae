/*
 * Tulle proves at another authorization server who it is with a key instead of a secret
 * (private_key_jwt). Source: RFC 7523 sections 2.2 and 3; OpenID Connect Core section 9.
 */
#pragma once

#include "auth/downstream/grant.h"

/*
 * Appends client_assertion_type and client_assertion to a form. issuer: the authorization server's,
 * which is the audience: neither a resource server nor another authorization server can use what it
 * was sent. False: the key is none, or memory.
 */
bool client_assertion_add(struct arena *a, const struct downstream_identity *c, struct str issuer,
                          struct buf *form) must_use;
