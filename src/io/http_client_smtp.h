/*
 * Hands one mail to the operator's SMTP server (RFC 5321), by libcurl on an offload thread. Away
 * from loopback nothing is said before TLS: STARTTLS (RFC 3207) or smtps, with the trust roots of
 * the worker's client.
 */
#pragma once

#include "io/http_client.h"

struct smtp_mail {
    struct str url;          /* smtp[s]://[user:password@]host[:port], percent-encoded */
    struct str helo;         /* what we call ourselves: a host name */
    struct str from, to;     /* bare addresses that passed mime_address_is_safe */
    struct str message;      /* of mime_write */
    const bool *is_given_up; /* breaks the transfer off within a second or so when it becomes true;
                                it outlives the process's offload threads */
};
/*
 * Waits (offload), at most LIMIT_MAIL_MS. *is_refused: the server will never take this mail (5xx),
 * trying again is useless. ERR_UPSTREAM says which step failed and the server's number, no address,
 * no secret. ERR_TIMEOUT, ERR_CANCELLED, ERR_UNAVAILABLE.
 */
bool http_client_smtp_send(struct http_client *c, const struct smtp_mail *m, bool *is_refused,
                           struct err *e) must_use;
