#include "auth/factors/passkeys.h"

#include <arpa/inet.h>

#include "auth/factors/webauthn.h"
#include "auth/login/login_audit.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"
#include "base/uri.h"

enum { HANDLE_BYTES = 64, FIELD_MAX = 16 * 1024 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- this site ---- */

static struct webauthn_party party_of(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct uri base;
    struct str origin = str_c(sv->config->origin);
    return (struct webauthn_party){uri_parse(origin, &base) ? base.host : STR(""), origin};
}

bool passkeys_are_possible(const struct http_request *rq)
{
    struct str host = party_of(rq).rp_id;
    char text[64];
    uint8_t bytes[4];
    if (host.n == 0 || host.p[0] == '[' || str_find_char(host, ':') != SIZE_MAX)
        return false;
    if (host.n >= sizeof(text))
        return true;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(AF_INET, text, bytes) != 1;
}

/* ---- bytes as text ---- */

static struct str b64url(struct arena *a, struct str bytes)
{
    struct buf text;
    buf_init(&text, FIELD_MAX);
    text_b64url(&text, bytes.p, bytes.n);
    struct str out = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return out;
}

static bool bytes_of(struct arena *a, struct str text, struct str *out, struct err *e)
{
    struct buf bytes;
    buf_init(&bytes, FIELD_MAX);
    bool is_good = text.n > 0 && text_b64url_decode(text, &bytes);
    *out = is_good ? arena_dup(a, buf_str(&bytes)) : STR_NONE;
    buf_end(&bytes);
    return !str_is_absent(*out) ||
           err_set(e, ERR_BAD_REQUEST, "the answer of the passkey is ill-formed");
}

static bool field_bytes(struct arena *a, const struct form *form, const char *name, struct str *out,
                        struct err *e)
{
    struct str text;
    (void)form_get(form, str_c(name), &text);
    return bytes_of(a, text, out, e);
}

/* ---- challenges ---- */

static bool challenge_make(struct http_request *rq, const struct passkey_ask *ask, struct str *text,
                           struct err *e)
{
    struct services *sv = rq->context;
    struct secret_text made;
    int64_t now = clock_wall_ms();
    secret_text_make(&made, "");
    *text = arena_dup(rq->arena, str_c(made.text));
    const struct passkey_challenge c = {.hash = str_c(made.hash_hex),
                                        .purpose = str_c(ask->purpose),
                                        .user_id = ask->user_id,
                                        .browser_hash = secret_text_hash(rq->arena, ask->browser),
                                        .created_at = now,
                                        .expires_at = now + LIMIT_PASSKEY_MS};
    if (str_is_absent(*text) || str_is_absent(c.browser_hash))
        return no_memory(e);
    return passkey_challenges_insert(sv->db, rq->arena, &c, e);
}

static bool challenge_take(struct http_request *rq, const struct passkey_ask *ask, struct str text,
                           struct err *e)
{
    struct services *sv = rq->context;
    const struct passkey_challenge c = {.hash = secret_text_hash(rq->arena, text),
                                        .purpose = str_c(ask->purpose),
                                        .user_id = ask->user_id,
                                        .browser_hash = secret_text_hash(rq->arena, ask->browser)};
    if (str_is_absent(c.hash) || str_is_absent(c.browser_hash))
        return no_memory(e);
    if (passkey_challenges_take(sv->db, rq->arena, &c, clock_wall_ms(), e))
        return true;
    return e->code == ERR_NOT_FOUND
               ? err_set(e, ERR_UNAUTHENTICATED,
                         "That took too long, or was sent twice: try the passkey again.")
               : false;
}

/* ---- options ---- */

static void credentials_write(struct jout *j, const char *key, const struct passkey *keys, size_t n)
{
    jout_key(j, str_c(key));
    jout_array(j);
    for (size_t i = 0; i < n; i++) {
        jout_object(j);
        jout_kstr(j, "type", STR("public-key"));
        jout_kstr(j, "id", keys[i].credential_id);
        jout_object_end(j);
    }
    jout_array_end(j);
}

static bool user_write(struct http_request *rq, const struct passkey_ask *ask, struct jout *j,
                       struct err *e)
{
    struct services *sv = rq->context;
    uint8_t bytes[HANDLE_BYTES];
    struct str handle, fresh;
    rand_bytes(bytes, sizeof(bytes));
    fresh = b64url(rq->arena, (struct str){(const char *)bytes, sizeof(bytes)});
    if (str_is_absent(fresh))
        return no_memory(e);
    if (!passkey_handles_get(sv->db, rq->arena, ask->user_id, fresh, &handle, e))
        return false;
    jout_key(j, STR("user"));
    jout_object(j);
    jout_kstr(j, "id", handle);
    jout_kstr(j, "name", ask->email);
    jout_kstr(j, "displayName", str_is_absent(ask->name) ? ask->email : ask->name);
    jout_object_end(j);
    return true;
}

/* A discoverable credential, so that it can sign in by itself. */
static bool creation_write(struct http_request *rq, const struct passkey_ask *ask, struct jout *j,
                           struct err *e)
{
    static const int64_t algs[] = {COSE_ES256, COSE_EDDSA, COSE_RS256};
    jout_key(j, STR("rp"));
    jout_object(j);
    jout_kstr(j, "id", party_of(rq).rp_id);
    jout_kstr(j, "name", STR("Tulle"));
    jout_object_end(j);
    if (!user_write(rq, ask, j, e))
        return false;
    jout_key(j, STR("pubKeyCredParams"));
    jout_array(j);
    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        jout_object(j);
        jout_kstr(j, "type", STR("public-key"));
        jout_ki64(j, "alg", algs[i]);
        jout_object_end(j);
    }
    jout_array_end(j);
    jout_kraw(j, "authenticatorSelection",
              STR("{\"residentKey\":\"preferred\",\"userVerification\":\"preferred\"}"));
    jout_kstr(j, "attestation", STR("none"));
    return true;
}

