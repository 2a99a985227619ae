/* Checks values against compiled schemas; the messages name the place, what was given and what is
 * expected. */
#include "json/jschema.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/shape.h"
#include "base/uri.h"
#include "json/jschema_node.h"

enum {
    MESSAGE_MAX = 380, /* bytes of one part of a message; err.msg cuts the rest */
    SHOWN_MAX = 60,    /* bytes of a string that is repeated in a message */
    CHECKS_MAX =
        160, /* nested checks, $ref and variants counted: about 400 bytes of a small stack each */
};

/* Where a value stands: the chain of members and items from the root. */
struct place {
    const struct place *up;
    struct str name; /* of a member; absent for an item */
    size_t index;
};

struct check {
    struct err *e;
    int depth;
};

static bool check_value(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                        const struct place *at);

static void add_place(struct buf *out, const struct place *at)
{
    if (at->up)
        add_place(out, at->up);
    if (str_is_absent(at->name)) {
        buf_addf(out, "[%zu]", at->index);
        return;
    }
    if (at->up)
        buf_add_char(out, '.');
    buf_add(out, str_slice(at->name, 0, SHOWN_MAX));
}

static size_t characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

static void add_given(struct buf *out, const struct jvalue *v)
{
    if (jv_is_array(v))
        buf_addf(out, "an array of %zu items", jv_count(v));
    else if (jv_is_object(v))
        buf_addf(out, "an object of %zu members", jv_count(v));
    else if (jv_str(v).n > SHOWN_MAX)
        buf_addf(out, "a string of %zu characters", characters(jv_str(v)));
    else
        jv_write(v, out);
}

static bool fail(struct check *c, const struct place *at, struct str given, struct str expected)
{
    if (!c->e) /* one of several variants is being tried */
        return false;
    struct buf place;
    buf_init(&place, MESSAGE_MAX);
    add_place(&place, at);
    struct str where = buf_str(&place);
    if (given.n > 0)
        err_set(c->e, ERR_INVALID, "%.*s: given %.*s, expected %.*s", STR_FMT(where),
                STR_FMT(given), STR_FMT(expected));
    else
        err_set(c->e, ERR_INVALID, "%.*s: %.*s", STR_FMT(where), STR_FMT(expected));
    buf_end(&place);
    return false;
}

/* " from 1 to 100", " of at least 2 characters", ...: low and high as text, empty when there is no
 * such limit. */
static void add_range(struct buf *out, const char *low, const char *high, bool is_count)
{
    if (*low && *high)
        buf_addf(out, is_count ? " of %s to %s" : " from %s to %s", low, high);
    else if (*low || *high)
        buf_addf(out, " of at %s %s", *low ? "least" : "most", *low ? low : high);
}

static void add_number_range(struct buf *out, const struct jschema_node *node)
{
    char low[32] = "", high[32] = "";
    if (node->has_minimum)
        (void)snprintf(low, sizeof low, "%.15g", node->minimum);
    if (node->has_maximum)
        (void)snprintf(high, sizeof high, "%.15g", node->maximum);
    add_range(out, low, high, false);
}

static void add_count_range(struct buf *out, int64_t min, int64_t max, const char *unit)
{
    char low[32] = "", high[32] = "";
    if (min > 0)
        (void)snprintf(low, sizeof low, "%lld", (long long)min);
    if (max >= 0)
        (void)snprintf(high, sizeof high, "%lld", (long long)max);
    add_range(out, low, high, true);
    if (min > 0 || max >= 0)
        buf_addf(out, " %s", unit);
}

static void add_string(struct buf *out, const struct jschema_node *node)
{
    static const char *const formats[] = {"a string", "an e-mail address", "an absolute URI",
                                          "a time like 2026-01-31T12:00:00Z"};
    buf_add(out, str_c(formats[node->format]));
    add_count_range(out, node->min_length, node->max_length, "characters");
    if (node->pattern)
        buf_addf(out, " matching %.*s", STR_FMT(node->pattern_text));
}

