/*
 * Who has to give way when a table is full: the holder of most entries, by its longest unused one.
 * Pure counting; the tables of sessions use it under their locks.
 */
#pragma once

#include "base/str.h"

struct map;
struct fair_count {
    struct map *holders;
    bool failed; /* out of memory: there is no verdict */
};

void fair_count_begin(struct fair_count *c);
/* One entry of a holder. The strings must live until fair_count_end. */
void fair_count_add(struct fair_count *c, struct str holder, struct str key, int64_t used_at);
/*
 * The key of the entry that makes room for one more of `newcomer`, which counts as if it had it
 * already: the longest unused one of the holder of most; among equals the longest unused of all.
 * Absent: there is none, or no memory.
 */
struct str fair_count_victim(struct fair_count *c, struct str newcomer);
void fair_count_end(struct fair_count *c);
