/* /scim/v2/Groups: groups of the token's organization. What they give is said by the organization,
 * not by the directory. */
#include "auth/scim/scim.h"
#include "auth/scim/scim_parts.h"
#include "auth/scim/scim_patch.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"

static bool put(struct scim_node *object, const char *name, struct scim_node *value)
{
    return scim_tree_set(object, str_c(name), value);
}

static bool members_add(struct scim_request *x, struct arena *a, const struct group *g,
                        struct scim_node *resource)
{
    struct str *ids;
    size_t n;
    struct scim_node *list = scim_tree_new(a, SCIM_ARRAY);
    if (!groups_member_ids(x->sv->db, a, x->org_id, g->id, &ids, &n, &x->fault.e))
        return scim_store_failed(x);
    for (size_t i = 0; list && i < n; i++) {
        struct scim_node *one = scim_tree_new(a, SCIM_OBJECT);
        struct str url =
            arena_printf(a, "%s/scim/v2/Users/%.*s", x->sv->config->origin, STR_FMT(ids[i]));
        if (!one || !put(one, "value", scim_tree_string(a, ids[i])) ||
            !put(one, "$ref", scim_tree_string(a, url)) ||
            !put(one, "type", scim_tree_string(a, STR("User"))) || !scim_tree_add(list, one))
            return scim_no_memory(x);
    }
    if (!list)
        return scim_no_memory(x);
    return !list->first || put(resource, "members", list) || scim_no_memory(x);
}

/* NULL: x->fault says why. */
static struct scim_node *group_render(struct scim_request *x, struct arena *a,
                                      const struct group *g)
{
    const struct scim_meta meta = {&scim_schema_group, "Groups", g->id, g->created_at,
                                   g->updated_at};
    struct scim_node *n = scim_tree_new(a, SCIM_OBJECT);
    if (!n || !put(n, "displayName", scim_tree_string(a, g->name)) ||
        (!str_is_absent(g->external_id) && g->external_id.n &&
         !put(n, "externalId", scim_tree_string(a, g->external_id)))) {
        (void)scim_no_memory(x);
        return NULL;
    }
    if (!members_add(x, a, g, n))
        return NULL;
    if (scim_meta_add(x, a, &meta, n))
        return n;
    (void)scim_no_memory(x);
    return NULL;
}

static bool group_find(struct scim_request *x, struct str id, struct group *out)
{
    x->object = id;
    return groups_get(x->sv->db, x->arena, x->org_id, id, out, &x->fault.e) ||
           scim_not_found(x, "group");
}

static bool group_show(struct scim_request *x, struct str id, struct scim_node **out)
{
    struct group g;
    if (!group_find(x, id, &g))
        return false;
    *out = group_render(x, x->arena, &g);
    return *out != NULL;
}

/* ---- list ---- */

static bool few_take(struct scim_request *x, struct scim_page *p, struct str name,
                     struct str external_id)
{
    struct group *groups;
    size_t n;
    if (!groups_find(x->sv->db, x->arena, x->org_id, name, external_id, &groups, &n, &x->fault.e))
        return scim_store_failed(x);
    for (size_t i = 0; i < n; i++) {
        struct scim_node *one = group_render(x, x->arena, &groups[i]);
        if (!one || !scim_page_take(x, x->arena, p, one))
            return false;
    }
    return true;
}

static bool all_take(struct scim_request *x, struct scim_page *p)
{
    struct db_page page = {.limit = LIMIT_LIST};
    struct group *groups;
    int64_t n_seen = 0;
    for (size_t n = LIMIT_LIST + 1; n > LIMIT_LIST;) {
        if (!groups_list(x->sv->db, x->arena, x->org_id, &page, &groups, &n, &x->fault.e))
            return scim_store_failed(x);
        for (size_t i = 0; i < n && i < LIMIT_LIST; i++) {
            auto_free(arena_endp) struct arena *a = arena_new(LIMIT_REQUEST_ARENA);
            struct scim_node *one = a ? group_render(x, a, &groups[i]) : NULL;
            if (!a)
                return scim_no_memory(x);
            if (!one || !scim_page_take(x, a, p, one))
                return false;
            page.after_at = groups[i].created_at;
            page.after_id = groups[i].id;
        }
        n_seen += LIMIT_LIST;
        if (n_seen > LIMIT_SCIM_SCAN)
            return scim_fault_set(&x->fault, ERR_INVALID, "tooMany",
                                  "too many groups: ask by displayName, externalId or id");
    }
    return true;
}

