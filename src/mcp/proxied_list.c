/* Lists as this caller may see them: denied entries left out, renamed tools under their new names,
 * cursors sealed. */
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/m2s.h"
#include "mcp/proxied.h"
#include "mcp/s2m.h"
#include "mcp/upstream_tools.h"

#define CURSOR_PURPOSE "mcp-cursor"
enum { CURSOR_MAX = 8192, CURSOR_LIFE_MS = 24 * 60 * 60 * 1000 };

static const struct {
    enum method_kind kind;
    enum policy_action action;
    const char *array; /* member of the result */
    const char *name;  /* member of an entry */
} lists[] = {
    {METHOD_LIST_TOOLS, POLICY_TOOL, "tools", "name"},
    {METHOD_LIST_RESOURCES, POLICY_RESOURCE, "resources", "uri"},
    {METHOD_LIST_TEMPLATES, POLICY_RESOURCE, "resourceTemplates", "uriTemplate"},
    {METHOD_LIST_PROMPTS, POLICY_PROMPT, "prompts", "name"},
};

/* ---- cursors: "expiry|raw", sealed to principal, connection, method and era ---- */

static struct str cursor_aad(struct proxied *p)
{
    return arena_printf(p->a, "%.*s|%.*s|%.*s|%d", STR_FMT(p->caller->principal),
                        STR_FMT(p->entry->conn.id), STR_FMT(p->in.msg.method), (int)p->era);
}

