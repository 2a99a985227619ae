#include "auth/oauth/id_token.h"

#include "auth/caller_build.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/signing_key.h"
#include "crypto/hash.h"
#include "json/jout.h"
#include "json/jread.h"
#include "store/users.h"

enum { LIFE_S = 60 * 60, HALF_HASH = 16 };

/* The left half of the token's digest (section 3.1.3.6). */
static struct str at_hash(struct arena *a, struct str access_token)
{
    struct buf text;
    struct sha256 digest = hash_sha256(access_token);
    buf_init(&text, 64);
    text_b64url(&text, digest.b, HALF_HASH);
    struct str out = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return out;
}

static const char *alg_of(const struct oauth_client *client)
{
    struct err ignored;
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(client->metadata, &ignored);
    const struct jvalue *root = doc ? jdoc_root(doc) : NULL;
    return str_eq(jv_get_str(root, "id_token_signed_response_alg"), STR("RS256")) ? "RS256"
                                                                                  : "ES256";
}

bool id_token_make(const struct token_call *c, const struct id_claims *claims, struct str *out,
                   struct err *e)
{
    struct buf text;
    struct jout j;
    const struct signing signing = {c->sv->keys, c->sv->db, c->sv->offload, c->a};
    buf_init(&text, LIMIT_BODY_SMALL);
    jout_init(&j, &text);
    jout_object(&j);
    jout_kstr(&j, "iss", str_c(c->sv->config->origin));
    jout_kstr(&j, "sub", claims->user_id);
    jout_kstr(&j, "aud", c->client->id);
    jout_ki64(&j, "exp", c->now / 1000 + LIFE_S);
    jout_ki64(&j, "iat", c->now / 1000);
    if (claims->auth_time)
        jout_ki64(&j, "auth_time", claims->auth_time / 1000);
    if (!str_is_absent(claims->nonce))
        jout_kstr(&j, "nonce", claims->nonce);
    jout_kstr(&j, "at_hash", at_hash(c->a, claims->access_token));
    jout_kstr(&j, "org_id", claims->org_id);
    jout_object_end(&j);
    bool is_good =
        buf_ok(&text) && signing_key_sign(&signing, alg_of(c->client), buf_str(&text), out, e);
    if (!buf_ok(&text))
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    buf_end(&text);
    return is_good;
}

/* ---- userinfo ---- */

static bool bearer_read(const struct http_request *rq, struct str *out, struct err *e)
{
    struct str header = str_trim(http_request_header(rq, STR("Authorization")));
    *out = str_ieq(str_slice(header, 0, 7), STR("Bearer "))
               ? str_trim(str_slice(header, 7, SIZE_MAX))
               : STR_NONE;
    return (out->n > 0 && out->n <= LIMIT_TOKEN) ||
           err_set(e, ERR_UNAUTHENTICATED, "this needs Authorization: Bearer with an access token");
}

static bool person_find(struct http_request *rq, struct str bearer, struct oauth_access *token,
                        struct user *user, struct err *e)
{
    struct services *sv = rq->context;
    struct caller caller;
    struct str hash = secret_text_hash(rq->arena, bearer);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (oauth_tokens_access_get(sv->db, rq->arena, hash, clock_wall_ms(), token, e) &&
        caller_build(sv, rq->arena, token->org_id, token->user_id, NULL, &caller, e) &&
        users_get(sv->db, rq->arena, token->user_id, user, e))
        return true;
    return e->code == ERR_NOT_FOUND
               ? err_set(e, ERR_UNAUTHENTICATED, "the access token is not valid")
               : false;
}

static bool userinfo(struct http_request *rq, struct err *e)
{
    struct str bearer = STR_NONE;
    struct oauth_access token = {0};
    struct user user = {0};
    struct buf out;
    struct jout j;
    if (!bearer_read(rq, &bearer, e) || !person_find(rq, bearer, &token, &user, e))
        return false;
    if (!str_list_has(token.scope, STR("openid"))) {
        http_set_header(rq, STR("WWW-Authenticate"),
                        STR("Bearer error=\"insufficient_scope\", scope=\"openid\""));
        return err_set(e, ERR_INSUFFICIENT_SCOPE, "this needs the scope openid");
    }
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "sub", user.id);
    if (str_list_has(token.scope, STR("profile")) && !str_is_absent(user.name))
        jout_kstr(&j, "name", user.name);
    if (str_list_has(token.scope, STR("email"))) {
        jout_kstr(&j, "email", user.email);
        jout_kbool(&j, "email_verified", user.email_verified_at != 0);
    }
    jout_object_end(&j);
    wire_answer(rq, 200, &out);
    buf_end(&out);
    return true;
}

void userinfo_answer(struct http_request *rq)
{
    struct err e = {.code = ERR_NONE};
    if (!userinfo(rq, &e))
        wire_answer_error(rq, &e);
}
