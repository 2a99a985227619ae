/*
 * Tulle as itself at another server: client credentials (RFC 6749 section 4.4; MCP Authorization
 * extension OAuth Client Credentials), where the connection's metadata.oauth says "grant":
 * "client_credentials" and an administrator has given a client_id with a secret or a key.
 */
#pragma once

#include "auth/downstream/grant.h"

/* Was it got so, and is renewed so? */
bool downstream_machine_is(const struct downstream_grant *g);
/* Adds what asks for a token: grant_type, scope, resource, audience. */
void downstream_machine_form(struct buf *form, const struct downstream_grant *g, struct str scope);

enum machine_begun {
    MACHINE_NOT,    /* the connection is authorized by a person; *e is left alone */
    MACHINE_DONE,   /* the store has a token now */
    MACHINE_BUSY,   /* somebody else is at it: look again */
    MACHINE_FAILED, /* *e; nobody tries again for LIMIT_REFRESH_PAUSE_MS */
};
/*
 * Discovers the server and gets the organization's first token; one fiber of the process for a
 * connection. ERR_UPSTREAM and the like: no client_id with a secret or a key was given, or
 * the authorization server gives no token. No person can mend that: no address is shown. Waits.
 */
enum machine_begun downstream_machine_begin(struct services *sv, struct arena *a,
                                            const struct connection *conn, struct err *e);