bool proxied_cursor_seal(struct proxied *p, struct str raw, struct str *sealed, struct err *e)
{
    struct buf out;
    buf_init(&out, CURSOR_MAX);
    buf_add_char(&out, '"');
    struct str plain =
        arena_printf(p->a, "%lld|%.*s", (long long)clock_wall_ms() + CURSOR_LIFE_MS, STR_FMT(raw));
    bool is_sealed = !str_is_absent(plain) &&
                     keyring_seal(p->sv->keys, STR(CURSOR_PURPOSE), cursor_aad(p), plain, &out);
    buf_add_char(&out, '"');
    *sealed = is_sealed && buf_ok(&out) ? arena_dup(p->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return !str_is_absent(*sealed) ||
           err_set(e, ERR_UPSTREAM, "the server's cursor is too long to be carried");
}

bool proxied_cursor_open(struct proxied *p, struct str sealed_raw, struct str *raw, struct err *e)
{
    struct str sealed, expiry;
    struct buf plain;
    int64_t expires_at = 0;
    buf_init(&plain, CURSOR_MAX);
    bool is_open = jscan_type(sealed_raw) == JTYPE_STRING &&
                   jscan_string(p->a, sealed_raw, &sealed) &&
                   keyring_open(p->sv->keys, STR(CURSOR_PURPOSE), cursor_aad(p), sealed, &plain);
    struct str rest = is_open ? arena_dup(p->a, buf_str(&plain)) : STR_NONE;
    buf_end(&plain);
    is_open = str_next(&rest, '|', &expiry) && str_to_i64(expiry, 0, INT64_MAX, &expires_at) &&
              expires_at > clock_wall_ms();
    if (!is_open)
        return err_set(e, ERR_INVALID,
                       "params.cursor is not one that this list gave you, or it has expired");
    *raw = rest;
    return true;
}

/* ---- entries ---- */

/* One tool as the client may see it: renamed if an administrator said so. */
static struct str tool_as_seen(struct proxied *p, struct str entry, struct str name_raw,
                               const struct connection_tool *tool)
{
    if (!tool || str_is_absent(tool->renamed_to))
        return entry;
    struct buf name;
    struct jout j;
    buf_init(&name, LIMIT_BODY_SMALL);
    jout_init(&j, &name);
    jout_str(&j, tool->renamed_to);
    struct rpc_edit edit = {name_raw, buf_str(&name)};
    struct str text = rpc_replace(p->a, entry, &edit, 1);
    buf_end(&name);
    return text;
}

static bool entry_copy(struct proxied *p, size_t list, struct str entry, struct jout *j,
                       struct err *e)
{
    struct jwant wants[] = {{.name = str_c(lists[list].name)}};
    struct str name;
    if (!jscan_object(entry, wants, 1, e) || str_is_absent(wants[0].value) ||
        !jscan_string(p->a, wants[0].value, &name))
        return err_set(e, ERR_UPSTREAM, "the server's %s list holds an entry without \"%s\"",
                       lists[list].array, lists[list].name);
    bool is_tool = lists[list].action == POLICY_TOOL;
    const struct connection_tool *tool = is_tool ? registry_tool(p->entry, name) : NULL;
    if (!proxied_may_see(p, lists[list].action, name, tool) ||
        (is_tool && p->is_m2s && m2s_needs_task(entry)))
        return true;
    struct str seen = is_tool ? tool_as_seen(p, entry, wants[0].value, tool) : entry;
    if (str_is_absent(seen))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    jout_raw(j, seen);
    return true;
}

static bool array_copy(struct proxied *p, size_t list, struct str array, struct str *out,
                       struct err *e)
{
    struct buf text;
    struct jout j;
    struct jiter it;
    bool is_good = true;
    buf_init(&text, LIMIT_ANSWER_HELD + LIMIT_BODY_MCP);
    jout_init(&j, &text);
    jout_array(&j);
    for (jscan_iter(&it, array); is_good && jscan_next(&it);)
        is_good = entry_copy(p, list, it.value, &j, e);
    jout_array_end(&j);
    *out = is_good && buf_ok(&text) ? arena_dup(p->a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return is_good && (!str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory"));
}

/* Definitions that are new or changed since they were last seen are recorded with their hashes,
 * before anybody uses them. */
static bool definitions_record(struct proxied *p, struct str array, struct err *e)
{
    struct connection_tool *tools = arena_alloc(p->a, LIMIT_TOOLS * sizeof(*tools));
    size_t n = 0, n_news = 0;
    if (!tools)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!upstream_tools_read(p->a, array, tools, LIMIT_TOOLS, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct connection_tool *known = registry_tool(p->entry, tools[i].name);
        if (!known || !str_eq(known->hash, tools[i].hash))
            n_news++;
    }
    if (n_news == 0)
        return true;
    if (!connection_tools_record(p->sv->db, p->a, p->entry->conn.org_id, p->entry->conn.id, tools,
                                 n, clock_wall_ms(), e))
        return false;
    registry_tools_note(p->entry, tools, n);
    return true;
}

static bool list_rewrite(struct proxied *p, size_t list, struct str result, struct rpc_edit *edits,
                         size_t *n, struct err *e)
{
    struct jwant wants[] = {{.name = str_c(lists[list].array)}, {.name = STR("nextCursor")}};
    if (!jscan_object(result, wants, ARRAY_LEN(wants), e) || str_is_absent(wants[0].value) ||
        jscan_type(wants[0].value) != JTYPE_ARRAY)
        return err_set(e, ERR_UPSTREAM, "the server's list result has no array \"%s\"",
                       lists[list].array);
    edits[*n].span = wants[0].value;
    if (!array_copy(p, list, wants[0].value, &edits[(*n)++].with, e))
        return false;
    if (!str_is_absent(wants[1].value) && jscan_type(wants[1].value) == JTYPE_STRING) {
        edits[*n].span = wants[1].value;
        if (!proxied_cursor_seal(p, wants[1].value, &edits[(*n)++].with, e))
            return false;
    }
    return lists[list].action != POLICY_TOOL || definitions_record(p, wants[0].value, e);
}

bool proxied_rewrite(struct proxied *p, const struct upstream_response *r, struct str *out,
                     struct err *e)
{
    struct rpc_edit edits[3];
    size_t n = 0;
    if (!str_is_absent(r->result))
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
            if (lists[i].kind == p->kind && !list_rewrite(p, i, r->result, edits, &n, e))
                return false;
    edits[n].span = r->id;
    edits[n++].with = p->in.msg.id;
    *out = rpc_replace(p->a, r->text, edits, n);
    if (str_is_absent(*out))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (p->is_s2m && !s2m_project(p, *out, out, e))
        return false;
    if (p->is_m2s && !m2s_respond(p, out, e))
        return false;
    return !p->view || proxied_view_response(p, out, e);
}
