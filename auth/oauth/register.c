#include "auth/oauth/register.h"

#include "auth/oauth/client_rules.h"
#include "auth/oauth/wire.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/services.h"
#include "crypto/hash.h"
#include "crypto/keyring.h"
#include "json/jout.h"
#include "store/oauth_clients.h"

enum {
    UNUSED_KEPT_MS = 60 * 60 * 1000,      /* while there is room for others */
    UNUSED_LIFE_MS = 24 * 60 * 60 * 1000, /* in any case */
    ANSWER_MAX = 4 * LIMIT_BODY_FORM
};

/* ---- the registration access token ---- */

/*
 * Of a public client: made from its id, because everybody who registers the same metadata shares
 * the client and must be answered the same. It reads; it changes nothing that others rely on.
 */
static bool shared_token(const struct services *sv, struct str key_id, struct str client_id,
                         struct arena *a, struct str *out)
{
    uint8_t key[32];
    struct buf text;
    if (!keyring_derive(sv->keys, key_id, STR("registration-token"), key))
        return false;
    struct sha256 mac = hash_hmac_sha256((struct str){(const char *)key, sizeof(key)}, client_id);
    secret_wipe(key, sizeof(key));
    buf_init(&text, 128);
    buf_add(&text, STR("tulle_rat_"));
    text_b64url(&text, mac.b, sizeof(mac.b));
    *out = arena_dup(a, buf_str(&text));
    buf_end(&text);
    return !str_is_absent(*out);
}

static bool token_is_good(const struct http_request *rq, const struct oauth_client *client,
                          struct str token)
{
    const struct services *sv = rq->context;
    struct str expected;
    if (!str_is_absent(client->registration_hash)) {
        struct str hash = secret_text_hash(rq->arena, token);
        return !str_is_absent(hash) && text_eq_ct(hash, client->registration_hash);
    }
    for (size_t i = 0; i < sv->keys->n; i++)
        if (shared_token(sv, str_c(sv->keys->keys[i].id), client->id, rq->arena, &expected) &&
            text_eq_ct(expected, token))
            return true;
    return false;
}

/* ---- reading and answering ---- */

static bool metadata_read(struct http_request *rq, struct jdoc **doc, struct client_metadata *out,
                          struct err *e)
{
    struct err parse;
    struct str type = http_request_header(rq, STR("Content-Type"));
    struct str name = str_trim(str_slice(type, 0, str_find_char(type, ';')));
    if (!str_ieq(name, STR("application/json")))
        return err_set(e, ERR_CLIENT_METADATA, "Content-Type must be application/json");
    *doc = jdoc_parse(rq->body, &parse);
    if (!*doc)
        return err_set(e, ERR_CLIENT_METADATA, "the body is no JSON: %.300s", parse.msg);
    return client_metadata_read(rq->arena, jdoc_root(*doc), out, e);
}

static bool fingerprint_of(struct arena *a, const struct client_metadata *m, struct str *out,
                           struct err *e)
{
    *out = STR_NONE;
    if (!m->is_public)
        return true;
    *out = secret_text_hash(a, m->json);
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* secret, token: shown once; absent: not shown. */
static void client_answer(struct http_request *rq, int status, const struct oauth_client *c,
                          struct str secret, struct str token)
{
    const struct services *sv = rq->context;
    struct buf out;
    struct jout j;
    buf_init(&out, ANSWER_MAX);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "client_id", c->id);
    jout_ki64(&j, "client_id_issued_at", c->created_at / 1000);
    if (!str_is_absent(secret)) {
        jout_kstr(&j, "client_secret", secret);
        jout_ki64(&j, "client_secret_expires_at", 0);
    }
    if (!str_is_absent(token))
        jout_kstr(&j, "registration_access_token", token);
    jout_kstr(
        &j, "registration_client_uri",
        arena_printf(rq->arena, "%s/oauth/register/%.*s", sv->config->origin, STR_FMT(c->id)));
    /* The metadata is an object of its own in the store: its members follow. */
    buf_add_char(&out, ',');
    buf_add(&out, str_slice(c->metadata, 1, SIZE_MAX));
    wire_answer(rq, status, &out);
    buf_end(&out);
}

/* ---- POST ---- */

/* Clients that nobody consented to are counted, not addresses: behind one address may be everybody.
 */
