#include "auth/scim/scim_patch.h"

#include "base/limits.h"
#include "base/map.h"

enum verb { VERB_ADD, VERB_REPLACE, VERB_REMOVE };

/* One operation at one place. */
struct work {
    struct arena *arena;
    const struct scim_schema *schema; /* of the resource */
    struct scim_node *resource;
    struct scim_fault *f;
    enum verb verb;
    bool is_lenient; /* the place is a member of a value: what is read-only is passed over */
    struct scim_target target;
    const struct scim_attribute *attribute;
    struct scim_node *of;    /* the object that has, or will have, the attribute */
    struct scim_node *value; /* NULL: none */
};

static bool no_memory(struct scim_fault *f)
{
    return scim_fault_set(f, ERR_UNAVAILABLE, NULL, "out of memory");
}

static bool put(struct work *w, struct scim_node *object, struct str name, struct scim_node *value)
{
    return scim_tree_set(object, name, value) || no_memory(w->f);
}

/* Every member of `from` becomes one of `to`. */
static bool merge(struct work *w, struct scim_node *to, const struct scim_node *from)
{
    for (const struct scim_node *c = from->first; c; c = c->next)
        if (!put(w, to, c->name, scim_tree_copy(w->arena, c)))
            return false;
    return true;
}

/* Long arrays are members of groups: who is there twice is there once anyway. */
enum { DISTINCT_ITEMS = 100 };

static bool array_has(const struct scim_node *array, const struct scim_node *item)
{
    int n = 0;
    for (const struct scim_node *c = array->first; c && n < DISTINCT_ITEMS; c = c->next, n++)
        if (scim_tree_eq(c, item))
            return true;
    return false;
}

static bool array_extend(struct work *w, struct scim_node *array, const struct scim_node *more)
{
    for (const struct scim_node *c = more->first; c; c = c->next)
        if (!array_has(array, c) && !scim_tree_add(array, scim_tree_copy(w->arena, c)))
            return no_memory(w->f);
    return true;
}

/* The operation's value as the attribute, or its sub-attribute, has it: each place gets its own. */
static struct scim_node *own_value(struct work *w, struct str sub)
{
    struct scim_node *copy = scim_tree_copy(w->arena, w->value);
    if (!copy)
        (void)no_memory(w->f);
    return copy ? scim_schema_value(w->arena, w->attribute, sub, copy, w->f) : NULL;
}

static bool whole_set(struct work *w, struct scim_node *there, struct str name)
{
    struct scim_node *value = own_value(w, STR_NONE);
    if (!value)
        return false;
    bool is_multi = (w->attribute->flags & SCIM_IS_MULTI) != 0;
    if (is_multi && w->verb == VERB_ADD && scim_tree_is(there, SCIM_ARRAY))
        return array_extend(w, there, value);
    if (!is_multi && (w->attribute->flags & SCIM_IS_COMPLEX) && scim_tree_is(there, SCIM_OBJECT))
        return merge(w, there, value);
    return put(w, w->of, name, value);
}

/* Entra ID removes members by value and path "members". */
static bool some_remove(struct work *w, struct scim_node *array)
{
    struct scim_node *gone = own_value(w, STR_NONE);
    struct map *ids = map_new();
    void *old;
    bool is_good = gone != NULL;
    for (struct scim_node *g = gone ? gone->first : NULL; is_good && g; g = g->next) {
        struct str id = scim_tree_get_str(g, STR("value"));
        is_good = ids && (str_is_absent(id) || map_set(ids, id, g, &old));
    }
    for (struct scim_node *c = array->first, *next; is_good && c; c = next) {
        struct str id = scim_tree_get_str(c, STR("value"));
        next = c->next;
        if (!str_is_absent(id) && map_get(ids, id))
            scim_tree_remove(array, c);
    }
    map_free(ids, NULL);
    return is_good || !gone ? is_good : no_memory(w->f);
}

static bool whole_work(struct work *w, struct scim_node *there, struct str name)
{
    if (w->verb != VERB_REMOVE)
        return whole_set(w, there, name);
    if (!there)
        return true;
    if (w->value && scim_tree_is(there, SCIM_ARRAY))
        return some_remove(w, there);
    scim_tree_remove(w->of, there);
    return true;
}

/* One sub-attribute of one value. */
static bool sub_work(struct work *w, struct scim_node *object)
{
    struct str sub = w->target.path.sub;
    if (w->verb == VERB_REMOVE) {
        const struct scim_node *there = scim_tree_get(object, sub);
        if (there)
            scim_tree_remove(object, there);
        return true;
    }
    struct scim_node *value = own_value(w, sub);
    return value && put(w, object, sub, value);
}

