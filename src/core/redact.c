/* Redaction by name (words of the member's name) and by shape (known token forms, JWTs, PEM keys,
 * userinfo in URLs). */
#include "core/redact.h"

#include "base/limits.h"
#include "base/text.h"
#include "json/jout.h"
#include "json/jread.h"

#define REDACTED STR("[redacted]")

enum {
    NAME_MAX_BYTES = 128, /* of a member's name that is looked at */
    TOKEN_MIN = 40,       /* bytes of a word of mixed case and digits that is taken for a token */
};

/* Whole words of a name. */
static const struct str secret_words[] = {STR("key"), STR("keys"), STR("pwd"),  STR("pin"),
                                          STR("otp"), STR("jwt"),  STR("auth"), STR("pat")};
/* Runs of letters anywhere in a name once its separators are gone. */
static const struct str secret_runs[] = {
    STR("password"), STR("passwd"),     STR("passphrase"), STR("secret"),     STR("token"),
    STR("apikey"),   STR("privatekey"), STR("accesskey"),  STR("credential"), STR("authorization"),
    STR("cookie"),   STR("bearer"),     STR("sessionid")};
static const struct str token_starts[] = {
    STR("tulle_key_"), STR("tulle_at_"),   STR("tulle_rt_"), STR("sk-"),   STR("sk_live_"),
    STR("sk_test_"),   STR("rk_live_"),    STR("ghp_"),      STR("gho_"),  STR("ghs_"),
    STR("ghu_"),       STR("github_pat_"), STR("glpat-"),    STR("xoxb-"), STR("xoxp-"),
    STR("xoxa-"),      STR("xapp-"),       STR("ya29."),     STR("AKIA"),  STR("ASIA"),
    STR("AIza"),       STR("npm_"),        STR("pypi-"),     STR("hf_")};

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool word_is_secret(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(secret_words); i++)
        if (str_ieq(word, secret_words[i]))
            return true;
    return false;
}

bool redact_name_is_secret(struct str name)
{
    char squashed[NAME_MAX_BYTES];
    size_t n = 0, word_at = 0;
    bool is_found = false;
    struct str s = str_slice(name, 0, NAME_MAX_BYTES);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = is_upper(c) || is_lower(c) || is_digit(c);
        bool is_start = is_upper(c) && i > 0 && is_lower(s.p[i - 1]);
        if (!is_letter || is_start) {
            is_found = is_found || word_is_secret((struct str){squashed + word_at, n - word_at});
            word_at = n;
        }
        if (is_letter)
            squashed[n++] = c;
    }
    is_found = is_found || word_is_secret((struct str){squashed + word_at, n - word_at});
    text_lower(squashed, n);
    for (size_t i = 0; i < ARRAY_LEN(secret_runs) && !is_found; i++)
        is_found = str_find((struct str){squashed, n}, secret_runs[i]) != SIZE_MAX;
    return is_found;
}

/* ---- shapes ---- */

/* "eyJ....eyJ....sig": a JSON object in base64url, twice dotted. */
static bool is_jwt(struct str word)
{
    size_t dot = str_find_char(word, '.');
    if (!str_starts(word, STR("eyJ")) || dot == SIZE_MAX)
        return false;
    return str_find_char(str_slice(word, dot + 1, word.n), '.') != SIZE_MAX;
}

static bool is_dense(struct str word)
{
    bool has_upper = false, has_lower = false, has_digit = false;
    if (word.n < TOKEN_MIN)
        return false;
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];
        has_upper = has_upper || is_upper(c);
        has_lower = has_lower || is_lower(c);
        has_digit = has_digit || is_digit(c);
        if (!is_upper(c) && !is_lower(c) && !is_digit(c) &&
            str_find_char(STR("-_+/=~"), c) == SIZE_MAX)
            return false;
    }
    return has_upper && has_lower && has_digit;
}

/* scheme://user:password@host */
static bool has_userinfo(struct str word)
{
    size_t at = str_find(word, STR("://"));
    if (at == SIZE_MAX)
        return false;
    struct str rest = str_slice(word, at + 3, word.n);
    struct str authority = str_slice(rest, 0, str_find_char(rest, '/'));
    size_t end = str_find_char(authority, '@');
    return end != SIZE_MAX && str_find_char(str_slice(authority, 0, end), ':') != SIZE_MAX;
}

