#include "auth/scim/scim_schema.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"

#define VALUES "value display type primary"

static const struct scim_attribute user_attributes[] = {
    {"id", SCIM_IS_READ_ONLY | SCIM_IS_EXACT, NULL, "The member's id."},
    {"externalId", SCIM_IS_EXACT, NULL, "What the directory calls the user."},
    {"meta", SCIM_IS_READ_ONLY | SCIM_IS_COMPLEX,
     "resourceType created lastModified location version", "About the resource."},
    {"schemas", SCIM_IS_READ_ONLY | SCIM_IS_MULTI, NULL, "Schemas of the resource."},
    {"userName", SCIM_IS_REQUIRED, NULL, "The name in the organization's directory; unique there."},
    {"name", SCIM_IS_COMPLEX,
     "formatted familyName givenName middleName honorificPrefix honorificSuffix",
     "The person's name."},
    {"displayName", 0, NULL, "The name to show."},
    {"nickName", 0, NULL, "What they are called."},
    {"profileUrl", 0, NULL, "A page about them."},
    {"title", 0, NULL, "Their title."},
    {"userType", 0, NULL, "What they are to the organization."},
    {"preferredLanguage", 0, NULL, "As in Accept-Language."},
    {"locale", 0, NULL, "For dates and numbers."},
    {"timezone", 0, NULL, "As in the tz database."},
    {"active", SCIM_IS_BOOL, NULL, "False: the membership opens nothing."},
    {"password", SCIM_IS_FORGOTTEN, NULL, "Never kept: people prove themselves elsewhere."},
    {"emails", SCIM_IS_MULTI | SCIM_IS_COMPLEX, VALUES, "Addresses; the primary one counts."},
    {"phoneNumbers", SCIM_IS_MULTI | SCIM_IS_COMPLEX, VALUES, "Telephone numbers."},
    {"ims", SCIM_IS_MULTI | SCIM_IS_COMPLEX, VALUES, "Addresses for messages."},
    {"photos", SCIM_IS_MULTI | SCIM_IS_COMPLEX, VALUES, "Pictures."},
    {"addresses", SCIM_IS_MULTI | SCIM_IS_COMPLEX,
     "formatted streetAddress locality region postalCode country type primary", "Where they are."},
    {"groups", SCIM_IS_READ_ONLY | SCIM_IS_MULTI | SCIM_IS_COMPLEX, "value display $ref type",
     "Groups that the user is in; changed at the groups."},
    {"entitlements", SCIM_IS_MULTI | SCIM_IS_COMPLEX, VALUES, "Kept, without meaning here."},
    {"roles", SCIM_IS_MULTI | SCIM_IS_COMPLEX, VALUES,
     "Kept, without meaning here: roles come by groups."},
    {"x509Certificates", SCIM_IS_MULTI | SCIM_IS_COMPLEX, VALUES, "Kept, without meaning here."},
};
static const struct scim_attribute enterprise_attributes[] = {
    {"employeeNumber", 0, NULL, "The number in the organization."},
    {"costCenter", 0, NULL, "The cost centre."},
    {"organization", 0, NULL, "The organization's name."},
    {"division", 0, NULL, "The division."},
    {"department", 0, NULL, "The department."},
    {"manager", SCIM_IS_COMPLEX, "value displayName $ref", "Their manager."},
};
static const struct scim_attribute group_attributes[] = {
    {"id", SCIM_IS_READ_ONLY | SCIM_IS_EXACT, NULL, "The group's id."},
    {"externalId", SCIM_IS_EXACT, NULL, "What the directory calls the group."},
    {"meta", SCIM_IS_READ_ONLY | SCIM_IS_COMPLEX,
     "resourceType created lastModified location version", "About the resource."},
    {"schemas", SCIM_IS_READ_ONLY | SCIM_IS_MULTI, NULL, "Schemas of the resource."},
    {"displayName", SCIM_IS_REQUIRED, NULL, "The group's name; unique in the organization."},
    {"members", SCIM_IS_MULTI | SCIM_IS_COMPLEX, "value display $ref type", "Users in the group."},
};
const struct scim_schema scim_schema_enterprise = {SCIM_URN_ENTERPRISE,
                                                   "EnterpriseUser",
                                                   "What companies say of their people.",
                                                   enterprise_attributes,
                                                   ARRAY_LEN(enterprise_attributes),
                                                   NULL};
