/* Cross-site request forgery: a token bound to a cookie, and the Origin. */
#include "auth/session/csrf.h"

#include "auth/session/session.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "io/cookies.h"

struct str session_cookie_name(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    return sv->config->base_is_https ? STR("__Host-tulle") : STR("tulle-dev");
}

/* Of forms before there is a session. */
static struct str form_cookie_name(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    return sv->config->base_is_https ? STR("__Host-tulle-form") : STR("tulle-dev-form");
}

struct str session_cookie_value(struct http_request *rq, struct str name)
{
    struct cookies cookies;
    struct str value;
    uint8_t bytes[32];
    struct buf decoded;
    if (!cookies_parse(rq->arena, http_request_header(rq, STR("Cookie")), &cookies, NULL) ||
        cookies_get(&cookies, name, &value) != COOKIE_ONCE || value.n != COOKIE_VALUE_SIZE - 1)
        return STR_NONE;
    buf_init(&decoded, sizeof(bytes) * 2);
    bool is_good = text_b64url_decode(value, &decoded) && decoded.n == sizeof(bytes);
    buf_end(&decoded);
    return is_good ? value : STR_NONE;
}

void session_cookie_make(char out[COOKIE_VALUE_SIZE])
{
    uint8_t bytes[32];
    struct buf text;
    rand_bytes(bytes, sizeof(bytes));
    buf_init(&text, COOKIE_VALUE_SIZE * 2);
    text_b64url(&text, bytes, sizeof(bytes));
    ensure(buf_ok(&text) && text.n == COOKIE_VALUE_SIZE - 1);
    memcpy(out, text.p, COOKIE_VALUE_SIZE);
    secret_wipe(text.p, text.n);
    secret_wipe(bytes, sizeof(bytes));
    buf_end(&text);
}

bool session_cookie_set(struct http_request *rq, struct str name, struct str value,
                        int64_t max_age_s, struct err *e)
{
    const struct services *sv = rq->context;
    struct buf out;
    const struct cookie c = {name, value, sv->config->base_is_https, max_age_s};
    buf_init(&out, LIMIT_HEADER_BYTES);
    bool is_good = cookie_write(&out, &c);
    if (is_good)
        http_set_header(rq, STR("Set-Cookie"), buf_str(&out));
    buf_end(&out);
    return is_good || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static struct str token_under(struct http_request *rq, struct str key_id, struct str cookie)
{
    const struct services *sv = rq->context;
    uint8_t key[32];
    char hex[65];
    if (!keyring_derive(sv->keys, key_id, STR("csrf"), key))
        return STR_NONE;
    struct sha256 mac = hash_hmac_sha256((struct str){(const char *)key, sizeof(key)}, cookie);
    secret_wipe(key, sizeof(key));
    hash_hex(&mac, hex);
    return arena_dup(rq->arena, str_c(hex));
}

struct str csrf_token_of(struct http_request *rq, struct str cookie)
{
    return token_under(rq, STR_NONE, cookie);
}

/* The cookie that the request's forms are bound to. */
static struct str binding_of(struct http_request *rq)
{
    struct str session = session_cookie_value(rq, session_cookie_name(rq));
    return str_is_absent(session) ? session_cookie_value(rq, form_cookie_name(rq)) : session;
}

bool csrf_token_for(struct http_request *rq, struct str *token, struct err *e)
{
    struct str cookie = binding_of(rq);
    char made[COOKIE_VALUE_SIZE];
    if (str_is_absent(cookie)) {
        session_cookie_make(made);
        cookie = str_c(made);
        if (!session_cookie_set(rq, form_cookie_name(rq), cookie, -1, e))
            return false;
    }
    *token = csrf_token_of(rq, cookie);
    return !str_is_absent(*token) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool csrf_origin_is_own(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct str origin = http_request_header(rq, STR("Origin"));
    if (str_ieq(origin, str_c(sv->config->origin)))
        return true;
    /* A loopback server answers under several names and forwarded ports: the browser's own view of
     * it counts. The guard has judged Host already. */
    struct str host = http_request_header(rq, STR("Host"));
    struct str scheme = sv->config->base_is_https ? STR("https://") : STR("http://");
    return sv->config->base_is_loopback && origin.n == scheme.n + host.n && host.n > 0 &&
           str_starts(origin, scheme) && str_ieq(str_slice(origin, scheme.n, SIZE_MAX), host);
}

bool csrf_check(struct http_request *rq, struct str given, struct err *e)
{
    const struct services *sv = rq->context;
    struct str cookie = binding_of(rq);
    if (!str_is_absent(http_request_header(rq, STR("Origin"))) && !csrf_origin_is_own(rq))
        return err_set(e, ERR_FORBIDDEN, "this form was sent from another site");
    bool is_good = false;
    for (size_t i = 0; !str_is_absent(cookie) && i < sv->keys->n; i++) {
        struct str expected = token_under(rq, str_c(sv->keys->keys[i].id), cookie);
        is_good = is_good || (!str_is_absent(expected) && text_eq_ct(given, expected));
    }
    return is_good || err_set(e, ERR_FORBIDDEN,
                              "this form is out of date: go back, reload the page and send it "
                              "again (cookies must be allowed)");
}