static bool word_looks_secret(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(token_starts); i++)
        if (word.n >= token_starts[i].n + 12 && str_starts(word, token_starts[i]))
            return true;
    return is_jwt(word) || is_dense(word) || has_userinfo(word);
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '"' || c == '\'' || c == ',' ||
           c == ';' || c == '&' || c == '?' || c == '<' || c == '>' || c == '(' || c == ')';
}

bool redact_text_is_secret(struct str text)
{
    if (str_find(text, STR("PRIVATE KEY-----")) != SIZE_MAX)
        return true;
    struct str before = STR("");
    for (size_t i = 0; i < text.n;) {
        size_t start = i;
        while (i < text.n && !is_separator(text.p[i]))
            i++;
        struct str word = str_slice(text, start, i - start);
        if (word.n >= 8 && (str_ieq(before, STR("bearer")) || str_ieq(before, STR("basic"))))
            return true;
        size_t equals = str_find_char(word, '=');
        if (word_looks_secret(word) ||
            (equals != SIZE_MAX && word_looks_secret(str_slice(word, equals + 1, word.n))))
            return true;
        if (word.n)
            before = word;
        i++;
    }
    return false;
}

/* ---- the walk ---- */

static void value_write(const struct jvalue *v, struct jout *j, struct buf *scratch);

static void object_write(const struct jvalue *v, struct jout *j, struct buf *scratch)
{
    struct str name;
    const struct jvalue *value;
    jout_object(j);
    for (void *iter = NULL; jv_member(v, &iter, &name, &value);) {
        jout_key(j, redact_text_is_secret(name) ? REDACTED : name);
        if (redact_name_is_secret(name) && !jv_is_bool(value) && !jv_is_null(value))
            jout_str(j, REDACTED);
        else
            value_write(value, j, scratch);
    }
    jout_object_end(j);
}

/* Recursion ends: jdoc_parse refuses what is deeper than LIMIT_JSON_DEPTH. */
static void value_write(const struct jvalue *v, struct jout *j, struct buf *scratch)
{
    if (jv_is_object(v)) {
        object_write(v, j, scratch);
    } else if (jv_is_array(v)) {
        jout_array(j);
        for (size_t i = 0; i < jv_count(v); i++)
            value_write(jv_at(v, i), j, scratch);
        jout_array_end(j);
    } else if (jv_is_string(v)) {
        jout_str(j, redact_text_is_secret(jv_str(v)) ? REDACTED : jv_str(v));
    } else {
        buf_reset(scratch);
        jv_write(v, scratch);
        jout_raw(j, buf_str(scratch));
    }
}

/* {"cut": "..."} with as much of the beginning as fits. */
static struct str cut_write(struct arena *a, struct str text)
{
    struct str out = STR_NONE;
    for (size_t keep = LIMIT_AUDIT_ARGUMENTS; str_is_absent(out) && keep > 64; keep /= 2) {
        struct buf b;
        struct jout j;
        buf_init(&b, LIMIT_AUDIT_ARGUMENTS);
        jout_init(&j, &b);
        jout_object(&j);
        jout_kstr(&j, "cut", str_slice(text, 0, keep));
        jout_object_end(&j);
        if (buf_ok(&b))
            out = arena_dup(a, buf_str(&b));
        buf_end(&b);
    }
    return out;
}

struct str redact_json(struct arena *a, struct str json)
{
    struct err ignored;
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(json, &ignored);
    if (!doc)
        return STR_NONE;
    struct buf out, scratch;
    struct jout j;
    buf_init(&out, LIMIT_BODY_MCP + LIMIT_BODY_MCP);
    buf_init(&scratch, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    value_write(jdoc_root(doc), &j, &scratch);
    struct str text = STR_NONE;
    if (buf_ok(&out) && buf_ok(&scratch))
        text = out.n <= LIMIT_AUDIT_ARGUMENTS ? arena_dup(a, buf_str(&out))
                                              : cut_write(a, buf_str(&out));
    buf_end(&out);
    buf_end(&scratch);
    return text;
}