const struct scim_schema scim_schema_user = {SCIM_URN_USER,
                                             "User",
                                             "A member of the organization.",
                                             user_attributes,
                                             ARRAY_LEN(user_attributes),
                                             &scim_schema_enterprise};
const struct scim_schema scim_schema_group = {SCIM_URN_GROUP,
                                              "Group",
                                              "A group of members.",
                                              group_attributes,
                                              ARRAY_LEN(group_attributes),
                                              NULL};

bool scim_fault_set(struct scim_fault *f, enum err_code code, const char *type, const char *fmt,
                    ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    f->type = type;
    return err_set(&f->e, code, "%s", text);
}

const struct scim_attribute *scim_schema_find(const struct scim_schema *s, struct str name)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_ieq(str_c(s->attributes[i].name), name))
            return &s->attributes[i];
    return NULL;
}

/* The sub-attribute as the schema writes it, or absent. */
static struct str sub_find(const struct scim_attribute *attribute, struct str sub)
{
    struct str rest = str_c(attribute->subs), one;
    while (str_next(&rest, ' ', &one))
        if (str_ieq(one, sub))
            return one;
    return STR_NONE;
}

bool scim_schema_has_sub(const struct scim_attribute *attribute, struct str sub)
{
    return attribute->subs && !str_is_absent(sub_find(attribute, sub));
}

const struct scim_schema *scim_schema_of(const struct scim_schema *s, struct str urn)
{
    if (str_is_absent(urn) || str_ieq(urn, str_c(s->urn)))
        return s;
    return s->extension && str_ieq(urn, str_c(s->extension->urn)) ? s->extension : NULL;
}

static struct scim_node *wrong(struct scim_fault *f, const char *name, const char *expected)
{
    (void)scim_fault_set(f, ERR_INVALID, "invalidValue", "%s: expected %s", name, expected);
    return NULL;
}

static struct scim_node *no_memory(struct scim_fault *f)
{
    (void)scim_fault_set(f, ERR_UNAVAILABLE, NULL, "out of memory");
    return NULL;
}

static struct scim_node *bool_read(struct arena *a, const char *name, struct scim_node *given,
                                   struct scim_fault *f)
{
    if (given->type == SCIM_BOOL)
        return given;
    bool is_true = given->type == SCIM_STRING && str_ieq(given->text, STR("true"));
    if (!is_true && !(given->type == SCIM_STRING && str_ieq(given->text, STR("false"))))
        return wrong(f, name, "true or false");
    struct scim_node *n = scim_tree_bool(a, is_true);
    return n ? n : no_memory(f);
}

/* Numbers and truth values are taken as their words: attributes without sub-attributes are strings.
 */
static struct scim_node *simple_read(struct arena *a, const char *name, struct scim_node *given,
                                     struct scim_fault *f)
{
    if (given->type == SCIM_STRING)
        return given;
    if (given->type != SCIM_NUMBER && given->type != SCIM_BOOL)
        return wrong(f, name, "a string");
    struct scim_node *n = scim_tree_string(a, given->type == SCIM_NUMBER ? given->text
                                              : given->is_true           ? STR("true")
                                                                         : STR("false"));
    return n ? n : no_memory(f);
}

static struct scim_node *sub_read(struct arena *a, const char *name, struct str sub,
                                  struct scim_node *given, struct scim_fault *f)
{
    return str_ieq(sub, STR("primary")) ? bool_read(a, name, given, f)
                                        : simple_read(a, name, given, f);
}

