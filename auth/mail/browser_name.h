/* What a person would call a browser: words of ours, for what a User-Agent says is anybody's text.
 */
#pragma once

#include "base/arena.h"

/* "Firefox on Linux", "a program". STR_NONE: out of memory. */
struct str browser_name(struct arena *a, struct str user_agent) must_use;