bool register_make_room(const struct services *sv, struct arena *a, int64_t now, struct err *e)
{
    int64_t n;
    if (!oauth_clients_purge(sv->db, a, now - UNUSED_LIFE_MS, e) ||
        !oauth_clients_count_unused(sv->db, a, &n, e))
        return false;
    if (n < LIMIT_CLIENTS_UNUSED)
        return true;
    if (!oauth_clients_purge(sv->db, a, now - UNUSED_KEPT_MS, e) ||
        !oauth_clients_count_unused(sv->db, a, &n, e))
        return false;
    return n < LIMIT_CLIENTS_UNUSED ||
           err_set(e, ERR_RATE_LIMITED,
                   "too many clients were registered that nobody has used yet; try again later");
}

static bool client_insert(struct http_request *rq, const struct client_metadata *m,
                          struct oauth_client *c, struct err *e)
{
    const struct services *sv = rq->context;
    struct wire_event event = {.method = "oauth_register", .outcome = "ok"};
    struct oauth_client fresh = *c;
    if (!register_make_room(sv, rq->arena, c->created_at, e) ||
        !oauth_clients_register(sv->db, rq->arena, &fresh, c, e))
        return false;
    event.client_id = c->id;
    event.name = m->name;
    return wire_audit(rq, &event, e);
}

static bool register_client(struct http_request *rq, const struct client_metadata *m, struct err *e)
{
    const struct services *sv = rq->context;
    struct id id = id_new("cli");
    struct secret_text secret, token;
    struct str shared = STR_NONE;
    bool is_known = false;
    struct oauth_client c = {.id = arena_dup(rq->arena, id_str(&id)),
                             .name = m->name,
                             .redirect_uris = m->redirect_uris,
                             .auth_method = m->auth_method,
                             .metadata = m->json,
                             .created_at = clock_wall_ms()};
    if (!fingerprint_of(rq->arena, m, &c.fingerprint, e))
        return false;
    c.jwks = m->jwks;
    bool has_secret = str_starts(m->auth_method, STR("client_secret_"));
    if (!m->is_public) {
        secret_text_make(&secret, "tulle_cs_");
        secret_text_make(&token, "tulle_rat_");
        if (has_secret)
            c.secret_hash = str_c(secret.hash_hex);
        c.registration_hash = str_c(token.hash_hex);
    } else if (oauth_clients_by_fingerprint(sv->db, rq->arena, c.fingerprint, &c, e)) {
        is_known = true;
    } else if (e->code != ERR_NOT_FOUND) {
        return false;
    }
    if (!is_known && !client_insert(rq, m, &c, e))
        return false;
    if (m->is_public && !shared_token(sv, STR_NONE, c.id, rq->arena, &shared))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (m->is_public)
        client_answer(rq, 201, &c, STR_NONE, shared);
    else
        client_answer(rq, 201, &c, has_secret ? str_c(secret.text) : STR_NONE, str_c(token.text));
    return true;
}

void register_post(struct http_request *rq)
{
    struct jdoc *doc = NULL;
    struct client_metadata m = {0};
    struct err e;
    if (!metadata_read(rq, &doc, &m, &e) || !register_client(rq, &m, &e))
        wire_answer_error(rq, &e);
    jdoc_free(doc);
}

/* ---- GET, PUT, DELETE ---- */

static bool client_of_token(struct http_request *rq, struct oauth_client *out, struct str *token,
                            struct err *e)
{
    const struct services *sv = rq->context;
    struct str header = str_trim(http_request_header(rq, STR("Authorization")));
    *token = str_ieq(str_slice(header, 0, 7), STR("Bearer "))
                 ? str_trim(str_slice(header, 7, SIZE_MAX))
                 : STR_NONE;
    bool is_found = oauth_clients_get(sv->db, rq->arena, rq->params[0], out, e) &&
                    str_eq(out->source, STR("registration"));
    if (!is_found && e->code != ERR_NONE && e->code != ERR_NOT_FOUND)
        return false;
    if (is_found && !str_is_absent(*token) && token_is_good(rq, out, *token))
        return true;
    return err_set(e, ERR_UNAUTHENTICATED, "the registration access token is not valid");
}

