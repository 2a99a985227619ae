/* What others wrote, for a terminal: a name must not move the cursor or look like a line of ours.
 */
#pragma once

#include "base/arena.h"

/* Control characters (C0, DEL, and C1 in UTF-8) become '?'. "" when memory is out. */
struct str printable(struct arena *a, struct str s) must_use;
/* The same in place. */
void printable_make(char *p, size_t n);
