/* What the servers of an aggregate offer, under the names that it has here. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"

static const enum policy_action actions[N_LIST_KINDS] = {
    [LIST_TOOLS] = POLICY_TOOL,
    [LIST_PROMPTS] = POLICY_PROMPT,
    [LIST_RESOURCES] = POLICY_RESOURCE,
    [LIST_TEMPLATES] = POLICY_RESOURCE,
};

static bool is_named(enum list_kind kind) /* by a name, not by a URI */
{
    return kind == LIST_TOOLS || kind == LIST_PROMPTS;
}

/* ---- choice ---- */

/* The first line of the choice that is about this; NULL with *is_chosen: no line, everything. */
static const struct chosen *chosen_find(const struct aggregate_member *m, enum list_kind kind,
                                        struct str own, bool *is_chosen)
{
    *is_chosen = m->has_all[kind];
    for (size_t i = 0; i < m->n_chosen[kind]; i++)
        if (text_glob(m->chosen[kind][i].name, own)) {
            *is_chosen = true;
            return &m->chosen[kind][i];
        }
    return NULL;
}

/* ---- entries ---- */

struct gathering {
    struct aggregate *g;
    enum list_kind kind;
    struct aggregate_entry *entries;
    struct named *names; /* of entries, one for one */
    size_t n;
};

/* own: the server's name for it. False: not chosen. */
static bool entry_put(struct gathering *w, const struct aggregate_member *m, struct str own)
{
    struct aggregate_entry *entry = &w->entries[w->n];
    struct arena *a = w->g->p.a;
    bool is_chosen = false;
    const struct chosen *chosen = chosen_find(m, w->kind, own, &is_chosen);
    if (!is_chosen)
        return false;
    *entry = (struct aggregate_entry){
        .member = m,
        .own = own,
        .description = chosen ? chosen->description : STR_NONE,
        .tool = w->kind == LIST_TOOLS ? registry_tool(m->entry, own) : NULL,
    };
    if (!is_named(w->kind)) {
        entry->given = names_uri(a, m->entry->conn.slug, own);
        w->n += !str_is_absent(entry->given);
        return !str_is_absent(entry->given);
    }
    bool is_renamed = entry->tool && !str_is_absent(entry->tool->renamed_to);
    w->names[w->n++] = (struct named){.server = m->entry->conn.slug,
                                      .name = is_renamed ? entry->tool->renamed_to : own,
                                      .fixed = chosen ? chosen->as : STR_NONE};
    return true;
}

static bool entry_add(struct gathering *w, const struct aggregate_member *m, struct str raw,
                      struct err *e)
{
    struct jwant wants[] = {{.name = str_c(list_kind_name(w->kind))}};
    struct aggregate_entry *entry = &w->entries[w->n];
    struct str own;
    if (!jscan_object(raw, wants, 1, e) || str_is_absent(wants[0].value) ||
        !jscan_string(w->g->p.a, wants[0].value, &own))
        return true; /* what has no name cannot be called: one bad entry spoils nothing else */
    if (entry_put(w, m, own)) {
        entry->raw = raw;
        entry->name_raw = wants[0].value;
    }
    return true;
}

/* A server that does not answer keeps the names of its tools: nobody else's tool is called so
 * meanwhile, and a call says what is wrong. */
struct absent {
    struct gathering *w;
    const struct aggregate_member *m;
};

static bool absent_visit(struct str name, void *value unused_arg, void *arg)
{
    struct absent *b = arg;
    (void)entry_put(b->w, b->m, name);
    return false;
}

static bool keeps_names(const struct listing *listing)
{
    return listing->kind == LIST_TOOLS && listing->state == LISTING_ABSENT;
}

static int by_given(const void *left, const void *right)
{
    const struct aggregate_entry *l = left, *r = right;
    return str_cmp(l->given, r->given);
}

/* Those without a name here leave; the rest is put in order. */
static void entries_settle(struct gathering *w, struct gathered *out)
{
    out->entries = w->entries;
    out->n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (is_named(w->kind))
            w->entries[i].given = w->names[i].given;
        if (!str_is_absent(w->entries[i].given))
            w->entries[out->n++] = w->entries[i];
    }
    qsort(out->entries, out->n, sizeof(*out->entries), by_given);
}

static bool entries_make(struct aggregate *g, enum list_kind kind,
                         const struct aggregate_member *members, size_t n_members,
                         struct gathered *out, struct err *e)
{
    struct gathering w = {.g = g, .kind = kind};
    size_t total = 0;
    for (size_t i = 0; i < n_members; i++)
        total += keeps_names(&out->listings[i]) ? map_count(members[i].entry->tools)
                                                : out->listings[i].n;
    w.entries = arena_alloc(g->p.a, (total + 1) * sizeof(*w.entries));
    w.names = arena_alloc(g->p.a, (total + 1) * sizeof(*w.names));
    if (!w.entries || !w.names)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < n_members; i++) {
        if (keeps_names(&out->listings[i]))
            map_each(members[i].entry->tools, absent_visit, &(struct absent){&w, &members[i]});
        else
            for (size_t k = 0; k < out->listings[i].n; k++)
                if (!entry_add(&w, &members[i], out->listings[i].items[k], e))
                    return false;
    }
    if (is_named(kind) && !names_give(g->p.a, w.names, w.n, g->mode, e))
        return false;
    entries_settle(&w, out);
    return true;
}

