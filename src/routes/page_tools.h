/* What the pages share: forms, the person signed in, and management tools called on their behalf.
 */
#pragma once

#include "auth/pages.h"
#include "auth/session/session_caller.h"
#include "io/forms.h"
#include "json/jout.h"
#include "json/jread.h"

#define PV(n, s)                                                                                   \
    {                                                                                              \
        .name = (n), .text = (s)                                                                   \
    }
#define PV_FLAG(n, yes)                                                                            \
    {                                                                                              \
        .name = (n), .text = (yes) ? STR("1") : STR_NONE                                           \
    }
#define PV_ROWS(n, r, k)                                                                           \
    {                                                                                              \
        .name = (n), .rows = (r), .n_rows = (k)                                                    \
    }
#define PV_END                                                                                     \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* The person of a GUARD_SESSION route. */
const struct session_person *page_person(const struct http_request *rq);
/*
 * Reads a posted form and checks its csrf_token and the Origin. ERR_FORBIDDEN;
 * ERR_UNSUPPORTED_MEDIA; ERR_BAD_REQUEST (a name twice, ill-formed).
 */
bool page_form_read(struct http_request *rq, struct form *out, struct err *e) must_use;
/* A field's value; "" when it is not there. */
struct str page_field(const struct form *form, const char *name);
/* The query's value of a name; absent when it is not there, or ill-formed. */
struct str page_query(struct http_request *rq, const char *name);

/* Arguments of a tool: begin, write members, then page_tool. */
struct page_call {
    struct buf text;
    struct jout j;
};
void page_call_begin(struct page_call *c);
/* Runs the tool as the person and frees the arguments. *out lives as long as the request; may be
 * NULL. */
bool page_tool(struct http_request *rq, const char *tool, struct page_call *c,
               const struct jvalue **out, struct err *e) must_use;

/* "2026-11-21 05:13 UTC" of a time as tools write it. */
struct str page_time(struct arena *a, struct str rfc3339);
/* May the present person make an organization? */
bool page_may_create_org(const struct http_request *rq);
/* Owner or admin of the present organization. */
bool page_is_admin(const struct http_request *rq);
