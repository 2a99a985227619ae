/* Which aggregate, and which servers are in it. */
#include "base/ids.h"
#include "base/limits.h"
#include "core/org_policy.h"
#include "io/forms.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"
#include "store/orgs.h"

static bool nothing_here(struct aggregate *g, struct err *e)
{
    /* A token for one address is no token at another, whatever is there. */
    if (!str_is_absent(g->p.caller->audience_connection_id) &&
        !str_eq(g->p.caller->audience_connection_id, g->id)) {
        err_set(e, ERR_UNAUTHENTICATED, "the access token is for another address");
        return err_detail(e, "its audience is %.*s", STR_FMT(g->p.caller->audience_connection_id));
    }
    return err_set(e, ERR_NOT_FOUND, "there is no such %s here",
                   g->is_hub ? "hub" : "virtual server");
}

/* ---- what was chosen ---- */

/* ["glob", ...] or [{"name", "as"?, "description"?}, ...] */
static bool chosen_read(struct aggregate *g, struct aggregate_member *m, enum list_kind kind,
                        struct str json, struct err *e)
{
    struct jiter it;
    size_t n = 0;
    m->has_all[kind] = str_is_absent(json);
    if (m->has_all[kind])
        return true;
    for (jscan_iter(&it, json); jscan_next(&it);)
        n++;
    struct chosen *list = arena_alloc(g->p.a, (n + 1) * sizeof(*list));
    if (!list)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (jscan_iter(&it, json); jscan_next(&it);) {
        struct chosen *one = &list[m->n_chosen[kind]++];
        struct jwant wants[] = {
            {.name = STR("name")}, {.name = STR("as")}, {.name = STR("description")}};
        struct str *texts[] = {&one->name, &one->as, &one->description};
        if (jscan_type(it.value) == JTYPE_STRING)
            wants[0].value = it.value;
        else if (!jscan_object(it.value, wants, ARRAY_LEN(wants), e))
            return false;
        for (size_t i = 0; i < ARRAY_LEN(wants); i++)
            if (!str_is_absent(wants[i].value) && !jscan_string(g->p.a, wants[i].value, texts[i]))
                return err_set(e, ERR_INTERNAL, "a virtual server's choice is damaged");
    }
    m->chosen[kind] = list;
    return true;
}

static bool may_connect(const struct aggregate *g, struct str connection_id,
                        struct policy_verdict *verdict)
{
    struct policy_target target = {.connection_id = connection_id,
                                   .virtual_id = g->view.virtual_id};
    *verdict = policy_decide(g->p.caller, POLICY_CONNECT, &target);
    return verdict->is_allowed;
}

/* Room for one more: an idle subscription keeps this as long as it lasts. */
static bool members_room(struct aggregate *g, struct err *e)
{
    if (g->n_members < g->members_cap)
        return true;
    size_t cap = g->members_cap ? 2 * g->members_cap : 4;
    struct aggregate_member *members = arena_alloc(g->p.a, cap * sizeof(*members));
    if (!members)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (g->n_members > 0)
        memcpy(members, g->members, g->n_members * sizeof(*members));
    memset(members + g->n_members, 0, (cap - g->n_members) * sizeof(*members));
    g->members = members;
    g->members_cap = cap;
    return true;
}

/* A connection that this caller may use and that is on joins; others are as if they were not
 * there. */
static bool member_add(struct aggregate *g, struct str connection_id, struct aggregate_member **out,
                       struct err *e)
{
    struct policy_verdict verdict;
    *out = NULL;
    if (g->n_members == LIMIT_AGGREGATE || !may_connect(g, connection_id, &verdict))
        return true;
    if (!members_room(g, e))
        return false;
    struct aggregate_member *m = &g->members[g->n_members];
    if (!registry_get(g->p.sv, g->p.a, g->p.caller->org_id, connection_id, &m->entry, e))
        return e->code == ERR_NOT_FOUND;
    if (!m->entry->conn.enabled)
        return true;
    for (size_t kind = 0; kind < N_LIST_KINDS; kind++)
        m->has_all[kind] = true;
    g->n_members++;
    *out = m;
    return true;
}

/* ---- the hub ---- */

static bool hub_members(struct aggregate *g, struct err *e)
{
    struct db_page page = {.limit = LIMIT_LIST};
    struct aggregate_member *ignored;
    struct connection *list;
    size_t n = LIMIT_LIST + 1;
    while (n > (size_t)page.limit && g->n_members < LIMIT_AGGREGATE) {
        if (!connections_list(g->p.sv->db, g->p.a, g->p.caller->org_id, &page, &list, &n, e))
            return false;
        for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
            page.after_at = list[i].created_at;
            page.after_id = list[i].id;
            if (list[i].enabled && !member_add(g, list[i].id, &ignored, e))
                return false;
        }
    }
    return true;
}

