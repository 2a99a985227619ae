/* Who Tulle is at another authorization server. Source: MCP Authorization "Client registration",
 * RFC 7591, OAuth Client ID Metadata Document. */
#pragma once

#include "auth/downstream/discover.h"
#include "auth/downstream/grant.h"
#include "io/http.h"

/* ORIGIN/oauth/connect/callback. origin: BASE_URL, or the loopback name by which the browser
 * reaches it. STR_NONE: memory. */
struct str downstream_redirect_uri(struct arena *a, struct str origin) must_use;
/* Can BASE_URL/oauth/client-metadata.json be fetched by others? */
bool downstream_has_document(const struct services *sv);
/* GET /oauth/client-metadata.json */
void downstream_client_document(struct http_request *rq);
/*
 * In this order: what an administrator registered (CONNECTION_CREDENTIAL_SET with client_id),
 * Tulle's client metadata document, dynamic registration (once for a connection and issuer).
 * ERR_UPSTREAM_AUTH: none of them is possible; the message says what an administrator does.
 */
struct downstream_asker {
    struct str owner, redirect_uri;
};
bool downstream_client_find(struct services *sv, struct arena *a, const struct connection *conn,
                            const struct downstream_asker *who,
                            const struct downstream_server *server, struct downstream_identity *out,
                            struct err *e) must_use;
/* What an administrator registered for the organization; client_id absent: nothing. */
bool downstream_client_given(struct services *sv, struct arena *a, const struct connection *conn,
                             const struct downstream_server *server,
                             struct downstream_identity *out, struct err *e) must_use;
