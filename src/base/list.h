/* Intrusive doubly linked list. */
#pragma once

#include <stdbool.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}
static inline void list_push(struct list *head, struct list *item) /* at the end */
{
    item->prev = head->prev;
    item->next = head;
    head->prev->next = item;
    head->prev = item;
}
/* Removes; removing twice is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->next = item->prev = item;
}
/* NOLINTBEGIN(bugprone-macro-parentheses): pos and tmp are names that these declare */
#define LIST_FOR(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define LIST_FOR_SAFE(pos, tmp, head)                                                              \
    for (struct list *pos = (head)->next, *tmp = pos->next; pos != (head);                         \
         pos = tmp, tmp = pos->next)
/* NOLINTEND(bugprone-macro-parentheses) */
