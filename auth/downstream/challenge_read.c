/* WWW-Authenticate as downstream servers write it. */
#include "auth/downstream/discover.h"

#include "base/buf.h"
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

struct reading {
    struct downstream_challenge *out;
    bool is_kept; /* the challenge at hand is the first of Bearer or DPoP */
    bool is_dpop; /* ... or the first of DPoP */
    bool has_any;
};

static void scheme_begin(struct reading *r, struct str scheme)
{
    r->is_dpop = !r->out->has_dpop && str_ieq(scheme, STR("DPoP"));
    r->is_kept = !r->has_any && (r->is_dpop || str_ieq(scheme, STR("Bearer")));
    r->out->has_dpop = r->out->has_dpop || r->is_dpop;
    r->has_any = r->has_any || r->is_kept;
}

static void dpop_param_keep(struct downstream_challenge *out, struct str name, struct str value)
{
    if (str_ieq(name, STR("algs")) && str_is_absent(out->dpop_algs))
        out->dpop_algs = value;
    else if (str_ieq(name, STR("error")) && str_is_absent(out->dpop_error))
        out->dpop_error = value;
}

static void param_keep(const struct reading *r, struct str name, struct str value)
{
    struct downstream_challenge *out = r->out;
    if (r->is_dpop)
        dpop_param_keep(out, name, value);
    if (!r->is_kept)
        return;
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
    struct reading r = {.out = out};
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
            scheme_begin(&r, word);
            continue;
        }
        for (at = after + 1; at < header.n && is_space(header.p[at]);)
            at++;
        if (!value_take(a, header, &at, &value))
            break;
        param_keep(&r, word, value);
    }
    return r.has_any;
}

bool downstream_challenge_of(struct arena *a, const struct http_answer_head *head,
                             struct downstream_challenge *out)
{
    struct buf all;
    buf_init(&all, LIMIT_HEADER_BYTES);
    for (size_t i = 0; i < head->n_headers; i++) {
        if (!str_ieq(head->headers[i].name, STR("WWW-Authenticate")))
            continue;
        if (all.n)
            buf_add(&all, STR(", "));
        buf_add(&all, head->headers[i].value);
    }
    *out = (struct downstream_challenge){.error = STR_NONE};
    struct str kept = buf_ok(&all) && all.n ? arena_dup(a, buf_str(&all)) : STR_NONE;
    buf_end(&all);
    return !str_is_absent(kept) && downstream_challenge_read(a, kept, out);
}
