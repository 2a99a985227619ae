/* Audit rows of kind "auth" about people: sign-ins, failures, sign-outs, links, passwords. */
#pragma once

#include "core/services.h"
#include "io/http.h"

struct login_event {
    const char
        *method; /* "signin", "signout", "password_change", "setup", "invitation_accept" ... */
    struct str user_id;  /* absent: nobody we know */
    struct str org_id;   /* absent: the installation's affair */
    struct str name;     /* what it was about; absent: nothing more */
    const char *outcome; /* ok, denied, failed */
    const char *error;   /* NULL: none */
};
/* Records one event, for the installation and for each organization of the person, or for the one
 * that it names (rq NULL: from the command line, no copies). With AUDIT_SYNC it waits.
 * ERR_UNAVAILABLE: the queue is full. */
bool login_audit(struct services *sv, const struct http_request *rq,
                 const struct login_event *event, struct err *e) must_use;
