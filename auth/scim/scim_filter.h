/* Filters and paths of SCIM: a parser of bounded depth, and what they say of a resource. Source:
 * RFC 7644 section 3.4.2.2 (figure 1: the grammar), 3.5.2 (paths of PATCH). */
#pragma once

#include "auth/scim/scim_tree.h"
#include "base/err.h"

/* [urn ":"] attr ["." sub] */
struct scim_path {
    struct str urn;  /* absent: the core schema */
    struct str attr; /* absent: all that the urn names */
    struct str sub;  /* absent: none */
};

enum scim_op {
    SCIM_EQ,
    SCIM_NE,
    SCIM_CO,
    SCIM_SW,
    SCIM_EW,
    SCIM_GT,
    SCIM_GE,
    SCIM_LT,
    SCIM_LE,
    SCIM_PR
};
struct scim_filter {
    enum { SCIM_AND, SCIM_OR, SCIM_NOT, SCIM_COMPARE, SCIM_VALUES } kind;
    const struct scim_filter *left, *right; /* right of SCIM_AND and SCIM_OR only; left of
                                               SCIM_VALUES: what one value of the path must be */
    struct scim_path path;
    enum scim_op op;               /* SCIM_COMPARE */
    const struct scim_node *value; /* to compare with; NULL with SCIM_PR */
};

/* At most LIMIT_SCIM_FILTER bytes, LIMIT_SCIM_DEPTH levels. ERR_INVALID says where and why. */
bool scim_filter_parse(struct arena *a, struct str text, const struct scim_filter **out,
                       struct err *e) must_use;
/* True when the resource, or the value of an attribute, is what the filter describes. */
bool scim_filter_match(const struct scim_filter *f, const struct scim_node *resource);

/* Where a PATCH operation works: attr, attr.sub, attr[filter], attr[filter].sub. */
struct scim_target {
    struct scim_path path; /* sub: also after the brackets */
    const struct scim_filter *filter;
};
bool scim_target_parse(struct arena *a, struct str text, struct scim_target *out,
                       struct err *e) must_use;