/* One object of the known sub-attributes; a string is its value. */
static struct scim_node *complex_read(struct arena *a, const struct scim_attribute *attribute,
                                      struct scim_node *given, struct scim_fault *f)
{
    struct scim_node *n = scim_tree_new(a, SCIM_OBJECT);
    if (!n)
        return no_memory(f);
    if (given->type == SCIM_STRING && scim_schema_has_sub(attribute, STR("value")))
        return scim_tree_set(n, STR("value"), scim_tree_copy(a, given)) ? n : no_memory(f);
    if (given->type != SCIM_OBJECT)
        return wrong(f, attribute->name, "an object");
    for (const struct scim_node *c = given->first; c; c = c->next) {
        struct str sub = sub_find(attribute, c->name);
        if (str_is_absent(sub) || c->type == SCIM_NULL)
            continue;
        struct scim_node *copy = scim_tree_copy(a, c);
        struct scim_node *value = copy ? sub_read(a, attribute->name, sub, copy, f) : no_memory(f);
        if (!value)
            return NULL;
        if (!scim_tree_set(n, sub, value))
            return no_memory(f);
    }
    return n;
}

static struct scim_node *multi_read(struct arena *a, const struct scim_attribute *attribute,
                                    struct scim_node *given, struct scim_fault *f)
{
    struct scim_node *n = scim_tree_new(a, SCIM_ARRAY);
    struct scim_node *item = given->type == SCIM_ARRAY ? given->first : given;
    if (!n)
        return no_memory(f);
    for (; item; item = given->type == SCIM_ARRAY ? item->next : NULL) {
        struct scim_node *copy = scim_tree_copy(a, item);
        if (!copy)
            return no_memory(f);
        struct scim_node *value = attribute->flags & SCIM_IS_COMPLEX
                                      ? complex_read(a, attribute, copy, f)
                                      : simple_read(a, attribute->name, copy, f);
        if (!value)
            return NULL;
        if (!scim_tree_add(n, value))
            return no_memory(f);
    }
    return n;
}

struct scim_node *scim_schema_value(struct arena *a, const struct scim_attribute *attribute,
                                    struct str sub, struct scim_node *given, struct scim_fault *f)
{
    /* The old dialect of Entra ID: [{"value": ...}] for one plain value. */
    if (!(attribute->flags & SCIM_IS_MULTI) && given->type == SCIM_ARRAY && given->first &&
        !given->first->next)
        given = given->first;
    if (!(attribute->flags & SCIM_IS_COMPLEX) && given->type == SCIM_OBJECT &&
        scim_tree_get(given, STR("value")))
        given = scim_tree_get(given, STR("value"));
    if (!str_is_absent(sub))
        return sub_read(a, attribute->name, sub, given, f);
    if (attribute->flags & SCIM_IS_MULTI)
        return multi_read(a, attribute, given, f);
    if (attribute->flags & SCIM_IS_COMPLEX)
        return complex_read(a, attribute, given, f);
    return attribute->flags & SCIM_IS_BOOL ? bool_read(a, attribute->name, given, f)
                                           : simple_read(a, attribute->name, given, f);
}

static bool is_empty(const struct scim_node *n)
{
    return n->type == SCIM_NULL ||
           ((n->type == SCIM_ARRAY || n->type == SCIM_OBJECT) && !n->first) ||
           (n->type == SCIM_STRING && n->text.n == 0);
}

static bool attributes_clean(struct arena *a, const struct scim_schema *s,
                             const struct scim_node *given, struct scim_node *out,
                             struct scim_fault *f)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct scim_attribute *attribute = &s->attributes[i];
        const struct scim_node *there = scim_tree_get(given, str_c(attribute->name));
        bool is_kept = there && !is_empty(there) &&
                       !(attribute->flags & (SCIM_IS_READ_ONLY | SCIM_IS_FORGOTTEN));
        if (!is_kept && (attribute->flags & SCIM_IS_REQUIRED))
            return scim_fault_set(f, ERR_INVALID, "invalidValue", "%s is missing", attribute->name);
        if (!is_kept)
            continue;
        struct scim_node *copy = scim_tree_copy(a, there);
        struct scim_node *value =
            copy ? scim_schema_value(a, attribute, STR_NONE, copy, f) : no_memory(f);
        if (!value)
            return false;
        if (!is_empty(value) && !scim_tree_set(out, str_c(attribute->name), value))
            return no_memory(f) != NULL;
    }
    return true;
}

