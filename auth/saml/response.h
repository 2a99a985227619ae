/*
 * A SAML Response, judged: which bytes are signed, what they say, and whether it is meant for us,
 * now. Pure: no store, no network; whether the request was ours and whether the assertion was used
 * before is its caller's to know. On an offload thread only.
 * Source: SAML V2.0 core, profiles 4.1.4 (Web Browser SSO), reference/auth.md 2.4 to 2.7.
 */
#pragma once

#include "auth/saml/settings.h"
#include "auth/saml/xml.h"
#include "base/arena.h"

/* Why a message was refused: `code` for audit rows and dry runs, `why` for administrators. */
struct saml_reject {
    const char *code; /* "saml_audience", "saml_signature", ... */
    char why[200];    /* printable */
};

struct saml_assertion {
    struct str response_id, id;
    struct str in_response_to; /* absent: nobody asked for it */
    struct str name_id, name_id_format, name_id_qualifier;
    struct str session_index; /* absent: none */
    int64_t session_ends_at;  /* ms; 0: nothing is said */
    int64_t authenticated_at;
    int64_t good_until;     /* ms: until then its id must not be seen again */
    struct str email, name; /* absent: none */
    const struct str *groups;
    size_t n_groups;
    bool has_groups;
    bool is_encrypted;
};

/* Judges the decoded bytes. *out lives in the arena. False: *why says what is wrong. */
bool saml_response_read(struct arena *a, const struct saml_settings *s, struct str message,
                        int64_t now_ms, struct saml_assertion *out,
                        struct saml_reject *why) must_use;

/* ---- shared with the reading of assertions and of log-out messages ---- */

/* Sets *why and returns false. */
bool saml_refuse(struct saml_reject *why, const char *code, const char *fmt, ...) printf_like(3, 4);
/* xs:dateTime with a zone, as ms. */
bool saml_time(struct arena *a, const struct xml_node *node, const char *name,
               int64_t *ms) must_use;
