/* Identity providers as buttons of the sign-in page. */
#pragma once

#include "auth/login/signin_options.h"
#include "store/sso_providers.h"

/* "/auth/oidc/ID/start" or "/auth/saml/ID/start". STR_NONE: memory. */
struct str provider_start_path(struct arena *a, const struct sso_provider *p) must_use;
/* One provider as a button. ERR_UNAVAILABLE: memory. */
bool provider_button(struct arena *a, const struct sso_provider *p, struct signin_button *out,
                     struct err *e) must_use;
/* Puts the enabled providers of the installation into out->buttons. Waits (store). */
bool provider_buttons_add(struct http_request *rq, struct signin_options *out,
                          struct err *e) must_use;
