#include "auth/downstream/connect.h"

#include "auth/downstream/client.h"
#include "auth/downstream/dpop.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/vault.h"
#include "crypto/hash.h"
#include "json/jout.h"
#include "json/jread.h"

struct downstream_pending {
    struct downstream_request row;
    const struct jvalue *kept;
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- there ---- */

struct beginning {
    struct services *sv;
    struct arena *a;
    const struct connection *conn;
    struct str owner;
    const struct downstream_person *person;
    struct downstream_settings settings;
    struct downstream_server server;
    struct downstream_identity client;
    struct str scope, redirect_uri;
    struct str dpop_key; /* absent: bearer tokens */
    struct secret_text state, verifier;
};

static void scope_add(struct buf *out, struct str list)
{
    struct str rest = list, word;
    while (!str_is_absent(list) && str_next(&rest, ' ', &word)) {
        if (word.n == 0 || str_list_has(buf_str(out), word))
            continue;
        if (out->n)
            buf_add_char(out, ' ');
        buf_add(out, word);
    }
}

/* What the server says, what it has asked for since, and the right to stay. */
static bool scope_choose(struct beginning *b, struct err *e)
{
    struct downstream_token before;
    struct buf out;
    const struct connection *conn = b->conn;
    bool has_before =
        downstream_tokens_get(b->sv->db, b->a, conn->org_id, conn->id, b->owner, &before, e);
    if (!has_before && e->code != ERR_NOT_FOUND)
        return false;
    buf_init(&out, LIMIT_SCOPE);
    scope_add(&out, b->server.scope);
    if (has_before && !str_is_absent(before.wanted_scope) &&
        str_eq(before.issuer, b->server.issuer)) {
        scope_add(&out, before.scope);
        scope_add(&out, before.wanted_scope);
    }
    if (b->server.has_offline_access)
        scope_add(&out, STR("offline_access"));
    b->scope = buf_ok(&out) ? arena_dup(b->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return !str_is_absent(b->scope) ||
           err_set(e, ERR_UPSTREAM, "the server asks for more scopes than can be sent");
}

static bool request_place(struct arena *a, const struct downstream_request *r,
                          struct vault_place *out)
{
    *out = (struct vault_place){r->org_id, STR("downstream_requests"), STR("sealed"),
                                arena_dup(a, r->hash)};
    return !str_is_absent(out->row);
}

static void put(struct jout *j, const char *name, struct str value)
{
    if (!str_is_absent(value))
        jout_kstr(j, name, value);
}

static void kept_write(const struct beginning *b, struct jout *j)
{
    const struct downstream_server *s = &b->server;
    jout_object(j);
    put(j, "verifier", str_c(b->verifier.text));
    put(j, "token_endpoint", s->token_endpoint);
    put(j, "revocation_endpoint", s->revocation_endpoint);
    put(j, "client_id", b->client.client_id);
    put(j, "client_secret", b->client.client_secret);
    put(j, "auth_method", b->client.auth_method);
    put(j, "private_key", b->client.private_key);
    put(j, "private_key_id", b->client.private_key_id);
    put(j, "redirect_uri", b->redirect_uri);
    put(j, "resource", b->settings.omits_resource ? STR_NONE : s->resource);
    put(j, "audience", b->settings.audience);
    put(j, "scope", b->scope);
    put(j, "dpop_key", b->dpop_key);
    put(j, "url", b->conn->url);
    jout_kbool(j, "has_iss", s->has_iss);
    jout_object_end(j);
}

static bool request_keep(struct beginning *b, struct err *e)
{
    int64_t now = clock_wall_ms();
    struct downstream_request row = {.hash = str_c(b->state.hash_hex),
                                     .org_id = b->conn->org_id,
                                     .connection_id = b->conn->id,
                                     .user_id = b->owner,
                                     .person_id = b->person->user_id,
                                     .session_id = b->person->session_id,
                                     .issuer = b->server.issuer,
                                     .expires_at = now + LIMIT_CONNECT_LIFE_MS};
    struct vault_place place;
    struct buf plain;
    struct jout j;
    buf_init(&plain, LIMIT_OAUTH_DOCUMENT);
    bool is_good = buf_reserve(&plain, LIMIT_OAUTH_DOCUMENT - 1) != NULL;
    jout_init(&j, &plain);
    kept_write(b, &j);
    is_good = (is_good && buf_ok(&plain) && request_place(b->a, &row, &place)) || no_memory(e);
    is_good = is_good && vault_seal(b->sv->vault, b->a, &place, buf_str(&plain), &row.sealed, e) &&
              downstream_requests_put(b->sv->db, b->a, &row, now, e);
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    return is_good;
}

static bool address_write(const struct beginning *b, struct str *url, struct err *e)
{
    struct sha256 digest = hash_sha256(str_c(b->verifier.text));
    struct buf challenge, form;
    const struct downstream_server *s = &b->server;
    buf_init(&challenge, SECRET_TEXT_SIZE);
    buf_init(&form, LIMIT_RETURN_TO);
    text_b64url(&challenge, digest.b, sizeof(digest.b));
    downstream_form_add(&form, "response_type", STR("code"));
    downstream_form_add(&form, "client_id", b->client.client_id);
    downstream_form_add(&form, "redirect_uri", b->redirect_uri);
    downstream_form_add(&form, "state", str_c(b->state.text));
    downstream_form_add(&form, "code_challenge", buf_str(&challenge));
    downstream_form_add(&form, "code_challenge_method", STR("S256"));
    if (b->scope.n > 0)
        downstream_form_add(&form, "scope", b->scope);
    if (!b->settings.omits_resource)
        downstream_form_add(&form, "resource", s->resource);
    downstream_form_add(&form, "audience", b->settings.audience);
    if (!str_is_absent(b->dpop_key))
        downstream_form_add(&form, "dpop_jkt", dpop_key_thumbprint(b->a, b->dpop_key));
    /* OpenID Connect Core section 11: offline_access is given to who asks the person. */
    if (s->has_offline_access)
        downstream_form_add(&form, "prompt", STR("consent"));
    const char *joint = str_find_char(s->authorization_endpoint, '?') == SIZE_MAX ? "?" : "&";
    *url = buf_ok(&form) && buf_ok(&challenge)
               ? arena_printf(b->a, "%.*s%s%.*s", STR_FMT(s->authorization_endpoint), joint,
                              STR_FMT(buf_str(&form)))
               : STR_NONE;
    buf_end(&challenge);
    buf_end(&form);
    return !str_is_absent(*url) || no_memory(e);
}

/* One for the authorization that begins: the code is bound to it already (RFC 9449 section 10). */
static bool key_choose(struct beginning *b, struct err *e)
{
    if (b->server.uses_dpop)
        b->dpop_key = dpop_key_make(b->a);
    return !b->server.uses_dpop || !str_is_absent(b->dpop_key) || no_memory(e);
}

bool downstream_connect_begin(struct services *sv, struct arena *a, const struct connection *conn,
                              struct str owner, const struct downstream_person *person,
                              struct str *url, struct err *e)
{
    struct beginning b = {.sv = sv, .a = a, .conn = conn, .owner = owner, .person = person};
    secret_text_make(&b.state, "");
    secret_text_make(&b.verifier, "");
    b.redirect_uri = downstream_redirect_uri(a, person->origin);
    bool is_good = !str_is_absent(b.redirect_uri) || no_memory(e);
    is_good =
        is_good && downstream_settings_read(a, conn, &b.settings, e) &&
        downstream_discover(sv, a, conn, &b.settings, &b.server, e) && key_choose(&b, e) &&
        downstream_client_find(sv, a, conn, &(const struct downstream_asker){owner, b.redirect_uri},
                               &b.server, &b.client, e) &&
        scope_choose(&b, e) && request_keep(&b, e) && address_write(&b, url, e);
    secret_wipe(&b.state, sizeof(b.state));
    secret_wipe(&b.verifier, sizeof(b.verifier));
    return is_good;
}

/* ---- and back ---- */

static struct str param(const struct form *params, const char *name)
{
    struct str value;
    return form_get(params, str_c(name), &value) == FORM_ONCE && value.n > 0 ? value : STR_NONE;
}

static bool is_repeated(const struct form *params, const char *name)
{
    struct str ignored;
    return form_get(params, str_c(name), &ignored) == FORM_REPEATED;
}

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

static bool kept_open(struct services *sv, struct arena *a, struct downstream_pending *p,
                      struct err *e)
{
    struct vault_place place;
    auto_free(secret_end) struct secret plain = {0};
    if (!request_place(a, &p->row, &place))
        return no_memory(e);
    if (!vault_open(sv->vault, a, &place, p->row.sealed, &plain, e))
        return false;
    struct jdoc *doc = jdoc_parse(secret_reveal(&plain), e);
    if (!doc || !arena_on_end(a, doc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_INTERNAL, "what was begun is damaged");
    }
    p->kept = jdoc_root(doc);
    return true;
}

bool downstream_connect_take(struct services *sv, struct arena *a, const struct form *params,
                             const struct downstream_person *person,
                             struct downstream_pending **out, struct downstream_return *about,
                             struct err *e)
{
    struct str state = param(params, "state"), hash = secret_text_hash(a, state);
    struct downstream_pending *p = arena_alloc(a, sizeof(*p));
    if (!p || str_is_absent(hash))
        return no_memory(e);
    bool is_good = !str_is_absent(state) && !is_repeated(params, "code") &&
                   !is_repeated(params, "iss") && !is_repeated(params, "error");
    if (is_good && !downstream_requests_take(sv->db, a, hash, person->session_id, clock_wall_ms(),
                                             &p->row, e)) {
        if (e->code != ERR_NOT_FOUND)
            return false;
        is_good = false;
    }
    if (!is_good || !str_eq(p->row.person_id, person->user_id))
        return err_set(e, ERR_BAD_REQUEST,
                       "This answer belongs to nothing that was begun in this browser, or it took "
                       "too long. Start again from the connections page.");
    *about = (struct downstream_return){p->row.org_id, p->row.connection_id, p->row.user_id};
    *out = p;
    return kept_open(sv, a, p, e);
}

/* RFC 9207 section 2.4: an answer of another server is no answer, error or not. */
static bool issuer_check(const struct downstream_pending *p, const struct form *params,
                         struct err *e)
{
    struct str iss = param(params, "iss");
    bool is_good =
        str_is_absent(iss) ? !jv_get_bool(p->kept, "has_iss", false) : str_eq(iss, p->row.issuer);
    return is_good || err_set(e, ERR_BAD_REQUEST,
                              "This answer is not from the authorization server that was asked. "
                              "Nothing was stored.");
}

static bool error_check(const struct form *params, struct err *e)
{
    struct str error = param(params, "error");
    if (str_is_absent(error))
        return true;
    if (str_eq(error, STR("access_denied")))
        return err_set(e, ERR_ACCESS_DENIED,
                       "The server was not connected: access was denied "
                       "there.");
    err_set(e, ERR_ACCESS_DENIED,
            "The server was not connected: its authorization server answered "
            "with an error.");
    bool is_word = error.n <= 60 && !text_has_control(error);
    return is_word ? err_detail(e, "it says %.*s", STR_FMT(error)) : false;
}

static bool redeem(struct services *sv, struct arena *a, const struct downstream_pending *p,
                   struct str code, struct downstream_grant *g, struct downstream_tokens_got *got,
                   struct err *e)
{
    struct buf form;
    struct err ignored;
    buf_init(&form, LIMIT_OAUTH_DOCUMENT);
    downstream_form_add(&form, "grant_type", STR("authorization_code"));
    downstream_form_add(&form, "code", code);
    downstream_form_add(&form, "redirect_uri", jv_get_str(p->kept, "redirect_uri"));
    downstream_form_add(&form, "code_verifier", jv_get_str(p->kept, "verifier"));
    downstream_form_add(&form, "resource", g->resource);
    downstream_form_add(&form, "audience", g->audience);
    bool is_good = downstream_token_request(sv, a, g, &form, got, e);
    if (form.p)
        secret_wipe(form.p, form.n);
    buf_end(&form);
    /* A registration that the server has forgotten is made anew next time. */
    if (!is_good && e->code == ERR_INVALID_CLIENT)
        (void)!downstream_clients_delete(sv->db, a, p->row.org_id, p->row.connection_id,
                                         p->row.issuer, &ignored);
    if (!is_good && (e->code == ERR_INVALID_GRANT || e->code == ERR_INVALID_CLIENT))
        e->code = ERR_UPSTREAM;
    return is_good;
}

static bool tokens_keep(struct services *sv, struct arena *a, const struct downstream_pending *p,
                        struct downstream_grant *g, const struct downstream_tokens_got *got,
                        struct err *e)
{
    int64_t now = clock_wall_ms();
    const struct connection_note note = {.status = STR("unknown"), .tool_count = -1};
    struct err ignored;
    struct downstream_token row = {
        .connection_id = p->row.connection_id,
        .user_id = p->row.user_id,
        .issuer = p->row.issuer,
        .scope = str_is_absent(got->scope) ? jv_get_str(p->kept, "scope") : got->scope,
        .expires_at = got->expires_in_s ? now + got->expires_in_s * 1000 : 0,
        .generation = now, /* never the number of an earlier authorization */
        .authorized_by = p->row.person_id,
        .authorized_at = now,
        .updated_at = now};
    downstream_grant_take(g, got);
    if (!got->is_bound)
        g->dpop_key = STR_NONE; /* bearer tokens, as from any other server */
    if (!downstream_grant_seal(sv, a, p->row.org_id, &row, g, &row.sealed, e) ||
        !downstream_tokens_put(sv->db, a, p->row.org_id, &row, e)) {
        downstream_token_revoke(sv, a, g); /* the connection is gone, or the store: nobody has it */
        return false;
    }
    if (p->row.user_id.n == 0)
        (void)!connections_note(sv->db, a, p->row.org_id, p->row.connection_id, &note, now,
                                &ignored);
    return true;
}

bool downstream_connect_finish(struct services *sv, struct arena *a,
                               const struct downstream_pending *pending,
                               const struct connection *conn, const struct form *params,
                               struct err *e)
{
    const struct jvalue *kept = pending->kept;
    struct str code = param(params, "code");
    struct downstream_tokens_got got;
    struct downstream_grant g = {
        .client = {jv_get_str(kept, "client_id"), jv_get_str(kept, "client_secret"),
                   jv_get_str(kept, "auth_method"), jv_get_str(kept, "private_key"),
                   jv_get_str(kept, "private_key_id")},
        .issuer = pending->row.issuer,
        .token_endpoint = jv_get_str(kept, "token_endpoint"),
        .revocation_endpoint = jv_get_str(kept, "revocation_endpoint"),
        .resource = jv_get_str(kept, "resource"),
        .audience = jv_get_str(kept, "audience"),
        .dpop_key = jv_get_str(kept, "dpop_key"),
        .origin = downstream_origin(a, conn)};
    if (!issuer_check(pending, params, e) || !error_check(params, e))
        return false;
    if (str_is_absent(code))
        return err_set(e, ERR_BAD_REQUEST, "The authorization server's answer has no code.");
    if (!str_eq(jv_get_str(kept, "url"), conn->url))
        return err_set(e, ERR_BAD_REQUEST,
                       "The connection was changed meanwhile. Start again from the connections "
                       "page.");
    return redeem(sv, a, pending, code, &g, &got, e) && tokens_keep(sv, a, pending, &g, &got, e);
}
