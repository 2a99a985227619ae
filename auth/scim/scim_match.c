/* What a filter says of a resource. */
#include "auth/scim/scim_filter.h"

/* Values of these are compared letter by letter (RFC 7643 section 7, caseExact). */
static bool is_case_exact(const struct scim_path *path)
{
    return str_is_absent(path->sub) &&
           (str_ieq(path->attr, STR("id")) || str_ieq(path->attr, STR("externalId")));
}

static unsigned lower(char c)
{
    unsigned byte = (unsigned char)c;
    return byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
}

static int text_cmp(struct str x, struct str y, bool is_exact)
{
    for (size_t i = 0; i < x.n && i < y.n; i++) {
        unsigned a = is_exact ? (unsigned char)x.p[i] : lower(x.p[i]);
        unsigned b = is_exact ? (unsigned char)y.p[i] : lower(y.p[i]);
        if (a != b)
            return a < b ? -1 : 1;
    }
    return x.n < y.n ? -1 : x.n > y.n;
}

static bool text_has(struct str in, struct str what, bool is_exact)
{
    for (size_t i = 0; what.n <= in.n && i <= in.n - what.n; i++)
        if (text_cmp(str_slice(in, i, what.n), what, is_exact) == 0)
            return true;
    return false;
}

static bool order_fits(int order, enum scim_op op)
{
    return op == SCIM_EQ   ? order == 0
           : op == SCIM_GT ? order > 0
           : op == SCIM_GE ? order >= 0
           : op == SCIM_LT ? order < 0
                           : op == SCIM_LE && order <= 0;
}

static bool text_fits(struct str have, struct str want, enum scim_op op, bool is_exact)
{
    switch (op) {
    case SCIM_CO:
        return text_has(have, want, is_exact);
    case SCIM_SW:
        return have.n >= want.n && text_cmp(str_slice(have, 0, want.n), want, is_exact) == 0;
    case SCIM_EW:
        return have.n >= want.n &&
               text_cmp(str_slice(have, have.n - want.n, SIZE_MAX), want, is_exact) == 0;
    default:
        return order_fits(text_cmp(have, want, is_exact), op);
    }
}

/* One value against the filter's; everything but SCIM_NE and SCIM_PR. */
static bool value_fits(const struct scim_node *have, const struct scim_filter *f)
{
    const struct scim_node *want = f->value;
    if (scim_tree_is(have, SCIM_STRING) && scim_tree_is(want, SCIM_STRING))
        return text_fits(have->text, want->text, f->op, is_case_exact(&f->path));
    if (scim_tree_is(have, SCIM_NUMBER) && scim_tree_is(want, SCIM_NUMBER))
        return order_fits(have->number < want->number ? -1 : have->number > want->number, f->op);
    if (scim_tree_is(have, SCIM_BOOL) && f->op == SCIM_EQ) {
        if (scim_tree_is(want, SCIM_STRING)) /* some directories quote them */
            return str_ieq(want->text, have->is_true ? STR("true") : STR("false"));
        return scim_tree_is(want, SCIM_BOOL) && want->is_true == have->is_true;
    }
    return false;
}

/* A complex value counts by its "value". */
static const struct scim_node *plain(const struct scim_node *n)
{
    return scim_tree_is(n, SCIM_OBJECT) ? scim_tree_get(n, STR("value")) : n;
}

static const struct scim_node *attribute(const struct scim_node *resource,
                                         const struct scim_path *path)
{
    const struct scim_node *of = resource;
    if (!str_is_absent(path->urn) && scim_tree_get(resource, path->urn))
        of = scim_tree_get(resource, path->urn);
    return str_is_absent(path->attr) ? of : scim_tree_get(of, path->attr);
}

static bool one_fits(const struct scim_node *value, const struct scim_filter *f)
{
    const struct scim_node *n =
        str_is_absent(f->path.sub) ? value : scim_tree_get(value, f->path.sub);
    if (f->op == SCIM_PR)
        return n && n->type != SCIM_NULL && !(n->type == SCIM_STRING && n->text.n == 0) &&
               !((n->type == SCIM_ARRAY || n->type == SCIM_OBJECT) && !n->first);
    n = plain(n);
    return n && value_fits(n, f);
}

static bool any_fits(const struct scim_node *node, const struct scim_filter *f)
{
    if (!scim_tree_is(node, SCIM_ARRAY))
        return one_fits(node, f);
    for (const struct scim_node *item = node->first; item; item = item->next)
        if (one_fits(item, f))
            return true;
    return false;
}

static bool compare(const struct scim_filter *f, const struct scim_node *resource)
{
    const struct scim_node *node = attribute(resource, &f->path);
    bool is_null = scim_tree_is(f->value, SCIM_NULL);
    if (f->op == SCIM_NE || (is_null && f->op == SCIM_EQ)) {
        struct scim_filter other = *f;
        other.op = is_null ? SCIM_PR : SCIM_EQ;
        bool is_there = any_fits(node, &other);
        return is_null && f->op == SCIM_NE ? is_there : !is_there;
    }
    return any_fits(node, f);
}

static bool values_match(const struct scim_filter *f, const struct scim_node *resource)
{
    const struct scim_node *node = attribute(resource, &f->path);
    if (!scim_tree_is(node, SCIM_ARRAY))
        return node && scim_filter_match(f->left, node);
    for (const struct scim_node *item = node->first; item; item = item->next)
        if (scim_filter_match(f->left, item))
            return true;
    return false;
}

bool scim_filter_match(const struct scim_filter *f, const struct scim_node *resource)
{
    switch (f->kind) {
    case SCIM_AND:
        return scim_filter_match(f->left, resource) && scim_filter_match(f->right, resource);
    case SCIM_OR:
        return scim_filter_match(f->left, resource) || scim_filter_match(f->right, resource);
    case SCIM_NOT:
        return !scim_filter_match(f->left, resource);
    case SCIM_VALUES:
        return values_match(f, resource);
    case SCIM_COMPARE:
        break;
    }
    return compare(f, resource);
}
