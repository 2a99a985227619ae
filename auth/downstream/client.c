#include "auth/downstream/client.h"

#include "auth/downstream/fetch.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "core/vault.h"
#include "json/jout.h"
#include "store/credentials.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

struct str downstream_redirect_uri(struct arena *a, struct str origin)
{
    return arena_printf(a, "%.*s/oauth/connect/callback", STR_FMT(origin));
}

static struct str document_address(const struct services *sv, struct arena *a)
{
    return arena_printf(a, "%s/oauth/client-metadata.json", sv->config->origin);
}

bool downstream_has_document(const struct services *sv)
{
    return sv->config->base_is_https && !sv->config->base_is_loopback &&
           !str_eq(str_c(sv->config->cimd), STR("off"));
}

/* The members that the document and a registration share. */
static void metadata_write(const struct services *sv, struct jout *j, struct str redirect_uri,
                           struct str auth_method)
{
    jout_kstr(j, "client_name", STR("Tulle"));
    jout_kstr(j, "client_uri", str_c(sv->config->origin));
    jout_key(j, STR("redirect_uris"));
    jout_array(j);
    jout_str(j, redirect_uri);
    jout_array_end(j);
    jout_key(j, STR("grant_types"));
    jout_array(j);
    jout_str(j, STR("authorization_code"));
    jout_str(j, STR("refresh_token"));
    jout_array_end(j);
    jout_key(j, STR("response_types"));
    jout_array(j);
    jout_str(j, STR("code"));
    jout_array_end(j);
    jout_kstr(j, "token_endpoint_auth_method", auth_method);
    jout_kstr(j, "application_type", STR("web"));
}

void downstream_client_document(struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "client_id", document_address(sv, rq->arena));
    metadata_write(sv, &j, downstream_redirect_uri(rq->arena, str_c(sv->config->origin)),
                   STR("none"));
    jout_object_end(&j);
    struct str body = buf_ok(&out) ? arena_dup(rq->arena, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    http_set_header(rq, STR("Cache-Control"), STR("public, max-age=3600"));
    http_answer(rq, str_is_absent(body) ? 503 : 200, STR("application/json"), body);
}

/* ---- what an administrator registered ---- */

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

/* Opens a sealed JSON object. */
static bool sealed_read(struct services *sv, struct arena *a, const struct vault_place *place,
                        struct str sealed, const struct jvalue **out, struct err *e)
{
    auto_free(secret_end) struct secret plain = {0};
    if (!vault_open(sv->vault, a, place, sealed, &plain, e))
        return false;
    struct jdoc *doc = jdoc_parse(secret_reveal(&plain), e);
    if (!doc || !arena_on_end(a, doc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_INTERNAL, "a stored registration is damaged");
    }
    *out = jdoc_root(doc);
    return true;
}

/* Writes the issuer to what is kept. */
static bool given_bind(struct services *sv, struct arena *a, const struct vault_place *place,
                       const struct credential_row *row, const struct jvalue *given,
                       struct str issuer, struct err *e)
{
    struct str name, sealed;
    const struct jvalue *value;
    void *at = NULL;
    struct buf plain;
    struct jout j;
    buf_init(&plain, LIMIT_OAUTH_DOCUMENT);
    bool is_good = buf_reserve(&plain, LIMIT_OAUTH_DOCUMENT - 1) || no_memory(e);
    jout_init(&j, &plain);
    jout_object(&j);
    while (jv_member(given, &at, &name, &value)) {
        jout_key(&j, name);
        jout_str(&j, jv_str(value));
    }
    jout_kstr(&j, "issuer", issuer);
    jout_object_end(&j);
    is_good = is_good && (buf_ok(&plain) || no_memory(e)) &&
              vault_seal(sv->vault, a, place, buf_str(&plain), &sealed, e) &&
              credentials_reseal(sv->db, a, place->org_id, row, sealed, e);
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    return is_good;
}

/* The first authorization server that a registration is used at is the one that it is for: a server
 * that names another later would have it sent there (MCP Authorization, "Authorization server
 * binding"). */
static bool given_check(struct services *sv, struct arena *a, const struct vault_place *place,
                        const struct credential_row *row, const struct jvalue *given,
                        struct str issuer, struct err *e)
{
    struct str bound = jv_get_str(given, "issuer");
    if (str_is_absent(bound))
        return given_bind(sv, a, place, row, given, issuer, e);
    return str_eq(bound, issuer) ||
           err_set(e, ERR_UPSTREAM_AUTH,
                   "the server names the authorization server %.*s now, and client_id was given "
                   "for %.*s: an administrator makes sure of that and calls "
                   "CONNECTION_CREDENTIAL_SET with client_id again",
                   STR_FMT(issuer), STR_FMT(bound));
}

