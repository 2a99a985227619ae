/* The code that a person types: eight letters without vowels (RFC 8628 section 6.1), so that no
 * word comes out. */
#pragma once

#include "base/arena.h"

enum { DEVICE_CODE_SIZE = 10 };

/* "BCDF-GHJK", NUL-ended. */
void device_code_make(char out[DEVICE_CODE_SIZE]);
/* What it is found by, however it was typed: case, dashes and spaces do not count. STR_NONE: no
 * code, or no memory. */
struct str device_code_hash(struct arena *a, struct str typed) must_use;
