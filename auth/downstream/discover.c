#include "auth/downstream/discover.h"

#include "auth/downstream/fetch.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/uri.h"
#include "io/http_client.h"

struct discovery {
    struct services *sv;
    struct arena *a;
    const struct connection *conn;
    const struct downstream_settings *settings;
    struct downstream_server *out;
    struct uri uri;              /* the connection's */
    struct str origin;           /* the connection's */
    bool wants_dpop, needs_dpop; /* the server: it takes bound tokens, it takes no others */
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

bool downstream_settings_read(struct arena *a, const struct connection *conn,
                              struct downstream_settings *out, struct err *e)
{
    struct err ignored;
    *out = (struct downstream_settings){.omits_resource = false};
    if (str_is_absent(conn->metadata))
        return true;
    struct jdoc *doc = jdoc_parse(conn->metadata, &ignored);
    if (!doc)
        return true;
    if (!arena_on_end(a, doc_free, doc)) {
        jdoc_free(doc);
        return no_memory(e);
    }
    const struct jvalue *oauth = jv_get(jdoc_root(doc), "oauth");
    out->omits_resource = !jv_get_bool(oauth, "send_resource", true);
    out->audience = jv_get_str(oauth, "audience");
    out->scope = jv_get_str(oauth, "scope");
    out->issuer = jv_get_str(oauth, "issuer");
    out->is_machine = str_eq(jv_get_str(oauth, "grant"), STR("client_credentials"));
    out->assumes_s256 = jv_get_bool(oauth, "assume_s256", false);
    return true;
}

/* ---- the server's own word ---- */

/* One request without a credential: what a 401 to it says. *is_refused: there was one. */
static bool challenge_to(struct discovery *d, struct str body, struct downstream_challenge *out,
                         bool *is_refused, struct err *e)
{
    static const struct http_header headers[] = {
        {STR("Content-Type"), STR("application/json")},
        {STR("Accept"), STR("application/json, text/event-stream")},
        {STR("User-Agent"), STR("tulle/" TULLE_VERSION)},
        {STR("MCP-Protocol-Version"), STR("2025-11-25")}};
    struct http_call call = {.method = STR("POST"),
                             .url = d->conn->url,
                             .headers = headers,
                             .n_headers = ARRAY_LEN(headers),
                             .body = body,
                             .first_byte_ms = LIMIT_OAUTH_MS,
                             .total_ms = LIMIT_OAUTH_MS};
    struct http_answer_head head;
    struct http_exchange *x = http_open(d->sv->http, &call, &head, e);
    if (!x)
        return false;
    *is_refused = head.status == 401;
    if (!*is_refused || !downstream_challenge_of(d->a, &head, out))
        *out = (struct downstream_challenge){.error = STR_NONE};
    http_close(x);
    return true;
}

/* What the server says to somebody without a credential. That it says nothing is no failure. A list
 * comes first: it opens no session, and many servers let anybody initialize. */
static bool challenge_ask(struct discovery *d, struct downstream_challenge *out, struct err *e)
{
    static const struct str bodies[] = {
        STR("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{}}"),
        STR("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
            "\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":"
            "\"tulle\",\"version\":\"" TULLE_VERSION "\"}}}")};
    bool is_refused = false;
    if (!http_guard_url(d->sv->guard, d->conn->url, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(bodies) && !is_refused; i++)
        if (!challenge_to(d, bodies[i], out, &is_refused, e))
            return false;
    d->wants_dpop = out->has_dpop &&
                    (str_is_absent(out->dpop_algs) || str_list_has(out->dpop_algs, STR("ES256")));
    return true;
}

/* A document that may not be there: *out NULL. Broken, redirected or unreachable is a failure. */
static bool document_get(struct discovery *d, struct str url, const struct jvalue **out,
                         struct err *e)
{
    struct downstream_answer answer;
    *out = NULL;
    if (str_is_absent(url))
        return no_memory(e);
    if (!downstream_fetch(d->sv, d->a, url, NULL, &answer, e))
        return false;
    if (answer.status == 200 && answer.json) {
        *out = answer.json;
        return true;
    }
    if (answer.status == 200)
        return err_set(e, ERR_UPSTREAM, "the metadata at %.*s is no JSON object", STR_FMT(url));
    if (answer.status >= 300 && answer.status < 400)
        return err_set(e, ERR_UPSTREAM, "the metadata at %.*s is a redirect, which is not followed",
                       STR_FMT(url));
    if (answer.status >= 500)
        return err_set(e, ERR_UPSTREAM, "the metadata at %.*s cannot be read (HTTP %d)",
                       STR_FMT(url), answer.status);
    return true;
}

static struct str path_of(const struct uri *u)
{
    struct str path = u->path;
    while (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

/* ---- protected resource metadata (RFC 9728) ---- */

/* The connection's address, or a parent of it at the same origin: what the official clients take.
 */
static bool resource_fits(const struct discovery *d, struct str resource)
{
    struct uri u;
    if (resource.n > LIMIT_URL || !uri_parse(resource, &u) || !uri_is_http(&u) ||
        !str_is_absent(u.fragment))
        return false;
    struct str origin = uri_origin(d->a, &u), ours = path_of(&d->uri), theirs = path_of(&u);
    if (str_is_absent(origin) || !str_eq(origin, d->origin))
        return false;
    return str_starts(ours, theirs) && (ours.n == theirs.n || ours.p[theirs.n] == '/');
}

/* Scopes as a list separated by spaces. */
static struct str scopes_join(struct arena *a, const struct jvalue *list)
{
    struct buf out;
    buf_init(&out, LIMIT_SCOPE);
    for (size_t i = 0; i < jv_count(list); i++) {
        struct str one = jv_str(jv_at(list, i));
        if (one.n == 0 || text_has_control(one) || str_find_char(one, ' ') != SIZE_MAX)
            continue;
        if (out.n)
            buf_add_char(&out, ' ');
        buf_add(&out, one);
    }
    struct str joined = buf_ok(&out) && out.n ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return joined;
}

static bool has_item(const struct jvalue *list, struct str item)
{
    for (size_t i = 0; i < jv_count(list); i++)
        if (str_eq(jv_str(jv_at(list, i)), item))
            return true;
    return false;
}

/* The authorization server: the one that the administrator named if the server names it too, else
 * its first. */
static bool issuer_choose(struct discovery *d, const struct jvalue *resource, struct err *e)
{
    const struct jvalue *list = jv_get(resource, "authorization_servers");
    struct str wanted = d->settings->issuer;
    d->out->issuer = str_is_absent(wanted) ? jv_str(jv_at(list, 0)) : wanted;
    if (str_is_absent(d->out->issuer) || d->out->issuer.n == 0)
        return err_set(e, ERR_UPSTREAM, "the server's metadata names no authorization server");
    if (!str_is_absent(wanted) && !has_item(list, wanted))
        return err_set(e, ERR_UPSTREAM,
                       "the server does not name the authorization server %.*s that the "
                       "connection's metadata asks for",
                       STR_FMT(wanted));
    return true;
}

/* *is_found false: there is no such metadata. */
static bool resource_find(struct discovery *d, const struct downstream_challenge *challenge,
                          bool *is_found, struct err *e)
{
    const struct jvalue *doc = NULL;
    struct str path = path_of(&d->uri);
    *is_found = false;
    if (!str_is_absent(challenge->resource_metadata)) {
        if (!document_get(d, challenge->resource_metadata, &doc, e))
            return false;
        if (!doc)
            return err_set(e, ERR_UPSTREAM, "the server names metadata at %.*s, and there is none",
                           STR_FMT(challenge->resource_metadata));
    }
    if (!doc && path.n > 0 &&
        !document_get(d,
                      arena_printf(d->a, "%.*s/.well-known/oauth-protected-resource%.*s",
                                   STR_FMT(d->origin), STR_FMT(path)),
                      &doc, e))
        return false;
    if (!doc &&
        !document_get(
            d, arena_printf(d->a, "%.*s/.well-known/oauth-protected-resource", STR_FMT(d->origin)),
            &doc, e))
        return false;
    if (!doc)
        return true;
    d->out->resource = jv_get_str(doc, "resource");
    if (str_is_absent(d->out->resource) || !resource_fits(d, d->out->resource))
        return err_set(e, ERR_UPSTREAM, "the server's metadata is about another resource than %.*s",
                       STR_FMT(d->conn->url));
    d->needs_dpop = jv_get_bool(doc, "dpop_bound_access_tokens_required", false);
    if (has_item(jv_get(doc, "dpop_signing_alg_values_supported"), STR("ES256")))
        d->wants_dpop = true;
    d->out->scope = scopes_join(d->a, jv_get(doc, "scopes_supported"));
    *is_found = true;
    return issuer_choose(d, doc, e);
}

/* ---- authorization server metadata (RFC 8414) ---- */

static bool endpoint_read(struct discovery *d, const struct jvalue *doc, const char *name,
                          bool is_needed, struct str *out, struct err *e)
{
    *out = jv_get_str(doc, name);
    if (str_is_absent(*out) && !is_needed)
        return true;
    struct uri u;
    if (str_is_absent(*out) || out->n > LIMIT_URL || !uri_parse(*out, &u) || !uri_is_http(&u) ||
        u.host.n == 0 || !str_is_absent(u.userinfo) || !str_is_absent(u.fragment))
        return err_set(e, ERR_UPSTREAM, "the authorization server's %s is no good address", name);
    if (http_guard_url(d->sv->guard, *out, e))
        return true;
    struct err why = *e;
    return err_set(e, ERR_EGRESS, "the authorization server's %s: %.300s", name, why.msg);
}

static void abilities_read(struct downstream_server *s, const struct jvalue *doc)
{
    const struct jvalue *methods = jv_get(doc, "token_endpoint_auth_methods_supported");
    s->has_client_documents = jv_get_bool(doc, "client_id_metadata_document_supported", false);
    s->has_iss = jv_get_bool(doc, "authorization_response_iss_parameter_supported", false);
    s->has_offline_access = has_item(jv_get(doc, "scopes_supported"), STR("offline_access"));
    /* RFC 8414 section 2: without the member, client_secret_basic. */
    s->has_basic = !methods || has_item(methods, STR("client_secret_basic"));
    s->has_post = has_item(methods, STR("client_secret_post"));
    s->has_none = has_item(methods, STR("none"));
}

/* Tokens are bound to a key where both sides can: where the server wants it (its challenge or its
 * metadata) and the authorization server says that it offers it (RFC 9449 section 5.1). A server
 * that takes no others is believed before metadata that is silent. */
static bool dpop_choose(struct discovery *d, const struct jvalue *doc, struct err *e)
{
    const struct jvalue *algs = jv_get(doc, "dpop_signing_alg_values_supported");
    bool is_offered = has_item(algs, STR("ES256"));
    d->out->uses_dpop = is_offered ? d->wants_dpop || d->needs_dpop : d->needs_dpop && !algs;
    return is_offered || !d->needs_dpop || !algs ||
           err_set(e, ERR_UPSTREAM,
                   "the server takes only tokens that are bound by DPoP, which the authorization "
                   "server %.*s does not offer with ES256",
                   STR_FMT(d->out->issuer));
}

static bool metadata_read(struct discovery *d, const struct jvalue *doc, struct err *e)
{
    struct downstream_server *s = d->out;
    if (!str_eq(jv_get_str(doc, "issuer"), s->issuer))
        return err_set(e, ERR_UPSTREAM,
                       "the metadata of the authorization server %.*s is of another issuer",
                       STR_FMT(s->issuer));
    const struct jvalue *challenges = jv_get(doc, "code_challenge_methods_supported");
    bool has_codes = !d->settings->is_machine; /* client credentials know no codes, nor PKCE */
    if (has_codes && !has_item(challenges, STR("S256")) && !d->settings->assumes_s256)
        return err_set(e, ERR_UPSTREAM,
                       "the authorization server %.*s does not say that it supports PKCE with S256",
                       STR_FMT(s->issuer));
    abilities_read(s, doc);
    return dpop_choose(d, doc, e) &&
           endpoint_read(d, doc, "authorization_endpoint", has_codes, &s->authorization_endpoint,
                         e) &&
           endpoint_read(d, doc, "token_endpoint", true, &s->token_endpoint, e) &&
           endpoint_read(d, doc, "registration_endpoint", false, &s->registration_endpoint, e) &&
           endpoint_read(d, doc, "revocation_endpoint", false, &s->revocation_endpoint, e);
}

/* The forms that RFC 8414 and OpenID Connect Discovery know, in the order of MCP Authorization. */
static bool metadata_find(struct discovery *d, const struct jvalue **doc, struct err *e)
{
    struct uri u;
    struct str issuer = d->out->issuer;
    *doc = NULL;
    if (issuer.n > LIMIT_URL || !uri_parse(issuer, &u) || !uri_is_http(&u) || u.host.n == 0 ||
        !str_is_absent(u.query) || !str_is_absent(u.fragment) || !str_is_absent(u.userinfo))
        return err_set(e, ERR_UPSTREAM, "the server names an ill-formed authorization server");
    struct str origin = uri_origin(d->a, &u), path = path_of(&u);
    if (str_is_absent(origin))
        return no_memory(e);
    const struct str forms[] = {arena_printf(d->a,
                                             "%.*s/.well-known/oauth-authorization-server%.*s",
                                             STR_FMT(origin), STR_FMT(path)),
                                arena_printf(d->a, "%.*s/.well-known/openid-configuration%.*s",
                                             STR_FMT(origin), STR_FMT(path)),
                                arena_printf(d->a, "%.*s%.*s/.well-known/openid-configuration",
                                             STR_FMT(origin), STR_FMT(path))};
    size_t n = path.n > 0 ? 3 : 2;
    for (size_t i = 0; i < n && !*doc; i++)
        if (!document_get(d, forms[i], doc, e))
            return false;
    return true;
}

static bool discover_new(struct discovery *d, struct err *e)
{
    const struct jvalue *doc;
    if (!metadata_find(d, &doc, e))
        return false;
    return doc ? metadata_read(d, doc, e)
               : err_set(e, ERR_UPSTREAM, "the authorization server %.*s publishes no metadata",
                         STR_FMT(d->out->issuer));
}

/* Revision 2025-03-26: the server's origin is the authorization server, with or without metadata.
 */
static bool discover_old(struct discovery *d, struct err *e)
{
    struct downstream_server *s = d->out;
    const struct jvalue *doc;
    s->issuer = d->origin;
    if (!metadata_find(d, &doc, e))
        return false;
    if (doc) {
        struct str named = jv_get_str(doc, "issuer");
        if (named.n == s->issuer.n + 1 && str_starts(named, s->issuer) &&
            named.p[s->issuer.n] == '/')
            s->issuer = named;
        return metadata_read(d, doc, e);
    }
    s->authorization_endpoint = arena_printf(d->a, "%.*s/authorize", STR_FMT(d->origin));
    s->token_endpoint = arena_printf(d->a, "%.*s/token", STR_FMT(d->origin));
    s->registration_endpoint = arena_printf(d->a, "%.*s/register", STR_FMT(d->origin));
    s->has_none = s->has_basic = true;
    return (!str_is_absent(s->authorization_endpoint) && !str_is_absent(s->token_endpoint) &&
            !str_is_absent(s->registration_endpoint)) ||
           no_memory(e);
}

bool downstream_discover(struct services *sv, struct arena *a, const struct connection *conn,
                         const struct downstream_settings *settings, struct downstream_server *out,
                         struct err *e)
{
    struct discovery d = {.sv = sv, .a = a, .conn = conn, .settings = settings, .out = out};
    struct downstream_challenge challenge;
    bool is_found;
    *out = (struct downstream_server){.resource = STR_NONE};
    if (str_is_absent(conn->url) || !uri_parse(conn->url, &d.uri))
        return err_set(e, ERR_UNPROCESSABLE, "only network servers are authorized by OAuth");
    d.origin = uri_origin(a, &d.uri);
    if (str_is_absent(d.origin))
        return no_memory(e);
    if (!challenge_ask(&d, &challenge, e) || !resource_find(&d, &challenge, &is_found, e) ||
        !(is_found ? discover_new(&d, e) : discover_old(&d, e)))
        return false;
    if (!str_is_absent(challenge.scope))
        out->scope = challenge.scope;
    if (!str_is_absent(settings->scope))
        out->scope = settings->scope;
    return true;
}