static bool given_of(struct services *sv, struct arena *a, const struct connection *conn,
                     struct str owner, struct str issuer, const struct jvalue **out, struct err *e)
{
    struct credential_row row;
    *out = NULL;
    if (!credentials_get(sv->db, a, conn->org_id, conn->id, owner, &row, e))
        return e->code == ERR_NOT_FOUND;
    if (!str_eq(row.kind, STR("oauth_client")))
        return true;
    struct str row_id = arena_printf(a, "%.*s/%.*s", STR_FMT(conn->id), STR_FMT(owner));
    struct vault_place place = {conn->org_id, STR("credentials"), STR("sealed"), row_id};
    return (!str_is_absent(row_id) || no_memory(e)) &&
           sealed_read(sv, a, &place, row.sealed, out, e) &&
           given_check(sv, a, &place, &row, *out, issuer, e);
}

static struct str method_for_secret(const struct downstream_server *server)
{
    return server->has_post && !server->has_basic ? STR("client_secret_post")
                                                  : STR("client_secret_basic");
}

static bool given_find(struct services *sv, struct arena *a, const struct connection *conn,
                       struct str owner, const struct downstream_server *server,
                       struct downstream_identity *out, struct err *e)
{
    const struct jvalue *given;
    if (!given_of(sv, a, conn, owner, server->issuer, &given, e) ||
        (!given && owner.n > 0 && !given_of(sv, a, conn, STR(""), server->issuer, &given, e)))
        return false;
    out->client_id = jv_get_str(given, "client_id");
    out->client_secret = jv_get_str(given, "client_secret");
    out->private_key = jv_get_str(given, "private_key");
    out->private_key_id = jv_get_str(given, "private_key_id");
    if (!str_is_absent(out->private_key))
        out->auth_method = STR("private_key_jwt");
    else
        out->auth_method =
            str_is_absent(out->client_secret) ? STR("none") : method_for_secret(server);
    return true;
}

bool downstream_client_given(struct services *sv, struct arena *a, const struct connection *conn,
                             const struct downstream_server *server,
                             struct downstream_identity *out, struct err *e)
{
    return given_find(sv, a, conn, STR(""), server, out, e);
}

/* ---- dynamic registration ---- */

static bool client_place(struct arena *a, const struct connection *conn, struct str issuer,
                         struct vault_place *out, struct err *e)
{
    struct str id = arena_printf(a, "%.*s/%.*s", STR_FMT(conn->id), STR_FMT(issuer));
    *out = (struct vault_place){conn->org_id, STR("downstream_clients"), STR("sealed"), id};
    return !str_is_absent(id) || no_memory(e);
}

static bool registered_find(struct services *sv, struct arena *a, const struct connection *conn,
                            struct str issuer, struct str redirect_uri,
                            struct downstream_identity *out, struct err *e)
{
    struct downstream_client row;
    struct vault_place place;
    const struct jvalue *kept = NULL;
    if (!downstream_clients_get(sv->db, a, conn->org_id, conn->id, issuer, &row, e))
        return e->code == ERR_NOT_FOUND;
    if (!str_eq(row.redirect_uri, redirect_uri))
        return true; /* BASE_URL was another then */
    if (!client_place(a, conn, issuer, &place, e) ||
        !sealed_read(sv, a, &place, row.sealed, &kept, e))
        return false;
    int64_t until_s = jv_get_i64(kept, "client_secret_expires_at", 0);
    if (until_s != 0 && until_s * 1000 <= clock_wall_ms() + LIMIT_CONNECT_LIFE_MS)
        return true;
    out->client_id = jv_get_str(kept, "client_id");
    out->client_secret = jv_get_str(kept, "client_secret");
    out->auth_method = jv_get_str(kept, "token_endpoint_auth_method");
    return true;
}

static struct str method_for_registration(const struct downstream_server *s)
{
    if (s->has_none)
        return STR("none");
    return s->has_post && !s->has_basic ? STR("client_secret_post") : STR("client_secret_basic");
}

