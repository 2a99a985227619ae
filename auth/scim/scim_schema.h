/* The attributes that resources have, and what they must look like. Source: RFC 7643 sections 3, 4
 * and 8.7. */
#pragma once

#include "auth/scim/scim_filter.h"

#define SCIM_URN_USER       "urn:ietf:params:scim:schemas:core:2.0:User"
#define SCIM_URN_GROUP      "urn:ietf:params:scim:schemas:core:2.0:Group"
#define SCIM_URN_ENTERPRISE "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

enum scim_attribute_flags {
    SCIM_IS_MULTI = 1,   /* an array */
    SCIM_IS_COMPLEX = 2, /* an object, or objects, of the sub-attributes */
    SCIM_IS_BOOL = 4,
    SCIM_IS_READ_ONLY = 8, /* ours: what is given is ignored */
    SCIM_IS_REQUIRED = 16,
    SCIM_IS_EXACT = 32,
    SCIM_IS_FORGOTTEN = 64, /* taken and never kept: passwords */
};
struct scim_attribute {
    const char *name;
    unsigned flags;
    const char *subs; /* of a complex one, separated by spaces */
    const char *description;
};
struct scim_schema {
    const char *urn, *name, *description;
    const struct scim_attribute *attributes;
    size_t n;
    const struct scim_schema *extension; /* or NULL */
};
extern const struct scim_schema scim_schema_user, scim_schema_group, scim_schema_enterprise;

/* What a failure is called in the answer (RFC 7644 section 3.12); type NULL: it has no name. */
struct scim_fault {
    struct err e;
    const char *type;
};
bool scim_fault_set(struct scim_fault *f, enum err_code code, const char *type, const char *fmt,
                    ...) printf_like(4, 5);

/* The attribute of this name, or NULL. */
const struct scim_attribute *scim_schema_find(const struct scim_schema *s, struct str name);
bool scim_schema_has_sub(const struct scim_attribute *attribute, struct str sub);
/* Which schema a path is in: s itself, its extension, or NULL. */
const struct scim_schema *scim_schema_of(const struct scim_schema *s, struct str urn);

/*
 * The value as the attribute has it: "True" is true, one value of many is an array of one, a string
 * for a complex one is its value. NULL with invalidValue where it is of another kind.
 */
struct scim_node *scim_schema_value(struct arena *a, const struct scim_attribute *attribute,
                                    struct str sub, struct scim_node *given, struct scim_fault *f);
/*
 * What is kept of a resource that somebody sent: known attributes under their right names, without
 * what is ours, empty or forgotten. NULL with a fault: a value of the wrong kind, or a required one
 * that is missing.
 */
struct scim_node *scim_schema_clean(struct arena *a, const struct scim_schema *s,
                                    const struct scim_node *given, struct scim_fault *f);
/* The schema's description as a resource (RFC 7643 section 7). */
void scim_schema_write(const struct scim_schema *s, struct str origin, struct jout *j);
