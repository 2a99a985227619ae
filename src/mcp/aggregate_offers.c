/* What an aggregate says that it can do. */
#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"

#define TASKS "io.modelcontextprotocol/tasks"

struct offers {
    bool subscribe;   /* resources */
    bool tasks;       /* of 2025-11-25, for tools/call */
    bool tasks_later; /* the extension of 2026-07-28 */
};

static bool has_member(struct str object, const char *name, enum jtype type)
{
    struct str value = jscan_member(object, str_c(name));
    return !str_is_absent(value) && jscan_type(value) == type;
}

static void offers_add(struct offers *o, struct str capabilities)
{
    struct str requests = jscan_member(jscan_member(capabilities, STR("tasks")), STR("requests"));
    o->subscribe |=
        has_member(jscan_member(capabilities, STR("resources")), "subscribe", JTYPE_TRUE);
    o->tasks |= has_member(jscan_member(requests, STR("tools")), "call", JTYPE_OBJECT);
    o->tasks_later |=
        has_member(jscan_member(capabilities, STR("extensions")), TASKS, JTYPE_OBJECT);
}

static bool offers_get(struct aggregate *g, int64_t deadline, struct offers *out, struct err *e)
{
    struct listing *list = arena_alloc(g->p.a, (g->n_members + 1) * sizeof(*list));
    if (!list)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < g->n_members; i++)
        list[i] = (struct listing){.entry = g->members[i].entry, .kind = LIST_OFFERS};
    if (!list_cache_get(g->p.sv, g->p.a, g->p.caller, list, g->n_members, false, deadline, e))
        return false;
    for (size_t i = 0; i < g->n_members; i++)
        if (list[i].state == LISTING_FRESH && list[i].n > 0)
            offers_add(out, list[i].items[0]);
    return true;
}

static void capability(struct jout *j, const char *name, bool can_subscribe)
{
    jout_key(j, str_c(name));
    jout_object(j);
    if (can_subscribe)
        jout_kbool(j, "subscribe", true);
    jout_kbool(j, "listChanged", true);
    jout_object_end(j);
}

struct str aggregate_capabilities(struct aggregate *g, struct str version, int64_t deadline,
                                  struct err *e)
{
    struct offers offers = {0};
    struct buf out;
    struct jout j;
    bool is_stateless = g->p.in.era == ERA_STATELESS;
    bool has_tasks = str_eq(version, STR("2025-11-25")); /* no other session revision has */
    if (!offers_get(g, deadline, &offers, e))
        return STR_NONE;
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    capability(&j, "tools", false);
    capability(&j, "resources", offers.subscribe);
    capability(&j, "prompts", false);
    jout_kraw(&j, "completions", STR("{}"));
    if (!is_stateless)
        jout_kraw(&j, "logging", STR("{}"));
    if (has_tasks && offers.tasks)
        jout_kraw(&j, "tasks", STR("{\"cancel\":{},\"requests\":{\"tools\":{\"call\":{}}}}"));
    if (is_stateless && offers.tasks_later)
        jout_kraw(&j, "extensions", STR("{\"" TASKS "\":{}}"));
    jout_object_end(&j);
    struct str text = buf_ok(&out) ? arena_dup(g->p.a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    if (str_is_absent(text))
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    return text;
}
