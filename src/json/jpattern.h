/*
 * The patterns of our schemas: "^", then characters and classes with quantifiers, then "$".
 * Matching takes time linear in the text whatever the pattern. Private to src/json.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct jpattern;

/*
 * Compiles into the arena. Knows printable ASCII characters, \d, escaped punctuation, classes of
 * ASCII characters and ranges ("[a-z0-9_-]", no negation), and the quantifiers ? * + {m} {m,}
 * {m,n}. NULL with ERR_INTERNAL for all else (groups, alternatives, ".", no anchors) and for
 * patterns that need more than 256 steps.
 */
struct jpattern *jpattern_compile(struct arena *a, struct str text, struct err *e) must_use;
bool jpattern_match(const struct jpattern *p, struct str s);
