/*
 * Writes one mail: text and HTML of the same content. Nothing that a person or a server chose can
 * become a header: addresses are ASCII without white space or specials, other text becomes
 * encoded-words, bodies are base64.
 * Sources: RFC 5322 2.2, 3.3, 3.4, 3.6; RFC 2045 6.8; RFC 2046 5.1.4; RFC 2047 2, 5; RFC 3834 5.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct mail {
    struct str id;   /* mail_...: the left side of Message-ID */
    struct str from; /* "name@host" or "Some Name <name@host>" */
    struct str to;   /* "name@host" */
    struct str subject;
    struct str text; /* UTF-8, lines ended by LF */
    struct str html;
    int64_t date_ms;
};
/* What stands in an address field. */
struct mailbox {
    struct str name; /* absent: none */
    struct str address;
};
/* An address that may stand in an envelope and a header: printable ASCII, one '@', no specials. */
bool mime_address_is_safe(struct str address) must_use;
/* Splits "name@host" or "Some Name <name@host>". False: the address is not safe. */
bool mime_mailbox_parse(struct str given, struct mailbox *out) must_use;
/* Appends the mail, lines ended by CRLF, without Bcc. ERR_INVALID: an address is not safe, a name
 * or subject has control characters or is no UTF-8. ERR_TOO_LARGE. */
bool mime_write(struct buf *out, const struct mail *m, struct err *e) must_use;
