/* What the consent page and the device page show alike. */
#pragma once

#include "auth/oauth/authorize.h"
#include "auth/pages.h"

enum { CONSENT_SCOPES_MAX = 12 };

/* One row for each word of the scope, "text". */
size_t consent_scope_rows(const struct authorization *z, struct str scope,
                          struct page_row rows[CONSENT_SCOPES_MAX]);
/* One row for each target: value, label, org_name, is_chosen. NULL: memory. */
struct page_row *consent_target_rows(const struct authorization *z, const struct targets *t);
/* One row for each organization that wants another sign-in: org_name, why, path. NULL: memory. */
struct page_row *consent_elsewhere_rows(const struct authorization *z, const struct targets *t);
/* The one that the form's value names, or the only one. NULL: none. */
const struct target *consent_target_find(const struct targets *t, struct str given);
/* Is there a choice between all tools and those that read? */
bool consent_may_narrow(const struct authorization *z, const struct targets *t);
/* The host that answers for a client's metadata document. STR_NONE: it has none. */
struct str consent_document_host(struct str client_id);