static bool registration_keep(struct services *sv, struct arena *a, const struct connection *conn,
                              struct str issuer, struct str redirect_uri,
                              const struct downstream_identity *c, int64_t until_s, struct err *e)
{
    struct downstream_client row = {.connection_id = conn->id,
                                    .issuer = issuer,
                                    .redirect_uri = redirect_uri,
                                    .created_at = clock_wall_ms()};
    struct vault_place place;
    struct buf plain;
    struct jout j;
    buf_init(&plain, LIMIT_OAUTH_DOCUMENT);
    bool is_good = buf_reserve(&plain, LIMIT_OAUTH_DOCUMENT - 1) || no_memory(e);
    jout_init(&j, &plain);
    jout_object(&j);
    jout_kstr(&j, "client_id", c->client_id);
    if (!str_is_absent(c->client_secret))
        jout_kstr(&j, "client_secret", c->client_secret);
    jout_kstr(&j, "token_endpoint_auth_method", c->auth_method);
    jout_ki64(&j, "client_secret_expires_at", until_s);
    jout_object_end(&j);
    is_good = is_good && client_place(a, conn, issuer, &place, e) &&
              vault_seal(sv->vault, a, &place, buf_str(&plain), &row.sealed, e) &&
              downstream_clients_put(sv->db, a, conn->org_id, &row, e);
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    return is_good;
}

static bool register_post_to(struct services *sv, struct arena *a, struct str redirect_uri,
                             const struct downstream_server *server,
                             struct downstream_answer *answer, struct err *e)
{
    struct buf body;
    struct jout j;
    buf_init(&body, LIMIT_BODY_SMALL);
    jout_init(&j, &body);
    jout_object(&j);
    metadata_write(sv, &j, redirect_uri, method_for_registration(server));
    jout_object_end(&j);
    struct downstream_post post = {.type = STR("application/json"), .body = buf_str(&body)};
    bool is_good = buf_ok(&body)
                       ? downstream_fetch(sv, a, server->registration_endpoint, &post, answer, e)
                       : no_memory(e);
    buf_end(&body);
    return is_good;
}

static bool register_now(struct services *sv, struct arena *a, const struct connection *conn,
                         const struct downstream_server *server, struct str redirect_uri,
                         struct downstream_identity *out, struct err *e)
{
    struct downstream_answer answer = {0};
    if (!register_post_to(sv, a, redirect_uri, server, &answer, e))
        return false;
    out->client_id = jv_get_str(answer.json, "client_id");
    out->client_secret = jv_get_str(answer.json, "client_secret");
    if ((answer.status != 201 && answer.status != 200) || str_is_absent(out->client_id) ||
        out->client_id.n == 0 || out->client_id.n > LIMIT_URL || out->client_secret.n > LIMIT_TOKEN)
        return err_set(e, ERR_UPSTREAM_AUTH,
                       "the authorization server %.*s does not let Tulle register itself (HTTP "
                       "%d): an administrator registers it there with the redirect address %.*s "
                       "and calls CONNECTION_CREDENTIAL_SET with client_id",
                       STR_FMT(server->issuer), answer.status, STR_FMT(redirect_uri));
    struct str granted = jv_get_str(answer.json, "token_endpoint_auth_method");
    if (str_is_absent(out->client_secret))
        out->auth_method = STR("none");
    else if (str_eq(granted, STR("client_secret_post")) ||
             str_eq(granted, STR("client_secret_basic")) || str_eq(granted, STR("none")))
        out->auth_method = granted;
    else
        out->auth_method = method_for_secret(server);
    return registration_keep(sv, a, conn, server->issuer, redirect_uri, out,
                             jv_get_i64(answer.json, "client_secret_expires_at", 0), e);
}

bool downstream_client_find(struct services *sv, struct arena *a, const struct connection *conn,
                            const struct downstream_asker *who,
                            const struct downstream_server *server, struct downstream_identity *out,
                            struct err *e)
{
    struct str owner = who->owner, redirect_uri = who->redirect_uri;
    *out = (struct downstream_identity){.client_id = STR_NONE};
    if (!given_find(sv, a, conn, owner, server, out, e))
        return false;
    if (!str_is_absent(out->client_id))
        return true;
    if (server->has_client_documents && downstream_has_document(sv)) {
        *out = (struct downstream_identity){.client_id = document_address(sv, a),
                                            .auth_method = STR("none")};
        return !str_is_absent(out->client_id) || no_memory(e);
    }
    if (!registered_find(sv, a, conn, server->issuer, redirect_uri, out, e))
        return false;
    if (!str_is_absent(out->client_id))
        return true;
    if (!str_is_absent(server->registration_endpoint))
        return register_now(sv, a, conn, server, redirect_uri, out, e);
    return err_set(e, ERR_UPSTREAM_AUTH,
                   "the authorization server %.*s wants registered clients: an administrator "
                   "registers Tulle there with the redirect address %.*s and calls "
                   "CONNECTION_CREDENTIAL_SET with client_id",
                   STR_FMT(server->issuer), STR_FMT(redirect_uri));
}