static void add_type(struct buf *out, const struct jschema_node *node, unsigned type)
{
    switch (type) {
    case JSCHEMA_NULL:
        buf_add(out, STR("null"));
        break;
    case JSCHEMA_BOOLEAN:
        buf_add(out, STR("true or false"));
        break;
    case JSCHEMA_INTEGER:
    case JSCHEMA_NUMBER:
        buf_add(out, type == JSCHEMA_INTEGER ? STR("an integer") : STR("a number"));
        add_number_range(out, node);
        break;
    case JSCHEMA_STRING:
        add_string(out, node);
        break;
    case JSCHEMA_ARRAY:
        buf_add(out, STR("an array"));
        add_count_range(out, node->min_items, node->max_items, "items");
        break;
    default:
        buf_add(out, STR("an object"));
    }
}

static void add_choices(struct buf *out, const struct jvalue *values)
{
    buf_add(out, jv_count(values) > 1 ? STR("one of ") : STR(""));
    for (size_t i = 0; i < jv_count(values); i++) {
        buf_add(out, i ? STR(", ") : STR(""));
        jv_write(jv_at(values, i), out);
    }
}

static void add_expected(struct buf *out, const struct jschema_node *node, unsigned types)
{
    if (node->constant) {
        jv_write(node->constant, out);
        return;
    }
    if (node->enumeration) {
        add_choices(out, node->enumeration);
        return;
    }
    bool is_first = true;
    for (unsigned bit = JSCHEMA_NULL; bit <= JSCHEMA_OBJECT; bit <<= 1) {
        if (!(types & bit))
            continue;
        buf_add(out, is_first ? STR("") : STR(" or "));
        add_type(out, node, bit);
        is_first = false;
    }
}

static unsigned types_of(const struct jvalue *v)
{
    if (jv_is_object(v))
        return JSCHEMA_OBJECT;
    if (jv_is_array(v))
        return JSCHEMA_ARRAY;
    if (jv_is_string(v))
        return JSCHEMA_STRING;
    if (jv_is_integer(v))
        return JSCHEMA_INTEGER | JSCHEMA_NUMBER;
    if (jv_is_number(v))
        return JSCHEMA_NUMBER;
    return jv_is_bool(v) ? JSCHEMA_BOOLEAN : JSCHEMA_NULL;
}

/* The plain failure: the value is shown as far as fits; for a wrong length only the length. */
static bool fail_value(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                       const struct place *at, bool only_length)
{
    if (!c->e)
        return false;
    struct buf given, expected;
    buf_init(&given, MESSAGE_MAX);
    buf_init(&expected, MESSAGE_MAX);
    if (only_length)
        buf_addf(&given, "a string of %zu characters", characters(jv_str(v)));
    else
        add_given(&given, v);
    add_expected(&expected, node, node->types ? node->types : types_of(v));
    fail(c, at, buf_str(&given), buf_str(&expected));
    buf_end(&given);
    buf_end(&expected);
    return false;
}

static bool same_value(const struct jvalue *a, const struct jvalue *b)
{
    if (jv_is_number(a) && jv_is_number(b))
        return jv_is_integer(a) && jv_is_integer(b) ? jv_i64(a, 0) == jv_i64(b, 0)
                                                    : jv_double(a, 0) == jv_double(b, 0);
    if (types_of(a) != types_of(b) || jv_count(a) != jv_count(b))
        return false;
    bool is_same = str_eq(jv_str(a), jv_str(b)) && jv_bool(a, false) == jv_bool(b, false);
    for (size_t i = 0; is_same && jv_is_array(a) && i < jv_count(a); i++)
        is_same = same_value(jv_at(a, i), jv_at(b, i));
    void *iter = NULL;
    struct str name;
    const struct jvalue *member;
    while (is_same && jv_is_object(a) && jv_member(a, &iter, &name, &member)) {
        const struct jvalue *other = jv_get(b, name.p); /* names hold no NUL and end in one */
        is_same = other && same_value(member, other);
    }
    return is_same;
}

