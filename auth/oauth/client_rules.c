#include "auth/oauth/client_rules.h"

#include "auth/oauth/redirect_uri.h"
#include "auth/oauth/scope.h"
#include "base/limits.h"
#include "base/uri.h"
#include "json/jout.h"

enum { METADATA_MAX = 2 * LIMIT_BODY_FORM, CONTACTS_MAX = 10, TEXT_MAX = 256, KEYS_MAX = 20 };

static bool refused(struct err *e, const char *member, const char *why)
{
    return err_set(e, ERR_CLIENT_METADATA, "%s %s", member, why);
}

/* ---- the name ---- */

/* Bytes of an invisible or direction-turning character at `at`: U+200B-200F, U+2028-202E,
 * U+2060-206F, U+FEFF; else 0. */
static size_t hidden_at(struct str s, size_t at)
{
    if (at + 3 > s.n)
        return 0;
    unsigned char a = (unsigned char)s.p[at], b = (unsigned char)s.p[at + 1],
                  c = (unsigned char)s.p[at + 2];
    bool is_hidden =
        (a == 0xE2 && b == 0x80 && ((c >= 0x8B && c <= 0x8F) || (c >= 0xA8 && c <= 0xAE))) ||
        (a == 0xE2 && b == 0x81 && c >= 0xA0 && c <= 0xAF) || (a == 0xEF && b == 0xBB && c == 0xBF);
    return is_hidden ? 3 : 0;
}

static size_t char_size(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

struct str client_name_clean(struct arena *a, struct str name)
{
    struct str trimmed = str_trim(name);
    char *out = arena_alloc(a, LIMIT_NAME + 1);
    size_t n = 0;
    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < trimmed.n;) {
        size_t hidden = hidden_at(trimmed, i);
        size_t size = hidden ? hidden : char_size((unsigned char)trimmed.p[i]);
        unsigned char c = (unsigned char)trimmed.p[i];
        if (i + size > trimmed.n || (!hidden && n + size > LIMIT_NAME))
            break;
        if (!hidden && c >= 0x20 && c != 0x7F) {
            memcpy(out + n, trimmed.p + i, size);
            n += size;
        }
        i += size;
    }
    return (struct str){out, n};
}

/* ---- members ---- */

