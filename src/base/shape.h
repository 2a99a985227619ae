/* What values of settings look like. Each says whether `s` as a whole has the form; nothing is
 * looked up. */
#pragma once

#include "base/str.h"

/* An IP address, or one with "/" and the length of a prefix. */
bool shape_is_cidr(struct str s);
/* CIDR[:port], host[:port] or *.suffix; IPv6 with a port as "[CIDR]:port". */
bool shape_is_destination(struct str s);
/* The same and origins, comma separated, spaces around the pieces allowed. */
bool shape_is_cidr_list(struct str s);
bool shape_is_destination_list(struct str s);
bool shape_is_origin_list(struct str s);
/* An absolute http or https URL without fragment. */
bool shape_is_http_url(struct str s);
/* An http or https URL without user, query and path ("/" passes). */
bool shape_is_origin(struct str s);
/* An origin that is https, or http on loopback. */
bool shape_is_base_url(struct str s);
/* "localhost" or an IP address. */
bool shape_is_listen_host(struct str s);
/* sqlite:PATH, postgresql://... or postgres://... */
bool shape_is_database_url(struct str s);
/* local@host, at most LIMIT_EMAIL bytes. */
bool shape_is_email(struct str s);
/* An e-mail address, or "Name <address>". */
bool shape_is_sender(struct str s);
/* smtp:// or smtps:// with a host. */
bool shape_is_smtp_url(struct str s);
/* stdout, syslog or file:PATH. */
bool shape_is_audit_stream(struct str s);
/* An address or host name, with or without :port. */
bool shape_is_resolver(struct str s);
