#include "auth/login/new_browser.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "auth/login/mail_asks.h"
#include "auth/mail/browser_name.h"
#include "auth/session/browser_cookie.h"
#include "base/clock.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "store/known_browsers.h"
#include "store/users.h"

/* A /24 or a /48: a provider gives a person other addresses in it. */
static void range_name(const char *peer, char out[33])
{
    uint8_t b[16] = {0};
    size_t n = 0;
    if (inet_pton(AF_INET, peer, b) == 1)
        n = 3;
    else if (inet_pton(AF_INET6, peer, b) == 1)
        n = 6;
    text_hex(out, b, n);
}

static struct str origin_of(struct http_request *rq)
{
    char range[33], hex[65];
    range_name(rq->peer, range);
    struct str name = browser_name(rq->arena, http_request_header(rq, STR("User-Agent")));
    struct str text = arena_printf(rq->arena, "%.*s at %s", STR_FMT(name), range);
    struct sha256 digest = hash_sha256(text);
    hash_hex(&digest, hex);
    return str_is_absent(text) ? text : arena_dup(rq->arena, str_c(hex));
}

bool new_browser_note(struct http_request *rq, struct str user_id, struct err *e)
{
    struct services *sv = rq->context;
    enum browser_novelty novelty;
    struct user user;
    struct known_browser browser = {
        .user_id = user_id, .origin = origin_of(rq), .seen_at = clock_wall_ms()};
    if (str_is_absent(browser.origin))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!browser_cookie_have(rq, &browser.hash, e) ||
        !known_browsers_note(sv->db, rq->arena, &browser, &novelty, e))
        return false;
    if (novelty != BROWSER_NEW)
        return true;
    return users_get(sv->db, rq->arena, user_id, &user, e) &&
           mail_asks_notice(rq, MAIL_NEW_BROWSER, user.email, STR_NONE, e);
}