static bool value_work(struct work *w, struct scim_node *array, struct scim_node *item)
{
    if (!str_is_absent(w->target.path.sub))
        return sub_work(w, item);
    if (w->verb == VERB_REMOVE) {
        scim_tree_remove(array, item);
        return true;
    }
    struct scim_node *value = own_value(w, STR_NONE);
    if (!value)
        return false;
    if (value->type == SCIM_ARRAY)
        value = value->first;
    return !value || merge(w, item, value);
}

/* Adds "b" where emails[type eq "a"] finds nobody: a value of that type. */
static bool value_make(struct work *w, struct scim_node *array)
{
    const struct scim_filter *filter = w->target.filter;
    struct scim_node *item = scim_tree_new(w->arena, SCIM_OBJECT);
    if (filter->kind != SCIM_COMPARE || filter->op != SCIM_EQ || !filter->value ||
        !scim_schema_has_sub(w->attribute, filter->path.attr))
        return scim_fault_set(w->f, ERR_INVALID, "noTarget", "no value of %s fits the path",
                              w->attribute->name);
    if (!item || !scim_tree_set(item, filter->path.attr, scim_tree_copy(w->arena, filter->value)) ||
        !scim_tree_add(array, item))
        return no_memory(w->f);
    return value_work(w, array, item);
}

static bool filtered_work(struct work *w, struct scim_node *there, struct str name)
{
    bool is_found = false;
    if (!(w->attribute->flags & SCIM_IS_MULTI))
        return scim_fault_set(w->f, ERR_INVALID, "invalidPath", "%s has one value only",
                              w->attribute->name);
    if (!there && w->verb == VERB_REMOVE)
        return true;
    if (!there) {
        there = scim_tree_new(w->arena, SCIM_ARRAY);
        if (!put(w, w->of, name, there))
            return false;
    }
    for (struct scim_node *c = there->first, *next; c; c = next) {
        next = c->next;
        if (!scim_filter_match(w->target.filter, c))
            continue;
        is_found = true;
        if (!value_work(w, there, c))
            return false;
    }
    return is_found || w->verb == VERB_REMOVE || value_make(w, there);
}

/* attr.sub: of the one value, or of each of them. */
static bool subs_work(struct work *w, struct scim_node *there, struct str name)
{
    if (!there && w->verb == VERB_REMOVE)
        return true;
    if (!there) {
        bool is_multi = (w->attribute->flags & SCIM_IS_MULTI) != 0;
        there = scim_tree_new(w->arena, is_multi ? SCIM_ARRAY : SCIM_OBJECT);
        if (!put(w, w->of, name, there) ||
            (is_multi && !scim_tree_add(there, scim_tree_new(w->arena, SCIM_OBJECT))))
            return no_memory(w->f);
    }
    if (there->type != SCIM_ARRAY)
        return sub_work(w, there);
    for (struct scim_node *c = there->first; c; c = c->next)
        if (!sub_work(w, c))
            return false;
    return true;
}

/* Finds attribute and object of w->target. *is_skipped: nothing is to be done. */
static bool place_find(struct work *w, bool *is_skipped)
{
    const struct scim_path *path = &w->target.path;
    const struct scim_schema *s = scim_schema_of(w->schema, path->urn);
    *is_skipped = false;
    w->attribute = s ? scim_schema_find(s, path->attr) : NULL;
    if (!w->attribute && w->is_lenient) {
        *is_skipped = true;
        return true;
    }
    if (!w->attribute)
        return scim_fault_set(w->f, ERR_INVALID, "invalidPath", "there is no attribute %.*s",
                              STR_FMT(str_slice(path->attr, 0, 60)));
    if (!str_is_absent(path->sub) && !scim_schema_has_sub(w->attribute, path->sub))
        return scim_fault_set(w->f, ERR_INVALID, "invalidPath", "%s has no %.*s",
                              w->attribute->name, STR_FMT(str_slice(path->sub, 0, 60)));
    if (w->attribute->flags & SCIM_IS_READ_ONLY) {
        *is_skipped = w->is_lenient;
        return w->is_lenient || scim_fault_set(w->f, ERR_INVALID, "mutability", "%s is read-only",
                                               w->attribute->name);
    }
    w->of = w->resource;
    if (s == w->schema)
        return true;
    w->of = scim_tree_get(w->resource, str_c(s->urn));
    if (!scim_tree_is(w->of, SCIM_OBJECT)) {
        w->of = scim_tree_new(w->arena, SCIM_OBJECT);
        return put(w, w->resource, str_c(s->urn), w->of);
    }
    return true;
}

