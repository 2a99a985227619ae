/*
 * The one caller of tool functions: find, organization, permission, schema, place in the audit
 * queue, run, record. Listing and calling ask the same policy_decide.
 */
#include "management-tools/registry.h"

#include "auth/login/signin_policy.h"
#include "auth/token_check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "json/jschema.h"
#include "management-tools/registry_audit.h"
#include "management-tools/tool_io.h"

static struct jschema **inputs; /* one for each tool; made once at start, read-only afterwards */
static struct jschema **outputs;

bool registry_start(struct err *e)
{
    static bool is_started;
    if (is_started)
        return true;
    inputs = calloc(n_tools, sizeof(*inputs)); /* kept for the life of the process */
    outputs = calloc(n_tools, sizeof(*outputs));
    if (!inputs || !outputs)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < n_tools; i++) {
        inputs[i] = jschema_compile(str_c(tools[i].input_schema), e);
        outputs[i] = inputs[i] ? jschema_compile(str_c(tools[i].output_schema), e) : NULL;
        if (!outputs[i]) {
            const struct err why = *e;
            return err_set(e, ERR_INTERNAL, "%s: %s", tools[i].name, why.msg);
        }
    }
    is_started = true;
    return true;
}

const struct tool *registry_find(struct str name)
{
    for (size_t i = 0; i < n_tools; i++)
        if (str_eq(name, str_c(tools[i].name)))
            return &tools[i];
    return NULL;
}

unsigned registry_manage_roles(const struct services *sv, const struct tool *t)
{
    struct str permission = str_c(t->permission);
    if (str_eq(permission, STR("creator")))
        permission = str_eq(str_c(sv->config->allow_org_creation), STR("everyone"))
                         ? STR("anyone")
                         : STR("operator");
    static const struct {
        struct str name;
        unsigned roles;
    } known[] = {{STR("anyone"), MANAGE_ANYONE},
                 {STR("member"), ROLE_OWNER | ROLE_ADMIN | ROLE_MEMBER},
                 {STR("admin"), ROLE_OWNER | ROLE_ADMIN},
                 {STR("owner"), ROLE_OWNER},
                 {STR("operator"), MANAGE_OPERATOR}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(permission, known[i].name))
            return known[i].roles;
    bug("a tool's permission is unknown");
}

enum effect registry_effect(const struct tool *t)
{
    return str_eq(str_c(t->effect), STR("read"))          ? EFFECT_READ
           : str_eq(str_c(t->effect), STR("destructive")) ? EFFECT_DESTRUCTIVE
                                                          : EFFECT_WRITE;
}

struct policy_verdict registry_decide(const struct services *sv, const struct caller *caller,
                                      const struct tool *t, struct str connection_id)
{
    struct policy_target target = {.connection_id = connection_id,
                                   .name = str_c(t->name),
                                   .effect = registry_effect(t),
                                   .manage_roles = registry_manage_roles(sv, t)};
    struct policy_verdict own = policy_decide(caller, POLICY_MANAGE, &target);
    if (!t->twin_of || own.reason == POLICY_DENIED_BY_STATEMENT)
        return own;
    target.name = str_c(t->twin_of);
    struct policy_verdict twin = policy_decide(caller, POLICY_MANAGE, &target);
    return twin.reason == POLICY_DENIED_BY_STATEMENT || twin.is_allowed ? twin : own;
}

static struct policy_verdict decide(const struct tool_call *c, struct str connection_id)
{
    return registry_decide(c->sv, c->caller, c->tool, connection_id);
}

/* ---- list ---- */

static bool is_in_toolset(const struct tool *t, struct str toolset)
{
    struct str rest = toolset, family;
    if (str_is_absent(toolset))
        return t->twin_of == NULL;
    while (str_next(&rest, ',', &family))
        if (str_eq(str_trim(family), str_c(t->toolset)))
            return true;
    return false;
}

