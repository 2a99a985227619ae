/* The member names seen in one object, compared after unescaping. Private to src/json. */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum { JSCAN_KEYS_FEW = 32 };

struct jscan_key_slot {
    uint64_t hash;
    struct str raw;
};

struct jscan_keys {
    size_t n;
    uint64_t seed; /* of this thread: member names are chosen by strangers; 0: none is hashed yet */
    struct jscan_key_slot *slots; /* a hash table once there are more than a few */
    struct jscan_key_slot few[JSCAN_KEYS_FEW];
};

static inline void jscan_keys_init(struct jscan_keys *k)
{
    k->n = 0;
    k->seed = 0;
    k->slots = NULL;
}

void jscan_keys_end(struct jscan_keys *k);
/* Takes a validated name in its quotes; is_plain: nothing is escaped in it. ERR_BAD_REQUEST: it was
 * there already, or there are more than LIMIT_JSON_MEMBERS. ERR_UNAVAILABLE: out of memory. */
bool jscan_keys_add(struct jscan_keys *k, struct str raw, bool is_plain, struct err *e) must_use;
