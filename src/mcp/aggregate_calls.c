/* One call on its way to the one server that it is for. */
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"
#include "mcp/client_sessions.h"
#include "mcp/m2s_caps.h"

/* The name that the server's own address shows: an administrator's rename counts there too. */
static struct str seen_name(const struct aggregate_entry *entry)
{
    bool is_renamed = entry->tool && !str_is_absent(entry->tool->renamed_to);
    return is_renamed ? entry->tool->renamed_to : entry->own;
}

static bool missing(struct err *e, const char *path, const char *expected)
{
    return err_set(e, ERR_INVALID, "%s is missing, expected %s", path, expected);
}

/* completion/complete names a prompt or a resource in params.ref. */
static bool resolve_ref(struct aggregate *g, struct str ref, struct aggregate_entry *entry,
                        struct rpc_edit *edit, struct err *e)
{
    struct jwant wants[] = {{.name = STR("type")}, {.name = STR("name")}, {.name = STR("uri")}};
    struct str given;
    if (str_is_absent(ref))
        return missing(e, "params.ref", "a prompt or resource reference");
    if (!jscan_object(ref, wants, ARRAY_LEN(wants), e))
        return err_set(e, ERR_INVALID, "params.ref is not an object");
    bool is_prompt =
        !str_is_absent(wants[0].value) && jscan_string_eq(wants[0].value, STR("ref/prompt"));
    struct str raw = is_prompt ? wants[1].value : wants[2].value;
    if (str_is_absent(raw) || !jscan_string(g->p.a, raw, &given))
        return missing(e, is_prompt ? "params.ref.name" : "params.ref.uri", "a string");
    edit->span = raw;
    return is_prompt ? aggregate_resolve(g, LIST_PROMPTS, given, entry, e)
                     : aggregate_resolve_uri(g, given, entry, e);
}

static bool unknown_method(const struct rpc_message *m, struct err *e)
{
    return err_set(e, ERR_METHOD_NOT_FOUND, "Method not found: %.*s",
                   STR_FMT(str_slice(m->method, 0, 80)));
}

/* A task's id says where it runs, to whom it was given. */
bool aggregate_resolve_task(struct aggregate *g, struct str given, struct aggregate_entry *entry,
                            struct err *e)
{
    struct str connection_id;
    struct proxied p = g->p;
    p.view = &g->view;
    if (proxied_view_task_open(&p, given, &connection_id, &entry->own))
        for (size_t i = 0; i < g->n_members; i++)
            if (str_eq(g->members[i].entry->conn.id, connection_id))
                entry->member = &g->members[i];
    return entry->member || err_set(e, ERR_INVALID, "Unknown task");
}

static bool resolve_task(struct aggregate *g, const struct rpc_message *m,
                         struct aggregate_entry *entry, struct rpc_edit *edit, struct err *e)
{
    if (str_is_absent(m->task_id))
        return missing(e, "params.taskId", "the id of a task");
    edit->span = m->task_id;
    return aggregate_resolve_task(g, m->task_id, entry, e);
}

static bool is_of_task(const struct rpc_message *m)
{
    static const struct str methods[] = {STR("tasks/get"), STR("tasks/update"), STR("tasks/cancel"),
                                         STR("tasks/result")};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(m->method, methods[i]))
            return true;
    return false;
}

static bool resolve(struct aggregate *g, const struct rpc_message *m, struct aggregate_entry *entry,
                    struct rpc_edit *edit, struct err *e)
{
    switch (method_kind_of(m->method)) {
    case METHOD_TOOL_CALL:
    case METHOD_PROMPT: {
        bool is_tool = method_kind_of(m->method) == METHOD_TOOL_CALL;
        if (str_is_absent(m->name_text))
            return missing(e, "params.name",
                           is_tool ? "the name of a tool" : "the name of a prompt");
        edit->span = m->name;
        return aggregate_resolve(g, is_tool ? LIST_TOOLS : LIST_PROMPTS, m->name_text, entry, e);
    }
    case METHOD_RESOURCE:
        if (g->p.in.era == ERA_STATELESS && !str_eq(m->method, STR("resources/read")))
            return unknown_method(m, e);
        if (str_is_absent(m->uri_text))
            return missing(e, "params.uri", "a resource URI");
        edit->span = m->uri;
        return aggregate_resolve_uri(g, m->uri_text, entry, e);
    case METHOD_COMPLETE:
        return resolve_ref(g, m->ref, entry, edit, e);
    default:
        return is_of_task(m) ? resolve_task(g, m, entry, edit, e) : unknown_method(m, e);
    }
}

static bool redirect(struct aggregate *g, struct str raw, struct proxied *p, struct err *e)
{
    struct rpc_message m;
    struct aggregate_entry entry = {0};
    struct rpc_edit edit;
    if (!rpc_parse(g->p.a, raw, &m, e) || !resolve(g, &m, &entry, &edit, e))
        return false;
    ensure(entry.member != NULL);
    edit.with = rpc_quote(g->p.a, seen_name(&entry));
    struct str text = str_is_absent(edit.with) ? STR_NONE : rpc_replace(g->p.a, raw, &edit, 1);
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct proxied_view *view = arena_alloc(g->p.a, sizeof(*view));
    if (!view)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    *view = (struct proxied_view){.server = entry.member->entry->conn.slug,
                                  .virtual_id = g->view.virtual_id};
    if (is_of_task(&m)) {
        view->task = entry.own;
        view->task_given = m.task_id;
    }
    *p = g->p;
    p->view = view;
    p->entry = entry.member->entry;
    p->client = g->session;
    /* What the client declared is what its sessions at servers declare: there they ask it. */
    if (g->session) {
        p->capabilities = m2s_caps_project(g->p.a, client_session_hello(g->session)->capabilities);
        if (str_is_absent(p->capabilities))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    return rpc_parse(g->p.a, text, &p->in.msg, e);
}

void aggregate_forward(struct aggregate *g, struct str raw)
{
    struct err e = {.code = ERR_NONE};
    struct proxied p = g->p;
    if (!redirect(g, raw, &p, &e)) {
        proxied_fail(&g->p, &e);
        return;
    }
    g->p.is_reserved = false; /* the call has the place, if there is one yet */
    proxied_run(&p);
}
