/* Rules for downstream credentials. */
#include "core/credential_rules.h"

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/sign.h"
#include "json/jout.h"

/* Form members, their kinds, and what such a connection's `auth` is called. */
static const struct {
    const char *member;
    struct str kind, auth;
} forms[] = {
    {"bearer", STR("bearer"), STR("bearer")},
    {"headers", STR("headers"), STR("headers")},
    {"query", STR("query"), STR("query")},
    {"env", STR("env"), STR("none")},
    {"client_id", STR("oauth_client"), STR("oauth")},
};

struct str credential_rules_auth(struct str kind)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (str_eq(kind, forms[i].kind))
            return forms[i].auth;
    return STR("none");
}

bool credential_rules_has(const struct jvalue *arguments)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (jv_get(arguments, forms[i].member))
            return true;
    return jv_get(arguments, "client_secret") || jv_get(arguments, "private_key");
}

/* Visible ASCII without spaces: what may stand behind "Bearer " (RFC 6750 2.1 is narrower than what
 * servers give out). */
static bool is_token_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7E)
            return false;
    return s.n > 0;
}

static bool is_field_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.n >= 1 && s.n <= 128;
}

static bool starts_without_case(struct str s, struct str prefix)
{
    return str_ieq(str_slice(s, 0, prefix.n), prefix);
}

/* Headers that Tulle itself answers for, or that belong to one connection only (RFC 9110 7.6.1). */
static bool is_ours(struct str name)
{
    static const struct str names[] = {STR("connection"),
                                       STR("keep-alive"),
                                       STR("proxy-authenticate"),
                                       STR("proxy-authorization"),
                                       STR("proxy-connection"),
                                       STR("te"),
                                       STR("trailer"),
                                       STR("transfer-encoding"),
                                       STR("upgrade"),
                                       STR("expect"),
                                       STR("host"),
                                       STR("accept")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(name, names[i]))
            return true;
    return starts_without_case(name, STR("content-")) || starts_without_case(name, STR("mcp-"));
}

static bool header_check(struct str name, struct str value, struct err *e)
{
    if (!is_field_name(name))
        return err_set(e, ERR_INVALID, "arguments.headers: a name is no HTTP field name");
    if (is_ours(name))
        return err_set(e, ERR_INVALID, "arguments.headers: %.*s is set by Tulle itself",
                       STR_FMT(name));
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < 0x20 ? value.p[i] != '\t' : value.p[i] == 0x7F)
            return err_set(e, ERR_INVALID,
                           "arguments.headers: the value of %.*s holds a control character",
                           STR_FMT(name));
    return value.n == str_trim(value).n ||
           err_set(e, ERR_INVALID,
                   "arguments.headers: the value of %.*s begins or ends with a space",
                   STR_FMT(name));
}

static bool query_check(struct str name, struct str value, struct err *e)
{
    if (name.n >= 1 && name.n <= 128 && !text_has_control(name) && !text_has_control(value))
        return true;
    return err_set(e, ERR_INVALID,
                   "arguments.query: expected names of 1 to 128 bytes and no control characters");
}

