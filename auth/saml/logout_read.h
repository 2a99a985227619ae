/* A LogoutRequest, judged. Pure; on an offload thread only. Source: SAML V2.0 core 3.7.1. */
#pragma once

#include "auth/saml/response.h"

struct saml_logout_request {
    struct str id;
    struct str subject; /* as identities know it: "format|qualifier|NameID" */
    struct str *sessions;
    size_t n_sessions;  /* 0: all of the person's */
    int64_t good_until; /* ms: until then the id must not be seen again */
};
/*
 * Judges the bytes of a message. query: the raw query that brought it by redirect, whose signature
 * counts (the message's bytes are then what is inflated); absent: it came by POST and carries its
 * signature.
 */
bool saml_logout_read(struct arena *a, const struct saml_settings *s, struct str message,
                      struct str query, int64_t now_ms, struct saml_logout_request *out,
                      struct saml_reject *why) must_use;
/* The provider's name for a person: format, qualifier and NameID as one text. STR_NONE: memory. */
struct str saml_subject(struct arena *a, struct str format, struct str qualifier,
                        struct str name_id) must_use;
