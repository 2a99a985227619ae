#include "auth/login/password_signin.h"

#include <stdio.h>

#include "auth/login/login_audit.h"
#include "auth/login/peer_name.h"
#include "auth/session/browser_cookie.h"
#include "auth/session/password_work.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "io/fiber.h"
#include "store/known_browsers.h"
#include "store/passwords.h"
#include "store/signin_failures.h"
#include "store/users.h"

enum { HOUR_MS = 60 * 60 * 1000, NAME_SIZE = PEER_NAME_SIZE };
static const struct signin_rule account_rule = {.free = 5, .window_ms = HOUR_MS};
static const struct signin_rule address_rule = {.free = 20, .window_ms = HOUR_MS};

/* ---- what is counted ---- */

struct counted {
    char account[NAME_SIZE];
    char address[NAME_SIZE]; /* "": this peer is not counted by address */
};

/* An account is counted for itself, and for each browser in which its person has signed in before:
 * failures elsewhere do not lock them out of those. */
static bool counted_fill(struct http_request *rq, struct str email, struct counted *out,
                         struct err *e)
{
    struct services *sv = rq->context;
    struct str browser = browser_cookie_hash(rq);
    char hex[65];
    bool is_known = false;
    /* The look-up is made without a cookie, too. */
    if (!known_browsers_has(sv->db, rq->arena, email, str_is_absent(browser) ? STR("") : browser,
                            &is_known, e))
        return false;
    struct str text =
        is_known ? arena_printf(rq->arena, "%.*s %.*s", STR_FMT(browser), STR_FMT(email)) : email;
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct sha256 digest = hash_sha256(text);
    hash_hex(&digest, hex);
    (void)snprintf(out->account, sizeof(out->account), "%s %s", is_known ? "browser" : "account",
                   hex);
    peer_name(rq, out->address);
    return true;
}

static bool must_wait(struct http_request *rq, int64_t wait_until, int64_t now, struct err *e)
{
    struct str seconds = arena_printf(rq->arena, "%lld", (long long)(wait_until - now) / 1000 + 1);
    if (!str_is_absent(seconds))
        http_set_header(rq, STR("Retry-After"), seconds);
    long long minutes = (long long)((wait_until - now + 59999) / 60000);
    return err_set(e, ERR_RATE_LIMITED, "Too many failed attempts: try again in %lld minute%s.",
                   minutes, minutes == 1 ? "" : "s");
}

static bool attempt_count(struct http_request *rq, const struct counted *c, struct err *e)
{
    struct services *sv = rq->context;
    int64_t now = clock_wall_ms(), wait_until = 0;
    if (c->address[0] && !signin_failures_count(sv->db, rq->arena, str_c(c->address), &address_rule,
                                                now, &wait_until, e))
        return false;
    if (c->address[0] && wait_until)
        return must_wait(rq, wait_until, now, e);
    if (!signin_failures_count(sv->db, rq->arena, str_c(c->account), &account_rule, now,
                               &wait_until, e))
        return false;
    return !wait_until || must_wait(rq, wait_until, now, e);
}

/* The attempt was right, or could not be judged. */
static bool attempt_settle(struct http_request *rq, const struct counted *c, bool is_right,
                           struct err *e)
{
    struct services *sv = rq->context;
    bool is_good = is_right ? signin_failures_forget(sv->db, rq->arena, str_c(c->account), e)
                            : signin_failures_refund(sv->db, rq->arena, str_c(c->account), e);
    return is_good &&
           (!c->address[0] || signin_failures_refund(sv->db, rq->arena, str_c(c->address), e));
}

/* ---- judging ---- */

static bool refused(struct err *e, const char *why)
{
    err_set(e, ERR_UNAUTHENTICATED, "The e-mail address or the password is wrong.");
    return err_detail(e, "%s", why);
}

/* Who has the address, and their hash; both absent when there is no such account. */
static bool account_find(struct http_request *rq, struct str email, struct user *user,
                         struct str *hash, struct err *e)
{
    struct services *sv = rq->context;
    *user = (struct user){0};
    *hash = STR_NONE;
    bool is_found = users_by_email(sv->db, rq->arena, email, user, e);
    if (!is_found && e->code != ERR_NOT_FOUND)
        return false;
    /* The second look-up is made for unknown accounts too. */
    if (!passwords_get(sv->db, rq->arena, is_found ? user->id : STR(""), hash, e) &&
        e->code != ERR_NOT_FOUND)
        return false;
    if (!is_found || user->disabled_at) {
        *hash = STR_NONE;
    }
    return true;
}

static bool judge(struct http_request *rq, struct str email, struct str password, struct user *user,
                  struct err *e)
{
    struct services *sv = rq->context;
    struct str hash;
    bool is_right;
    if (!account_find(rq, email, user, &hash, e) ||
        !password_work_verify(sv, password, hash, &is_right, e))
        return false;
    if (is_right)
        return true;
    return refused(e, str_is_absent(user->id) ? "no such account"
                      : user->disabled_at     ? "the account is disabled"
                      : str_is_absent(hash)   ? "the account has no password"
                                              : "wrong password");
}

static struct str email_lower(struct arena *a, struct str given)
{
    char *copy = arena_cstr(a, str_slice(str_trim(given), 0, LIMIT_EMAIL));
    if (!copy)
        return STR("");
    text_lower(copy, strlen(copy));
    return str_c(copy);
}

/* Counts, judges, settles, records a failure. *user: who it was. */
static bool prove(struct http_request *rq, const char *method, struct str email,
                  struct str password, struct user *user, struct err *e)
{
    struct services *sv = rq->context;
    struct counted counted = {0};
    *user = (struct user){0};
    email = email_lower(rq->arena, email);
    if (!counted_fill(rq, email, &counted, e))
        return false;
    bool is_good = attempt_count(rq, &counted, e) && judge(rq, email, password, user, e);
    if (is_good)
        return attempt_settle(rq, &counted, true, e);
    bool is_failure = e->code == ERR_UNAUTHENTICATED || e->code == ERR_RATE_LIMITED;
    struct err ignored; /* *e says what happened */
    struct login_event event = {.method = method,
                                .user_id = user->id,
                                .outcome = "denied",
                                .error = e->detail[0] ? e->detail : e->msg};
    fiber_shield(true);
    if (!is_failure)
        (void)!attempt_settle(rq, &counted, false, &ignored);
    else if (!login_audit(sv, rq, &event, &ignored))
        *e = ignored;
    fiber_shield(false);
    return false;
}

bool password_signin(struct http_request *rq, struct str email, struct str password,
                     struct str *user_id, struct err *e)
{
    struct user user;
    if (!prove(rq, "signin", email, password, &user, e))
        return false;
    *user_id = user.id;
    return true;
}

bool password_prove(struct http_request *rq, struct str email, struct str password,
                    struct str *user_id, struct err *e)
{
    struct user user;
    if (!prove(rq, "password_prove", email, password, &user, e))
        return false;
    *user_id = user.id;
    return true;
}
