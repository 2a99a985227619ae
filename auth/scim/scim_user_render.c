#include "auth/scim/scim_user_render.h"

#include "base/limits.h"
#include "base/text.h"
#include "core/principal_rules.h"

static struct str lowered(struct arena *a, struct str s)
{
    char *copy = arena_cstr(a, s);
    if (!copy)
        return STR_NONE;
    text_lower(copy, s.n);
    return (struct str){copy, s.n};
}

static bool put(struct scim_node *object, const char *name, struct scim_node *value)
{
    return scim_tree_set(object, str_c(name), value);
}

/* Somebody whom no directory knows yet: what their account says. */
static struct scim_node *account_render(struct arena *a, const struct scim_user *u)
{
    struct scim_node *user = scim_tree_new(a, SCIM_OBJECT), *emails = scim_tree_new(a, SCIM_ARRAY),
                     *one = scim_tree_new(a, SCIM_OBJECT), *name = scim_tree_new(a, SCIM_OBJECT);
    if (!user || !emails || !one || !name ||
        !put(user, "userName", scim_tree_string(a, u->email)) ||
        !put(one, "value", scim_tree_string(a, u->email)) ||
        !put(one, "type", scim_tree_string(a, STR("work"))) ||
        !put(one, "primary", scim_tree_bool(a, true)) || !scim_tree_add(emails, one) ||
        !put(user, "emails", emails))
        return NULL;
    if (str_is_absent(u->name))
        return user;
    return put(name, "formatted", scim_tree_string(a, u->name)) && put(user, "name", name) &&
                   put(user, "displayName", scim_tree_string(a, u->name))
               ? user
               : NULL;
}

static struct scim_node *attributes_render(struct arena *a, const struct scim_user *u)
{
    struct err ignored;
    if (str_is_absent(u->attributes))
        return account_render(a, u);
    struct jdoc *doc = jdoc_parse(u->attributes, &ignored);
    struct scim_node *n = doc ? scim_tree_read(a, jdoc_root(doc)) : NULL;
    jdoc_free(doc);
    return n;
}

static bool groups_add(struct scim_request *x, struct arena *a, const struct scim_user *u,
                       struct scim_node *user)
{
    struct group_of_member *groups;
    size_t n;
    struct scim_node *list = scim_tree_new(a, SCIM_ARRAY);
    if (!groups_of_member(x->sv->db, a, x->org_id, u->id, &groups, &n, &x->fault.e))
        return scim_store_failed(x);
    for (size_t i = 0; list && i < n; i++) {
        if (str_is_absent(groups[i].id))
            continue;
        struct scim_node *one = scim_tree_new(a, SCIM_OBJECT);
        struct str url =
            arena_printf(a, "%s/scim/v2/Groups/%.*s", x->sv->config->origin, STR_FMT(groups[i].id));
        if (!one || !put(one, "value", scim_tree_string(a, groups[i].id)) ||
            !put(one, "display", scim_tree_string(a, groups[i].name)) ||
            !put(one, "$ref", scim_tree_string(a, url)) || !scim_tree_add(list, one))
            return scim_no_memory(x);
    }
    if (!list)
        return scim_no_memory(x);
    return !list->first || put(user, "groups", list) || scim_no_memory(x);
}

struct scim_node *scim_user_render(struct scim_request *x, struct arena *a,
                                   const struct scim_user *u, bool with_groups)
{
    const struct scim_meta meta = {&scim_schema_user, "Users", u->id, u->created_at, u->updated_at};
    struct scim_node *user = attributes_render(a, u);
    bool is_good = user && put(user, "active", scim_tree_bool(a, u->is_active)) &&
                   (str_is_absent(u->external_id) ||
                    put(user, "externalId", scim_tree_string(a, u->external_id)));
    if (!is_good || !scim_meta_add(x, a, &meta, user)) {
        (void)scim_no_memory(x);
        return NULL;
    }
    return !with_groups || groups_add(x, a, u, user) ? user : NULL;
}

bool scim_user_fill(struct scim_request *x, const struct scim_node *clean, struct scim_user *u)
{
    struct scim_node *kept = scim_tree_copy(x->arena, clean);
    struct str name = scim_tree_get_str(clean, STR("userName"));
    struct buf out;
    struct jout j;
    if (!kept)
        return scim_no_memory(x);
    if (name.n > LIMIT_EMAIL || text_has_control(name))
        return scim_fault_set(&x->fault, ERR_INVALID, "invalidValue",
                              "userName: expected at most %d bytes", LIMIT_EMAIL);
    u->user_name = lowered(x->arena, name);
    u->external_id = scim_tree_get_str(clean, STR("externalId"));
    static const struct str apart[] = {STR("active"), STR("externalId")};
    for (size_t i = 0; i < ARRAY_LEN(apart); i++) {
        const struct scim_node *there = scim_tree_get(kept, apart[i]);
        if (there)
            scim_tree_remove(kept, there);
    }
    buf_init(&out, LIMIT_BODY_FORM);
    jout_init(&j, &out);
    scim_tree_write(kept, &j);
    bool is_small = buf_ok(&out);
    u->attributes = is_small ? arena_dup(x->arena, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    if (!is_small)
        return scim_fault_set(&x->fault, ERR_TOO_LARGE, NULL, "more than %d bytes of attributes",
                              LIMIT_BODY_FORM);
    return (!str_is_absent(u->attributes) && !str_is_absent(u->user_name)) || scim_no_memory(x);
}

bool scim_user_email(struct scim_request *x, const struct scim_node *clean, struct str *out)
{
    const struct scim_node *emails = scim_tree_get(clean, STR("emails"));
    struct str best = scim_tree_get_str(clean, STR("userName"));
    struct err e;
    int rank = 0;
    for (const struct scim_node *c = emails ? emails->first : NULL; c; c = c->next) {
        const struct scim_node *primary = scim_tree_get(c, STR("primary"));
        struct str value = scim_tree_get_str(c, STR("value"));
        int own = primary && primary->is_true                               ? 3
                  : str_ieq(scim_tree_get_str(c, STR("type")), STR("work")) ? 2
                                                                            : 1;
        if (!str_is_absent(value) && own > rank) {
            best = value;
            rank = own;
        }
    }
    *out = lowered(x->arena, str_trim(best));
    return (!str_is_absent(*out) && principal_email_check(*out, &e)) ||
           scim_fault_set(&x->fault, ERR_INVALID, "invalidValue",
                          "userName or emails must hold an e-mail address");
}

struct str scim_user_name(struct scim_request *x, const struct scim_node *clean, struct str email)
{
    const struct scim_node *name = scim_tree_get(clean, STR("name"));
    struct str given = scim_tree_get_str(name, STR("givenName")),
               family = scim_tree_get_str(name, STR("familyName"));
    const struct str tries[] = {
        scim_tree_get_str(clean, STR("displayName")), scim_tree_get_str(name, STR("formatted")),
        arena_printf(x->arena, "%.*s %.*s", STR_FMT(given), STR_FMT(family)), given};
    struct err ignored;
    for (size_t i = 0; i < ARRAY_LEN(tries); i++)
        if (principal_name_check(str_trim(tries[i]), "name", &ignored))
            return str_trim(tries[i]);
    return str_slice(email, 0, str_find_char(email, '@'));
}
