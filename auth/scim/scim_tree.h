/*
 * A JSON tree that can be changed: what PATCH works on. Names of members compare without case
 * (RFC 7643 section 2.1). Everything is allocated in one arena; a function that allocates gives
 * NULL or false without memory.
 */
#pragma once

#include "base/arena.h"
#include "json/jout.h"
#include "json/jread.h"

enum scim_node_type { SCIM_NULL, SCIM_BOOL, SCIM_NUMBER, SCIM_STRING, SCIM_ARRAY, SCIM_OBJECT };
struct scim_node {
    enum scim_node_type type;
    bool is_true;                          /* SCIM_BOOL */
    double number;                         /* SCIM_NUMBER */
    struct str text;                       /* SCIM_STRING; of a number as it was written */
    struct str name;                       /* where it is a member of an object */
    struct scim_node *first, *last, *next; /* items or members */
};

/* A copy of a parsed value. */
struct scim_node *scim_tree_read(struct arena *a, const struct jvalue *v) must_use;
struct scim_node *scim_tree_copy(struct arena *a, const struct scim_node *n) must_use;
struct scim_node *scim_tree_new(struct arena *a, enum scim_node_type type) must_use;
struct scim_node *scim_tree_string(struct arena *a, struct str s) must_use;
struct scim_node *scim_tree_bool(struct arena *a, bool is_true) must_use;

bool scim_tree_is(const struct scim_node *n, enum scim_node_type type); /* NULL: false */
/* Member of an object, or NULL. NULL is no object. */
struct scim_node *scim_tree_get(const struct scim_node *object, struct str name);
/* The text of a string member, or STR_NONE. */
struct str scim_tree_get_str(const struct scim_node *object, struct str name);
/* Puts value where the member is, or at the end; absorbs value. NULL value: out of memory, false.
 */
bool scim_tree_set(struct scim_node *object, struct str name, struct scim_node *value) must_use;
/* Appends to an array; absorbs item. */
bool scim_tree_add(struct scim_node *array, struct scim_node *item) must_use;
void scim_tree_remove(struct scim_node *parent, const struct scim_node *child);
bool scim_tree_eq(const struct scim_node *x, const struct scim_node *y);
void scim_tree_write(const struct scim_node *n, struct jout *j);
