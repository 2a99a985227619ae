#include "auth/downstream/grant.h"

#include "auth/downstream/client_assertion.h"
#include "auth/downstream/dpop.h"
#include "auth/downstream/fetch.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/uri.h"
#include "core/vault.h"
#include "io/fiber.h"
#include "json/jout.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

struct str downstream_origin(struct arena *a, const struct connection *conn)
{
    struct uri u;
    return !str_is_absent(conn->url) && uri_parse(conn->url, &u) ? uri_origin(a, &u) : STR_NONE;
}

/* ---- sealed ---- */

static struct {
    const char *name;
    size_t at;
} const members[] = {
    {"client_id", offsetof(struct downstream_grant, client.client_id)},
    {"client_secret", offsetof(struct downstream_grant, client.client_secret)},
    {"auth_method", offsetof(struct downstream_grant, client.auth_method)},
    {"private_key", offsetof(struct downstream_grant, client.private_key)},
    {"private_key_id", offsetof(struct downstream_grant, client.private_key_id)},
    {"issuer", offsetof(struct downstream_grant, issuer)},
    {"token_endpoint", offsetof(struct downstream_grant, token_endpoint)},
    {"revocation_endpoint", offsetof(struct downstream_grant, revocation_endpoint)},
    {"resource", offsetof(struct downstream_grant, resource)},
    {"audience", offsetof(struct downstream_grant, audience)},
    {"grant_type", offsetof(struct downstream_grant, grant_type)},
    {"origin", offsetof(struct downstream_grant, origin)},
    {"access_token", offsetof(struct downstream_grant, access_token)},
    {"refresh_token", offsetof(struct downstream_grant, refresh_token)},
    {"dpop_key", offsetof(struct downstream_grant, dpop_key)},
    {"token_type", offsetof(struct downstream_grant, token_type)},
};

static struct str *member_of(struct downstream_grant *g, size_t i)
{
    return (struct str *)(void *)((char *)g + members[i].at);
}

static bool place_of(struct arena *a, struct str org_id, const struct downstream_token *row,
                     struct vault_place *out, struct err *e)
{
    struct str id = arena_printf(a, "%.*s/%.*s/%.*s", STR_FMT(row->connection_id),
                                 STR_FMT(row->user_id), STR_FMT(row->issuer));
    *out = (struct vault_place){org_id, STR("downstream_tokens"), STR("sealed"), id};
    return !str_is_absent(id) || no_memory(e);
}

bool downstream_grant_seal(struct services *sv, struct arena *a, struct str org_id,
                           const struct downstream_token *row, const struct downstream_grant *g,
                           struct str *sealed, struct err *e)
{
    struct vault_place place;
    struct downstream_grant copy = *g;
    struct buf plain;
    struct jout j;
    buf_init(&plain, LIMIT_OAUTH_DOCUMENT);
    jout_init(&j, &plain);
    bool is_good = buf_reserve(&plain, LIMIT_OAUTH_DOCUMENT - 1) || no_memory(e);
    jout_object(&j);
    for (size_t i = 0; is_good && i < ARRAY_LEN(members); i++)
        if (!str_is_absent(*member_of(&copy, i)))
            jout_kstr(&j, members[i].name, *member_of(&copy, i));
    jout_object_end(&j);
    if (is_good && !buf_ok(&plain))
        is_good = err_set(e, ERR_UPSTREAM, "the authorization server's answer is too large");
    is_good = is_good && place_of(a, org_id, row, &place, e) &&
              vault_seal(sv->vault, a, &place, buf_str(&plain), sealed, e);
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    return is_good;
}

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

bool downstream_grant_open(struct services *sv, struct arena *a, struct str org_id,
                           const struct downstream_token *row, struct downstream_grant *out,
                           struct err *e)
{
    struct vault_place place;
    auto_free(secret_end) struct secret plain = {0};
    if (!place_of(a, org_id, row, &place, e) ||
        !vault_open(sv->vault, a, &place, row->sealed, &plain, e))
        return false;
    struct jdoc *doc = jdoc_parse(secret_reveal(&plain), e);
    if (!doc || !arena_on_end(a, doc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_INTERNAL, "a stored authorization is damaged");
    }
    *out = (struct downstream_grant){.origin = STR_NONE};
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        *member_of(out, i) = jv_get_str(jdoc_root(doc), members[i].name);
    return (!str_is_absent(out->access_token) && !str_is_absent(out->client.client_id) &&
            !str_is_absent(out->token_endpoint)) ||
           err_set(e, ERR_INTERNAL, "a stored authorization is damaged");
}

