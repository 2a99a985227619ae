/*
 * Proof of possession at other servers: tokens that are worth nothing without a key. One ES256 key
 * for each authorization, sealed with it; a fresh proof for each request; the last nonce of each
 * origin, in memory. Source: RFC 9449; RFC 9728 section 2.
 */
#pragma once

#include "base/arena.h"

/* DPOP_NONCE_MAX: bytes. RFC 9449 names no maximum; the whole proof has to fit a request's head. */
enum { DPOP_NONCE_MAX = 256 };

/* A fresh private key as text: base64url of PKCS #8. STR_NONE: memory. */
struct str dpop_key_make(struct arena *a) must_use;
/* Its thumbprint (RFC 7638), which binds a code (RFC 9449 section 10). STR_NONE: no such key, or
 * memory. */
struct str dpop_key_thumbprint(struct arena *a, struct str key) must_use;

struct dpop_request {
    struct str method, url; /* of the request; query and fragment are left out of the proof */
    struct str token;       /* that goes along; absent: a request to a token endpoint */
};
/* The value of the DPoP header of one request, with the nonce that was kept for its address.
 * STR_NONE: no such key, or memory. */
struct str dpop_proof_make(struct arena *a, struct str key, const struct dpop_request *rq) must_use;

/* Keeps the DPoP-Nonce of an answer for the next proof to the same origin; an absent or ill-formed
 * one changes nothing. Authorization servers and the servers that tokens are for have each their
 * own (RFC 9449 section 9), also at one origin. Any thread. */
void dpop_nonce_keep(struct arena *a, const struct dpop_request *rq, struct str nonce);
