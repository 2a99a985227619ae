#include "auth/factors/codes.h"

#include <stdio.h>

#include "auth/login/login_audit.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"
#include "core/totp_seed.h"
#include "crypto/otp.h"
#include "store/signin_failures.h"

enum { WINDOW_MS = 60 * 60 * 1000, BASE32_MAX = 64, RECOVERY_BYTES = 10, RECOVERY_CHARS = 16 };
static const struct signin_rule factor_rule = {.free = LIMIT_FACTOR_TRIES, .window_ms = WINDOW_MS};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- the app ---- */

static bool base32_of(struct arena *a, struct str bytes, struct str *out, struct err *e)
{
    struct buf text;
    buf_init(&text, BASE32_MAX);
    otp_base32(&text, bytes.p, bytes.n);
    *out = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    if (text.p)
        secret_wipe(text.p, text.n);
    buf_end(&text);
    return !str_is_absent(*out) || no_memory(e);
}

bool codes_app_start(struct http_request *rq, const struct codes_enrolment *who, struct str *seed,
                     struct err *e)
{
    struct services *sv = rq->context;
    uint8_t bytes[OTP_SEED_SIZE];
    struct str raw = {(const char *)bytes, sizeof(bytes)};
    struct totp_row row = {.session_id = who->session_id};
    rand_bytes(bytes, sizeof(bytes));
    bool is_good = totp_seed_seal(sv->keys, rq->arena, who->user_id, raw, &row.sealed, e) &&
                   totp_start(sv->db, rq->arena, who->user_id, &row, clock_wall_ms(), e) &&
                   base32_of(rq->arena, raw, seed, e);
    secret_wipe(bytes, sizeof(bytes));
    return is_good;
}

/* The seed of a person: session_id absent: the confirmed one; else the one that waits there.
 * ERR_NOT_FOUND. */
static bool seed_get(struct http_request *rq, const struct codes_enrolment *who, struct secret *out,
                     struct err *e)
{
    struct services *sv = rq->context;
    struct totp_row row;
    if (!totp_get(sv->db, rq->arena, who->user_id, &row, e))
        return false;
    bool is_wanted = str_is_absent(who->session_id)
                         ? row.confirmed_at != 0
                         : row.confirmed_at == 0 && str_eq(row.session_id, who->session_id);
    if (!is_wanted)
        return err_set(e, ERR_NOT_FOUND, "there is no authenticator app to confirm");
    return totp_seed_open(sv->keys, rq->arena, who->user_id, row.sealed, out, e);
}

bool codes_app_pending(struct http_request *rq, const struct codes_enrolment *who, struct str *seed,
                       struct err *e)
{
    struct secret raw = {0};
    bool is_good = seed_get(rq, who, &raw, e) && base32_of(rq->arena, secret_reveal(&raw), seed, e);
    secret_end(&raw);
    return is_good;
}

/* Key URI format of authenticator apps: the issuer is the host, so that two installations are told
 * apart. */
bool codes_app_uri(struct http_request *rq, struct str email, struct str seed, struct str *uri,
                   struct err *e)
{
    const struct services *sv = rq->context;
    struct str host = str_c(sv->config->origin), scheme;
    struct buf text;
    (void)str_next(&host, '/', &scheme);
    host = str_slice(host, 1, SIZE_MAX);
    buf_init(&text, LIMIT_URL);
    buf_add(&text, STR("otpauth://totp/Tulle:"));
    text_percent_encode(&text, email);
    buf_addf(&text, "?secret=%.*s&issuer=Tulle%%20", STR_FMT(seed));
    text_percent_encode(&text, host);
    *uri = buf_ok(&text) ? arena_dup(rq->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*uri) || no_memory(e);
}

/* ---- counting ---- */

static bool attempt_count(struct http_request *rq, struct str user_id, struct str *name,
                          struct err *e)
{
    struct services *sv = rq->context;
    int64_t now = clock_wall_ms(), wait_until;
    *name = arena_printf(rq->arena, "factor %.*s", STR_FMT(user_id));
    if (str_is_absent(*name))
        return no_memory(e);
    if (!signin_failures_count(sv->db, rq->arena, *name, &factor_rule, now, &wait_until, e))
        return false;
    if (!wait_until)
        return true;
    struct str seconds = arena_printf(rq->arena, "%lld", (long long)(wait_until - now) / 1000 + 1);
    if (!str_is_absent(seconds))
        http_set_header(rq, STR("Retry-After"), seconds);
    long long minutes = (long long)((wait_until - now + 59999) / 60000);
    return err_set(e, ERR_RATE_LIMITED, "Too many wrong codes: try again in %lld minute%s.",
                   minutes, minutes == 1 ? "" : "s");
}

static bool wrong(struct err *e)
{
    return err_set(e, ERR_UNAUTHENTICATED,
                   "That code is wrong, too old, or was used already. The next one of your app "
                   "will do.");
}

/* ---- judging ---- */

/* Spaces and hyphens are for the eye. Letters become small. */
static struct str code_clean(struct arena *a, struct str given)
{
    char *copy = arena_cstr(a, str_slice(given, 0, 64));
    size_t n = 0;
    if (!copy)
        return STR_NONE;
    for (const char *p = copy; *p; p++)
        if (*p != ' ' && *p != '-')
            copy[n++] = *p;
    text_lower(copy, n);
    return (struct str){copy, n};
}

