/* Tasks that a stateless client of an aggregate hears of: under the ids that it was given here. */
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"
#include "mcp/listen_ack.h"

/* ---- which ---- */

static bool resolve(struct aggregate *g, struct str given, struct aggregate_entry *out,
                    struct err *e)
{
    return aggregate_resolve_task(g, given, out, e) &&
           aggregate_may_ask(g, out->member, STR("tasks/get"), STR_NONE, e);
}

static bool knows_tasks(const struct aggregate *g)
{
    struct str extensions = jscan_member(g->p.in.msg.client_capabilities, STR("extensions"));
    return !str_is_absent(jscan_member(extensions, STR(TASKS_EXTENSION)));
}

static bool task_add(struct aggregate *g, struct aggregate_parts *parts, struct str given,
                     struct err *e)
{
    struct aggregate_entry entry = {0};
    if (!resolve(g, given, &entry, e))
        return false;
    const struct client_session *part = aggregate_part_for(g, parts, entry.member, e);
    if (!part)
        return false;
    struct aggregate_task *task = &parts->tasks[parts->n_tasks++];
    *task = (struct aggregate_task){.part = part,
                                    .given = arena_dup(parts->keep, given),
                                    .own = arena_dup(parts->keep, entry.own)};
    return (!str_is_absent(task->given) && !str_is_absent(task->own)) ||
           err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool aggregate_tasks_read(struct aggregate *g, struct aggregate_parts *parts, struct str given,
                          struct err *e)
{
    struct jiter it;
    size_t n = 0;
    if (str_is_absent(given))
        return true;
    if (jscan_type(given) != JTYPE_ARRAY)
        return err_set(e, ERR_INVALID, "params.notifications.taskIds is not an array");
    for (jscan_iter(&it, given); jscan_next(&it);)
        n++;
    if (n == 0)
        return true;
    if (n > LIMIT_LISTEN_TASKS)
        return err_set(e, ERR_INVALID, "more than %d taskIds", LIMIT_LISTEN_TASKS);
    if (!knows_tasks(g))
        return err_set(e, ERR_MISSING_CAPABILITY,
                       "the client does not declare the extension " TASKS_EXTENSION);
    parts->keep = arena_new(LIMIT_BODY_MCP);
    parts->tasks = parts->keep ? arena_alloc(parts->keep, n * sizeof(*parts->tasks)) : NULL;
    if (!parts->tasks)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (jscan_iter(&it, given); jscan_next(&it);)
        if (!task_add(g, parts, it.value, e))
            return false;
    return true;
}

bool aggregate_tasks_asked(const struct aggregate_parts *parts, const struct client_session *part,
                           struct arena *a, struct listen_tasks *out)
{
    *out = (struct listen_tasks){
        .ids = arena_alloc(a, (parts->n_tasks + 1) * sizeof(*out->ids)),
    };
    for (size_t i = 0; out->ids && i < parts->n_tasks; i++) {
        if (parts->tasks[i].part != part)
            continue;
        out->ids[out->n] = arena_dup(a, parts->tasks[i].own);
        if (str_is_absent(out->ids[out->n++]))
            return false;
    }
    return out->ids != NULL;
}

void aggregate_tasks_heard(struct aggregate_parts *parts, const struct client_session *part,
                           const struct listen_tasks *heard)
{
    for (size_t i = 0; i < parts->n_tasks; i++)
        for (size_t k = 0; parts->tasks[i].part == part && k < heard->n; k++)
            parts->tasks[i].is_heard |= str_eq(parts->tasks[i].own, heard->ids[k]);
}

struct str *aggregate_tasks_honoured(struct arena *a, const struct aggregate_parts *parts,
                                     size_t *n)
{
    struct str *list = arena_alloc(a, (parts->n_tasks + 1) * sizeof(*list));
    *n = 0;
    for (size_t i = 0; list && i < parts->n_tasks; i++)
        if (parts->tasks[i].is_heard)
            list[(*n)++] = parts->tasks[i].given;
    return list;
}

void aggregate_tasks_check(struct aggregate *g, struct aggregate_parts *parts)
{
    for (size_t i = 0; i < parts->n_tasks; i++) {
        struct aggregate_entry entry = {0};
        struct err ignored;
        if (!resolve(g, parts->tasks[i].given, &entry, &ignored))
            parts->tasks[i].part = NULL; /* nor when its server has yet to answer */
    }
}

/* ---- what is said of one ---- */

/* Its params as the result of a tasks/get would be shown: the client's id, URIs with their server.
 */
static struct str params_show(struct proxied *p, struct str params)
{
    struct err ignored;
    struct str text = arena_printf(p->a, "{\"result\":%.*s}", STR_FMT(params));
    if (str_is_absent(text) || !proxied_view_response(p, &text, &ignored))
        return STR_NONE;
    return jscan_member(text, STR("result"));
}

static struct str message_write(struct arena *a, struct str params, struct str meta)
{
    struct buf out;
    struct jiter it, inner;
    buf_init(&out, (size_t)2 * LIMIT_OUTBOX_BYTES);
    buf_addf(&out,
             "{\"jsonrpc\":\"2.0\",\"method\":\"" TASKS_NOTIFICATION
             "\",\"params\":{\"_meta\":{%.*s",
             STR_FMT(meta));
    struct str own = jscan_member(params, STR("_meta"));
    if (!str_is_absent(own) && jscan_type(own) == JTYPE_OBJECT)
        for (jscan_iter(&inner, own); jscan_next(&inner);)
            if (!jscan_string_eq(inner.key, STR(META_SUBSCRIPTION_ID)))
                buf_addf(&out, ",%.*s:%.*s", STR_FMT(inner.key), STR_FMT(inner.value));
    buf_add(&out, STR("}"));
    for (jscan_iter(&it, params); jscan_next(&it);)
        if (!jscan_string_eq(it.key, STR("_meta")))
            buf_addf(&out, ",%.*s:%.*s", STR_FMT(it.key), STR_FMT(it.value));
    buf_add(&out, STR("}}"));
    struct str text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

struct str aggregate_task_message(struct proxied *p, const struct aggregate_task *task,
                                  struct str virtual_id, const struct rpc_message *m,
                                  struct str meta)
{
    struct registry_entry server = {0}; /* its id, which other tasks' ids are sealed with */
    struct str slug = aggregate_part_slug(task->part, &server.conn.id);
    struct proxied_view view = {
        .server = slug, .virtual_id = virtual_id, .task = task->own, .task_given = task->given};
    p->view = &view;
    p->entry = &server;
    p->in.msg.method = STR("tasks/get");
    p->kind = METHOD_OTHER;
    struct str params = params_show(p, m->params);
    p->view = NULL;
    p->entry = NULL;
    return str_is_absent(params) ? STR_NONE : message_write(p->a, params, meta);
}
