/* What counts as one place that requests come from. */
#pragma once

#include "io/http.h"

enum { PEER_NAME_SIZE = 80 };
/* "address HEX" of an IPv4 address, or of the /64 of a global IPv6 one: what one customer of a
 * provider has. "" for a peer that stands for many (peer_is_shared). */
void peer_name(const struct http_request *rq, char out[PEER_NAME_SIZE]);
