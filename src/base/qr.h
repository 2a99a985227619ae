/* QR codes (ISO/IEC 18004) through libqrencode, as the path of an SVG picture. */
#pragma once

#include "base/buf.h"

enum { QR_MARGIN = 4 }; /* modules of quiet around the code: section 5.3.8 of the standard */

/*
 * Appends the `d` of a path that fills the dark modules of a code for `text` (bytes, at most about
 * 1,000), one unit each. *size: units of the picture's side, margins included. False: too long, or
 * memory.
 */
bool qr_path(struct str text, struct buf *out, int *size) must_use;
