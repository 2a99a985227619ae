/* Rules for API keys. */
#include "core/api_key_rules.h"

#include "base/limits.h"
#include "base/text.h"

/* Every name that `inner` matches is matched by one of `outer`: '*' in inner, taken as a letter, is
 * met by a '*' only. */
static bool covers(const struct str *outer, size_t n, struct str inner)
{
    for (size_t i = 0; i < n; i++)
        if (text_glob(outer[i], inner))
            return true;
    return false;
}

static bool all_covered(const struct str *outer, size_t n_outer, const struct str *inner,
                        size_t n_inner)
{
    if (!outer)
        return true;
    if (!inner)
        return covers(outer, n_outer, STR("*"));
    for (size_t i = 0; i < n_inner; i++)
        if (!covers(outer, n_outer, inner[i]))
            return false;
    return true;
}

static bool all_listed(const struct str *outer, size_t n_outer, const struct str *inner,
                       size_t n_inner)
{
    if (!outer)
        return true;
    for (size_t i = 0; i < n_inner; i++) {
        bool is_listed = false;
        for (size_t k = 0; k < n_outer && !is_listed; k++)
            is_listed = str_eq(outer[k], inner[i]);
        if (!is_listed)
            return false;
    }
    return inner != NULL;
}

/* mcp includes what mcp:read allows. */
static bool scopes_within(unsigned outer, unsigned inner)
{
    if (outer & SCOPE_MCP)
        outer |= SCOPE_MCP_READ;
    return outer == 0 || (inner != 0 && (inner & ~outer) == 0);
}

bool api_key_rules_within(const struct caller *c, const struct api_key_limits *k, struct err *e)
{
    if (!scopes_within(c->scopes, k->scopes))
        return err_set(e, ERR_FORBIDDEN,
                       "scopes: a key cannot be wider than the one that makes or changes it");
    if (!all_covered(c->tools, c->n_tools, k->tools, k->n_tools))
        return err_set(e, ERR_FORBIDDEN,
                       "tools: a key cannot be wider than the one that makes or changes it");
    if (!all_listed(c->connection_ids, c->n_connection_ids, k->connection_ids, k->n_connection_ids))
        return err_set(
            e, ERR_FORBIDDEN,
            "connection_ids: a key cannot be wider than the one that makes or changes it");
    if (c->expires_at != 0 && (k->expires_at == 0 || k->expires_at > c->expires_at))
        return err_set(e, ERR_FORBIDDEN,
                       "expires_in_days: a key cannot outlive the one that makes or changes it");
    return true;
}

bool api_key_rules_pattern(struct str pattern)
{
    size_t star = str_find_char(pattern, '*');
    return pattern.n >= 1 && pattern.n <= LIMIT_PATTERN && !text_has_control(pattern) &&
           (star == SIZE_MAX || star == pattern.n - 1);
}