bool passkeys_options(struct http_request *rq, const struct passkey_ask *ask, struct jout *j,
                      struct err *e)
{
    struct services *sv = rq->context;
    struct passkey *keys = NULL;
    struct str challenge;
    size_t n = 0;
    bool is_new = str_eq(str_c(ask->purpose), STR("register"));
    if (!passkeys_are_possible(rq))
        return err_set(e, ERR_UNPROCESSABLE,
                       "passkeys need a name: the host of BASE_URL is an IP address");
    if (!str_is_absent(ask->user_id) &&
        !passkeys_list(sv->db, rq->arena, ask->user_id, &keys, &n, e))
        return false;
    if (is_new && n >= LIMIT_PASSKEYS)
        return err_set(e, ERR_CONFLICT, "you have %d passkeys: remove one first", LIMIT_PASSKEYS);
    if (!challenge_make(rq, ask, &challenge, e))
        return false;
    jout_object(j);
    jout_kstr(j, "challenge", challenge);
    jout_ki64(j, "timeout", LIMIT_PASSKEY_MS);
    credentials_write(j, is_new ? "excludeCredentials" : "allowCredentials", keys, n);
    if (is_new) {
        if (!creation_write(rq, ask, j, e))
            return false;
    } else {
        jout_kstr(j, "rpId", party_of(rq).rp_id);
        jout_kstr(j, "userVerification",
                  str_is_absent(ask->user_id) ? STR("required") : STR("preferred"));
    }
    jout_object_end(j);
    return true;
}

/* ---- registration ---- */

bool passkeys_register(struct http_request *rq, const struct passkey_ask *ask,
                       const struct form *form, struct str name, struct err *e)
{
    struct services *sv = rq->context;
    const struct webauthn_party party = party_of(rq);
    struct str client_data, object, challenge;
    struct webauthn_data data;
    struct id id = id_new("pk");
    if (!field_bytes(rq->arena, form, "client_data", &client_data, e) ||
        !field_bytes(rq->arena, form, "attestation", &object, e) ||
        !webauthn_client_read(rq->arena, &party, client_data, "webauthn.create", &challenge, e) ||
        !challenge_take(rq, ask, challenge, e) || !webauthn_register(&party, object, &data, e))
        return false;
    const struct passkey p = {.id = id_str(&id),
                              .user_id = ask->user_id,
                              .credential_id = b64url(rq->arena, data.credential_id),
                              .public_key = b64url(rq->arena, data.key.text),
                              .aaguid = b64url(rq->arena, data.aaguid),
                              .sign_count = data.sign_count,
                              .is_backup_eligible = data.is_backup_eligible,
                              .is_backed_up = data.is_backed_up,
                              .name = name,
                              .created_at = clock_wall_ms()};
    if (str_is_absent(p.credential_id) || str_is_absent(p.public_key) || str_is_absent(p.aaguid))
        return no_memory(e);
    if (passkeys_insert(sv->db, rq->arena, &p, e))
        return true;
    return e->code == ERR_CONFLICT ? err_set(e, ERR_CONFLICT, "this passkey is registered already")
                                   : false;
}

