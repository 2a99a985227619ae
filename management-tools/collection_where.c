/* where and orderBy of collections. */
#include "management-tools/collection_where.h"

#include "base/limits.h"

/* ---- fields ---- */

static bool is_known(struct str field)
{
    static const struct str known[] = {STR("id"),
                                       STR("title"),
                                       STR("description"),
                                       STR("icon"),
                                       STR("app_name"),
                                       STR("app_id"),
                                       STR("slug"),
                                       STR("organization_id"),
                                       STR("created_at"),
                                       STR("created_by"),
                                       STR("updated_at"),
                                       STR("connection_type"),
                                       STR("connection_url"),
                                       STR("connection_token"),
                                       STR("connection_headers"),
                                       STR("oauth_config"),
                                       STR("configuration_state"),
                                       STR("configuration_scopes"),
                                       STR("metadata"),
                                       STR("tools"),
                                       STR("bindings"),
                                       STR("status")};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(field, known[i]))
            return true;
    return false;
}

static bool field_check(const struct jvalue *field, const char *where, struct err *e)
{
    struct str first = jv_str(jv_at(field, 0));
    if (!jv_is_array(field) || jv_count(field) == 0 || jv_count(field) > LIMIT_WHERE_DEPTH)
        return err_set(e, ERR_INVALID, "arguments.%s: expected field as a list of 1 to %d names",
                       where, LIMIT_WHERE_DEPTH);
    for (size_t i = 0; i < jv_count(field); i++)
        if (!jv_is_string(jv_at(field, i)))
            return err_set(e, ERR_INVALID, "arguments.%s: expected field as a list of names",
                           where);
    return is_known(first) || err_set(e, ERR_INVALID, "arguments.%s: an item has no field \"%.*s\"",
                                      where, STR_FMT(str_slice(first, 0, 60)));
}

static const struct jvalue *member(const struct jvalue *object, struct str wanted)
{
    struct str name;
    const struct jvalue *value;
    if (!jv_is_object(object))
        return NULL;
    for (void *iter = NULL; jv_member(object, &iter, &name, &value);)
        if (str_eq(name, wanted))
            return value;
    return NULL;
}

/* The value at a path, or NULL: absent and null are the same here. */
static const struct jvalue *field_of(const struct jvalue *item, const struct jvalue *path)
{
    for (size_t i = 0; i < jv_count(path); i++)
        item = member(item, jv_str(jv_at(path, i)));
    return jv_is_null(item) ? NULL : item;
}

/* ---- comparing values ---- */

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool is_equal(const struct jvalue *a, const struct jvalue *b)
{
    if (!a || !b || jv_is_null(a) || jv_is_null(b))
        return (!a || jv_is_null(a)) && (!b || jv_is_null(b));
    if (jv_is_string(a) && jv_is_string(b))
        return str_eq(jv_str(a), jv_str(b));
    if (jv_is_integer(a) && jv_is_integer(b))
        return jv_i64(a, 0) == jv_i64(b, 0);
    if (jv_is_number(a) && jv_is_number(b)) {
        double x = jv_double(a, 0), y = jv_double(b, 0);
        return !(x < y) && !(x > y);
    }
    return jv_is_bool(a) && jv_is_bool(b) && jv_bool(a, false) == jv_bool(b, false);
}

static bool is_among(const struct jvalue *list, const struct jvalue *wanted)
{
    for (size_t i = 0; i < jv_count(list); i++)
        if (is_equal(jv_at(list, i), wanted))
            return true;
    return false;
}

static int text_order(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* False: they have no order. */
static bool order_of(const struct jvalue *a, const struct jvalue *b, int *out)
{
    if (jv_is_string(a) && jv_is_string(b)) {
        *out = text_order(jv_str(a), jv_str(b));
        return true;
    }
    if (jv_is_integer(a) && jv_is_integer(b)) {
        int64_t x = jv_i64(a, 0), y = jv_i64(b, 0);
        *out = (x > y) - (x < y);
        return true;
    }
    double x = jv_double(a, 0), y = jv_double(b, 0);
    *out = (x > y) - (x < y);
    return jv_is_number(a) && jv_is_number(b);
}

static bool contains_text(struct str text, struct str part)
{
    for (size_t at = 0; at + part.n <= text.n; at++) {
        size_t i = 0;
        while (i < part.n && lower(text.p[at + i]) == lower(part.p[i]))
            i++;
        if (i == part.n)
            return true;
    }
    return false;
}

/* Where the character that begins at `at` ends. */
static size_t char_end(struct str s, size_t at)
{
    at++;
    while (at < s.n && ((unsigned char)s.p[at] & 0xC0) == 0x80)
        at++;
    return at;
}

/* SQL's LIKE: % any run, _ one character. Goes back to the last % only, so at most |text| *
 * |pattern| steps. */
static bool is_like(struct str text, struct str pattern)
{
    size_t t = 0, p = 0, run_t = 0, run_p = SIZE_MAX;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '%') {
            run_p = ++p;
            run_t = t;
        } else if (p < pattern.n && pattern.p[p] == '_') {
            t = char_end(text, t);
            p++;
        } else if (p < pattern.n && lower(text.p[t]) == lower(pattern.p[p])) {
            t++;
            p++;
        } else if (run_p != SIZE_MAX) {
            t = ++run_t;
            p = run_p;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '%')
        p++;
    return p == pattern.n;
}

/* ---- where ---- */

enum comparison { EQ, GT, GTE, LT, LTE, IN, LIKE, CONTAINS, AND, OR, NOT, N_OPERATORS };

