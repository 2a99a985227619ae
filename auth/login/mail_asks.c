#include "auth/login/mail_asks.h"

#include <stdio.h>

#include "auth/login/peer_name.h"
#include "auth/mail/mail_pack.h"
#include "auth/session/browser_cookie.h"
#include "auth/session/return_to.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "store/ask_counts.h"

enum { NAME_SIZE = 120 };
static const struct ask_rule address_rule = {LIMIT_MAIL_ASKS_ADDRESS, LIMIT_MAIL_ASKS_ADDRESS_MS};
static const struct ask_rule peer_rule = {LIMIT_MAIL_ASKS_PEER, LIMIT_MAIL_ASKS_PEER_MS};

bool mail_asks_clean(struct arena *a, struct str email, struct str *clean, struct err *e)
{
    struct str trimmed = str_trim(email);
    char *copy = trimmed.n <= LIMIT_EMAIL ? arena_cstr(a, trimmed) : NULL;
    if (!copy || !mime_address_is_safe(trimmed))
        return err_set(e, ERR_INVALID,
                       "This is no e-mail address; expected for example ada@example.com.");
    text_lower(copy, trimmed.n);
    *clean = (struct str){copy, trimmed.n};
    return true;
}

/* Both are counted, whatever the first says. */
static bool count(struct http_request *rq, enum mail_kind kind, struct str email, bool *is_allowed,
                  struct err *e)
{
    struct services *sv = rq->context;
    char name[NAME_SIZE], hex[65], peer[PEER_NAME_SIZE];
    struct sha256 digest = hash_sha256(email);
    int64_t now = clock_wall_ms();
    bool is_peer_allowed = true;
    struct str kind_name = mail_kind_name(kind);
    hash_hex(&digest, hex);
    (void)snprintf(name, sizeof(name), "mail %.*s %s", STR_FMT(kind_name), hex);
    if (!ask_counts_add(sv->db, rq->arena, str_c(name), &address_rule, now, is_allowed, e))
        return false;
    peer_name(rq, peer);
    (void)snprintf(name, sizeof(name), "mail %s", peer);
    if (peer[0] &&
        !ask_counts_add(sv->db, rq->arena, str_c(name), &peer_rule, now, &is_peer_allowed, e))
        return false;
    *is_allowed = *is_allowed && is_peer_allowed;
    return true;
}

static struct mail_request request_of(struct http_request *rq, enum mail_kind kind,
                                      struct str email)
{
    return (struct mail_request){
        .kind = kind,
        .email = email,
        .peer = str_c(rq->peer),
        .user_agent = str_slice(http_request_header(rq, STR("User-Agent")), 0, LIMIT_USER_AGENT)};
}

bool mail_asks_add(struct http_request *rq, enum mail_kind kind, struct str email,
                   struct str user_id, struct str return_to, struct str *clean, struct err *e)
{
    bool is_allowed;
    struct str hash;
    if (!mail_asks_clean(rq->arena, email, clean, e) || !browser_cookie_have(rq, &hash, e) ||
        !count(rq, kind, *clean, &is_allowed, e))
        return false;
    struct mail_request m = request_of(rq, kind, *clean);
    m.user_id = user_id;
    m.browser_hash = hash;
    m.return_to = return_to_safe(return_to);
    return !is_allowed || mailer_add(rq->context, rq->arena, &m, e);
}

bool mail_asks_notice(struct http_request *rq, enum mail_kind kind, struct str email, struct str by,
                      struct err *e)
{
    struct mail_request m = request_of(rq, kind, email);
    m.by = by;
    return mailer_add(rq->context, rq->arena, &m, e);
}