static bool groups_page(struct scim_request *x, struct scim_page *p)
{
    struct str id = scim_page_wants(p, STR("id")), name = scim_page_wants(p, STR("displayName")),
               external_id = scim_page_wants(p, STR("externalId"));
    struct group g;
    if (!str_is_absent(name) || !str_is_absent(external_id))
        return few_take(x, p, name, external_id);
    if (str_is_absent(id))
        return all_take(x, p);
    if (!groups_get(x->sv->db, x->arena, x->org_id, id, &g, &x->fault.e))
        return x->fault.e.code == ERR_NOT_FOUND || scim_store_failed(x);
    struct scim_node *one = group_render(x, x->arena, &g);
    return one && scim_page_take(x, x->arena, p, one);
}

/* ---- what changes ---- */

/* Whoever puts people into a group that makes owners, makes owners. */
static bool may_fill(struct scim_request *x, const struct group *g)
{
    return x->token->is_owners || !str_list_has(g->roles, STR("owner")) ||
           scim_fault_set(&x->fault, ERR_FORBIDDEN, NULL,
                          "only a token whose maker is an owner changes a group of owners");
}

static bool name_read(struct scim_request *x, const struct scim_node *clean, struct str *out)
{
    *out = str_trim(scim_tree_get_str(clean, STR("displayName")));
    return (out->n > 0 && out->n <= LIMIT_NAME && !text_has_control(*out)) ||
           scim_fault_set(&x->fault, ERR_INVALID, "invalidValue",
                          "displayName: expected 1 to %d bytes", LIMIT_NAME);
}

static bool taken(struct scim_request *x)
{
    return x->fault.e.code == ERR_CONFLICT
               ? scim_fault_set(&x->fault, ERR_CONFLICT, "uniqueness",
                                "there is a group with this displayName already")
               : scim_store_failed(x);
}

/* The difference between who is in and who shall be. */
struct difference {
    struct map *there, *wanted;
    struct str *added, *removed;
    size_t n_added, n_removed;
};

static bool wanted_read(struct scim_request *x, const struct scim_node *clean, struct difference *d)
{
    static char mark;
    const struct scim_node *members = scim_tree_get(clean, STR("members"));
    size_t n = 0;
    void *old;
    for (const struct scim_node *c = members ? members->first : NULL; c; c = c->next)
        n++;
    d->added = arena_alloc(x->arena, (n + 1) * sizeof(*d->added));
    if (!d->added)
        return scim_no_memory(x);
    for (const struct scim_node *c = members ? members->first : NULL; c; c = c->next) {
        struct str id = scim_tree_get_str(c, STR("value"));
        if (str_is_absent(id) || !id_is(id, "usr"))
            return scim_fault_set(&x->fault, ERR_INVALID, "invalidValue",
                                  "members: there is no user %.*s", STR_FMT(str_slice(id, 0, 60)));
        if (map_get(d->wanted, id))
            continue;
        if (!map_set(d->wanted, id, &mark, &old))
            return scim_no_memory(x);
        if (!map_get(d->there, id))
            d->added[d->n_added++] = id;
    }
    return map_count(d->wanted) <= LIMIT_GROUP_MEMBERS ||
           scim_fault_set(&x->fault, ERR_TOO_LARGE, NULL, "more than %d members",
                          LIMIT_GROUP_MEMBERS);
}

static bool difference_find(struct scim_request *x, struct str id, const struct scim_node *clean,
                            struct difference *d)
{
    static char mark;
    struct str *ids;
    size_t n;
    void *old;
    if (!groups_member_ids(x->sv->db, x->arena, x->org_id, id, &ids, &n, &x->fault.e))
        return scim_store_failed(x);
    d->removed = arena_alloc(x->arena, (n + 1) * sizeof(*d->removed));
    if (!d->there || !d->wanted || !d->removed)
        return scim_no_memory(x);
    for (size_t i = 0; i < n; i++)
        if (!map_set(d->there, ids[i], &mark, &old))
            return scim_no_memory(x);
    if (!wanted_read(x, clean, d))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!map_get(d->wanted, ids[i]))
            d->removed[d->n_removed++] = ids[i];
    return true;
}

static bool members_write(struct scim_request *x, const struct group *g, const struct difference *d)
{
    const struct group_members_change change = {.org_id = x->org_id,
                                                .id = g->id,
                                                .source = STR("scim"),
                                                .added = d->added,
                                                .removed = d->removed,
                                                .n_added = d->n_added,
                                                .n_removed = d->n_removed,
                                                .now = clock_wall_ms()};
    struct db_batch b;
    if (d->n_added + d->n_removed == 0)
        return true;
    if (!may_fill(x, g))
        return false;
    db_batch_init(&b, x->arena);
    groups_add_members_change(&b, &change);
    if (db_batch_run(x->sv->db, &b, NULL, &x->fault.e))
        return true;
    return x->fault.e.code == ERR_CONFLICT
               ? scim_fault_set(&x->fault, ERR_INVALID, "invalidValue",
                                "members: somebody is no user of the organization")
               : scim_store_failed(x);
}

