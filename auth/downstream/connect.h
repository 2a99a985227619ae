/*
 * A person authorizes Tulle at a downstream server: the way there and back. What is remembered
 * meanwhile is bound to the person's browser session, used once, and names the issuer. Source:
 * OAuth 2.1 section 4.1, RFC 7636, RFC 8707, RFC 9207, RFC 9700 section 2.1 and 4.4.
 */
#pragma once

#include "core/services.h"
#include "io/forms.h"
#include "store/connections.h"

struct downstream_person {
    struct str user_id, session_id; /* of the browser session */
    struct str origin;              /* as the browser reaches us: it comes back there */
};
/*
 * Discovers the server, registers where needed, and gives the address to send the browser to.
 * owner: whose the tokens will be; "": the organization's. Errors as downstream_discover and
 * downstream_client_find.
 */
bool downstream_connect_begin(struct services *sv, struct arena *a, const struct connection *conn,
                              struct str owner, const struct downstream_person *person,
                              struct str *url, struct err *e) must_use;

struct downstream_return {
    struct str org_id, connection_id, owner;
};
/* The state of a callback, taken out: once, in its own browser. ERR_BAD_REQUEST. */
struct downstream_pending;
bool downstream_connect_take(struct services *sv, struct arena *a, const struct form *params,
                             const struct downstream_person *person,
                             struct downstream_pending **out, struct downstream_return *about,
                             struct err *e) must_use;
/*
 * Checks iss, reads error or code, redeems it and stores the tokens. ERR_ACCESS_DENIED: the person
 * or the server said no; ERR_BAD_REQUEST: the answer is from another issuer, or has no code;
 * ERR_UPSTREAM: the code was not taken.
 */
bool downstream_connect_finish(struct services *sv, struct arena *a,
                               const struct downstream_pending *pending,
                               const struct connection *conn, const struct form *params,
                               struct err *e) must_use;