struct scim_node *scim_schema_clean(struct arena *a, const struct scim_schema *s,
                                    const struct scim_node *given, struct scim_fault *f)
{
    struct scim_node *out = scim_tree_new(a, SCIM_OBJECT);
    if (!out)
        return no_memory(f);
    if (!attributes_clean(a, s, given, out, f))
        return NULL;
    if (!s->extension)
        return out;
    const struct scim_node *more = scim_tree_get(given, str_c(s->extension->urn));
    struct scim_node *extended = scim_tree_new(a, SCIM_OBJECT);
    if (!extended)
        return no_memory(f);
    if (!scim_tree_is(more, SCIM_OBJECT))
        return out;
    if (!attributes_clean(a, s->extension, more, extended, f))
        return NULL;
    if (extended->first && !scim_tree_set(out, str_c(s->extension->urn), extended))
        return no_memory(f);
    return out;
}

static void attribute_write(struct jout *j, struct str name, unsigned flags, const char *subs,
                            const char *description)
{
    jout_object(j);
    jout_kstr(j, "name", name);
    jout_kstr(j, "type",
              flags & SCIM_IS_COMPLEX ? STR("complex")
              : flags & SCIM_IS_BOOL  ? STR("boolean")
                                      : STR("string"));
    jout_kbool(j, "multiValued", (flags & SCIM_IS_MULTI) != 0);
    if (description)
        jout_kstr(j, "description", str_c(description));
    jout_kbool(j, "required", (flags & SCIM_IS_REQUIRED) != 0);
    jout_kbool(j, "caseExact", (flags & SCIM_IS_EXACT) != 0);
    jout_kstr(j, "mutability",
              flags & SCIM_IS_READ_ONLY   ? STR("readOnly")
              : flags & SCIM_IS_FORGOTTEN ? STR("writeOnly")
                                          : STR("readWrite"));
    jout_kstr(j, "returned", flags & SCIM_IS_FORGOTTEN ? STR("never") : STR("default"));
    jout_kstr(j, "uniqueness", flags & SCIM_IS_REQUIRED ? STR("server") : STR("none"));
    if (subs) {
        struct str rest = str_c(subs), sub;
        unsigned inherited = flags & SCIM_IS_READ_ONLY;
        jout_key(j, STR("subAttributes"));
        jout_array(j);
        while (str_next(&rest, ' ', &sub))
            attribute_write(j, sub, inherited | (str_eq(sub, STR("primary")) ? SCIM_IS_BOOL : 0),
                            NULL, NULL);
        jout_array_end(j);
    }
    jout_object_end(j);
}

void scim_schema_write(const struct scim_schema *s, struct str origin, struct jout *j)
{
    char location[512];
    jout_object(j);
    jout_key(j, STR("schemas"));
    jout_array(j);
    jout_str(j, STR("urn:ietf:params:scim:schemas:core:2.0:Schema"));
    jout_array_end(j);
    jout_kstr(j, "id", str_c(s->urn));
    jout_kstr(j, "name", str_c(s->name));
    jout_kstr(j, "description", str_c(s->description));
    jout_key(j, STR("attributes"));
    jout_array(j);
    for (size_t i = 0; i < s->n; i++) {
        const struct scim_attribute *one = &s->attributes[i];
        attribute_write(j, str_c(one->name), one->flags, one->subs, one->description);
    }
    jout_array_end(j);
    jout_key(j, STR("meta"));
    jout_object(j);
    jout_kstr(j, "resourceType", STR("Schema"));
    (void)snprintf(location, sizeof(location), "%.*s/scim/v2/Schemas/%s", STR_FMT(origin), s->urn);
    jout_kstr(j, "location", str_c(location));
    jout_object_end(j);
    jout_object_end(j);
}
