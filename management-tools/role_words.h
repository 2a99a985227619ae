/* Roles as arguments name them, and who may hand them out. */
#pragma once

#include "management-tools/registry.h"
#include "store/groups.h"

/*
 * Appends one role that the caller may hand out to the space separated list; twice is once.
 * ERR_INVALID: no role's name; ERR_NOT_FOUND: no such custom role; ERR_FORBIDDEN: only owners make
 * owners, only administrators give more than member. Waits.
 */
bool role_words_take(struct tool_call *c, struct str role, struct buf *roles,
                     struct err *e) must_use;
/* May the caller give and take all of these (space separated)? ERR_FORBIDDEN. */
bool role_words_may_give(const struct tool_call *c, struct str roles, struct err *e) must_use;
/* The person of user_id or email. ERR_NOT_FOUND: none, or nobody the caller may know. Waits. */
struct user;
bool role_words_person(struct tool_call *c, struct user *out, struct err *e) must_use;