static bool is_one_of(const struct jvalue *choices, const struct jvalue *v)
{
    for (size_t i = 0; i < jv_count(choices); i++)
        if (same_value(jv_at(choices, i), v))
            return true;
    return false;
}

static bool has_format(enum jschema_format format, struct str s)
{
    struct uri uri;
    int64_t ms;
    switch (format) {
    case JSCHEMA_EMAIL:
        return shape_is_email(s);
    case JSCHEMA_URI:
        return uri_parse(s, &uri);
    case JSCHEMA_DATE_TIME:
        return clock_parse_rfc3339(s, &ms);
    default:
        return true;
    }
}

static bool check_string(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                         const struct place *at)
{
    struct str s = jv_str(v);
    int64_t n = (int64_t)characters(s);
    if (n < node->min_length || (node->max_length >= 0 && n > node->max_length))
        return fail_value(c, node, v, at, true);
    if (!has_format(node->format, s) || (node->pattern && !jpattern_match(node->pattern, s)))
        return fail_value(c, node, v, at, false);
    return true;
}

static bool check_array(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                        const struct place *at)
{
    int64_t n = (int64_t)jv_count(v);
    if (n < node->min_items || (node->max_items >= 0 && n > node->max_items))
        return fail_value(c, node, v, at, false);
    for (size_t i = 0; node->items && i < jv_count(v); i++)
        if (!check_value(c, node->items, jv_at(v, i), &(struct place){at, STR_NONE, i}))
            return false;
    return true;
}

static const struct jschema_node *member_find(const struct jschema_node *node, struct str name)
{
    for (size_t i = 0; i < node->n_members; i++)
        if (str_eq(node->members[i].name, name))
            return node->members[i].node;
    return NULL;
}

static void add_quoted(struct buf *out, struct str lead, struct str name)
{
    buf_add(out, out->n ? STR(", ") : lead);
    buf_addf(out, "\"%.*s\"", STR_FMT(str_slice(name, 0, SHOWN_MAX)));
}

/* All unknown members at once: whoever wrote them learns everything in one go. */
static bool check_unknown(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                          const struct place *at)
{
    struct buf unknown, known;
    buf_init(&unknown, MESSAGE_MAX);
    buf_init(&known, MESSAGE_MAX);
    void *iter = NULL;
    struct str name;
    const struct jvalue *member;
    while (jv_member(v, &iter, &name, &member))
        if (!member_find(node, name))
            add_quoted(&unknown, STR("unknown "), name);
    for (size_t i = 0; i < node->n_members; i++)
        add_quoted(&known, STR("only "), node->members[i].name);
    bool is_good = unknown.n == 0;
    if (!is_good)
        fail(c, at, buf_str(&unknown), known.n ? buf_str(&known) : STR("no members"));
    buf_end(&unknown);
    buf_end(&known);
    return is_good;
}

static bool check_required(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                           const struct place *at)
{
    struct buf missing;
    buf_init(&missing, MESSAGE_MAX);
    for (size_t i = 0; i < node->n_required; i++)
        if (!jv_get(v, node->required[i].p))
            add_quoted(&missing, STR("missing "), node->required[i]);
    bool is_good = missing.n == 0;
    if (!is_good)
        fail(c, at, STR_NONE, buf_str(&missing));
    buf_end(&missing);
    return is_good;
}

static bool check_object(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                         const struct place *at)
{
    if (node->is_closed && !check_unknown(c, node, v, at))
        return false;
    if (!check_required(c, node, v, at))
        return false;
    void *iter = NULL;
    struct str name;
    const struct jvalue *member;
    while (jv_member(v, &iter, &name, &member)) {
        const struct jschema_node *schema = member_find(node, name);
        if (!schema)
            schema = node->additional;
        if (schema && !check_value(c, schema, member, &(struct place){at, name, 0}))
            return false;
    }
    return true;
}

