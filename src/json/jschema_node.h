/* A compiled schema. Private to jschema.c (checks) and jschema_compile.c (makes it). */
#pragma once

#include "json/jpattern.h"
#include "json/jschema.h"

enum jschema_type {
    JSCHEMA_NULL = 1,
    JSCHEMA_BOOLEAN = 2,
    JSCHEMA_INTEGER = 4,
    JSCHEMA_NUMBER = 8,
    JSCHEMA_STRING = 16,
    JSCHEMA_ARRAY = 32,
    JSCHEMA_OBJECT = 64,
};

enum jschema_format { JSCHEMA_ANY_FORMAT, JSCHEMA_EMAIL, JSCHEMA_URI, JSCHEMA_DATE_TIME };

struct jschema_member {
    struct str name;
    struct jschema_node *node;
};

struct jschema_variants {
    const struct jschema_node **nodes;
    size_t n; /* 0: the keyword is absent */
};

/* Every keyword of one schema. What is absent lets everything pass. */
struct jschema_node {
    unsigned types; /* of enum jschema_type; 0: any */
    struct jschema_member *members;
    size_t n_members;
    struct str *required;
    size_t n_required;
    bool is_closed; /* additionalProperties: false */
    const struct jschema_node *additional;
    const struct jschema_node *items;
    const struct jvalue *enumeration;
    const struct jvalue *constant;
    bool has_minimum, has_maximum;
    double minimum, maximum;
    int64_t min_length, max_length, min_items, max_items; /* max: -1 when absent */
    struct str pattern_text;
    const struct jpattern *pattern;
    enum jschema_format format;
    struct jschema_variants one_of, any_of;
    const struct jschema_node *ref;
};

struct jschema {
    struct arena *arena;
    struct jdoc *doc; /* the schema's text: names, enum and const point into it */
    const struct jschema_node *root;
};