static enum comparison operator_of(const struct jvalue *where)
{
    static const char *const words[N_OPERATORS] = {"eq",   "gt",       "gte", "lt", "lte", "in",
                                                   "like", "contains", "and", "or", "not"};
    struct str word = jv_get_str(where, "operator");
    for (int i = 0; i < N_OPERATORS; i++)
        if (str_eq(word, str_c(words[i])))
            return (enum comparison)i;
    return N_OPERATORS;
}

static bool members_check(const struct jvalue *where, bool is_group, struct err *e)
{
    struct str name;
    const struct jvalue *value;
    for (void *iter = NULL; jv_member(where, &iter, &name, &value);) {
        bool is_ours = str_eq(name, STR("operator")) ||
                       (is_group ? str_eq(name, STR("conditions"))
                                 : str_eq(name, STR("field")) || str_eq(name, STR("value")));
        if (!is_ours)
            return err_set(e, ERR_INVALID, "arguments.where: unknown member \"%.*s\"",
                           STR_FMT(str_slice(name, 0, 60)));
    }
    return true;
}

static bool comparison_check(const struct jvalue *where, enum comparison op, struct err *e)
{
    const struct jvalue *value = jv_get(where, "value");
    if (!members_check(where, false, e) || !field_check(jv_get(where, "field"), "where", e))
        return false;
    if (op == IN && (!jv_is_array(value) || jv_count(value) > LIMIT_WHERE))
        return err_set(e, ERR_INVALID, "arguments.where: in takes a list of at most %d values",
                       LIMIT_WHERE);
    if (op == LIKE && (!jv_is_string(value) || jv_str(value).n > LIMIT_PATTERN))
        return err_set(e, ERR_INVALID, "arguments.where: like takes a text of at most %d bytes",
                       LIMIT_PATTERN);
    if (op == CONTAINS && jv_str(value).n > LIMIT_PATTERN)
        return err_set(e, ERR_INVALID, "arguments.where: contains takes at most %d bytes",
                       LIMIT_PATTERN);
    return value || err_set(e, ERR_INVALID, "arguments.where: value is missing");
}

static bool node_check(const struct jvalue *where, int depth, int *n, struct err *e)
{
    enum comparison op = operator_of(where);
    if (++*n > LIMIT_WHERE || depth > LIMIT_WHERE_DEPTH)
        return err_set(e, ERR_INVALID,
                       "arguments.where: expected at most %d conditions, %d levels deep",
                       LIMIT_WHERE, LIMIT_WHERE_DEPTH);
    if (!jv_is_object(where) || op == N_OPERATORS)
        return err_set(e, ERR_INVALID,
                       "arguments.where: expected the operator eq, gt, gte, lt, lte, in, like, "
                       "contains, and, or, not");
    if (op < AND)
        return comparison_check(where, op, e);
    const struct jvalue *conditions = jv_get(where, "conditions");
    if (!members_check(where, true, e))
        return false;
    if (!jv_is_array(conditions) || jv_count(conditions) == 0)
        return err_set(e, ERR_INVALID, "arguments.where: and, or, not take a list of conditions");
    for (size_t i = 0; i < jv_count(conditions); i++)
        if (!node_check(jv_at(conditions, i), depth + 1, n, e))
            return false;
    return true;
}

bool collection_where_check(const struct jvalue *where, struct err *e)
{
    int n = 0;
    return !where || jv_is_null(where) || node_check(where, 1, &n, e);
}

static bool comparison_holds(const struct jvalue *where, enum comparison op,
                             const struct jvalue *item)
{
    const struct jvalue *field = field_of(item, jv_get(where, "field")),
                        *value = jv_get(where, "value");
    int order;
    switch (op) {
    case EQ:
        return is_equal(field, value);
    case IN:
        return is_among(value, field);
    case LIKE:
        return jv_is_string(field) && is_like(jv_str(field), jv_str(value));
    case CONTAINS:
        if (jv_is_array(field))
            return is_among(field, value);
        return jv_is_string(field) && jv_is_string(value) &&
               contains_text(jv_str(field), jv_str(value));
    default:
        if (!order_of(field, value, &order))
            return false;
        return op == GT ? order > 0 : op == GTE ? order >= 0 : op == LT ? order < 0 : order <= 0;
    }
}

bool collection_where_holds(const struct jvalue *where, const struct jvalue *item)
{
    if (!where || jv_is_null(where))
        return true;
    enum comparison op = operator_of(where);
    if (op < AND)
        return comparison_holds(where, op, item);
    const struct jvalue *conditions = jv_get(where, "conditions");
    size_t n = jv_count(conditions), n_true = 0;
    for (size_t i = 0; i < n; i++)
        n_true += collection_where_holds(jv_at(conditions, i), item);
    return op == AND ? n_true == n : op == OR ? n_true > 0 : n_true < n;
}

/* ---- order ---- */

bool collection_order_check(const struct jvalue *order, struct err *e)
{
    for (size_t i = 0; i < jv_count(order); i++)
        if (!field_check(jv_get(jv_at(order, i), "field"), "orderBy", e))
            return false;
    return true;
}

int collection_order_compare(const struct jvalue *order, const struct jvalue *a,
                             const struct jvalue *b)
{
    for (size_t i = 0; i < jv_count(order); i++) {
        const struct jvalue *by = jv_at(order, i), *x = field_of(a, jv_get(by, "field")),
                            *y = field_of(b, jv_get(by, "field"));
        bool is_first = str_eq(jv_get_str(by, "nulls"), STR("first"));
        int found = 0;
        if (!x || !y)
            found = (x == y) ? 0 : (x == NULL) == is_first ? -1 : 1;
        else if (order_of(x, y, &found) && str_eq(jv_get_str(by, "direction"), STR("desc")))
            found = (found < 0) - (found > 0);
        if (found)
            return found;
    }
    return 0;
}