static bool app_judge(struct http_request *rq, const struct codes_enrolment *who, struct str code,
                      int64_t *step, struct err *e)
{
    struct secret seed = {0};
    if (!seed_get(rq, who, &seed, e))
        return e->code == ERR_NOT_FOUND && str_is_absent(who->session_id) ? wrong(e) : false;
    bool is_right = otp_check(secret_reveal(&seed), code, clock_wall_ms(), step);
    secret_end(&seed);
    return is_right || wrong(e);
}

static struct str recovery_hash(struct arena *a, struct str user_id, struct str code)
{
    return secret_text_hash(a, arena_printf(a, "%.*s %.*s", STR_FMT(user_id), STR_FMT(code)));
}

static bool judge(struct http_request *rq, struct str user_id, struct str code, bool *is_recovery,
                  struct err *e)
{
    struct services *sv = rq->context;
    int64_t step = 0;
    *is_recovery = code.n == RECOVERY_CHARS;
    bool is_good = false;
    if (*is_recovery) {
        struct str hash = recovery_hash(rq->arena, user_id, code);
        if (str_is_absent(hash))
            return no_memory(e);
        is_good = recovery_codes_take(sv->db, rq->arena, user_id, hash, clock_wall_ms(), e);
    } else {
        const struct codes_enrolment done = {.user_id = user_id};
        is_good =
            app_judge(rq, &done, code, &step, e) && totp_take(sv->db, rq->arena, user_id, step, e);
    }
    return is_good || (e->code == ERR_NOT_FOUND ? wrong(e) : false);
}

static bool settle(struct http_request *rq, struct str user_id, struct str name, bool is_good,
                   struct err *e)
{
    struct services *sv = rq->context;
    struct err ignored; /* *e says what happened */
    if (is_good)
        return signin_failures_forget(sv->db, rq->arena, name, e);
    if (e->code != ERR_UNAUTHENTICATED) {
        (void)!signin_failures_refund(sv->db, rq->arena, name, &ignored);
        return false;
    }
    const struct login_event event = {.method = "second_factor",
                                      .user_id = user_id,
                                      .name = STR("code"),
                                      .outcome = "denied",
                                      .error = "wrong code"};
    if (!login_audit(sv, rq, &event, &ignored))
        *e = ignored;
    return false;
}

bool codes_prove(struct http_request *rq, struct str user_id, struct str code, bool *is_recovery,
                 struct err *e)
{
    struct str name, clean = code_clean(rq->arena, code);
    if (str_is_absent(clean))
        return no_memory(e);
    if (!attempt_count(rq, user_id, &name, e))
        return false;
    bool is_good = judge(rq, user_id, clean, is_recovery, e);
    return settle(rq, user_id, name, is_good, e);
}

bool codes_app_confirm(struct http_request *rq, const struct codes_enrolment *who, struct str code,
                       struct err *e)
{
    struct services *sv = rq->context;
    struct str name, clean = code_clean(rq->arena, code);
    int64_t step = 0;
    if (str_is_absent(clean))
        return no_memory(e);
    if (!attempt_count(rq, who->user_id, &name, e))
        return false;
    bool is_good =
        app_judge(rq, who, clean, &step, e) &&
        totp_confirm(sv->db, rq->arena, who->user_id, who->session_id, step, clock_wall_ms(), e);
    return settle(rq, who->user_id, name, is_good, e);
}

/* ---- recovery codes ---- */

/* "abcd-efgh-ijkl-mnop", and its hash. */
static bool recovery_one(struct arena *a, struct str user_id, struct str *shown, struct str *hash,
                         struct err *e)
{
    uint8_t bytes[RECOVERY_BYTES];
    struct str code;
    rand_bytes(bytes, sizeof(bytes));
    bool is_good = base32_of(a, (struct str){(const char *)bytes, sizeof(bytes)}, &code, e);
    secret_wipe(bytes, sizeof(bytes));
    char *small = is_good ? arena_cstr(a, code) : NULL;
    if (!small)
        return is_good ? no_memory(e) : false;
    text_lower(small, RECOVERY_CHARS);
    *shown = arena_printf(a, "%.4s-%.4s-%.4s-%.4s", small, small + 4, small + 8, small + 12);
    *hash = recovery_hash(a, user_id, str_c(small));
    return (!str_is_absent(*shown) && !str_is_absent(*hash)) || no_memory(e);
}

bool codes_recovery_make(struct http_request *rq, struct str user_id, struct str *codes,
                         struct err *e)
{
    struct services *sv = rq->context;
    struct str hashes[LIMIT_RECOVERY_CODES];
    for (size_t i = 0; i < LIMIT_RECOVERY_CODES; i++)
        if (!recovery_one(rq->arena, user_id, &codes[i], &hashes[i], e))
            return false;
    return recovery_codes_put(sv->db, rq->arena, user_id, hashes, LIMIT_RECOVERY_CODES,
                              clock_wall_ms(), e);
}
