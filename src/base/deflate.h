/* Raw DEFLATE (RFC 1951), as the redirect binding of SAML has it. */
#pragma once

#include "base/buf.h"

/* Appends s, compressed. False: memory. */
bool deflate_write(struct str s, struct buf *out) must_use;
/* Appends what s holds, which must be one whole stream and fit into out's maximum. */
bool deflate_read(struct str s, struct buf *out) must_use;
