/* WWW-Authenticate as downstream servers write it. */
#include "auth/downstream/discover.h"

#include "base/limits.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* The run of token characters at *at. */
static struct str token_take(struct str s, size_t *at)
{
    size_t from = *at;
    while (*at < s.n && is_token(s.p[*at]))
        (*at)++;
    return str_slice(s, from, *at - from);
}

/* A quoted string or a token. Escapes are taken out in the arena. */
static bool value_take(struct arena *a, struct str s, size_t *at, struct str *out)
{
    if (*at >= s.n || s.p[*at] != '"') {
        *out = token_take(s, at);
        return true;
    }
    char *text = arena_alloc(a, s.n - *at + 1);
    size_t n = 0;
    if (!text)
        return false;
    for ((*at)++; *at < s.n && s.p[*at] != '"'; (*at)++) {
        if (s.p[*at] == '\\' && *at + 1 < s.n)
            (*at)++;
        text[n++] = s.p[*at];
    }
    if (*at >= s.n)
        return false;
    (*at)++;
    *out = (struct str){text, n};
    return true;
}

static void param_keep(struct downstream_challenge *out, struct str name, struct str value)
{
    if (str_ieq(name, STR("resource_metadata")) && str_is_absent(out->resource_metadata))
        out->resource_metadata = value;
    else if (str_ieq(name, STR("scope")) && str_is_absent(out->scope) && value.n <= LIMIT_SCOPE)
        out->scope = value;
    else if (str_ieq(name, STR("error")) && str_is_absent(out->error))
        out->error = value;
}

/* One word: a scheme when no '=' follows it, else a parameter of the scheme before. */
bool downstream_challenge_read(struct arena *a, struct str header, struct downstream_challenge *out)
{
    size_t at = 0;
    bool is_bearer = false, was_bearer = false;
    *out = (struct downstream_challenge){.error = STR_NONE};
    while (at < header.n) {
        while (at < header.n && (is_space(header.p[at]) || header.p[at] == ','))
            at++;
        struct str word = token_take(header, &at), value;
        if (word.n == 0)
            break;
        size_t after = at;
        while (after < header.n && is_space(header.p[after]))
            after++;
        if (after >= header.n || header.p[after] != '=') {
            if (was_bearer)
                break;
            is_bearer = str_ieq(word, STR("Bearer")) || str_ieq(word, STR("DPoP"));
            was_bearer = is_bearer;
            continue;
        }
        for (at = after + 1; at < header.n && is_space(header.p[at]);)
            at++;
        if (!value_take(a, header, &at, &value))
            return was_bearer;
        if (is_bearer)
            param_keep(out, word, value);
    }
    return was_bearer;
}
