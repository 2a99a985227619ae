/*
 * Who stands behind reverse proxies. X-Forwarded-For is a list to which every proxy appends the
 * address that it saw; whoever sends the request may have begun it with anything. So it is read
 * from the right, and only as far as the addresses found are in TRUSTED_PROXIES. X-Forwarded-Host
 * counts when the peer itself is trusted. The scheme is BASE_URL's, whatever a header says.
 */
#pragma once

#include "io/http.h"

/*
 * Sets rq->peer, peer_is_loopback and peer_is_shared, and puts X-Forwarded-Host in the place of
 * Host, from what was received: rq->peer as the TCP peer, its headers (`headers` is the same array,
 * writable). trusted: TRUSTED_PROXIES, addresses and CIDRs with commas, or NULL.
 */
void client_address_set(struct http_request *rq, struct http_header *headers, const char *trusted);
