/* Counting holders. */
#include "mcp/fair_count.h"

#include <stdlib.h>

#include "base/map.h"

struct holder {
    size_t n;
    struct str oldest_key;
    int64_t oldest_at;
};

void fair_count_begin(struct fair_count *c)
{
    c->holders = map_new();
    c->failed = c->holders == NULL;
}

void fair_count_add(struct fair_count *c, struct str holder, struct str key, int64_t used_at)
{
    if (c->failed)
        return;
    struct holder *h = map_get(c->holders, holder);
    if (!h) {
        h = calloc(1, sizeof(*h));
        if (!h || !map_set(c->holders, holder, h, NULL)) {
            free(h);
            c->failed = true;
            return;
        }
    }
    if (h->n++ == 0 || used_at < h->oldest_at) {
        h->oldest_key = key;
        h->oldest_at = used_at;
    }
}

struct search {
    struct str newcomer, victim;
    size_t most;
    int64_t oldest_at;
};

static bool search_visit(struct str name, void *value, void *arg)
{
    const struct holder *h = value;
    struct search *s = arg;
    size_t n = h->n + (str_eq(name, s->newcomer) ? 1 : 0);
    if (n > s->most || (n == s->most && h->oldest_at < s->oldest_at)) {
        s->most = n;
        s->oldest_at = h->oldest_at;
        s->victim = h->oldest_key;
    }
    return false;
}

struct str fair_count_victim(struct fair_count *c, struct str newcomer)
{
    struct search s = {.newcomer = newcomer};
    if (!c->failed)
        map_each(c->holders, search_visit, &s);
    return s.victim;
}

void fair_count_end(struct fair_count *c)
{
    map_free(c->holders, free);
    c->holders = NULL;
}