/* RFC 7592 section 2.2: the request holds client_id and none of what the server alone decides. */
static bool update_check(struct arena *a, const struct jvalue *given, const struct oauth_client *c,
                         struct err *e)
{
    static const char *const ours[] = {"registration_access_token", "registration_client_uri",
                                       "client_secret_expires_at", "client_id_issued_at"};
    if (!str_eq(jv_get_str(given, "client_id"), c->id))
        return err_set(e, ERR_CLIENT_METADATA, "client_id must be the client's own");
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (jv_get(given, ours[i]))
            return err_set(e, ERR_CLIENT_METADATA, "%s is the server's to say", ours[i]);
    struct str secret = jv_get_str(given, "client_secret");
    struct str hash = str_is_absent(secret) ? STR_NONE : secret_text_hash(a, secret);
    return str_is_absent(secret) || (!str_is_absent(hash) && text_eq_ct(hash, c->secret_hash)) ||
           err_set(e, ERR_CLIENT_METADATA, "client_secret must be the client's own");
}

static bool client_update(struct http_request *rq, struct oauth_client *c, struct str token,
                          struct err *e)
{
    const struct services *sv = rq->context;
    auto_free(jdoc_freep) struct jdoc *doc = NULL;
    struct client_metadata m = {0};
    struct str fingerprint;
    if (!metadata_read(rq, &doc, &m, e) || !update_check(rq->arena, jdoc_root(doc), c, e) ||
        !fingerprint_of(rq->arena, &m, &fingerprint, e))
        return false;
    bool is_public = str_is_absent(c->registration_hash);
    if (is_public && str_eq(fingerprint, c->fingerprint)) {
        client_answer(rq, 200, c, STR_NONE, token);
        return true;
    }
    if (is_public)
        return err_set(e, ERR_FORBIDDEN,
                       "everybody who registers this metadata shares the client; register anew");
    if (str_is_absent(c->secret_hash) != !str_starts(m.auth_method, STR("client_secret_")))
        return err_set(e, ERR_CLIENT_METADATA,
                       "a client with a secret cannot become one without, nor the reverse; "
                       "register anew");
    c->name = m.name;
    c->redirect_uris = m.redirect_uris;
    c->auth_method = m.auth_method;
    c->metadata = m.json;
    c->jwks = m.jwks;
    c->updated_at = clock_wall_ms();
    struct wire_event event = {
        .method = "oauth_client_update", .client_id = c->id, .name = c->name, .outcome = "ok"};
    if (!oauth_clients_update(sv->db, rq->arena, c, e) || !wire_audit(rq, &event, e))
        return false;
    client_answer(rq, 200, c, STR_NONE, token);
    return true;
}

/* What nobody has used goes without making every worker forget what it knows: anybody may register
 * and remove such clients all day. */
static bool client_delete(struct http_request *rq, const struct oauth_client *c, struct err *e)
{
    const struct services *sv = rq->context;
    bool is_public = str_is_absent(c->registration_hash);
    bool is_gone = oauth_clients_delete_unused(sv->db, rq->arena, c->id, e);
    if (!is_gone && is_public && e->code == ERR_NOT_FOUND)
        return err_set(e, ERR_FORBIDDEN, "people have consented to this client; they can end that");
    if (!is_gone && e->code == ERR_NOT_FOUND)
        is_gone = oauth_clients_delete(sv->db, rq->arena, c->id, e);
    struct wire_event event = {
        .method = "oauth_client_delete", .client_id = c->id, .name = c->name, .outcome = "ok"};
    if (!is_gone || !wire_audit(rq, &event, e))
        return false;
    http_set_header(rq, STR("Cache-Control"), STR("no-store"));
    http_answer(rq, 204, STR_NONE, STR_NONE);
    return true;
}

void register_manage(struct http_request *rq)
{
    struct oauth_client c;
    struct str token;
    struct err e;
    bool is_good = client_of_token(rq, &c, &token, &e);
    if (is_good && rq->method == HTTP_PUT)
        is_good = client_update(rq, &c, token, &e);
    else if (is_good && rq->method == HTTP_DELETE)
        is_good = client_delete(rq, &c, &e);
    else if (is_good)
        client_answer(rq, 200, &c, STR_NONE, token);
    if (!is_good)
        wire_answer_error(rq, &e);
}