void downstream_grant_take(struct downstream_grant *g, const struct downstream_tokens_got *got)
{
    g->access_token = got->access_token;
    g->token_type = got->is_bound ? STR("DPoP") : STR_NONE;
    if (!str_is_absent(got->refresh_token))
        g->refresh_token = got->refresh_token;
}

bool downstream_grant_is_bound(const struct downstream_grant *g)
{
    return !str_is_absent(g->token_type);
}

/* ---- requests ---- */

void downstream_form_add(struct buf *form, const char *name, struct str value)
{
    if (str_is_absent(value))
        return;
    if (form->n)
        buf_add_char(form, '&');
    buf_add(form, str_c(name));
    buf_add_char(form, '=');
    text_percent_encode(form, value);
}

struct str downstream_basic(struct arena *a, const struct downstream_identity *c)
{
    struct buf pair, out;
    buf_init(&pair, LIMIT_CREDENTIAL);
    buf_init(&out, LIMIT_CREDENTIAL * 2);
    text_percent_encode(&pair, c->client_id);
    buf_add_char(&pair, ':');
    text_percent_encode(&pair, c->client_secret);
    buf_add(&out, STR("Basic "));
    text_b64(&out, pair.p, pair.n);
    struct str made = buf_ok(&pair) && buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    if (pair.p)
        secret_wipe(pair.p, pair.n);
    if (out.p)
        secret_wipe(out.p, out.n);
    buf_end(&pair);
    buf_end(&out);
    return made;
}

/* The client's part of a form, and all else of the request. */
static bool post_make(struct arena *a, const struct downstream_grant *g, struct buf *form,
                      struct downstream_post *out, struct err *e)
{
    struct downstream_post post = {.type = STR("application/x-www-form-urlencoded")};
    if (str_eq(g->client.auth_method, STR("client_secret_basic"))) {
        post.authorization = downstream_basic(a, &g->client);
        if (str_is_absent(post.authorization))
            return no_memory(e);
    } else {
        downstream_form_add(form, "client_id", g->client.client_id);
        if (str_eq(g->client.auth_method, STR("client_secret_post")))
            downstream_form_add(form, "client_secret", g->client.client_secret);
        if (str_eq(g->client.auth_method, STR("private_key_jwt")) &&
            !client_assertion_add(a, &g->client, g->issuer, form))
            return err_set(e, ERR_INTERNAL, "the key of this client cannot be used");
    }
    if (!buf_ok(form))
        return err_set(e, ERR_UPSTREAM, "the request to the authorization server is too large");
    post.body = buf_str(form);
    *out = post;
    return true;
}

/* One request, with a proof where there is a key; what the client says of itself is made anew. */
static bool token_post_once(struct services *sv, struct arena *a, const struct downstream_grant *g,
                            struct buf *form, int64_t total_ms, struct downstream_answer *out,
                            struct err *e)
{
    const struct dpop_request rq = {.method = STR("POST"), .url = g->token_endpoint};
    bool has_key = !str_is_absent(g->dpop_key);
    struct downstream_post post;
    if (!post_make(a, g, form, &post, e))
        return false;
    post.total_ms = total_ms;
    if (has_key) {
        post.dpop = dpop_proof_make(a, g->dpop_key, &rq);
        if (str_is_absent(post.dpop))
            return no_memory(e);
    }
    if (!downstream_fetch(sv, a, g->token_endpoint, &post, out, e))
        return false;
    if (has_key)
        dpop_nonce_keep(a, &rq, out->dpop_nonce);
    return true;
}

/* A request that lacks the server's nonce has changed nothing there: it is sent once more (RFC 9449
 * section 8). Both together take no longer than one may: a lease counts on it. */
static bool token_post(struct services *sv, struct arena *a, const struct downstream_grant *g,
                       struct buf *form, struct downstream_answer *out, struct err *e)
{
    int64_t deadline = clock_mono_ms() + LIMIT_OAUTH_MS;
    size_t bare = form->n;
    if (!token_post_once(sv, a, g, form, LIMIT_OAUTH_MS, out, e))
        return false;
    if (out->status < 400 || str_is_absent(g->dpop_key) || str_is_absent(out->dpop_nonce) ||
        !str_eq(jv_get_str(out->json, "error"), STR("use_dpop_nonce")))
        return true;
    int64_t left = deadline - clock_mono_ms();
    form->n = bare;
    return left > 0 ? token_post_once(sv, a, g, form, left, out, e)
                    : err_set(e, ERR_TIMEOUT, "the authorization server takes too long");
}

