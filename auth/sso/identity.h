/*
 * From what an identity provider said to a person. The key of an identity is (provider, issuer,
 * subject); an address links accounts only where the provider speaks for it. What a provider of one
 * organization proves is good in that organization only.
 */
#pragma once

#include "base/arena.h"
#include "core/services.h"
#include "io/http.h"

struct identity {
    struct str provider_id; /* idp_ */
    struct str org_id;      /* whose provider it is; absent: the installation's */
    struct str issuer, subject;
    struct str email;       /* absent or ill-formed: none */
    bool is_email_verified; /* the provider says so and may say so */
    struct str name;        /* absent: none */
    bool has_groups;        /* it said which: those below are all */
    const struct str *groups;
    size_t n_groups;
    struct str provider_session; /* sid, SessionIndex; absent: none */
    bool is_two_factor;
    int64_t session_ends_at; /* ms: ours ends then, too; 0: nothing is said */
};

enum identity_way {
    IDENTITY_KNOWN,   /* signed in before */
    IDENTITY_LINK,    /* an account with this address, for which the provider speaks */
    IDENTITY_CREATE,  /* a new account */
    IDENTITY_REFUSED, /* why says what to do */
};
struct identity_verdict {
    enum identity_way way;
    struct str user_id;    /* of KNOWN and LINK */
    struct str join_role;  /* becomes a member with it; absent: is one, or needs none */
    struct str invitation; /* inv_: accepted by it; absent: none */
    struct str row_id;     /* of KNOWN */
    bool is_verified;      /* of CREATE: the provider speaks for the address */
    const char *why;       /* one sentence: what decided, or what to do */
};
/* What would become of it; changes nothing (dry runs). Waits (store). */
bool identity_judge(struct services *sv, struct arena *a, const struct identity *i,
                    struct identity_verdict *out, struct err *e) must_use;
/* Judges and acts. ERR_FORBIDDEN says what to do. Waits (store). */
bool identity_resolve(struct services *sv, struct arena *a, const struct identity *i,
                      struct str *user_id, struct err *e) must_use;
/* Links it to a person who is signed in and asked for that. ERR_CONFLICT: it is another account's.
 * ERR_FORBIDDEN: an owner's, at a provider of the organization that no owner configured. */
bool identity_link(struct services *sv, struct arena *a, const struct identity *i,
                   struct str user_id, struct err *e) must_use;
/*
 * The end of every sign-in through a provider: identity_resolve, groups, signin_complete (method
 * as there). *next: where to go. A refusal is audited.
 */
bool identity_signin(struct http_request *rq, const struct identity *i, const char *method,
                     struct str return_to, struct str *next, struct err *e) must_use;
