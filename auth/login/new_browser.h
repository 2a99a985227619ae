/* A sign-in from a browser that the person has not used before: they hear of it by mail. */
#pragma once

#include "base/err.h"
#include "io/http.h"

/* Notes the request's browser, sets its cookie, and mails a notice when it is new and not the
 * person's first. A browser of the same name from the same range of addresses is not new. Waits
 * (store). */
bool new_browser_note(struct http_request *rq, struct str user_id, struct err *e) must_use;
