/* X.509 certificates as carriers of keys, and the signatures of SAML's redirect binding, through
 * OpenSSL. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/secret.h"

struct certificate {
    struct str der;
    struct str sha256; /* lower-case hex of the DER: names it for people */
    struct str subject;
    int64_t not_before, not_after; /* ms */
};
/* Reads PEM, or DER in base64 with or without white space. ERR_INVALID: neither, or a key that
 * signs too weakly: RSA below 2048 bits, another curve than P-256, P-384, P-521, another kind. */
bool certificate_read(struct arena *a, struct str text, struct certificate *out,
                      struct err *e) must_use;
/* The same for DER. */
bool certificate_read_der(struct arena *a, struct str der, struct certificate *out,
                          struct err *e) must_use;
/* A self-signed certificate (DER) for a PKCS #8 key: ten years, for those who look at the dates.
 * Absent: OpenSSL failed. */
struct str certificate_make(struct arena *a, struct str key, struct str common_name) must_use;

enum signature_digest { SIGNATURE_SHA256, SIGNATURE_SHA384, SIGNATURE_SHA512 };
/* Was this signed with the certificate's RSA (PKCS #1 v1.5) or ECDSA (r and s, one behind the
 * other) key? is_ecdsa: what the message says. */
bool certificate_verify(struct str der, bool is_ecdsa, enum signature_digest digest,
                        struct str signed_text, struct str signature) must_use;
/* RSA-SHA256 with a PKCS #8 key. Absent: OpenSSL failed. */
struct str certificate_sign(struct arena *a, struct str key, struct str text) must_use;