static bool target_work(struct work *w)
{
    bool is_skipped;
    if (!place_find(w, &is_skipped))
        return false;
    if (is_skipped || !w->attribute)
        return true;
    if (w->verb != VERB_REMOVE && !w->value)
        return scim_fault_set(w->f, ERR_INVALID, "invalidValue", "%s: the operation has no value",
                              w->attribute->name);
    struct str name = str_c(w->attribute->name);
    struct scim_node *there = scim_tree_get(w->of, name);
    if (w->verb == VERB_REPLACE && w->value->type == SCIM_NULL)
        w->verb = VERB_REMOVE;
    if (w->target.filter)
        return filtered_work(w, there, name);
    return str_is_absent(w->target.path.sub) ? whole_work(w, there, name)
                                             : subs_work(w, there, name);
}

static bool path_work(struct work *w, struct str path, struct scim_node *value);

/* Every member of a value is a path of its own. */
static bool members_work(struct work *w, const struct scim_node *value, struct str urn)
{
    for (struct scim_node *c = value->first; c; c = c->next) {
        struct work one = *w;
        struct str path = str_is_absent(urn)
                              ? c->name
                              : arena_printf(w->arena, "%.*s:%.*s", STR_FMT(urn), STR_FMT(c->name));
        one.is_lenient = true;
        if (str_is_absent(path))
            return no_memory(w->f);
        if (!path_work(&one, path, c))
            return false;
    }
    return true;
}

static bool path_work(struct work *w, struct str path, struct scim_node *value)
{
    struct err e;
    if (!scim_target_parse(w->arena, path, &w->target, &e))
        return e.code == ERR_UNAVAILABLE
                   ? no_memory(w->f)
                   : scim_fault_set(w->f, ERR_INVALID, "invalidPath", "path: %s", e.msg);
    w->value = value;
    if (!str_is_absent(w->target.path.attr))
        return target_work(w);
    /* A schema's name alone: what its object holds. */
    const struct scim_schema *s = scim_schema_of(w->schema, w->target.path.urn);
    const struct scim_node *there =
        s && s != w->schema ? scim_tree_get(w->resource, str_c(s->urn)) : NULL;
    if (!s || (w->verb == VERB_REMOVE && s == w->schema))
        return scim_fault_set(w->f, ERR_INVALID, "invalidPath", "there is no such schema");
    if (w->verb == VERB_REMOVE) {
        if (there)
            scim_tree_remove(w->resource, there);
        return true;
    }
    if (!scim_tree_is(value, SCIM_OBJECT))
        return scim_fault_set(w->f, ERR_INVALID, "invalidValue",
                              "expected an object of attributes");
    return members_work(w, value, str_c(s->urn));
}

static bool verb_read(struct str word, enum verb *out)
{
    static const struct {
        struct str word;
        enum verb verb;
    } known[] = {
        {STR("add"), VERB_ADD}, {STR("replace"), VERB_REPLACE}, {STR("remove"), VERB_REMOVE}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_ieq(word, known[i].word)) {
            *out = known[i].verb;
            return true;
        }
    return false;
}

static bool operation_work(struct work *w, const struct scim_node *operation)
{
    struct str path = scim_tree_get_str(operation, STR("path"));
    struct scim_node *value = scim_tree_get(operation, STR("value"));
    if (!verb_read(scim_tree_get_str(operation, STR("op")), &w->verb))
        return scim_fault_set(w->f, ERR_INVALID, "invalidSyntax",
                              "op: expected add, replace or remove");
    if (!str_is_absent(path) && path.n > 0)
        return path_work(w, path, value);
    if (w->verb == VERB_REMOVE)
        return scim_fault_set(w->f, ERR_INVALID, "noTarget", "remove needs a path");
    if (!scim_tree_is(value, SCIM_OBJECT))
        return scim_fault_set(w->f, ERR_INVALID, "invalidValue",
                              "without a path, value is an object of attributes");
    return members_work(w, value, STR_NONE);
}

bool scim_patch_apply(struct arena *a, const struct scim_schema *s, struct scim_node *resource,
                      const struct scim_node *body, struct scim_fault *f)
{
    const struct scim_node *operations = scim_tree_get(body, STR("Operations"));
    int n = 0;
    if (!scim_tree_is(operations, SCIM_ARRAY) || !operations->first)
        return scim_fault_set(f, ERR_INVALID, "invalidSyntax", "expected Operations, an array");
    for (const struct scim_node *one = operations->first; one; one = one->next) {
        struct work w = {.arena = a, .schema = s, .resource = resource, .f = f};
        if (++n > LIMIT_SCIM_OPERATIONS)
            return scim_fault_set(f, ERR_TOO_LARGE, NULL, "more than %d operations",
                                  LIMIT_SCIM_OPERATIONS);
        if (!operation_work(&w, one))
            return false;
    }
    return true;
}
