/* Requests to other authorization servers: small, bounded, through the guard, redirects never
 * followed. */
#pragma once

#include "core/services.h"
#include "io/http.h"
#include "json/jread.h"

struct downstream_answer {
    int status;
    const struct jvalue *json;  /* an object, or NULL; lives as long as the arena */
    const struct jvalue *value; /* any JSON, or NULL */
    struct str dpop_nonce;      /* the DPoP-Nonce header; absent: none */
};
/*
 * GET url, or POST body of a type, with further headers. ERR_EGRESS, ERR_UPSTREAM, ERR_TIMEOUT,
 * ERR_TOO_LARGE, ERR_CANCELLED. No message quotes what was sent.
 */
struct downstream_post {
    struct str type, body;    /* body absent: GET */
    struct str authorization; /* absent: none */
    struct str dpop;          /* the proof (dpop.h); absent: none */
    int64_t total_ms;         /* 0: LIMIT_OAUTH_MS */
};
bool downstream_fetch(struct services *sv, struct arena *a, struct str url,
                      const struct downstream_post *post, struct downstream_answer *out,
                      struct err *e) must_use;