static bool hub_find(struct aggregate *g, struct str org, struct err *e)
{
    const struct caller *caller = g->p.caller;
    const struct org_policy *policy;
    struct org mine;
    if (!str_is_absent(caller->audience_connection_id) &&
        !str_eq(caller->audience_connection_id, g->id))
        return nothing_here(g, e);
    if (str_is_absent(caller->org_id))
        return nothing_here(g, e);
    if (!str_is_absent(org) && !str_eq(org, caller->org_id)) {
        struct org named;
        if (!orgs_by_slug(g->p.sv->db, g->p.a, org, &named, e))
            return e->code == ERR_NOT_FOUND ? nothing_here(g, e) : false;
        if (!str_eq(named.id, caller->org_id))
            return nothing_here(g, e);
    }
    if (!org_policy_get(g->p.sv, g->p.a, caller->org_id, &policy, e))
        return false;
    if (!orgs_get(g->p.sv->db, g->p.a, caller->org_id, &mine, e))
        return e->code == ERR_NOT_FOUND ? nothing_here(g, e) : false;
    g->name = mine.name;
    g->mode = str_eq(mine.hub_prefix, STR("clash")) ? NAMES_CLASH : NAMES_ALWAYS;
    struct str search =
        str_is_absent(policy->search_mode_default) ? mine.hub_search : policy->search_mode_default;
    g->wants_search = str_eq(search, STR("auto"));
    return hub_members(g, e);
}

/* ---- virtual servers ---- */

static bool virtual_find(struct aggregate *g, struct err *e)
{
    struct virtual_server v;
    struct policy_verdict verdict;
    const struct caller *caller = g->p.caller;
    if (!str_is_absent(caller->audience_connection_id) &&
        !str_eq(caller->audience_connection_id, g->id))
        return nothing_here(g, e);
    if (!virtual_servers_get(g->p.sv->db, g->p.a, caller->org_id, g->id, &v, e))
        return e->code == ERR_NOT_FOUND ? nothing_here(g, e) : false;
    bool is_open = v.enabled && may_connect(g, v.id, &verdict);
    for (size_t i = 0; v.enabled && i < v.n_members; i++) {
        struct aggregate_member *m;
        if (!member_add(g, v.members[i].connection_id, &m, e))
            return false;
        if (m && (!chosen_read(g, m, LIST_TOOLS, v.members[i].tools, e) ||
                  !chosen_read(g, m, LIST_PROMPTS, v.members[i].prompts, e) ||
                  !chosen_read(g, m, LIST_RESOURCES, v.members[i].resources, e) ||
                  !chosen_read(g, m, LIST_TEMPLATES, v.members[i].resources, e)))
            return false;
    }
    g->name = v.name;
    g->instructions = v.instructions;
    g->mode = str_eq(v.prefix, STR("always")) ? NAMES_ALWAYS : NAMES_CLASH;
    g->wants_search = str_eq(v.search, STR("auto"));
    return is_open || g->n_members > 0 || nothing_here(g, e);
}

/* ---- both ---- */

/* ?tools=search and ?tools=all are the caller's own choice. */
static bool query_read(struct aggregate *g, struct str text, struct err *e)
{
    struct form query;
    struct str tools;
    if (str_is_absent(text))
        return true;
    if (!form_parse(g->p.a, text, &query, e))
        return false;
    enum form_presence found = form_get(&query, STR("tools"), &tools);
    if (found == FORM_REPEATED)
        return err_set(e, ERR_INVALID, "the query parameter tools occurs more than once");
    if (found == FORM_ABSENT)
        return true;
    g->wants_search = str_eq(tools, STR("search"));
    return g->wants_search || str_eq(tools, STR("all")) ||
           err_set(e, ERR_INVALID,
                   "the query parameter tools: given \"%.*s\", expected search or all",
                   STR_FMT(str_slice(tools, 0, 40)));
}

/* What a caller without the scope hears wherever it goes. */
static bool scope_check(const struct aggregate *g, struct err *e)
{
    const struct caller *c = g->p.caller;
    return c->scopes == 0 || (c->scopes & (SCOPE_MCP | SCOPE_MCP_READ)) != 0 ||
           err_set(e, ERR_INSUFFICIENT_SCOPE, "this needs the scope mcp");
}

bool aggregate_find(struct aggregate *g, struct str where, struct str query, struct err *e)
{
    g->is_hub = !id_is(where, "vs");
    g->id = g->is_hub ? STR("hub") : where;
    g->view.virtual_id = g->is_hub ? STR_NONE : g->id;
    return (g->is_hub ? hub_find(g, where, e) : virtual_find(g, e)) && scope_check(g, e) &&
           query_read(g, query, e);
}
