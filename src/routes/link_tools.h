/* What the pages of links that came by mail share. */
#pragma once

#include "base/err.h"
#include "io/http.h"
#include "store/mail_links.h"

/* The link of the request's first parameter. Waits (store). ERR_NOT_FOUND says what to do, not what
 * became of it. */
bool link_find(struct http_request *rq, const char *purpose, struct mail_link *out,
               struct err *e) must_use;
/* Who asked for it. */
struct link_origin {
    bool is_here; /* this very browser did */
    struct str browser, peer, asked_at;
};
bool link_origin_of(struct http_request *rq, const struct mail_link *l, struct link_origin *out,
                    struct err *e) must_use;
