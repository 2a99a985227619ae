/* What a person leaves of a request at the consent page: all tools or those that read, of every
 * server or of some. */
#pragma once

#include "auth/oauth/authorize.h"
#include "auth/pages.h"
#include "io/forms.h"

/* Rows for the page: name (of the field), label, org_name. Of every target that is the hub, the
 * servers that the person may use there. Waits (store). */
bool consent_access_rows(const struct authorization *z, const struct targets *targets,
                         struct page_row **rows, size_t *n, struct err *e) must_use;
/*
 * z->scope as the form leaves it for the target: "access" all or read; each server's field all,
 * read or none. What the form does not say is all. ERR_BAD_REQUEST: nothing is left, or another
 * word. Waits (store).
 */
bool consent_access_read(struct authorization *z, const struct targets *targets,
                         const struct target *target, const struct form *form,
                         struct err *e) must_use;