/* Visible ASCII: what may stand behind "Bearer ". */
static bool is_token_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7E)
            return false;
    return s.n > 0 && s.n <= LIMIT_CREDENTIAL;
}

static int64_t seconds_read(const struct jvalue *v)
{
    int64_t n = jv_is_integer(v) ? jv_i64(v, 0) : 0;
    if (jv_is_string(v) && !str_to_i64(jv_str(v), 0, INT64_MAX / 1000, &n))
        n = 0;
    else if (!jv_is_integer(v) && jv_is_number(v) && jv_double(v, 0) < 1e9)
        n = (int64_t)jv_double(v, 0);
    return n > 0 && n < 100LL * 365 * 86400 ? n : 0;
}

static bool error_read(const struct downstream_answer *answer, struct err *e)
{
    struct str error = jv_get_str(answer->json, "error");
    if (str_eq(error, STR("invalid_grant")))
        return err_set(e, ERR_INVALID_GRANT,
                       "the authorization server no longer accepts this "
                       "authorization");
    if (str_eq(error, STR("invalid_client")) || str_eq(error, STR("unauthorized_client")))
        return err_set(e, ERR_INVALID_CLIENT,
                       "the authorization server does not accept Tulle as a client");
    err_set(e, ERR_UPSTREAM, "the authorization server refused the request for a token (HTTP %d)",
            answer->status);
    /* The word alone: descriptions may quote what was sent. */
    bool is_word = error.n > 0 && error.n <= 60 && !text_has_control(error) && text_is_utf8(error);
    return is_word ? err_detail(e, "it says %.*s", STR_FMT(error)) : false;
}

bool downstream_token_request(struct services *sv, struct arena *a,
                              const struct downstream_grant *g, struct buf *form,
                              struct downstream_tokens_got *out, struct err *e)
{
    struct downstream_answer answer = {0};
    if (!token_post(sv, a, g, form, &answer, e))
        return false;
    /* Some answer 200 with an error. */
    struct str type = jv_get_str(answer.json, "token_type");
    *out = (struct downstream_tokens_got){.access_token = jv_get_str(answer.json, "access_token"),
                                          .refresh_token = jv_get_str(answer.json, "refresh_token"),
                                          .scope = jv_get_str(answer.json, "scope"),
                                          .id_token = jv_get_str(answer.json, "id_token")};
    if (answer.status != 200 || str_is_absent(out->access_token))
        return error_read(&answer, e);
    out->is_bound = !str_is_absent(g->dpop_key) && str_ieq(type, STR("DPoP"));
    if (!str_is_absent(type) && !str_ieq(type, STR("Bearer")) && !out->is_bound)
        return err_set(e, ERR_UPSTREAM, "the authorization server gave no Bearer token");
    if (!is_token_text(out->access_token) ||
        (!str_is_absent(out->refresh_token) && out->refresh_token.n > LIMIT_CREDENTIAL))
        return err_set(e, ERR_UPSTREAM, "the authorization server gave an ill-formed token");
    if (out->scope.n > LIMIT_SCOPE)
        out->scope = STR_NONE;
    if (out->refresh_token.n == 0)
        out->refresh_token = STR_NONE;
    out->expires_in_s = seconds_read(jv_get(answer.json, "expires_in"));
    return true;
}

static void revoke_one(struct services *sv, struct arena *a, const struct downstream_grant *g,
                       struct str token, const char *hint)
{
    struct downstream_answer answer;
    struct downstream_post post;
    struct err ignored;
    struct buf form;
    if (str_is_absent(token))
        return;
    buf_init(&form, LIMIT_OAUTH_DOCUMENT);
    downstream_form_add(&form, "token", token);
    downstream_form_add(&form, "token_type_hint", str_c(hint));
    if (post_make(a, g, &form, &post, &ignored))
        (void)!downstream_fetch(sv, a, g->revocation_endpoint, &post, &answer, &ignored);
    if (form.p)
        secret_wipe(form.p, form.n);
    buf_end(&form);
}

void downstream_token_revoke(struct services *sv, struct arena *a, const struct downstream_grant *g)
{
    if (str_is_absent(g->revocation_endpoint))
        return;
    fiber_shield(true);
    revoke_one(sv, a, g, g->refresh_token, "refresh_token");
    revoke_one(sv, a, g, g->access_token, "access_token");
    fiber_shield(false);
}
