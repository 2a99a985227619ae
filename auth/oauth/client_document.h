/*
 * Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document-00): a client whose id
 * is the https URL of a document that says who it is. Fetched through the outgoing guard, kept as
 * long as its server says within bounds, good up to 7 days when a later fetch fails.
 */
#pragma once

#include "core/services.h"
#include "io/http.h"
#include "store/oauth_clients.h"

/* Does this client id claim to be a document's URL? */
bool client_document_is_id(struct str client_id);
/*
 * May it be one: https, a path, no dot segments, fragment, user information or other oddity?
 * ERR_CLIENT_METADATA says what is wrong. Pure.
 */
bool client_document_check_id(struct str client_id, struct err *e) must_use;
/*
 * The client of a document, fetched when it is not kept or no longer fresh. One fetch at a time for
 * each URL in this process, a bounded number for each host. ERR_CLIENT_METADATA: the document is
 * not a client's; ERR_EGRESS, ERR_UPSTREAM, ERR_TIMEOUT: it cannot be fetched; ERR_RATE_LIMITED.
 * Waits (store, network).
 */
bool client_document_get(struct http_request *rq, struct str client_id, struct oauth_client *out,
                         struct err *e) must_use;
/* Fetches again although it is fresh, at most once a minute: an assertion names a key that is not
 * known. */
bool client_document_again(struct http_request *rq, struct oauth_client *client,
                           struct err *e) must_use;
/* Is CIMD on, or auto and fetching seems to work? For metadata. */
bool client_documents_are_on(const struct services *sv);
