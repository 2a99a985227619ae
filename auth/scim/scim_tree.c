#include "auth/scim/scim_tree.h"

struct scim_node *scim_tree_new(struct arena *a, enum scim_node_type type)
{
    struct scim_node *n = arena_alloc(a, sizeof(*n));
    if (n)
        n->type = type;
    return n;
}

struct scim_node *scim_tree_string(struct arena *a, struct str s)
{
    struct scim_node *n = scim_tree_new(a, SCIM_STRING);
    if (!n)
        return NULL;
    n->text = s.n ? arena_dup(a, s) : STR("");
    return str_is_absent(n->text) ? NULL : n;
}

struct scim_node *scim_tree_bool(struct arena *a, bool is_true)
{
    struct scim_node *n = scim_tree_new(a, SCIM_BOOL);
    if (n)
        n->is_true = is_true;
    return n;
}

static void append(struct scim_node *parent, struct scim_node *child)
{
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

bool scim_tree_add(struct scim_node *array, struct scim_node *item)
{
    if (item)
        append(array, item);
    return item != NULL;
}

static struct scim_node *number_read(struct arena *a, const struct jvalue *v)
{
    struct buf text;
    struct scim_node *n = scim_tree_new(a, SCIM_NUMBER);
    buf_init(&text, 64);
    jv_write(v, &text);
    if (n) {
        n->number = jv_is_integer(v) ? (double)jv_i64(v, 0) : jv_double(v, 0);
        n->text = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
        if (str_is_absent(n->text))
            n = NULL;
    }
    buf_end(&text);
    return n;
}

static struct scim_node *object_read(struct arena *a, const struct jvalue *v)
{
    struct scim_node *n = scim_tree_new(a, SCIM_OBJECT);
    void *iter = NULL;
    struct str name;
    const struct jvalue *member;
    while (n && jv_member(v, &iter, &name, &member)) {
        struct scim_node *child = scim_tree_read(a, member);
        struct str own = name.n ? arena_dup(a, name) : STR("");
        if (!child || str_is_absent(own))
            return NULL;
        child->name = own;
        append(n, child);
    }
    return n;
}

struct scim_node *scim_tree_read(struct arena *a, const struct jvalue *v)
{
    if (jv_is_object(v))
        return object_read(a, v);
    if (jv_is_string(v))
        return scim_tree_string(a, jv_str(v));
    if (jv_is_bool(v))
        return scim_tree_bool(a, jv_bool(v, false));
    if (jv_is_number(v))
        return number_read(a, v);
    if (!jv_is_array(v))
        return scim_tree_new(a, SCIM_NULL);
    struct scim_node *n = scim_tree_new(a, SCIM_ARRAY);
    for (size_t i = 0; n && i < jv_count(v); i++)
        if (!scim_tree_add(n, scim_tree_read(a, jv_at(v, i))))
            return NULL;
    return n;
}

struct scim_node *scim_tree_copy(struct arena *a, const struct scim_node *n)
{
    struct scim_node *copy = scim_tree_new(a, n->type);
    if (!copy)
        return NULL;
    copy->is_true = n->is_true;
    copy->number = n->number;
    copy->text = n->text;
    copy->name = n->name;
    for (const struct scim_node *c = n->first; c; c = c->next)
        if (!scim_tree_add(copy, scim_tree_copy(a, c)))
            return NULL;
    return copy;
}

bool scim_tree_is(const struct scim_node *n, enum scim_node_type type)
{
    return n && n->type == type;
}

struct scim_node *scim_tree_get(const struct scim_node *object, struct str name)
{
    if (scim_tree_is(object, SCIM_OBJECT))
        for (struct scim_node *c = object->first; c; c = c->next)
            if (str_ieq(c->name, name))
                return c;
    return NULL;
}

struct str scim_tree_get_str(const struct scim_node *object, struct str name)
{
    const struct scim_node *n = scim_tree_get(object, name);
    return scim_tree_is(n, SCIM_STRING) ? n->text : STR_NONE;
}

bool scim_tree_set(struct scim_node *object, struct str name, struct scim_node *value)
{
    if (!value)
        return false;
    value->name = name;
    struct scim_node *before = NULL;
    for (struct scim_node *c = object->first; c; before = c, c = c->next) {
        if (!str_ieq(c->name, name))
            continue;
        value->next = c->next;
        if (before)
            before->next = value;
        else
            object->first = value;
        if (object->last == c)
            object->last = value;
        return true;
    }
    append(object, value);
    return true;
}

void scim_tree_remove(struct scim_node *parent, const struct scim_node *child)
{
    struct scim_node *before = NULL;
    for (struct scim_node *c = parent->first; c; before = c, c = c->next) {
        if (c != child)
            continue;
        if (before)
            before->next = c->next;
        else
            parent->first = c->next;
        if (parent->last == c)
            parent->last = before;
        return;
    }
}

static size_t count(const struct scim_node *n)
{
    size_t k = 0;
    for (const struct scim_node *c = n->first; c; c = c->next)
        k++;
    return k;
}

bool scim_tree_eq(const struct scim_node *x, const struct scim_node *y)
{
    if (x->type != y->type || x->is_true != y->is_true || !str_eq(x->text, y->text) ||
        count(x) != count(y))
        return false;
    const struct scim_node *d = y->first;
    for (const struct scim_node *c = x->first; c; c = c->next, d = d ? d->next : NULL) {
        const struct scim_node *other = x->type == SCIM_OBJECT ? scim_tree_get(y, c->name) : d;
        if (!other || !scim_tree_eq(c, other))
            return false;
    }
    return true;
}

void scim_tree_write(const struct scim_node *n, struct jout *j)
{
    switch (n->type) {
    case SCIM_NULL:
        jout_null(j);
        return;
    case SCIM_BOOL:
        jout_bool(j, n->is_true);
        return;
    case SCIM_NUMBER:
        jout_raw(j, n->text);
        return;
    case SCIM_STRING:
        jout_str(j, n->text);
        return;
    case SCIM_ARRAY:
        jout_array(j);
        for (const struct scim_node *c = n->first; c; c = c->next)
            scim_tree_write(c, j);
        jout_array_end(j);
        return;
    case SCIM_OBJECT:
        jout_object(j);
        for (const struct scim_node *c = n->first; c; c = c->next) {
            jout_key(j, c->name);
            scim_tree_write(c, j);
        }
        jout_object_end(j);
        return;
    }
}
