/* Lists of SCIM: filter, page, the attributes that are asked for. Source: RFC 7644 sections 3.4.2
 * and 3.9. */
#include "auth/scim/scim_parts.h"
#include "base/limits.h"

static bool number_read(struct scim_request *x, struct str name, int64_t *out)
{
    struct str given;
    int64_t n;
    if (form_get(&x->query, name, &given) == FORM_ABSENT)
        return true;
    if (!str_to_i64(given, INT32_MIN, INT32_MAX, &n))
        return scim_fault_set(&x->fault, ERR_INVALID, "invalidValue", "%.*s: expected a number",
                              STR_FMT(name));
    *out = n;
    return true;
}

bool scim_page_begin(struct scim_request *x, struct scim_page *p)
{
    struct str filter;
    struct err e;
    *p = (struct scim_page){.start = 1, .count = 100};
    buf_init(&p->out, LIMIT_ANSWER_HELD);
    jout_init(&p->j, &p->out);
    if (!number_read(x, STR("startIndex"), &p->start) || !number_read(x, STR("count"), &p->count))
        return false;
    p->start = p->start < 1 ? 1 : p->start;
    p->count = p->count < 0 ? 0 : p->count > LIMIT_SCIM_PAGE ? LIMIT_SCIM_PAGE : p->count;
    if (form_get(&x->query, STR("filter"), &filter) != FORM_ABSENT &&
        !scim_filter_parse(x->arena, filter, &p->filter, &e))
        return scim_fault_set(&x->fault, e.code, e.code == ERR_INVALID ? "invalidFilter" : NULL,
                              "filter: %s", e.msg);
    jout_object(&p->j);
    jout_key(&p->j, STR("Resources"));
    jout_array(&p->j);
    return true;
}

bool scim_page_is_full(const struct scim_page *p)
{
    return p->n_written >= p->count;
}

bool scim_page_take(struct scim_request *x, struct arena *a, struct scim_page *p,
                    struct scim_node *resource)
{
    if (p->filter && !scim_filter_match(p->filter, resource))
        return true;
    p->total++;
    if (p->total < p->start || scim_page_is_full(p))
        return true;
    struct scim_node *shown = scim_project(x, a, resource);
    if (!shown)
        return scim_no_memory(x);
    scim_tree_write(shown, &p->j);
    p->n_written++;
    return true;
}

struct str scim_page_wants(const struct scim_page *p, struct str attr)
{
    const struct scim_filter *f = p->filter;
    bool is_that = f && f->kind == SCIM_COMPARE && f->op == SCIM_EQ &&
                   str_ieq(f->path.attr, attr) && str_is_absent(f->path.sub) &&
                   scim_tree_is(f->value, SCIM_STRING);
    return is_that ? f->value->text : STR_NONE;
}

void scim_page_end(struct scim_request *x, struct scim_page *p, bool is_good)
{
    struct str body = STR_NONE;
    if (is_good) {
        jout_array_end(&p->j);
        jout_key(&p->j, STR("schemas"));
        jout_array(&p->j);
        jout_str(&p->j, STR("urn:ietf:params:scim:api:messages:2.0:ListResponse"));
        jout_array_end(&p->j);
        jout_ki64(&p->j, "totalResults", p->total);
        jout_ki64(&p->j, "startIndex", p->start);
        jout_ki64(&p->j, "itemsPerPage", p->n_written);
        jout_object_end(&p->j);
        body = buf_ok(&p->out) ? arena_dup(x->arena, buf_str(&p->out)) : STR_NONE;
        if (str_is_absent(body))
            is_good = scim_no_memory(x);
    }
    buf_end(&p->out);
    if (is_good) {
        http_answer(x->rq, 200, STR("application/scim+json"), body);
        return;
    }
    const struct scim_outcome failed = {.is_good = false};
    scim_end(x, &failed);
}

/* Is the top-level attribute, or one of its sub-attributes, in the list? *is_whole: the attribute
 * itself. */
static bool is_listed(struct scim_request *x, struct str list, struct str name, bool *is_whole)
{
    struct str rest = list, one;
    bool is_there = false;
    *is_whole = false;
    while (str_next(&rest, ',', &one)) {
        struct scim_target t;
        struct err ignored;
        if (!scim_target_parse(x->arena, str_trim(one), &t, &ignored))
            continue;
        bool is_extension = str_ieq(name, t.path.urn);
        if (!is_extension && !str_ieq(name, t.path.attr))
            continue;
        is_there = true;
        *is_whole =
            *is_whole || (is_extension ? str_is_absent(t.path.attr) : str_is_absent(t.path.sub));
    }
    return is_there;
}

struct scim_node *scim_project(struct scim_request *x, struct arena *a, struct scim_node *resource)
{
    struct str wanted, unwanted;
    bool has_wanted = form_get(&x->query, STR("attributes"), &wanted) != FORM_ABSENT && wanted.n,
         has_unwanted =
             form_get(&x->query, STR("excludedAttributes"), &unwanted) != FORM_ABSENT && unwanted.n;
    struct scim_node *out = scim_tree_new(a, SCIM_OBJECT);
    bool is_whole;
    if (!has_wanted && !has_unwanted)
        return resource;
    for (const struct scim_node *c = resource->first; out && c; c = c->next) {
        bool is_always = str_eq(c->name, STR("id")) || str_eq(c->name, STR("schemas"));
        if (!is_always && has_wanted && !is_listed(x, wanted, c->name, &is_whole))
            continue;
        if (!is_always && !has_wanted && is_listed(x, unwanted, c->name, &is_whole) && is_whole)
            continue;
        if (!scim_tree_set(out, c->name, scim_tree_copy(a, c)))
            return NULL;
    }
    return out;
}