/* ---- proof ---- */

static bool refused(struct err *e, const char *why)
{
    err_set(e, ERR_UNAUTHENTICATED, "That passkey did not work.");
    return err_detail(e, "passkey: %s", why);
}

static bool credential_find(struct http_request *rq, const struct passkey_ask *ask,
                            const struct form *form, struct passkey *out, struct err *e)
{
    struct services *sv = rq->context;
    struct str id, handle, own;
    (void)form_get(form, STR("credential_id"), &id);
    (void)form_get(form, STR("user_handle"), &handle);
    if (str_is_absent(id) || !passkeys_by_credential(sv->db, rq->arena, id, out, e)) {
        if (!str_is_absent(id) && e->code != ERR_NOT_FOUND)
            return false;
        return refused(e, "nobody's");
    }
    if (!str_is_absent(ask->user_id) && !str_eq(ask->user_id, out->user_id))
        return refused(e, "somebody else's");
    /* Who signs in by it alone says who they are; otherwise it need not. */
    if (str_is_absent(ask->user_id) || handle.n > 0) {
        if (!passkey_handles_get(sv->db, rq->arena, out->user_id, out->id, &own, e))
            return false;
        if (!str_eq(own, handle))
            return refused(e, "the user handle is another");
    }
    return true;
}

static bool judge(struct http_request *rq, const struct passkey_ask *ask, const struct form *form,
                  struct passkey *key, bool *is_verified, struct err *e)
{
    struct services *sv = rq->context;
    const struct webauthn_party party = party_of(rq);
    struct webauthn_assertion given;
    struct webauthn_data data;
    struct str challenge;
    if (!field_bytes(rq->arena, form, "client_data", &given.client_json, e) ||
        !field_bytes(rq->arena, form, "authenticator_data", &given.data, e) ||
        !field_bytes(rq->arena, form, "signature", &given.signature, e) ||
        !webauthn_client_read(rq->arena, &party, given.client_json, "webauthn.get", &challenge,
                              e) ||
        !challenge_take(rq, ask, challenge, e) || !credential_find(rq, ask, form, key, e) ||
        !bytes_of(rq->arena, key->public_key, &given.public_key, e) ||
        !webauthn_verify(rq->arena, &party, &given, &data, e))
        return false;
    if (str_is_absent(ask->user_id) && !data.is_verified)
        return refused(e, "its user was not verified");
    if (data.is_backup_eligible != key->is_backup_eligible)
        return refused(e, "its backup eligibility has changed");
    *is_verified = data.is_verified;
    if (passkeys_used(sv->db, rq->arena, key, data.sign_count, data.is_backed_up, clock_wall_ms(),
                      e))
        return true;
    return e->code == ERR_CONFLICT ? refused(e, "its counter went backwards: a copy?") : false;
}

bool passkeys_prove(struct http_request *rq, const struct passkey_ask *ask, const struct form *form,
                    struct str *who, bool *is_verified, struct err *e)
{
    struct services *sv = rq->context;
    struct passkey key = {0};
    if (judge(rq, ask, form, &key, is_verified, e)) {
        *who = key.user_id;
        return true;
    }
    const struct login_event event = {
        .method = str_is_absent(ask->user_id) ? "signin" : "second_factor",
        .user_id = str_is_absent(ask->user_id) ? key.user_id : ask->user_id,
        .name = STR("passkey"),
        .outcome = "denied",
        .error = e->detail[0] ? e->detail : e->msg};
    struct err ignored; /* *e says what happened */
    if ((e->code == ERR_UNAUTHENTICATED || e->code == ERR_BAD_REQUEST) &&
        !login_audit(sv, rq, &event, &ignored))
        *e = ignored;
    return false;
}