static unsigned types_accepted(const struct jschema_node *node)
{
    return node->types ? node->types : node->ref && node->ref->types ? node->ref->types : ~0u;
}

/* Counts the variants that hold. When none does and only one has the value's type, its own
 * complaint is the useful one. */
static size_t variants_holding(struct check *c, const struct jschema_variants *variants,
                               const struct jvalue *v, const struct place *at,
                               const struct jschema_node **nearest)
{
    size_t holding = 0, near = 0;
    struct err *e = c->e;
    c->e = NULL;
    for (size_t i = 0; i < variants->n; i++) {
        holding += check_value(c, variants->nodes[i], v, at);
        if (!(types_accepted(variants->nodes[i]) & types_of(v)))
            continue;
        near++;
        *nearest = variants->nodes[i];
    }
    c->e = e;
    if (near != 1)
        *nearest = NULL;
    return holding;
}

static bool check_variants(struct check *c, const struct jschema_variants *variants,
                           bool is_exclusive, const struct jvalue *v, const struct place *at)
{
    if (variants->n == 0)
        return true;
    const struct jschema_node *nearest = NULL;
    size_t holding = variants_holding(c, variants, v, at, &nearest);
    if (holding == 1 || (holding > 1 && !is_exclusive))
        return true;
    if (!c->e) /* nobody reads why; looking again for the reason would double the work at each level
                */
        return false;
    if (holding == 0 && nearest)
        return check_value(c, nearest, v, at);
    struct buf given, expected;
    buf_init(&given, MESSAGE_MAX);
    buf_init(&expected, MESSAGE_MAX);
    add_given(&given, v);
    if (holding > 1)
        buf_addf(&expected, "exactly one of %zu forms, not %zu of them", variants->n, holding);
    for (size_t i = 0; holding == 0 && i < variants->n; i++) {
        const struct jschema_node *node =
            variants->nodes[i]->ref ? variants->nodes[i]->ref : variants->nodes[i];
        buf_add(&expected, i ? STR(" or ") : STR(""));
        add_expected(&expected, node, node->types ? node->types : JSCHEMA_OBJECT);
    }
    fail(c, at, buf_str(&given), buf_str(&expected));
    buf_end(&given);
    buf_end(&expected);
    return false;
}

static bool check_number(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                         const struct place *at)
{
    double number = jv_double(v, 0);
    if ((node->has_minimum && number < node->minimum) ||
        (node->has_maximum && number > node->maximum))
        return fail_value(c, node, v, at, false);
    return true;
}

static bool check_content(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                          const struct place *at)
{
    if (jv_is_object(v))
        return check_object(c, node, v, at);
    if (jv_is_array(v))
        return check_array(c, node, v, at);
    if (jv_is_string(v))
        return check_string(c, node, v, at);
    return !jv_is_number(v) || check_number(c, node, v, at);
}

static bool check_value(struct check *c, const struct jschema_node *node, const struct jvalue *v,
                        const struct place *at)
{
    if (c->depth == CHECKS_MAX)
        return fail(c, at, STR_NONE, STR("nested too deeply to be checked"));
    c->depth++;
    bool is_good = !node->ref || check_value(c, node->ref, v, at);
    bool is_kind = (!node->types || node->types & types_of(v)) &&
                   (!node->constant || same_value(node->constant, v)) &&
                   (!node->enumeration || is_one_of(node->enumeration, v));
    if (is_good && !is_kind)
        is_good = fail_value(c, node, v, at, false);
    is_good = is_good && check_content(c, node, v, at) &&
              check_variants(c, &node->one_of, true, v, at) &&
              check_variants(c, &node->any_of, false, v, at);
    c->depth--;
    return is_good;
}

bool jschema_check(const struct jschema *s, const struct jvalue *v, const char *root, struct err *e)
{
    struct check c = {.e = e};
    return check_value(&c, s->root, v, &(struct place){NULL, str_c(root), 0});
}
