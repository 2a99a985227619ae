/* Statements of custom roles and scope lists, from text. */
#include "base/ids.h"
#include "base/limits.h"
#include "core/policy.h"
#include "json/jread.h"

struct reader {
    struct arena *a;
    size_t at; /* which statement, for messages */
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* One list of patterns; absent is an empty one. */
static bool patterns_read(const struct reader *r, const struct jvalue *list, const char *name,
                          const struct str **out, size_t *n, struct err *e)
{
    *out = NULL;
    *n = 0;
    if (!list)
        return true;
    if (!jv_is_array(list))
        return err_set(e, ERR_INVALID, "statements[%zu].%s: expected an array of patterns", r->at,
                       name);
    size_t count = jv_count(list);
    if (count > LIMIT_STATEMENT_PATTERNS)
        return err_set(e, ERR_INVALID,
                       "statements[%zu].%s: given %zu patterns, expected at most %d", r->at, name,
                       count, LIMIT_STATEMENT_PATTERNS);
    struct str *patterns = arena_alloc(r->a, (count + 1) * sizeof(*patterns));
    if (!patterns)
        return no_memory(e);
    for (size_t i = 0; i < count; i++) {
        struct str text = jv_str(jv_at(list, i));
        if (text.n == 0 || text.n > LIMIT_PATTERN)
            return err_set(e, ERR_INVALID,
                           "statements[%zu].%s[%zu]: expected a string of 1 to %d bytes", r->at,
                           name, i, LIMIT_PATTERN);
        patterns[i] = arena_dup(r->a, text);
        if (str_is_absent(patterns[i]))
            return no_memory(e);
    }
    *out = patterns;
    *n = count;
    return true;
}

static bool place_read(const struct reader *r, const struct jvalue *v, struct str *out,
                       struct err *e)
{
    struct str on = jv_get_str(v, "on");
    bool is_known =
        str_eq(on, STR("org")) || str_eq(on, STR("*")) || id_is(on, "conn") || id_is(on, "vs");
    if (!is_known)
        return err_set(e, ERR_INVALID,
                       "statements[%zu].on: given \"%.*s\", expected org, *, conn_... or vs_...",
                       r->at, STR_FMT(str_slice(on, 0, 60)));
    *out = arena_dup(r->a, on);
    return !str_is_absent(*out) || no_memory(e);
}

static bool members_known(const struct reader *r, const struct jvalue *v, struct err *e)
{
    static const char *const known[] = {"on", "tools", "resources", "prompts", "effect"};
    struct str name;
    const struct jvalue *value;
    for (void *iter = NULL; jv_member(v, &iter, &name, &value);) {
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            is_known = is_known || str_eq(name, str_c(known[i]));
        if (!is_known)
            return err_set(e, ERR_INVALID,
                           "statements[%zu]: unknown member \"%.*s\", expected on, tools, "
                           "resources, prompts, effect",
                           r->at, STR_FMT(str_slice(name, 0, 60)));
    }
    return true;
}

static bool statement_read(const struct reader *r, const struct jvalue *v, struct statement *s,
                           struct err *e)
{
    if (!jv_is_object(v))
        return err_set(e, ERR_INVALID, "statements[%zu]: expected an object", r->at);
    struct str effect = jv_get_str(v, "effect");
    if (!str_eq(effect, STR("allow")) && !str_eq(effect, STR("deny")))
        return err_set(e, ERR_INVALID,
                       "statements[%zu].effect: given \"%.*s\", expected allow or deny", r->at,
                       STR_FMT(str_slice(effect, 0, 60)));
    s->is_deny = str_eq(effect, STR("deny"));
    if (!members_known(r, v, e) || !place_read(r, v, &s->on, e) ||
        !patterns_read(r, jv_get(v, "tools"), "tools", &s->tools, &s->n_tools, e) ||
        !patterns_read(r, jv_get(v, "resources"), "resources", &s->resources, &s->n_resources, e) ||
        !patterns_read(r, jv_get(v, "prompts"), "prompts", &s->prompts, &s->n_prompts, e))
        return false;
    if (s->n_tools + s->n_resources + s->n_prompts == 0)
        return err_set(e, ERR_INVALID,
                       "statements[%zu]: names nothing, expected tools, resources or prompts",
                       r->at);
    return true;
}

bool policy_statements_read(struct arena *a, struct str json, struct str role_name,
                            struct statement **out, size_t *n, struct err *e)
{
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(json, e);
    if (!doc)
        return false;
    const struct jvalue *list = jdoc_root(doc);
    if (!jv_is_array(list))
        return err_set(e, ERR_INVALID, "statements: expected an array");
    size_t count = jv_count(list);
    if (count > LIMIT_STATEMENTS)
        return err_set(e, ERR_INVALID, "statements: given %zu, expected at most %d", count,
                       LIMIT_STATEMENTS);
    struct statement *all = arena_alloc(a, (count + 1) * sizeof(*all));
    struct str role = arena_dup(a, role_name);
    if (!all || (str_is_absent(role) && !str_is_absent(role_name)))
        return no_memory(e);
    for (size_t i = 0; i < count; i++) {
        const struct reader r = {.a = a, .at = i};
        all[i].role_name = role;
        if (!statement_read(&r, jv_at(list, i), &all[i], e))
            return false;
    }
    *out = all;
    *n = count;
    return true;
}

bool policy_scopes_read(struct str scopes, unsigned *out)
{
    static const struct {
        struct str word;
        unsigned bit;
    } known[] = {{STR("mcp"), SCOPE_MCP},
                 {STR("mcp:read"), SCOPE_MCP_READ},
                 {STR("mcp:manage"), SCOPE_MCP_MANAGE}};
    unsigned bits = 0;
    struct str rest = scopes, word;
    while (str_next(&rest, ' ', &word)) {
        unsigned bit = 0;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (str_eq(word, known[i].word))
                bit = known[i].bit;
        if (bit == 0)
            return false;
        bits |= bit;
    }
    *out = bits;
    return true;
}