/* POSIX 8.1, and what a shell could set. */
static bool env_check(struct str name, struct str value, struct err *e)
{
    bool is_good = name.n >= 1 && name.n <= 128 && !(name.p[0] >= '0' && name.p[0] <= '9');
    for (size_t i = 0; is_good && i < name.n; i++) {
        char c = name.p[i];
        is_good =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    if (!is_good)
        return err_set(e, ERR_INVALID, "arguments.env: expected names of letters, digits and _");
    return str_find_char(value, '\0') == SIZE_MAX ||
           err_set(e, ERR_INVALID, "arguments.env: a value holds NUL");
}

static bool is_among(struct str name, const char *words, bool is_beginning)
{
    struct str rest = str_c(words), word;
    while (str_next(&rest, ' ', &word))
        if (str_ieq(is_beginning ? str_slice(name, 0, word.n) : name, word))
            return true;
    return false;
}

/* What makes a loader, a shell, an interpreter, a package runner or a library run or load something
 * else than the administrator named. */
static bool steers_the_program(struct str name)
{
    static const char beginnings[] =
        "LD_ DYLD_ GLIBC_ MALLOC_ ASAN_ BASH_ NODE_ NPM_ YARN_ PNPM_ BUN_ DENO_ COREPACK_ PYTHON "
        "PIP_ PIPX_ UV_ CONDA_ VIRTUAL_ENV PERL RUBY GEM_ BUNDLE_ JAVA_ JDK_ _JAVA_ DOTNET_ "
        "CORECLR_ COMPLUS_ PHPRC PHP_INI LUA_ ERL_ CARGO_ RUSTC RUSTFLAGS GIT_ SSH_ DOCKER_ "
        "OPENSSL_ XDG_";
    static const char words[] =
        "PATH HOME SHELL ENV IFS PS4 SHELLOPTS BASHOPTS PROMPT_COMMAND EDITOR VISUAL PAGER BROWSER "
        "TMPDIR GCONV_PATH LOCPATH NLSPATH KUBECONFIG CLASSPATH SSLKEYLOGFILE GOROOT GOPATH "
        "GOPROXY "
        "GOFLAGS GOENV GOTOOLCHAIN R_HOME R_PROFILE R_ENVIRON AWS_CONFIG_FILE "
        "AWS_SHARED_CREDENTIALS_FILE CLOUDSDK_CONFIG";
    static const struct str harmless[] = {STR("_TOKEN"), STR("_KEY"), STR("_SECRET"),
                                          STR("_PASSWORD")};
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (str_ends(name, harmless[i]))
            return false;
    return is_among(name, beginnings, true) || is_among(name, words, false);
}

bool credential_rules_personal(const struct jvalue *arguments, struct err *e)
{
    struct str name;
    const struct jvalue *value, *env = jv_get(arguments, "env");
    for (void *iter = NULL; env && jv_member(env, &iter, &name, &value);)
        if (steers_the_program(name))
            return err_set(e, ERR_UNPROCESSABLE,
                           "arguments.env: %.*s decides what the program runs: only an "
                           "administrator sets it, for the whole connection",
                           STR_FMT(str_slice(name, 0, 64)));
    return true;
}

static bool is_repeated(const struct jvalue *map, struct str name, size_t before)
{
    struct str other;
    const struct jvalue *value;
    void *iter = NULL;
    for (size_t i = 0; i < before && jv_member(map, &iter, &other, &value); i++)
        if (str_ieq(name, other))
            return true;
    return false;
}

typedef bool pair_check(struct str name, struct str value, struct err *e);

static bool map_read(const struct jvalue *map, const char *member, pair_check *check,
                     struct jout *j, struct err *e)
{
    struct str name;
    const struct jvalue *value;
    size_t n = 0, count = jv_count(map);
    if (!jv_is_object(map) || count == 0 || count > LIMIT_HEADERS_INJECTED)
        return err_set(e, ERR_INVALID, "arguments.%s: expected an object of 1 to %d members",
                       member, LIMIT_HEADERS_INJECTED);
    jout_key(j, str_c(member));
    jout_object(j);
    for (void *iter = NULL; jv_member(map, &iter, &name, &value); n++) {
        if (!jv_is_string(value))
            return err_set(e, ERR_INVALID, "arguments.%s: expected strings as values", member);
        if (!check(name, jv_str(value), e))
            return false;
        if (check == header_check && is_repeated(map, name, n))
            return err_set(e, ERR_INVALID, "arguments.headers: %.*s occurs twice", STR_FMT(name));
        jout_key(j, name);
        jout_str(j, jv_str(value));
    }
    jout_object_end(j);
    return true;
}

/* The DER of a PKCS #8 private key in PEM (RFC 7468 section 10). */
static bool pem_read(struct str pem, struct buf *der)
{
    static const struct str begin = STR("-----BEGIN PRIVATE KEY-----"),
                            end = STR("-----END PRIVATE KEY-----");
    struct str text = str_trim(pem);
    struct buf packed;
    if (!str_starts(text, begin) || !str_ends(text, end) || text.n < begin.n + end.n)
        return false;
    buf_init(&packed, LIMIT_CREDENTIAL);
    bool is_good = buf_reserve(&packed, LIMIT_CREDENTIAL - 1);
    for (size_t i = begin.n; is_good && i < text.n - end.n; i++)
        if (!strchr(" \t\r\n", text.p[i]))
            buf_add_char(&packed, text.p[i]);
    is_good = is_good && buf_ok(&packed) && text_b64_decode(buf_str(&packed), der);
    if (packed.p)
        secret_wipe(packed.p, packed.cap);
    buf_end(&packed);
    return is_good;
}

static bool key_read(struct str pem, struct jout *j, struct err *e)
{
    char kid[SIGN_B64_SIZE];
    struct buf der, text, jwk;
    buf_init(&der, LIMIT_CREDENTIAL);
    buf_init(&text, LIMIT_CREDENTIAL);
    buf_init(&jwk, LIMIT_BODY_SMALL);
    bool is_good = buf_reserve(&der, LIMIT_CREDENTIAL - 1) &&
                   buf_reserve(&text, LIMIT_CREDENTIAL - 1) && pem_read(pem, &der) &&
                   sign_key_jwk(buf_str(&der), kid, &jwk);
    if (is_good) {
        text_b64url(&text, der.p, der.n);
        jout_kstr(j, "private_key", buf_str(&text));
    }
    if (der.p)
        secret_wipe(der.p, der.cap);
    if (text.p)
        secret_wipe(text.p, text.cap);
    buf_end(&der);
    buf_end(&text);
    buf_end(&jwk);
    return is_good || err_set(e, ERR_INVALID,
                              "arguments.private_key: expected a P-256 or RSA key as PKCS #8 in "
                              "PEM (BEGIN PRIVATE KEY)");
}

static bool client_read(const struct jvalue *arguments, struct jout *j, struct err *e)
{
    struct str key = jv_get_str(arguments, "private_key"),
               key_id = jv_get_str(arguments, "private_key_id");
    struct str id = jv_get_str(arguments, "client_id"),
               secret = jv_get_str(arguments, "client_secret");
    if (id.n == 0 || text_has_control(id) ||
        (!str_is_absent(secret) && (secret.n == 0 || text_has_control(secret))))
        return err_set(e, ERR_INVALID, "arguments: expected client_id and client_secret as text");
    if ((!str_is_absent(secret) && !str_is_absent(key)) ||
        (!str_is_absent(key_id) && (str_is_absent(key) || text_has_control(key_id))))
        return err_set(e, ERR_INVALID,
                       "arguments: expected client_secret, or private_key and its private_key_id");
    jout_kstr(j, "client_id", id);
    if (!str_is_absent(secret))
        jout_kstr(j, "client_secret", secret);
    if (!str_is_absent(key_id))
        jout_kstr(j, "private_key_id", key_id);
    return str_is_absent(key) || key_read(key, j, e);
}

static bool form_write(const struct jvalue *arguments, const char *member, struct jout *j,
                       struct err *e)
{
    const struct jvalue *value = jv_get(arguments, member);
    if (str_eq(str_c(member), STR("headers")))
        return map_read(value, member, header_check, j, e);
    if (str_eq(str_c(member), STR("query")))
        return map_read(value, member, query_check, j, e);
    if (str_eq(str_c(member), STR("env")))
        return map_read(value, member, env_check, j, e);
    if (str_eq(str_c(member), STR("client_id")))
        return client_read(arguments, j, e);
    if (!is_token_text(jv_str(value)))
        return err_set(
            e, ERR_INVALID,
            "arguments.bearer: expected a token of visible characters without spaces, and "
            "without the word Bearer");
    jout_kstr(j, "bearer", jv_str(value));
    return true;
}

bool credential_rules_read(const struct jvalue *arguments, struct str *kind, struct buf *plain,
                           struct err *e)
{
    size_t n = 0, which = 0;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (jv_get(arguments, forms[i].member)) {
            which = i;
            n++;
        }
    bool has_more = jv_get(arguments, "client_secret") || jv_get(arguments, "private_key") ||
                    jv_get(arguments, "private_key_id");
    if (n != 1 || (has_more && !jv_get(arguments, "client_id")))
        return err_set(
            e, ERR_INVALID,
            "arguments: expected exactly one of bearer, headers, query, env, or client_id "
            "with client_secret or private_key");
    struct jout j;
    jout_init(&j, plain);
    jout_object(&j);
    if (!form_write(arguments, forms[which].member, &j, e))
        return false;
    jout_object_end(&j);
    *kind = forms[which].kind;
    return buf_ok(plain) ||
           err_set(e, ERR_INVALID, "arguments: the credential is larger than %d bytes",
                   LIMIT_CREDENTIAL);
}
