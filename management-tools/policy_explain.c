/* ORGANIZATION_POLICY_EXPLAIN: the decision, asked for somebody else. */
#include "auth/caller_build.h"
#include "auth/token_check.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/policy.h"
#include "management-tools/tool_io.h"
#include "mcp/registry_cache.h"
#include "store/api_keys.h"
#include "store/users.h"

tool_fn tool_organization_policy_explain;

static bool no_subject(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "no such person or key in this organization");
}

/* The keys of a person, or of anybody for those who manage members. */
static bool key_subject(struct tool_call *c, struct str key_id, struct caller *out, struct err *e)
{
    struct api_key key;
    if (!api_keys_get(c->sv->db, c->arena, c->org_id, key_id, &key, e) ||
        !caller_build(c->sv, c->arena, c->org_id, key.user_id, &key, out, e))
        return e->code == ERR_NOT_FOUND ? no_subject(e) : false;
    return true;
}

static bool user_id_read(struct tool_call *c, struct str *out, struct err *e)
{
    struct str email = jv_get_str(c->arguments, "email");
    struct user user = {0};
    *out = jv_get_str(c->arguments, "user_id");
    if (!str_is_absent(*out) && !str_is_absent(email))
        return err_set(e, ERR_INVALID, "arguments: expected one of user_id, email, key_id");
    if (str_is_absent(email)) {
        if (str_is_absent(*out))
            *out = c->caller->user_id;
        return true;
    }
    char lower[LIMIT_EMAIL + 1];
    struct str trimmed = str_slice(str_trim(email), 0, LIMIT_EMAIL);
    memcpy(lower, trimmed.p, trimmed.n);
    text_lower(lower, trimmed.n);
    if (!users_by_email(c->sv->db, c->arena, (struct str){lower, trimmed.n}, &user, e))
        return e->code == ERR_NOT_FOUND ? no_subject(e) : false;
    *out = user.id;
    return true;
}

static bool subject_read(struct tool_call *c, struct caller *out, struct err *e)
{
    struct str key_id = jv_get_str(c->arguments, "key_id"), user_id;
    if (!str_is_absent(key_id)) {
        if (jv_get(c->arguments, "user_id") || jv_get(c->arguments, "email"))
            return err_set(e, ERR_INVALID, "arguments: expected one of user_id, email, key_id");
        if (!key_subject(c, key_id, out, e))
            return false;
    } else {
        const struct caller *member;
        if (!user_id_read(c, &user_id, e))
            return false;
        if (!caller_of_member(c->sv, c->arena, c->org_id, user_id, &member, e))
            return e->code == ERR_NOT_FOUND ? no_subject(e) : false;
        *out = *member;
    }
    bool is_self = str_eq(out->user_id, c->caller->user_id);
    return is_self || io_may(c, "ORGANIZATION_MEMBER_UPDATE_ROLE", STR_NONE) || no_subject(e);
}

/* ---- what ---- */

static bool action_read(const struct tool_call *c, enum policy_action *out, struct err *e)
{
    static const struct {
        struct str word;
        enum policy_action action;
    } known[] = {{STR("connect"), POLICY_CONNECT},
                 {STR("tool"), POLICY_TOOL},
                 {STR("resource"), POLICY_RESOURCE},
                 {STR("prompt"), POLICY_PROMPT},
                 {STR("manage"), POLICY_MANAGE}};
    struct str word = jv_get_str(c->arguments, "action");
    bool has_place = jv_get(c->arguments, "connection_id") != NULL,
         has_name = jv_get(c->arguments, "name") != NULL;
    if (str_is_absent(word))
        word = !has_place ? STR("manage") : has_name ? STR("tool") : STR("connect");
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(word, known[i].word))
            *out = known[i].action;
    if (*out != POLICY_MANAGE && !has_place)
        return err_set(e, ERR_INVALID, "arguments.connection_id is missing, expected where");
    return *out == POLICY_CONNECT || has_name ||
           err_set(e, ERR_INVALID, "arguments.name is missing, expected a tool, URI or prompt");
}

static bool target_read(struct tool_call *c, enum policy_action action, struct policy_target *t,
                        bool *is_disabled, struct err *e)
{
    struct connection conn = {0};
    *is_disabled = false;
    t->name = jv_get_str(c->arguments, "name");
    t->is_tool_enabled = true;
    if (jv_get(c->arguments, "connection_id")) {
        if (!io_connection(c, &conn, e))
            return false;
        t->connection_id = conn.id;
        *is_disabled = !conn.enabled && action != POLICY_MANAGE;
    }
    if (action == POLICY_MANAGE) {
        if (!registry_find(t->name))
            return err_set(e, ERR_NOT_FOUND, "arguments.name: no such management tool");
    }
    if (action == POLICY_TOOL) {
        struct registry_entry *entry;
        if (!registry_get(c->sv, c->arena, c->org_id, conn.id, &entry, e))
            return false;
        const struct connection_tool *known = registry_tool(entry, t->name);
        t->effect = registry_tool_effect(known);
        t->is_tool_enabled = !known || known->enabled;
    }
    return true;
}

static void verdict_write(struct tool_call *c, bool is_allowed, struct str reason,
                          const struct statement *s)
{
    struct jout j;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_kbool(&j, "allowed", is_allowed);
    jout_kstr(&j, "reason", reason);
    jout_key(&j, STR("statement"));
    if (s) {
        jout_object(&j);
        jout_kstr(&j, "role", s->role_name);
        jout_kstr(&j, "on", s->on);
        jout_kstr(&j, "effect", s->is_deny ? STR("deny") : STR("allow"));
        jout_object_end(&j);
    } else {
        jout_null(&j);
    }
    jout_object_end(&j);
}

bool tool_organization_policy_explain(struct tool_call *c, struct err *e)
{
    struct caller subject = {0};
    struct policy_target target = {0};
    enum policy_action action = POLICY_MANAGE;
    bool is_disabled;
    if (!action_read(c, &action, e) || !subject_read(c, &subject, e) ||
        !target_read(c, action, &target, &is_disabled, e))
        return false;
    struct policy_verdict verdict =
        action == POLICY_MANAGE
            ? registry_decide(c->sv, &subject, registry_find(target.name), target.connection_id)
            : policy_decide(&subject, action, &target);
    if (is_disabled)
        verdict_write(c, false, STR("the connection is disabled"), NULL);
    else
        verdict_write(c, verdict.is_allowed, policy_explain(c->arena, &subject, &verdict),
                      verdict.statement);
    return true;
}
