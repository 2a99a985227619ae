/* What a client may say of itself at registration (RFC 7591 section 2), and what is kept of it. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "json/jread.h"

struct client_metadata {
    struct str name;          /* cleaned; absent: none */
    struct str redirect_uris; /* separated by spaces */
    struct str auth_method;
    bool is_public;      /* proves nothing at the token endpoint */
    struct str jwks;     /* public keys for private_key_jwt; absent: none */
    struct str jwks_uri; /* of a document: where they are instead; absent: not there */
    struct str json;     /* one object: what is answered and kept */
};
/*
 * Checks and normalises. Members that are not known are ignored, grant types that registration does
 * not give are dropped. ERR_REDIRECT_URI, ERR_CLIENT_METADATA say which member is wrong.
 */
bool client_metadata_read(struct arena *a, const struct jvalue *given, struct client_metadata *out,
                          struct err *e) must_use;
/* The same for a metadata document: no secrets, a name, and authorization_code where grant types
 * are named. */
bool client_document_metadata_read(struct arena *a, const struct jvalue *given,
                                   struct client_metadata *out, struct err *e) must_use;
/* A key set of public keys alone, as compact text. ERR_CLIENT_METADATA. */
bool client_keys_read(struct arena *a, const struct jvalue *jwks, struct str *out,
                      struct err *e) must_use;
/* A name as it may be shown: no controls, no characters that turn the direction of text, at most
 * LIMIT_NAME bytes. */
struct str client_name_clean(struct arena *a, struct str name) must_use;
