/* Answers of one server as an aggregate shows them: every URI carries its server. */
#include "base/limits.h"
#include "crypto/keyring.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/aggregate_names.h"
#include "mcp/proxied.h"

struct edits {
    struct arena *a;
    struct rpc_edit *list;
    size_t n, cap;
    bool failed;
};

static void edit_add(struct edits *edits, struct str span, struct str with)
{
    if (edits->n == edits->cap) {
        size_t cap = edits->cap ? edits->cap * 2 : 16;
        struct rpc_edit *more = arena_alloc(edits->a, cap * sizeof(*more));
        if (!more) {
            edits->failed = true;
            return;
        }
        if (edits->n)
            memcpy(more, edits->list, edits->n * sizeof(*more));
        edits->list = more;
        edits->cap = cap;
    }
    edits->list[edits->n++] = (struct rpc_edit){span, with};
}

struct str proxied_view_uri(const struct proxied *p, struct arena *a, struct str raw)
{
    struct str uri, shown;
    struct buf out;
    struct jout j;
    if (jscan_type(raw) != JTYPE_STRING || !jscan_string(a, raw, &uri))
        return STR_NONE;
    shown = names_uri(a, p->view->server, uri);
    if (str_is_absent(shown))
        return STR_NONE;
    buf_init(&out, LIMIT_BODY_MCP);
    jout_init(&j, &out);
    jout_str(&j, shown);
    struct str text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

/* The member "uri" of an object. */
static void uri_edit(const struct proxied *p, struct str object, struct edits *edits)
{
    struct jwant wants[] = {{.name = STR("uri")}};
    struct err ignored;
    if (!jscan_object(object, wants, 1, &ignored) || str_is_absent(wants[0].value))
        return;
    struct str shown = proxied_view_uri(p, edits->a, wants[0].value);
    if (!str_is_absent(shown)) /* what has no scheme stays as it is */
        edit_add(edits, wants[0].value, shown);
}

/* One content block: a link to a resource, or a resource inside of it. */
static void content_edit(const struct proxied *p, struct str block, struct edits *edits)
{
    struct jwant wants[] = {{.name = STR("type")}, {.name = STR("resource")}};
    struct err ignored;
    if (!jscan_object(block, wants, ARRAY_LEN(wants), &ignored) || str_is_absent(wants[0].value))
        return;
    if (jscan_string_eq(wants[0].value, STR("resource_link")))
        uri_edit(p, block, edits);
    else if (jscan_string_eq(wants[0].value, STR("resource")) && !str_is_absent(wants[1].value))
        uri_edit(p, wants[1].value, edits);
}

static void contents_edit(const struct proxied *p, struct str value, struct edits *edits)
{
    struct jiter it;
    if (jscan_type(value) == JTYPE_OBJECT)
        content_edit(p, value, edits);
    if (jscan_type(value) != JTYPE_ARRAY)
        return;
    for (jscan_iter(&it, value); jscan_next(&it);)
        content_edit(p, it.value, edits);
}

static void messages_edit(const struct proxied *p, struct str messages, struct edits *edits)
{
    struct jiter it;
    for (jscan_iter(&it, messages); jscan_next(&it);) {
        struct jwant wants[] = {{.name = STR("content")}};
        struct err ignored;
        if (jscan_object(it.value, wants, 1, &ignored) && !str_is_absent(wants[0].value))
            contents_edit(p, wants[0].value, edits);
    }
}

static void resources_edit(const struct proxied *p, struct str contents, struct edits *edits)
{
    struct jiter it;
    for (jscan_iter(&it, contents); jscan_next(&it);)
        uri_edit(p, it.value, edits);
}

/* ---- tasks (MCP 2025-11-25, Tasks; the extension of 2026-07-28) ---- */

#define TASK_PURPOSE "mcp-task"
enum { TASK_MAX = 4096 };

static struct str task_aad(const struct proxied *p)
{
    struct str where = p->view->virtual_id;
    return arena_printf(p->a, "%.*s|%.*s", STR_FMT(p->caller->principal),
                        STR_FMT(str_is_absent(where) ? STR("hub") : where));
}

struct str proxied_view_task(const struct proxied *p, struct str raw)
{
    struct str task, sealed = STR_NONE;
    struct buf out;
    if (jscan_type(raw) != JTYPE_STRING || !jscan_string(p->a, raw, &task))
        return STR_NONE;
    struct str plain = arena_printf(p->a, "%.*s|%.*s", STR_FMT(p->entry->conn.id), STR_FMT(task));
    buf_init(&out, TASK_MAX);
    if (!str_is_absent(plain) &&
        keyring_seal(p->sv->keys, STR(TASK_PURPOSE), task_aad(p), plain, &out) && buf_ok(&out))
        sealed = rpc_quote(p->a, buf_str(&out));
    buf_end(&out);
    return sealed;
}

bool proxied_view_task_open(const struct proxied *p, struct str raw, struct str *connection_id,
                            struct str *task)
{
    struct str sealed, rest = STR_NONE;
    struct buf plain;
    buf_init(&plain, TASK_MAX);
    if (!str_is_absent(raw) && jscan_type(raw) == JTYPE_STRING &&
        jscan_string(p->a, raw, &sealed) &&
        keyring_open(p->sv->keys, STR(TASK_PURPOSE), task_aad(p), sealed, &plain))
        rest = arena_dup(p->a, buf_str(&plain));
    buf_end(&plain);
    bool is_open = str_next(&rest, '|', connection_id);
    *task = rest;
    return is_open;
}

/* As the client knows it. The task that was asked about keeps the id that the client gave, and one
 * that is said more than once in answer to a message the id of the first time: each sealed one
 * differs. */
static struct str task_show(struct proxied *p, struct str raw)
{
    struct str task;
    if (jscan_type(raw) != JTYPE_STRING || !jscan_string(p->a, raw, &task))
        return STR_NONE;
    if (!str_is_absent(p->view->task) && str_eq(task, p->view->task))
        return p->view->task_given;
    if (str_is_absent(p->task_shown) || !str_eq(task, p->task)) {
        p->task_shown = proxied_view_task(p, raw);
        p->task = str_is_absent(p->task_shown) ? STR_NONE : arena_dup(p->a, task);
    }
    return p->task_shown;
}

static void task_edit(struct proxied *p, struct str raw, struct edits *edits)
{
    if (str_is_absent(raw) || jscan_type(raw) != JTYPE_STRING)
        return;
    struct str shown = task_show(p, raw);
    if (str_is_absent(shown))
        edits->failed = true;
    else
        edit_add(edits, raw, shown);
}

static struct str related_of(struct str object)
{
    struct str meta = jscan_member(object, STR("_meta"));
    return jscan_member(jscan_member(meta, STR("io.modelcontextprotocol/related-task")),
                        STR("taskId"));
}

bool proxied_view_tasks(struct proxied *p, struct str object, bool is_status,
                        struct rpc_edit edits[VIEW_TASK_EDITS], size_t *n)
{
    struct str named[VIEW_TASK_EDITS] = {
        related_of(object), is_status ? jscan_member(object, STR("taskId")) : STR_NONE};
    *n = 0;
    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        if (str_is_absent(named[i]) || jscan_type(named[i]) != JTYPE_STRING)
            continue;
        edits[*n] = (struct rpc_edit){named[i], task_show(p, named[i])};
        if (str_is_absent(edits[(*n)++].with))
            return false;
    }
    return true;
}

