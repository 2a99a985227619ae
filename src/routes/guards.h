/*
 * Who may pass to a handler: every row of the route table names one guard, and no row means no
 * route. Host, Origin and CORS are judged for all of them. Source: contract.md "HTTP" (Origin,
 * Host), spec/threat-model.md.
 */
#pragma once

#include "io/http.h"
#include "io/router.h"

enum guard {
    GUARD_PUBLIC,
    GUARD_OPEN,  /* the same for programs of any Origin ("*"): discovery, registration, tokens */
    GUARD_PROBE, /* health: no credential, and any Host, because probes come by address */
    GUARD_LOOPBACK_OR_TOKEN, /* /metrics: METRICS_TOKEN, or a loopback peer when it is not set; any
                                Host */
    GUARD_BEARER,            /* API key (OAuth access tokens are checked at the same place) */
    GUARD_MANAGEMENT, /* bearer whose audience is the management server; or the session cookie
                         with X-CSRF-Token and an Origin of our own */
    GUARD_PAGE,       /* anybody, by browser: no CORS, no Origin but our own, no bearer */
    GUARD_SESSION,    /* the same, signed in; others are sent to /login. rq->user: struct
                         session_person */
    GUARD_SCIM,       /* token of an organization's directory. rq->user: struct scim_client */
    GUARD_NODE,       /* node credential: forwarding between nodes */
};

/* Judges rq for the route; on success rq->user is the caller (bearer guards). On failure the error
 * has been answered. */
bool guard_admit(struct http_request *rq, const struct route *route) must_use;
/* Answers a CORS preflight for a known path. */
void guard_preflight(struct http_request *rq, struct str methods);
/* Origin alone: for requests to a known path by a method that it does not have. False: answered. */
bool guard_method(struct http_request *rq, struct str methods) must_use;
/* Host alone: for requests that match no route. False: answered. */
bool guard_host(struct http_request *rq) must_use;
