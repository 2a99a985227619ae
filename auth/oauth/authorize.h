/* The authorization endpoint (OAuth 2.1 section 4.1.1): who asks, what for, and a person who says
 * yes. */
#pragma once

#include "auth/session/session.h"
#include "store/oauth_clients.h"

/* GET, POST /oauth/authorize */
void authorize_start(struct http_request *rq);
/* POST /oauth/consent: the answer of the consent page. */
void consent_post(struct http_request *rq);
/*
 * For the sign-in page within an authorization: the origin or scheme that its redirects may end at
 * (Chromium applies form-action to them). return_to: where sign-in leads to. Absent: nowhere else.
 * Waits (store).
 */
struct str authorize_form_action(struct http_request *rq, struct str return_to);

/* ---- shared by authorize*.c and consent.c ---- */

/* A request for authorization whose client and redirect URI are good. */
struct authorization {
    struct http_request *rq;
    struct services *sv;
    struct arena *a;
    struct oauth_client client;
    struct str redirect_uri, state, scope, challenge, nonce;
    struct str resource; /* as given; absent: none */
    struct str id;       /* of the consent: one code at most */
    int64_t started_at;  /* ms: when the consent page was shown */
    bool is_silent;      /* prompt=none */
    bool must_ask;       /* prompt=consent */
    bool is_approved;    /* by the organization: the person is not asked */
    int64_t max_age_ms;  /* of the sign-in; -1: any */
    struct str here;     /* path and query of the page: where another sign-in comes back to */
};

/* Sends the browser back to the client with an error, state and iss (RFC 6749 4.1.2.1, RFC 9207).
 */
void authorize_fail(const struct authorization *z, const struct err *e);

/* What a token could be for. */
struct target {
    struct str org_id, org_name;
    struct str resource; /* stored form */
    struct str name;     /* for people */
};
/* An organization that asks for another sign-in than the session's. */
struct elsewhere {
    struct str org_name;
    const char *why;
    struct str path; /* where to sign in and come back */
};
struct targets {
    struct str user_id; /* whose they are */
    struct proof proof; /* of their session */
    struct target *items;
    size_t n, preferred;
    struct elsewhere *elsewhere; /* organizations that it is not enough for */
    size_t n_elsewhere;
};
/*
 * What the person may choose: one thing in each of their organizations that has it, or everything
 * they may use where the request names nothing. ERR_INVALID_TARGET: nothing; ERR_ACCESS_DENIED: a
 * member of no organization; ERR_FORBIDDEN: nothing but in organizations that want another sign-in
 * (out->elsewhere). Waits (store).
 */
bool authorize_targets(const struct authorization *z, const struct browser_session *session,
                       struct targets *out, struct err *e) must_use;

/* Shows the consent page. */
bool consent_show(const struct authorization *z, const struct browser_session *session,
                  const struct targets *targets, struct err *e) must_use;
/* Shows where to sign in instead. */
bool consent_elsewhere_show(const struct authorization *z, const struct browser_session *session,
                            const struct targets *targets, struct err *e) must_use;
/* Writes the grant's code and sends the browser to the client with it. ERR_CONFLICT: this consent
 * gave one already. */
bool consent_grant(const struct authorization *z, const struct browser_session *session,
                   const struct target *target, struct err *e) must_use;
