/* There and back: the browser's part of a sign-in through a provider. */
#include "auth/downstream/grant.h"
#include "auth/secret_text.h"
#include "auth/session/csrf.h"
#include "auth/session/return_to.h"
#include "auth/sso/oidc_parts.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "store/sso_states.h"

#define PURPOSE STR("sso-state")

enum { KEPT_MAX = 16 * 1024 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

struct str oidc_redirect_uri(const struct services *sv, struct arena *a, struct str provider_id)
{
    return arena_printf(a, "%s/auth/oidc/%.*s/callback", sv->config->origin, STR_FMT(provider_id));
}

bool oidc_provider_load(struct services *sv, struct arena *a, struct str id,
                        struct oidc_provider *out, struct err *e)
{
    *out = (struct oidc_provider){.has_iss = false};
    bool is_found = id_is(id, "idp") && sso_providers_get(sv->db, a, id, &out->row, e);
    if (!is_found && id_is(id, "idp") && e->code != ERR_NOT_FOUND)
        return false;
    if (!is_found || !out->row.is_enabled || str_eq(out->row.kind, STR("saml")))
        return err_set(e, ERR_NOT_FOUND, "There is no such sign-in provider.");
    return oidc_provider_complete(sv, a, out, e);
}

/* ---- the browser's cookie ---- */

static struct str cookie_name(const struct services *sv)
{
    return sv->config->base_is_https ? STR("__Host-tulle-sso") : STR("tulle-dev-sso");
}

/* The hash of the cookie that the browser has, or is given now: two tabs share one. */
static bool browser_bind(struct http_request *rq, struct str *hash, struct err *e)
{
    struct services *sv = rq->context;
    char made[COOKIE_VALUE_SIZE];
    struct str value = session_cookie_value(rq, cookie_name(sv));
    if (str_is_absent(value)) {
        session_cookie_make(made);
        value = str_c(made);
    }
    *hash = secret_text_hash(rq->arena, value);
    return (!str_is_absent(*hash) || no_memory(e)) &&
           session_cookie_set(rq, cookie_name(sv), value, LIMIT_CONNECT_LIFE_MS / 1000, e);
}

static bool browser_find(struct http_request *rq, struct str *hash, struct err *e)
{
    struct str value = session_cookie_value(rq, cookie_name(rq->context));
    *hash = str_is_absent(value) ? STR("") : secret_text_hash(rq->arena, value);
    return !str_is_absent(*hash) || no_memory(e);
}

/* ---- there ---- */

struct going {
    struct http_request *rq;
    const struct oidc_errand *errand;
    struct oidc_provider provider;
    struct secret_text state, nonce, verifier;
};

static bool kept_seal(const struct going *g, struct str *sealed, struct err *e)
{
    const struct services *sv = g->rq->context;
    struct buf plain, out;
    struct jout j;
    buf_init(&plain, KEPT_MAX);
    buf_init(&out, (size_t)2 * KEPT_MAX);
    jout_init(&j, &plain);
    jout_object(&j);
    jout_kstr(&j, "nonce", str_c(g->nonce.text));
    jout_kstr(&j, "verifier", str_c(g->verifier.text));
    jout_kstr(&j, "issuer", g->provider.config.issuer);
    jout_ki64(&j, "begun", clock_wall_ms() / 1000);
    if (!str_is_absent(g->errand->context))
        jout_kstr(&j, "context", g->errand->context);
    jout_object_end(&j);
    bool is_good = buf_ok(&plain) &&
                   keyring_seal(sv->keys, PURPOSE, str_c(g->state.hash_hex), buf_str(&plain), &out);
    *sealed = is_good ? arena_dup(g->rq->arena, buf_str(&out)) : STR_NONE;
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    buf_end(&out);
    return !str_is_absent(*sealed) || no_memory(e);
}

static bool state_keep(const struct going *g, struct err *e)
{
    struct services *sv = g->rq->context;
    int64_t now = clock_wall_ms();
    struct str return_to = g->errand->return_to;
    struct sso_state row = {.hash = str_c(g->state.hash_hex),
                            .provider_id = g->provider.row.id,
                            .purpose = str_c(g->errand->purpose),
                            .return_to =
                                str_is_absent(return_to) ? return_to : return_to_safe(return_to),
                            .user_id = g->errand->user_id,
                            .created_at = now,
                            .expires_at = now + LIMIT_CONNECT_LIFE_MS};
    return kept_seal(g, &row.sealed, e) && browser_bind(g->rq, &row.browser_hash, e) &&
           sso_states_insert(sv->db, g->rq->arena, &row, e);
}

static bool address_write(const struct going *g, struct str *url, struct err *e)
{
    struct arena *a = g->rq->arena;
    const struct oidc_config *c = &g->provider.config;
    struct sha256 digest = hash_sha256(str_c(g->verifier.text));
    struct buf challenge, form;
    buf_init(&challenge, SECRET_TEXT_SIZE);
    buf_init(&form, LIMIT_RETURN_TO);
    text_b64url(&challenge, digest.b, sizeof(digest.b));
    downstream_form_add(&form, "response_type", STR("code"));
    downstream_form_add(&form, "client_id", c->client_id);
    downstream_form_add(&form, "redirect_uri",
                        oidc_redirect_uri(g->rq->context, a, g->provider.row.id));
    downstream_form_add(&form, "scope", c->scopes);
    downstream_form_add(&form, "state", str_c(g->state.text));
    downstream_form_add(&form, "code_challenge", buf_str(&challenge));
    downstream_form_add(&form, "code_challenge_method", STR("S256"));
    if (!c->is_github) {
        downstream_form_add(&form, "nonce", str_c(g->nonce.text));
        downstream_form_add(&form, "login_hint", g->errand->login_hint);
        downstream_form_add(&form, "hd", c->hosted_domain);
    }
    if (str_eq(str_c(g->errand->purpose), STR("reauth"))) {
        downstream_form_add(&form, "prompt", STR("login"));
        downstream_form_add(&form, "max_age", STR("0"));
    }
    const char *joint = str_find_char(c->authorization_endpoint, '?') == SIZE_MAX ? "?" : "&";
    *url = buf_ok(&form) && buf_ok(&challenge)
               ? arena_printf(a, "%.*s%s%.*s", STR_FMT(c->authorization_endpoint), joint,
                              STR_FMT(buf_str(&form)))
               : STR_NONE;
    buf_end(&challenge);
    buf_end(&form);
    return !str_is_absent(*url) || no_memory(e);
}

bool oidc_begin(struct http_request *rq, struct str provider_id, const struct oidc_errand *errand,
                struct str *url, struct err *e)
{
    struct going g = {.rq = rq, .errand = errand};
    secret_text_make(&g.state, "");
    secret_text_make(&g.nonce, "");
    secret_text_make(&g.verifier, "");
    bool is_good = oidc_provider_load(rq->context, rq->arena, provider_id, &g.provider, e) &&
                   state_keep(&g, e) && address_write(&g, url, e);
    secret_wipe(&g.state, sizeof(g.state));
    secret_wipe(&g.nonce, sizeof(g.nonce));
    secret_wipe(&g.verifier, sizeof(g.verifier));
    return is_good;
}

/* ---- and back ---- */

static struct str param(const struct form *params, const char *name)
{
    struct str value;
    return form_get(params, str_c(name), &value) == FORM_ONCE && value.n > 0 ? value : STR_NONE;
}

static bool has_repeated(const struct form *params)
{
    static const char *const once[] = {"state", "code", "iss", "error"};
    struct str ignored;
    for (size_t i = 0; i < ARRAY_LEN(once); i++)
        if (form_get(params, str_c(once[i]), &ignored) == FORM_REPEATED)
            return true;
    return false;
}

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

static bool kept_open(const struct services *sv, struct arena *a, const struct sso_state *s,
                      struct oidc_kept *out, struct err *e)
{
    struct buf plain;
    struct jdoc *doc = NULL;
    buf_init(&plain, KEPT_MAX);
    if (keyring_open(sv->keys, PURPOSE, s->hash, s->sealed, &plain))
        doc = jdoc_parse(buf_str(&plain), e);
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    if (!doc || !arena_on_end(a, doc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_INTERNAL, "what was begun is damaged");
    }
    const struct jvalue *kept = jdoc_root(doc);
    *out = (struct oidc_kept){.nonce = jv_get_str(kept, "nonce"),
                              .verifier = jv_get_str(kept, "verifier"),
                              .issuer = jv_get_str(kept, "issuer"),
                              .context = jv_get_str(kept, "context"),
                              .begun_s = jv_get_i64(kept, "begun", 0),
                              .is_reauth = str_eq(s->purpose, STR("reauth"))};
    return true;
}

static bool errand_take(struct http_request *rq, struct str provider_id, const struct form *params,
                        struct oidc_kept *kept, struct oidc_return *out, struct err *e)
{
    struct services *sv = rq->context;
    struct str state = param(params, "state"), hash = secret_text_hash(rq->arena, state), browser;
    struct sso_state row;
    if (str_is_absent(hash))
        return no_memory(e);
    if (!browser_find(rq, &browser, e))
        return false;
    bool is_good = !str_is_absent(state) && !has_repeated(params);
    if (is_good &&
        !sso_states_take(sv->db, rq->arena, hash, provider_id, browser, clock_wall_ms(), &row, e)) {
        if (e->code != ERR_NOT_FOUND)
            return false;
        is_good = false;
    }
    if (!is_good)
        return err_set(e, ERR_BAD_REQUEST,
                       "This answer belongs to no sign-in that was begun in this browser, or it "
                       "took too long. Start again.");
    if (!kept_open(sv, rq->arena, &row, kept, e))
        return false;
    out->has_errand = true;
    out->purpose = row.purpose;
    out->return_to = row.return_to;
    out->user_id = row.user_id;
    out->context = kept->context;
    return true;
}

/* RFC 9207 section 2.4: an answer of another issuer is no answer, error or not. */
static bool issuer_check(const struct oidc_provider *p, const struct oidc_kept *kept,
                         const struct form *params, struct err *e)
{
    struct str iss = param(params, "iss");
    bool is_good = str_eq(kept->issuer, p->config.issuer) &&
                   (str_is_absent(iss) ? !p->has_iss : str_eq(iss, p->config.issuer));
    return is_good || err_set(e, ERR_BAD_REQUEST,
                              "This answer is not from the identity provider that was asked. "
                              "Nobody was signed in.");
}

/* What the provider writes beside the word is not repeated to anybody. */
static bool error_check(const struct form *params, struct err *e)
{
    struct str error = param(params, "error");
    if (str_is_absent(error))
        return true;
    if (str_eq(error, STR("access_denied")))
        return err_set(e, ERR_ACCESS_DENIED,
                       "You were not signed in: access was denied at the identity provider.");
    return err_set(e, ERR_ACCESS_DENIED,
                   "You were not signed in: the identity provider answered with an error. Try "
                   "again, or ask an administrator.");
}

bool oidc_finish(struct http_request *rq, struct str provider_id, const struct form *params,
                 struct oidc_return *out, struct err *e)
{
    struct services *sv = rq->context;
    struct oidc_kept kept = {.begun_s = 0};
    struct oidc_provider *p = &out->provider;
    struct str code = param(params, "code");
    *out = (struct oidc_return){.steps.arena = rq->arena};
    if (!errand_take(rq, provider_id, params, &kept, out, e))
        return false;
    struct sso_steps *steps = &out->steps;
    if (!sso_step_end(steps, "discovery", oidc_provider_load(sv, rq->arena, provider_id, p, e),
                      e) ||
        !sso_step_end(steps, "answer", issuer_check(p, &kept, params, e) && error_check(params, e),
                      e))
        return false;
    if (str_is_absent(code))
        return sso_step_end(
            steps, "code",
            err_set(e, ERR_BAD_REQUEST, "The identity provider's answer has no code. Start again."),
            e);
    out->identity = (struct identity){
        .provider_id = p->row.id, .org_id = p->row.org_id, .issuer = p->config.issuer};
    out->method = p->config.is_github ? "github" : "oidc";
    bool is_good = p->config.is_github ? oidc_redeem_github(sv, rq->arena, p, &kept, code, out, e)
                                       : oidc_redeem(sv, rq->arena, p, &kept, code, out, e);
    if (!is_good && e->code == ERR_TIMEOUT)
        return err_set(e, ERR_TIMEOUT, "The identity provider did not answer in time. Try again.");
    if (!is_good && e->code == ERR_TOO_LARGE)
        return err_set(e, ERR_UPSTREAM, "The identity provider's answer is too large.");
    return is_good;
}
