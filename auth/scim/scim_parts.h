/* What the handlers of SCIM share. */
#pragma once

#include "auth/scim/scim_schema.h"
#include "auth/scim/scim_token.h"
#include "io/forms.h"
#include "store/groups.h"
#include "store/scim_users.h"

/* One request. */
struct scim_request {
    struct http_request *rq;
    struct services *sv;
    struct arena *arena;
    const struct scim_token *token;
    struct str org_id;
    struct form query;
    struct scim_fault fault;
    struct str object; /* what it is about, for the audit */
};

/* Fills *x; for what changes something (act not NULL) it takes a place in the audit. False:
 * answered. */
bool scim_begin(struct scim_request *x, struct http_request *rq, const char *act) must_use;
/* Records what was done or refused, then answers: 204 or the resource; or the fault. */
struct scim_outcome {
    const char *act; /* NULL: nothing is recorded */
    bool is_good;
    int status;
    struct scim_node *resource; /* NULL: no body */
};
void scim_end(struct scim_request *x, const struct scim_outcome *outcome);

/* The body as a tree. invalidSyntax, ERR_UNSUPPORTED_MEDIA. */
bool scim_body(struct scim_request *x, struct scim_node **out) must_use;
/* A failure of the store as it is; *e is x->fault.e. Always false. */
bool scim_store_failed(struct scim_request *x);
bool scim_no_memory(struct scim_request *x);
bool scim_not_found(struct scim_request *x, const char *what);

/* Adds schemas and meta, version included, to a resource without them. False: memory. */
struct scim_meta {
    const struct scim_schema *schema;
    const char *place; /* "Users" */
    struct str id;
    int64_t created_at, updated_at;
};
bool scim_meta_add(struct scim_request *x, struct arena *a, const struct scim_meta *m,
                   struct scim_node *resource) must_use;
/* If-Match against the version of the resource as it is. ERR 412. */
bool scim_may_change(struct scim_request *x, const struct scim_node *present) must_use;

/* ---- lists ---- */

struct scim_page {
    const struct scim_filter *filter; /* NULL: none */
    int64_t start, count;             /* from 1 */
    int64_t total;                    /* that matched so far, or in all */
    int64_t n_written;
    struct buf out;
    struct jout j;
};
/* Reads filter, startIndex and count. invalidFilter, invalidValue. End it with scim_page_end. */
bool scim_page_begin(struct scim_request *x, struct scim_page *p) must_use;
/* One resource of the list: counts it, and writes it where it is on the page. `a` may end after. */
bool scim_page_take(struct scim_request *x, struct arena *a, struct scim_page *p,
                    struct scim_node *resource) must_use;
bool scim_page_is_full(const struct scim_page *p);
/* The string that the filter wants `attr` to equal, where that is all it says; else absent. */
struct str scim_page_wants(const struct scim_page *p, struct str attr);
/* Answers the list, or the fault. */
void scim_page_end(struct scim_request *x, struct scim_page *p, bool is_good);
/* attributes and excludedAttributes. NULL: memory. */
struct scim_node *scim_project(struct scim_request *x, struct arena *a,
                               struct scim_node *resource) must_use;

/* ---- who is protected ---- */

/* An owner is changed by owners only: the token must be one of theirs. ERR_FORBIDDEN. Waits. */
bool scim_may_touch(struct scim_request *x, const struct scim_user *u) must_use;
