/* What cmake/embed_pages.cmake makes of web/pages. */
#pragma once

#include "base/str.h"

struct page_file {
    const char *name;   /* "login" */
    const char *title;  /* of the browser's window */
    const char *values; /* names the template may use, space separated */
    struct str text;
};
extern const struct page_file page_files[];
extern const size_t n_page_files;

struct page_asset {
    const char *name; /* with the digest of its content */
    const char *type;
    struct str bytes;
};
extern const struct page_asset page_assets[];
extern const size_t n_page_assets;
