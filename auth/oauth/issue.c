#include "auth/oauth/issue.h"

#include "auth/secret_text.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "json/jout.h"

#define ANSWER_PURPOSE STR("refresh-answer")

enum { ANSWER_MAX = 2 * LIMIT_SCOPE_GRANTED + 4 * LIMIT_URL };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool issue_pair(struct arena *a, struct str scope, int64_t granted_at, int64_t now,
                struct oauth_pair *pair, struct issued *out, struct err *e)
{
    struct secret_text access, refresh;
    secret_text_make(&access, ACCESS_PREFIX);
    secret_text_make(&refresh, REFRESH_PREFIX);
    int64_t idle = now + REFRESH_IDLE_MS, absolute = granted_at + REFRESH_ABSOLUTE_MS;
    *pair = (struct oauth_pair){.access_hash = arena_dup(a, str_c(access.hash_hex)),
                                .access_scope = scope,
                                .access_expires_at = now + ACCESS_LIFE_MS,
                                .refresh_hash = arena_dup(a, str_c(refresh.hash_hex)),
                                .refresh_expires_at = idle < absolute ? idle : absolute,
                                .now = now};
    *out = (struct issued){.access = arena_dup(a, str_c(access.text)),
                           .refresh = arena_dup(a, str_c(refresh.text)),
                           .scope = scope,
                           .access_expires_at = pair->access_expires_at};
    secret_wipe(&access, sizeof(access));
    secret_wipe(&refresh, sizeof(refresh));
    return (!str_is_absent(pair->access_hash) && !str_is_absent(pair->refresh_hash) &&
            !str_is_absent(out->access) && !str_is_absent(out->refresh)) ||
           no_memory(e);
}

void issue_answer(struct http_request *rq, const struct issued *t, int64_t now)
{
    struct buf out;
    struct jout j;
    buf_init(&out, 4 * LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "access_token", t->access);
    jout_kstr(&j, "token_type", STR("Bearer"));
    jout_ki64(&j, "expires_in", (t->access_expires_at - now) / 1000);
    jout_kstr(&j, "scope", t->scope);
    if (!str_is_absent(t->refresh))
        jout_kstr(&j, "refresh_token", t->refresh);
    if (!str_is_absent(t->id_token))
        jout_kstr(&j, "id_token", t->id_token);
    jout_object_end(&j);
    wire_answer(rq, 200, &out);
    buf_end(&out);
}

/* ---- the kept answer ---- */

bool issue_seal(struct arena *a, struct str old_token, const struct issued *t, struct str *sealed,
                struct err *e)
{
    uint8_t key[AEAD_KEY_SIZE];
    struct buf plain, bytes, text;
    buf_init(&plain, ANSWER_MAX);
    buf_init(&bytes, ANSWER_MAX + AEAD_OVERHEAD);
    buf_init(&text, 2 * ANSWER_MAX);
    buf_addf(&plain, "%.*s\n%.*s\n%.*s\n%lld\n%.*s", STR_FMT(t->access), STR_FMT(t->refresh),
             STR_FMT(t->scope), (long long)t->access_expires_at, STR_FMT(t->request));
    hash_hkdf(old_token, ANSWER_PURPOSE, key, sizeof(key));
    bool is_good = buf_ok(&plain) && aead_seal(key, STR(""), buf_str(&plain), &bytes);
    secret_wipe(key, sizeof(key));
    text_b64url(&text, bytes.p ? bytes.p : "", bytes.n);
    *sealed = is_good && buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    buf_end(&bytes);
    buf_end(&text);
    return !str_is_absent(*sealed) || no_memory(e);
}

static bool answer_read(struct arena *a, struct str plain, struct issued *out)
{
    struct str rest = arena_dup(a, plain), expires;
    return str_next(&rest, '\n', &out->access) && str_next(&rest, '\n', &out->refresh) &&
           str_next(&rest, '\n', &out->scope) && str_next(&rest, '\n', &expires) &&
           str_to_i64(expires, 0, INT64_MAX, &out->access_expires_at) &&
           str_next(&rest, '\n', &out->request);
}

bool issue_open(struct arena *a, struct str old_token, struct str sealed, struct issued *out,
                struct err *e)
{
    uint8_t key[AEAD_KEY_SIZE];
    struct buf bytes, plain;
    *out = (struct issued){0};
    buf_init(&bytes, 2 * ANSWER_MAX);
    buf_init(&plain, ANSWER_MAX);
    hash_hkdf(old_token, ANSWER_PURPOSE, key, sizeof(key));
    bool is_good = text_b64url_decode(sealed, &bytes) &&
                   aead_open(key, STR(""), buf_str(&bytes), &plain) &&
                   answer_read(a, buf_str(&plain), out);
    secret_wipe(key, sizeof(key));
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&bytes);
    buf_end(&plain);
    return is_good || err_set(e, ERR_INTERNAL, "the kept answer does not open");
}

bool issue_may_repeat(const struct oauth_refresh *old, int64_t now)
{
    if (old->used_at == 0 || str_is_absent(old->answer))
        return false;
    if (now < old->used_at + REPEAT_MIN_MS)
        return true;
    return old->has_successor && old->successor_used_at == 0 && now < old->used_at + REPEAT_MAX_MS;
}
