/*
 * How servers fare, learnt from the calls that pass: a server that cannot be reached is refused for
 * a while instead of tried by everyone, and one cheap probe at a time finds out when it is back. A
 * probe is a POST of server/discover without session or credential: any answer proves life, none
 * opens a session. What is learnt goes to the registry's `status`. One table for the process.
 */
#pragma once

#include "io/http_client.h"
#include "mcp/registry_cache.h"

struct upstream_health;
struct upstream_health *upstream_health_new(void) must_use;
void upstream_health_free(struct upstream_health *h);

/* Starts the fiber that probes; once per process, on the first worker. It sleeps until cancelled.
 */
bool upstream_health_start(struct services *sv, struct err *e) must_use;

/* May this server be called now? ERR_UPSTREAM: it failed too often; the message says when the next
 * try is. */
bool upstream_health_admit(struct services *sv, const struct registry_entry *entry,
                           struct err *e) must_use;
/* What became of a call. status: of the answer's head, 0 for none: then *why says what happened.
 * took_ms: until then. */
void upstream_health_note(struct services *sv, struct registry_entry *entry, int status,
                          const struct err *why, int64_t took_ms);

/* For CONNECTION_GET: what this process knows of a server just now. */
struct upstream_health_view {
    const char *state; /* "closed" (calls pass), "open", "half_open" */
    int failures;      /* in a row */
    int64_t retry_ms;  /* open: until the next try; else 0 */
    char reason[200];  /* of the last failure; "" */
};
void upstream_health_look(struct upstream_health *h, struct str connection_id,
                          struct upstream_health_view *out);
