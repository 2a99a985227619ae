/*
 * What an authenticator says, judged: the relying party's part of WebAuthn level 2 (sections 7.1
 * and 7.2) without its storage. Attestation is not asked for ("none"): what comes is ignored, the
 * key itself is all that counts.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "crypto/cose.h"

/* Who we are to authenticators. */
struct webauthn_party {
    struct str rp_id;  /* the host of BASE_URL */
    struct str origin; /* of BASE_URL, exact */
};
/* Reads clientDataJSON: the challenge, when its type ("webauthn.create" or "webauthn.get") and its
 * origin are right and it comes from no frame of another site. ERR_BAD_REQUEST: ill-formed;
 * ERR_UNAUTHENTICATED: something else. */
bool webauthn_client_read(struct arena *a, const struct webauthn_party *party, struct str json,
                          const char *type, struct str *challenge, struct err *e) must_use;

/* Authenticator data (section 6.1). */
struct webauthn_data {
    bool is_present, is_verified, is_backup_eligible, is_backed_up;
    int64_t sign_count;
    struct str aaguid, credential_id; /* of a new credential; absent otherwise */
    struct cose_key key;
};
/* ERR_BAD_REQUEST: ill-formed. ERR_UNAUTHENTICATED: for another site, or nobody was there. */
bool webauthn_data_read(const struct webauthn_party *party, struct str bytes,
                        struct webauthn_data *out, struct err *e) must_use;
/* The authenticator data within an attestation object (section 6.5). ERR_BAD_REQUEST. */
bool webauthn_attestation_read(struct str object, struct str *data, struct err *e) must_use;
/*
 * A new credential: reads the attestation object, checks the key. ERR_BAD_REQUEST,
 * ERR_UNAUTHENTICATED. out's strings are parts of `object`.
 */
bool webauthn_register(const struct webauthn_party *party, struct str object,
                       struct webauthn_data *out, struct err *e) must_use;
/* An assertion: what is signed, its signature, and by which key (a COSE key's bytes). */
struct webauthn_assertion {
    struct str client_json, data, signature, public_key;
};
/* ERR_BAD_REQUEST, ERR_UNAUTHENTICATED. The counter and the challenge are the caller's affair. */
bool webauthn_verify(struct arena *a, const struct webauthn_party *party,
                     const struct webauthn_assertion *given, struct webauthn_data *out,
                     struct err *e) must_use;