static bool gather_of(struct aggregate *g, enum list_kind kind,
                      const struct aggregate_member *members, size_t n_members, bool is_stale_good,
                      struct gathered *out, struct err *e)
{
    int64_t deadline = clock_mono_ms() + LIMIT_AGGREGATE_WAIT_MS;
    out->listings = arena_alloc(g->p.a, (n_members + 1) * sizeof(*out->listings));
    if (!out->listings)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < n_members; i++)
        out->listings[i] = (struct listing){.entry = members[i].entry, .kind = kind};
    return list_cache_get(g->p.sv, g->p.a, g->p.caller, out->listings, n_members, is_stale_good,
                          deadline, e) &&
           entries_make(g, kind, members, n_members, out, e);
}

bool aggregate_gather(struct aggregate *g, enum list_kind kind, bool is_stale_good,
                      struct gathered *out, struct err *e)
{
    return gather_of(g, kind, g->members, g->n_members, is_stale_good, out, e);
}

bool aggregate_may_see(struct aggregate *g, const struct aggregate_entry *entry,
                       enum list_kind kind)
{
    if (str_is_absent(entry->raw))
        return false;
    g->p.entry = entry->member->entry;
    g->p.view = &g->view;
    bool may = proxied_may_see(&g->p, actions[kind], entry->own, entry->tool);
    g->p.entry = NULL;
    return may;
}

/* ---- the way back ---- */

static bool unknown(enum list_kind kind, struct str given, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "%s: %.*s",
                   kind == LIST_TOOLS     ? "Unknown tool"
                   : kind == LIST_PROMPTS ? "Unknown prompt"
                                          : "Resource not found",
                   STR_FMT(str_slice(given, 0, 120)));
}

static bool entry_find(const struct gathered *all, struct str given, struct aggregate_entry *out)
{
    struct aggregate_entry key = {.given = given};
    const struct aggregate_entry *found =
        all->n ? bsearch(&key, all->entries, all->n, sizeof(key), by_given) : NULL;
    if (found)
        *out = *found;
    return found != NULL;
}

/* A name that says its server, and that the registry knows as it is: no list is needed. */
static bool known_directly(const struct aggregate_member *m, struct str rest,
                           struct aggregate_entry *out)
{
    const struct connection_tool *tool = registry_tool_as_seen(m->entry, rest);
    if (!tool || !m->has_all[LIST_TOOLS])
        return false;
    *out = (struct aggregate_entry){.member = m, .own = tool->name, .tool = tool};
    return true;
}

/* With a prefix only its servers need be asked. */
static bool resolve_prefixed(struct aggregate *g, enum list_kind kind, struct str given,
                             struct aggregate_entry *out, struct err *e)
{
    struct str prefix, rest;
    struct gathered all = {0};
    if (!names_split(given, &prefix, &rest))
        return unknown(kind, given, e);
    for (size_t i = 0; i < g->n_members; i++) {
        const struct aggregate_member *m = &g->members[i];
        if (!str_eq(names_prefix(g->p.a, m->entry->conn.slug), prefix))
            continue;
        if (kind == LIST_TOOLS && known_directly(m, rest, out))
            return true;
        if (!gather_of(g, kind, m, 1, true, &all, e))
            return false;
        if (entry_find(&all, given, out))
            return true;
        /* The server may have it meanwhile, or cannot be asked now: the call will tell. */
        if (m->has_all[kind]) {
            *out = (struct aggregate_entry){.member = m, .own = rest};
            return true;
        }
    }
    return unknown(kind, given, e);
}

/* Names that an administrator gave need no prefix even where others have one. */
static bool has_fixed(const struct aggregate *g, enum list_kind kind)
{
    for (size_t i = 0; i < g->n_members; i++)
        for (size_t k = 0; k < g->members[i].n_chosen[kind]; k++)
            if (!str_is_absent(g->members[i].chosen[kind][k].as))
                return true;
    return false;
}

bool aggregate_resolve(struct aggregate *g, enum list_kind kind, struct str given,
                       struct aggregate_entry *out, struct err *e)
{
    struct gathered all = {0};
    if (g->mode == NAMES_ALWAYS && !has_fixed(g, kind))
        return resolve_prefixed(g, kind, given, out, e);
    /* What was known before may not have it yet. */
    for (int fresh = 0; fresh < 2; fresh++) {
        if (!aggregate_gather(g, kind, !fresh, &all, e))
            return false;
        if (entry_find(&all, given, out))
            return true;
    }
    return unknown(kind, given, e);
}

bool aggregate_resolve_uri(struct aggregate *g, struct str given, struct aggregate_entry *out,
                           struct err *e)
{
    struct str slug, own;
    bool is_chosen = false;
    if (!names_uri_split(g->p.a, given, &slug, &own))
        return unknown(LIST_RESOURCES, given, e);
    for (size_t i = 0; i < g->n_members; i++) {
        const struct aggregate_member *m = &g->members[i];
        if (!str_eq(m->entry->conn.slug, slug))
            continue;
        chosen_find(m, LIST_RESOURCES, own, &is_chosen);
        *out = (struct aggregate_entry){.member = m, .own = own, .given = given};
        return is_chosen || unknown(LIST_RESOURCES, given, e);
    }
    return unknown(LIST_RESOURCES, given, e);
}
