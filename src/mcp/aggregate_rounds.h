/*
 * Who is looked at again whenever authorization data changed. A look may wait, and fail; one that
 * failed is made again in the next round. On one thread, without a lock.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"

/* One of a list; its owner's. */
struct round_item {
    struct list link;
    uint64_t serial; /* names it across waits */
    uint64_t epoch;  /* of the store (db_epoch) when it was last looked at with success */
    uint64_t round;  /* in which it was last tried */
};
/* epoch: what is known of it is as new as that. */
void round_join(struct list *head, struct round_item *item, uint64_t epoch);
/* Harmless when it has left. */
void round_leave(struct round_item *item);
/* NULL: it has left. */
struct round_item *round_find(struct list *head, uint64_t serial);

/* False: it is to be tried again in the next round. The item may have left when this returns. */
typedef bool round_check_fn(void *arg, struct round_item *item);
/* One round: each that was not yet looked at with success at this epoch, once. Items may come and
 * go meanwhile. */
void round_run(struct list *head, uint64_t epoch, round_check_fn *check, void *arg);
