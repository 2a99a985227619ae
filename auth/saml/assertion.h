/* What an assertion says, once its bytes are known to be signed (response.h). */
#pragma once

#include "auth/saml/response.h"

/* Judges issuer, subject, conditions and statements, and reads them. */
bool saml_assertion_read(struct arena *a, const struct saml_settings *s,
                         const struct xml_node *assertion, int64_t now_ms,
                         struct saml_assertion *out, struct saml_reject *why) must_use;
