/*
 * Server-rendered pages from web/pages/<name>.html, compiled into the program. A template is HTML
 * with {{name}} (escaped text),
 * {{#name}}...{{/name}} (shown when a value is not empty, or once per row of a list) and
 * {{^name}}...{{/name}} (shown when empty); there is no unescaped form. Names are checked at build
 * time against the page's own list. Every page: strict CSP without scripts (those that use
 * passkeys: with one file of ours), no framing, no-store, no referrer.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "io/http.h"

struct page_row;
/* One value of a page: text, or a list of rows (each a list of values ended by name NULL). */
struct page_value {
    const char *name;
    struct str text;
    const struct page_row *rows;
    size_t n_rows;
};
struct page_row {
    const struct page_value *values; /* ended by name NULL */
};
/*
 * Renders page `name` ("login") with `values` (ended by name NULL) inside the common layout and
 * answers it. form_action: a further origin or scheme that the page's form may lead to through
 * redirects ("https://client.example", "cursor:"), or absent: Chromium applies CSP form-action to
 * the redirects after a POST.
 */
void page_answer(struct http_request *rq, int status, const char *name,
                 const struct page_value *values, struct str form_action);
/* The page alone, appended to `out`. */
void page_render(struct buf *out, const char *name, const struct page_value *values);
/* Without the common layout: the template is all there is (mails). */
void page_render_bare(struct buf *out, const char *name, const struct page_value *values);
/* GET /assets/:name: style sheets and icons of the pages. */
void page_asset(struct http_request *rq);
/* The error page for a failure that a browser sees. */
void page_error(struct http_request *rq, const struct err *e);
/* 303 to a path or URL, no-store; a page that goes on there by itself when the URL is too long for
 * a header. */
void page_redirect(struct http_request *rq, struct str location);