static bool redirects_read(struct arena *a, const struct jvalue *given, struct client_metadata *out,
                           struct jout *j, struct err *e)
{
    const struct jvalue *list = jv_get(given, "redirect_uris");
    struct buf text;
    if (!jv_is_array(list) || jv_count(list) == 0 || jv_count(list) > LIMIT_REDIRECT_URIS)
        return err_set(e, ERR_REDIRECT_URI, "redirect_uris must be a list of 1 to %d URIs",
                       LIMIT_REDIRECT_URIS);
    buf_init(&text, METADATA_MAX);
    jout_key(j, STR("redirect_uris"));
    jout_array(j);
    for (size_t i = 0; i < jv_count(list); i++) {
        const struct jvalue *one = jv_at(list, i);
        bool is_good = jv_is_string(one)
                           ? redirect_uri_check(jv_str(one), e)
                           : err_set(e, ERR_REDIRECT_URI, "redirect_uris must be texts");
        if (!is_good) {
            buf_end(&text);
            return false;
        }
        if (i)
            buf_add_char(&text, ' ');
        buf_add(&text, jv_str(one));
        jout_str(j, jv_str(one));
    }
    jout_array_end(j);
    out->redirect_uris = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(out->redirect_uris) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Is one of the words in a list of texts? Absent: yes (the default is ours). */
static bool list_offers(const struct jvalue *list, const char *const *words, size_t n_words)
{
    if (!list || jv_is_null(list))
        return true;
    for (size_t i = 0; jv_is_array(list) && i < jv_count(list); i++)
        for (size_t k = 0; k < n_words; k++)
            if (str_eq(jv_str(jv_at(list, i)), str_c(words[k])))
                return true;
    return jv_is_array(list) && jv_count(list) == 0;
}

static bool flow_check(const struct jvalue *given, struct err *e)
{
    static const char *const grants[] = {"authorization_code", "refresh_token"};
    static const char *const responses[] = {"code"};
    if (!list_offers(jv_get(given, "grant_types"), grants, ARRAY_LEN(grants)))
        return refused(e, "grant_types", "names none of authorization_code and refresh_token");
    if (!list_offers(jv_get(given, "response_types"), responses, ARRAY_LEN(responses)))
        return refused(e, "response_types", "does not name code");
    return true;
}

static bool method_read(const struct jvalue *given, bool is_document, struct client_metadata *out,
                        struct err *e)
{
    static const struct str known[] = {STR("none"), STR("private_key_jwt"),
                                       STR("client_secret_basic"), STR("client_secret_post")};
    const struct jvalue *v = jv_get(given, "token_endpoint_auth_method");
    struct str method = !v || jv_is_null(v) ? known[is_document ? 0 : 2] : jv_str(v);
    for (size_t i = 0; i < (is_document ? 2 : ARRAY_LEN(known)); i++) {
        if (!str_eq(method, known[i]))
            continue;
        out->auth_method = known[i];
        out->is_public = i == 0;
        return true;
    }
    return refused(e, "token_endpoint_auth_method",
                   is_document ? "must be none or private_key_jwt"
                               : "must be none, client_secret_basic, client_secret_post or "
                                 "private_key_jwt");
}

bool client_keys_read(struct arena *a, const struct jvalue *jwks, struct str *out, struct err *e)
{
    static const char *const private_parts[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    const struct jvalue *keys = jv_get(jwks, "keys");
    struct buf text;
    *out = STR_NONE;
    if (!jv_is_array(keys) || jv_count(keys) > KEYS_MAX)
        return refused(e, "jwks", "must be an object with keys, at most 20");
    for (size_t i = 0; i < jv_count(keys); i++) {
        if (!jv_is_object(jv_at(keys, i)) || str_eq(jv_get_str(jv_at(keys, i), "kty"), STR("oct")))
            return refused(e, "jwks", "holds what is no public key");
        for (size_t k = 0; k < ARRAY_LEN(private_parts); k++)
            if (jv_get(jv_at(keys, i), private_parts[k]))
                return refused(e, "jwks", "holds a private or symmetric key");
    }
    buf_init(&text, METADATA_MAX);
    buf_add(&text, STR("{\"keys\":"));
    jv_write(keys, &text);
    buf_add_char(&text, '}');
    *out = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Keys elsewhere are looked up for documents only: whoever registers must not make us fetch. */
static bool keys_copy(struct arena *a, const struct jvalue *given, bool is_document,
                      struct client_metadata *out, struct jout *j, struct err *e)
{
    const struct jvalue *jwks = jv_get(given, "jwks"), *uri = jv_get(given, "jwks_uri");
    struct uri u;
    if (jwks && uri)
        return refused(e, "jwks", "and jwks_uri exclude each other");
    if (uri && (jv_str(uri).n > LIMIT_URL || !uri_parse(jv_str(uri), &u) ||
                !str_ieq(u.scheme, STR("https"))))
        return refused(e, "jwks_uri", "must be an https URL");
    if (jwks && !client_keys_read(a, jwks, &out->jwks, e))
        return false;
    if (jwks)
        jout_kraw(j, "jwks", out->jwks);
    if (uri && is_document)
        out->jwks_uri = arena_dup(a, jv_str(uri));
    bool has_keys = !str_is_absent(out->jwks) || !str_is_absent(out->jwks_uri);
    return has_keys || !str_eq(out->auth_method, STR("private_key_jwt")) ||
           refused(e, "jwks", "is missing for private_key_jwt");
}

static bool url_copy(const struct jvalue *given, const char *member, struct jout *j, struct err *e)
{
    const struct jvalue *v = jv_get(given, member);
    struct uri u;
    if (!v || jv_is_null(v) || (jv_is_string(v) && jv_str(v).n == 0))
        return true;
    struct str text = jv_str(v);
    if (text.n > LIMIT_URL || !uri_parse(text, &u) || !uri_is_http(&u))
        return refused(e, member, "must be an http or https URL");
    jout_kstr(j, member, text);
    return true;
}

static bool text_copy(const struct jvalue *given, const char *member, struct jout *j, struct err *e)
{
    const struct jvalue *v = jv_get(given, member);
    if (!v || jv_is_null(v))
        return true;
    if (!jv_is_string(v) || jv_str(v).n > TEXT_MAX)
        return refused(e, member, "must be a short text");
    jout_kstr(j, member, jv_str(v));
    return true;
}

static bool contacts_copy(const struct jvalue *given, struct jout *j, struct err *e)
{
    const struct jvalue *list = jv_get(given, "contacts");
    if (!list || jv_is_null(list))
        return true;
    if (!jv_is_array(list) || jv_count(list) > CONTACTS_MAX)
        return refused(e, "contacts", "must be a list of at most 10 texts");
    jout_key(j, STR("contacts"));
    jout_array(j);
    for (size_t i = 0; i < jv_count(list); i++) {
        struct str one = jv_str(jv_at(list, i));
        if (str_is_absent(one) || one.n > TEXT_MAX)
            return refused(e, "contacts", "must be short texts");
        jout_str(j, one);
    }
    jout_array_end(j);
    return true;
}

static bool type_copy(const struct jvalue *given, struct jout *j, struct err *e)
{
    const struct jvalue *v = jv_get(given, "application_type");
    if (!v || jv_is_null(v))
        return true;
    if (!str_eq(jv_str(v), STR("native")) && !str_eq(jv_str(v), STR("web")))
        return refused(e, "application_type", "must be native or web");
    jout_kstr(j, "application_type", jv_str(v));
    return true;
}

/* How its ID tokens are signed. */
static bool id_token_alg_copy(const struct jvalue *given, struct jout *j, struct err *e)
{
    struct str alg = jv_get_str(given, "id_token_signed_response_alg");
    if (!jv_get(given, "id_token_signed_response_alg"))
        return true;
    if (!str_eq(alg, STR("ES256")) && !str_eq(alg, STR("RS256")))
        return refused(e, "id_token_signed_response_alg", "must be ES256 or RS256");
    jout_kstr(j, "id_token_signed_response_alg", alg);
    return true;
}

static bool name_copy(struct arena *a, const struct jvalue *given, struct client_metadata *out,
                      struct jout *j, struct err *e)
{
    const struct jvalue *v = jv_get(given, "client_name");
    if (!v || jv_is_null(v))
        return true;
    if (!jv_is_string(v))
        return refused(e, "client_name", "must be a text");
    out->name = client_name_clean(a, jv_str(v));
    if (str_is_absent(out->name))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    jout_kstr(j, "client_name", out->name);
    if (out->name.n == 0)
        out->name = STR_NONE;
    return true;
}

/* The known ones of what was asked; it does not limit what is asked for later. */
static bool scope_copy(struct arena *a, const struct jvalue *given, struct jout *j, struct err *e)
{
    const struct jvalue *v = jv_get(given, "scope");
    struct str granted;
    struct err ignored;
    if (!v || jv_is_null(v))
        return true;
    if (!jv_is_string(v) || jv_str(v).n > LIMIT_SCOPE)
        return refused(e, "scope", "must be a text");
    if (!scope_at_authorize(a, jv_str(v), &granted, &ignored))
        granted = STR(SCOPE_DEFAULT);
    jout_kstr(j, "scope", granted);
    return true;
}

static bool optional_copy(struct arena *a, const struct jvalue *given, struct client_metadata *out,
                          struct jout *j, struct err *e)
{
    return name_copy(a, given, out, j, e) && url_copy(given, "client_uri", j, e) &&
           url_copy(given, "logo_uri", j, e) && url_copy(given, "tos_uri", j, e) &&
           url_copy(given, "policy_uri", j, e) && contacts_copy(given, j, e) &&
           text_copy(given, "software_id", j, e) && text_copy(given, "software_version", j, e) &&
           type_copy(given, j, e) && id_token_alg_copy(given, j, e) && scope_copy(a, given, j, e);
}

static bool read_all(struct arena *a, const struct jvalue *given, bool is_document,
                     struct client_metadata *out, struct err *e)
{
    struct buf text;
    struct jout j;
    *out = (struct client_metadata){0};
    if (!jv_is_object(given))
        return err_set(e, ERR_CLIENT_METADATA, "the body must be one JSON object");
    buf_init(&text, METADATA_MAX);
    jout_init(&j, &text);
    jout_object(&j);
    bool is_good = redirects_read(a, given, out, &j, e) && flow_check(given, e) &&
                   method_read(given, is_document, out, e) &&
                   keys_copy(a, given, is_document, out, &j, e) &&
                   optional_copy(a, given, out, &j, e);
    if (is_good) {
        jout_kstr(&j, "token_endpoint_auth_method", out->auth_method);
        jout_kraw(&j, "grant_types", STR("[\"authorization_code\",\"refresh_token\"]"));
        jout_kraw(&j, "response_types", STR("[\"code\"]"));
        jout_object_end(&j);
        out->json = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
        is_good = !str_is_absent(out->json) || err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    buf_end(&text);
    return is_good;
}

bool client_metadata_read(struct arena *a, const struct jvalue *given, struct client_metadata *out,
                          struct err *e)
{
    return read_all(a, given, false, out, e);
}

/* Named grant types are to have the code: what is asked for at the authorization endpoint. */
static bool names_code(const struct jvalue *grants)
{
    for (size_t i = 0; i < jv_count(grants); i++)
        if (str_eq(jv_str(jv_at(grants, i)), STR("authorization_code")))
            return true;
    return !grants || jv_is_null(grants);
}

bool client_document_metadata_read(struct arena *a, const struct jvalue *given,
                                   struct client_metadata *out, struct err *e)
{
    if (jv_get(given, "client_secret") || jv_get(given, "client_secret_expires_at"))
        return refused(e, "client_secret", "has no place in a public document");
    if (jv_get_str(given, "client_name").n == 0)
        return refused(e, "client_name", "is missing");
    if (!names_code(jv_get(given, "grant_types")))
        return refused(e, "grant_types", "does not name authorization_code");
    return read_all(a, given, true, out, e);
}
