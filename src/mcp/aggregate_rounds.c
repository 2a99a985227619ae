#include "mcp/aggregate_rounds.h"

#include <stddef.h>

#include "base/attrs.h"

void round_join(struct list *head, struct round_item *item, uint64_t epoch)
{
    static _Thread_local uint64_t next_serial;
    *item = (struct round_item){.serial = ++next_serial, .epoch = epoch};
    list_push(head, &item->link);
}

void round_leave(struct round_item *item)
{
    list_remove(&item->link);
}

struct round_item *round_find(struct list *head, uint64_t serial)
{
    LIST_FOR(pos, head)
    {
        struct round_item *item = CONTAINER_OF(pos, struct round_item, link);
        if (item->serial == serial)
            return item;
    }
    return NULL;
}

static struct round_item *due(struct list *head, uint64_t epoch, uint64_t round)
{
    LIST_FOR(pos, head)
    {
        struct round_item *item = CONTAINER_OF(pos, struct round_item, link);
        if (item->epoch != epoch && item->round != round)
            return item;
    }
    return NULL;
}

void round_run(struct list *head, uint64_t epoch, round_check_fn *check, void *arg)
{
    static _Thread_local uint64_t rounds;
    struct round_item *item;
    uint64_t round = ++rounds;
    while ((item = due(head, epoch, round)) != NULL) {
        uint64_t serial = item->serial;
        item->round = round;
        bool is_done = check(arg, item);
        item = round_find(head, serial);
        if (item && is_done)
            item->epoch = epoch;
    }
}