static bool members_set(struct scim_request *x, const struct group *g,
                        const struct scim_node *clean)
{
    struct difference d = {.there = map_new(), .wanted = map_new()};
    bool is_good = difference_find(x, g->id, clean, &d) && members_write(x, g, &d);
    map_free(d.there, NULL);
    map_free(d.wanted, NULL);
    return is_good;
}

static bool group_create(struct scim_request *x, struct scim_node **out)
{
    struct scim_node *body, *clean;
    struct id id = id_new("grp");
    struct group g = {.id = arena_dup(x->arena, id_str(&id)), .roles = STR("")};
    struct err ignored;
    g.created_at = g.updated_at = clock_wall_ms();
    if (!scim_body(x, &body))
        return false;
    clean = scim_schema_clean(x->arena, &scim_schema_group, body, &x->fault);
    if (!clean || !name_read(x, clean, &g.name))
        return false;
    g.external_id = scim_tree_get_str(clean, STR("externalId"));
    x->object = g.id;
    if (!groups_insert(x->sv->db, x->arena, x->org_id, &g, &x->fault.e))
        return taken(x);
    if (members_set(x, &g, clean))
        return group_show(x, g.id, out);
    (void)!groups_delete(x->sv->db, x->arena, x->org_id, g.id, &ignored); /* half-made is none */
    return false;
}

static bool group_change(struct scim_request *x, struct str id, bool is_patch,
                         struct scim_node **out)
{
    struct scim_node *body, *present, *clean;
    struct group g;
    struct group_change change = {0};
    if (!group_find(x, id, &g) || !scim_body(x, &body))
        return false;
    present = group_render(x, x->arena, &g);
    if (!present || !scim_may_change(x, present))
        return false;
    if (is_patch && !scim_patch_apply(x->arena, &scim_schema_group, present, body, &x->fault))
        return false;
    clean = scim_schema_clean(x->arena, &scim_schema_group, is_patch ? present : body, &x->fault);
    if (!clean || !name_read(x, clean, &change.name))
        return false;
    change.external_id = scim_tree_get_str(clean, STR("externalId"));
    if (!members_set(x, &g, clean))
        return false;
    if (!groups_update(x->sv->db, x->arena, x->org_id, id, &change, clock_wall_ms(), &x->fault.e))
        return x->fault.e.code == ERR_NOT_FOUND ? scim_not_found(x, "group") : taken(x);
    return group_show(x, id, out);
}

static bool group_remove(struct scim_request *x, struct str id)
{
    struct group g;
    struct scim_node *present;
    if (!group_find(x, id, &g) || !may_fill(x, &g))
        return false;
    present = group_render(x, x->arena, &g);
    if (!present || !scim_may_change(x, present))
        return false;
    return groups_delete(x->sv->db, x->arena, x->org_id, id, &x->fault.e) ||
           scim_not_found(x, "group");
}

/* ---- handlers ---- */

void scim_groups(struct http_request *rq)
{
    struct scim_request x;
    struct scim_page page;
    struct scim_outcome o = {.act = "scim_group_create", .status = 201};
    if (rq->method == HTTP_POST) {
        if (!scim_begin(&x, rq, o.act))
            return;
        o.is_good = group_create(&x, &o.resource);
        scim_end(&x, &o);
    } else if (scim_begin(&x, rq, NULL)) {
        bool is_good = scim_page_begin(&x, &page) && groups_page(&x, &page);
        scim_page_end(&x, &page, is_good);
    }
}

void scim_group(struct http_request *rq)
{
    struct scim_request x;
    struct scim_outcome o = {.status = 200};
    struct str id = rq->params[0];
    o.act = rq->method == HTTP_PUT      ? "scim_group_replace"
            : rq->method == HTTP_PATCH  ? "scim_group_change"
            : rq->method == HTTP_DELETE ? "scim_group_delete"
                                        : NULL;
    if (!scim_begin(&x, rq, o.act))
        return;
    if (rq->method == HTTP_DELETE) {
        o.status = 204;
        o.is_good = group_remove(&x, id);
    } else if (o.act) {
        o.is_good = group_change(&x, id, rq->method == HTTP_PATCH, &o.resource);
    } else {
        o.is_good = group_show(&x, id, &o.resource);
    }
    scim_end(&x, &o);
}