static bool registry_list(struct tool_use *u, struct str toolset, struct buf *out, struct err *e)
{
    struct jout j;
    jout_init(&j, out);
    jout_array(&j);
    for (size_t i = 0; i < n_tools; i++) {
        const struct tool_call c = {.tool = &tools[i], .use = u, .sv = u->sv, .caller = u->caller};
        if (is_in_toolset(&tools[i], toolset) && decide(&c, STR_NONE).is_allowed)
            jout_raw(&j, str_c(tools[i].description_json));
    }
    jout_array_end(&j);
    return buf_ok(out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- call ---- */

/*
 * Whose affair this is. A key or grant belongs to one organization; a person's session names one it
 * is a member of. A foreign id answers as an unknown one does.
 */
static bool org_resolve(struct tool_call *c, struct err *e)
{
    struct str wanted = jv_get_str(c->arguments, "organization_id");
    c->org_id = c->caller->org_id;
    if (!c->tool->needs_org || (str_is_absent(wanted) && !str_is_absent(c->org_id)))
        return true;
    if (str_is_absent(wanted))
        return err_set(e, ERR_INVALID,
                       "arguments.organization_id is missing, expected the id of an organization");
    if (str_eq(wanted, c->org_id))
        return true;
    bool is_bound = caller_is_bound(c->caller);
    const struct caller *asking = c->caller, *member;
    if (!is_bound && caller_of_member(c->sv, c->arena, wanted, asking->user_id, &member, e)) {
        struct caller *there = arena_alloc(c->arena, sizeof(*there));
        if (!there)
            return io_no_memory(e);
        *there = *member;
        there->proof = asking->proof;
        there->proved_at = asking->proved_at;
        there->is_operator = asking->is_operator; /* a provider's proof is no operator's */
        c->caller = there;
        c->org_id = there->org_id;
        return signin_policy_check(c->sv, c->arena, c->org_id, asking->user_id, &asking->proof, e);
    }
    if (!is_bound && e->code != ERR_NOT_FOUND)
        return false;
    return err_set(e, ERR_NOT_FOUND, "no organization %.*s", STR_FMT(str_slice(wanted, 0, 60)));
}

static bool unknown_tool(struct str name, bool *is_unknown_tool, struct err *e)
{
    *is_unknown_tool = true;
    return err_set(e, ERR_NOT_FOUND, "unknown tool %.*s", STR_FMT(str_slice(name, 0, 80)));
}

/* Refused: recorded, and told as little as the caller may know. */
static bool refuse(struct tool_call *c, const struct policy_verdict *v, bool *is_unknown_tool,
                   struct err *e)
{
    struct str why = policy_explain(c->arena, c->caller, v);
    if (!registry_audit_denial(c, why, e))
        return false;
    if (v->reason == POLICY_SCOPE)
        return err_set(e, ERR_INSUFFICIENT_SCOPE, "%s needs the scope mcp:manage", c->tool->name);
    if (v->reason == POLICY_KEY_CONNECTIONS)
        return io_no_connection(e);
    unknown_tool(str_c(c->tool->name), is_unknown_tool, e);
    return err_detail(e, "denied: %.*s", STR_FMT(why));
}

/* The schema's messages quote what was given; where that may be a secret, only the path and the
 * expectation stay. */
static bool arguments_check(struct tool_call *c, struct err *e)
{
    if (jschema_check(inputs[c->tool - tools], c->arguments, "arguments", e))
        return true;
    char *given = strstr(e->msg, "given ");
    if (!c->tool->has_secrets || !given)
        return false;
    struct err plain = *e;
    const char *expected = strstr(plain.msg + (given - e->msg), "expected");
    plain.msg[given - e->msg] = '\0';
    return err_set(e, e->code, "%s%s", plain.msg,
                   expected ? expected : "what was given does not fit");
}

#ifdef TULLE_DEBUG
static void output_check(const struct tool_call *c, struct str structured)
{
    struct err e = {0};
    struct jdoc *doc = jdoc_parse(structured, &e);
    if (!doc || !jschema_check(outputs[c->tool - tools], jdoc_root(doc), "result", &e)) {
        (void)fprintf(stderr, "%s answers what its output schema forbids: %s\n", c->tool->name,
                      e.msg);
        bug("a tool's answer breaks its output schema");
    }
    jdoc_free(doc);
}
#endif

static bool outcome_fill(struct tool_call *c, struct tool_outcome *out, struct err *e)
{
    if (!buf_ok(c->out))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct str structured = arena_dup(c->arena, buf_str(c->out));
    if (str_is_absent(structured))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
#ifdef TULLE_DEBUG
    output_check(c, structured);
#endif
    *out = (struct tool_outcome){.structured = structured};
    return true;
}

/* A read that the object forbids is recorded too; *e stays what it is unless there is no place for
 * the record. */
static bool refused_in_read(struct tool_call *c, struct err *e)
{
    const struct err why = *e;
    if (why.code == ERR_FORBIDDEN && registry_audit_denial(c, str_c(why.msg), e))
        *e = why;
    return false;
}

/* Acts that change something have a place in the audit queue before they begin; reads need none. */
static bool run(struct tool_call *c, struct tool_outcome *out, struct err *e)
{
    struct buf text;
    bool is_read = registry_effect(c->tool) == EFFECT_READ;
    int64_t started_us = clock_mono_us();
    if (!is_read && !registry_audit_open(c, e))
        return false;
    buf_init(&text, LIMIT_ANSWER_HELD);
    c->out = &text;
    bool is_good = c->tool->run(c, e) && outcome_fill(c, out, e);
    if (text.p)
        secret_wipe(text.p, text.n); /* an answer may hold a new API key */
    buf_end(&text);
    if (is_read)
        return is_good || refused_in_read(c, e);
    return registry_audit_close(c, is_good, started_us, e) && is_good;
}

/* Keys and grants prove nothing anew: they may do what they may. */
static bool proof_check(struct tool_call *c, struct err *e)
{
    int64_t proved_at = c->use->caller->proved_at;
    if (!c->tool->needs_fresh || !proved_at || clock_wall_ms() - proved_at <= LIMIT_FRESH_MS)
        return true;
    if (!registry_audit_denial(c, STR("the last proof of who it is was too long ago"), e))
        return false;
    return err_set(
        e, ERR_PROOF_OLD,
        "prove again that it is you, at %s/login/again in this browser; then repeat this",
        c->sv->config->origin);
}

static bool call_parsed(struct tool_call *c, struct tool_outcome *out, bool *is_unknown_tool,
                        struct err *e)
{
    if (!jv_is_object(c->arguments))
        return err_set(e, ERR_INVALID, "arguments: expected an object");
    if (!org_resolve(c, e))
        return false;
    struct policy_verdict verdict = decide(c, STR_NONE);
    if (!verdict.is_allowed)
        return refuse(c, &verdict, is_unknown_tool, e);
    if (!arguments_check(c, e))
        return false;
    verdict = decide(c, jv_get_str(c->arguments, c->tool->twin_of ? "id" : "connection_id"));
    if (!verdict.is_allowed)
        return refuse(c, &verdict, is_unknown_tool, e);
    return proof_check(c, e) && run(c, out, e);
}

static bool registry_call(struct tool_use *u, struct str name, struct str arguments,
                          struct tool_outcome *out, bool *is_unknown_tool, struct err *e)
{
    *is_unknown_tool = false;
    *out = (struct tool_outcome){.is_error = true};
    const struct tool *tool = registry_find(name);
    if (!tool)
        return unknown_tool(name, is_unknown_tool, e);
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(arguments, e);
    if (!doc)
        return false;
    struct tool_call c = {.tool = tool,
                          .use = u,
                          .arena = u->arena,
                          .sv = u->sv,
                          .caller = u->caller,
                          .arguments = jdoc_root(doc)};
    return call_parsed(&c, out, is_unknown_tool, e);
}

const struct tool_source registry_source = {.list = registry_list, .call = registry_call};