struct str proxied_view_task_back(struct proxied *p, struct str result)
{
    struct rpc_edit edit = {.span = related_of(result)};
    struct str connection_id, own;
    /* What was not given to this client for this server is its own affair. */
    if (!proxied_view_task_open(p, edit.span, &connection_id, &own) ||
        !str_eq(connection_id, p->entry->conn.id))
        return result;
    edit.with = rpc_quote(p->a, own);
    return str_is_absent(edit.with) ? STR_NONE : rpc_replace(p->a, result, &edit, 1);
}

/* Of a result: a call that goes on as a task, what is said of one, what came of one. */
static void tasks_edit(struct proxied *p, struct str result, struct edits *edits)
{
    struct jwant wants[] = {{.name = STR("taskId")},
                            {.name = STR("task")},
                            {.name = STR("resultType")},
                            {.name = STR("result")}};
    struct err ignored;
    bool is_about = str_starts(p->in.msg.method, STR("tasks/"));
    if ((!is_about && p->kind != METHOD_TOOL_CALL) ||
        !jscan_object(result, wants, ARRAY_LEN(wants), &ignored))
        return;
    struct str type = wants[2].value;
    if (is_about || (!str_is_absent(type) && jscan_string_eq(type, STR("task"))))
        task_edit(p, wants[0].value, edits);
    if (!is_about) {
        task_edit(p, jscan_member(wants[1].value, STR("taskId")), edits);
        return;
    }
    task_edit(p, related_of(result), edits);
    struct str content = jscan_member(wants[3].value, STR("content"));
    if (!str_is_absent(content))
        contents_edit(p, content, edits);
}

bool proxied_view_response(struct proxied *p, struct str *response, struct err *e)
{
    struct jwant top[] = {{.name = STR("result")}};
    struct jwant wants[] = {
        {.name = STR("content")}, {.name = STR("contents")}, {.name = STR("messages")}};
    struct edits edits = {.a = p->a};
    struct err ignored;
    if (!jscan_object(*response, top, 1, &ignored) || str_is_absent(top[0].value) ||
        !jscan_object(top[0].value, wants, ARRAY_LEN(wants), &ignored))
        return true; /* an error, or nothing that this program knows */
    tasks_edit(p, top[0].value, &edits);
    bool is_tool = p->kind == METHOD_TOOL_CALL || str_eq(p->in.msg.method, STR("tasks/result"));
    if (is_tool && !str_is_absent(wants[0].value))
        contents_edit(p, wants[0].value, &edits);
    bool is_list = !str_is_absent(wants[1].value) && jscan_type(wants[1].value) == JTYPE_ARRAY;
    if (p->kind == METHOD_RESOURCE && is_list)
        resources_edit(p, wants[1].value, &edits);
    is_list = !str_is_absent(wants[2].value) && jscan_type(wants[2].value) == JTYPE_ARRAY;
    if (p->kind == METHOD_PROMPT && is_list)
        messages_edit(p, wants[2].value, &edits);
    if (edits.n > 0)
        *response = rpc_replace(p->a, *response, edits.list, edits.n);
    return (!edits.failed && !str_is_absent(*response)) ||
           err_set(e, ERR_UNAVAILABLE, "out of memory");
}
