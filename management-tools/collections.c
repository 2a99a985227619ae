/* COLLECTION_CONNECTIONS_*: the twins of CONNECTION_* for the clients of MCP Mesh. */
#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"
#include "management-tools/collection.h"
#include "management-tools/collection_where.h"
#include "management-tools/connection_settings.h"
#include "management-tools/tool_io.h"

tool_fn tool_collection_connections_create, tool_collection_connections_update,
    tool_collection_connections_get, tool_collection_connections_delete,
    tool_collection_connections_list;

/* ---- one ---- */

/* The connection of arguments.id, as io_connection finds it. */
static bool find(struct tool_call *c, struct connection *out, struct err *e)
{
    if (!connections_get(c->sv->db, c->arena, c->org_id, jv_get_str(c->arguments, "id"), out, e))
        return e->code == ERR_NOT_FOUND ? io_no_connection(e) : false;
    c->object = out->id;
    return io_sees_connection(c, out) || io_no_connection(e);
}

static bool answer(struct tool_call *c, const struct connection *conn, struct err *e)
{
    struct jout j;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    if (!collection_item_write(&j, conn, e))
        return false;
    jout_object_end(&j);
    return true;
}

/* Runs the twin with these arguments; its answer is dropped. */
static bool twin_run(struct tool_call *c, struct str arguments, struct err *e)
{
    struct tool_call twin = *c;
    struct buf text;
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(arguments, e);
    if (!doc)
        return false;
    twin.tool = registry_find(str_c(c->tool->twin_of));
    ensure(twin.tool != NULL);
    twin.arguments = jdoc_root(doc);
    buf_init(&text, LIMIT_ANSWER_HELD);
    twin.out = &text;
    bool is_good = twin.tool->run(&twin, e);
    buf_end(&text);
    c->object = arena_dup(c->arena, twin.object);
    return is_good;
}

static bool write(struct tool_call *c, const struct connection *before, struct err *e)
{
    const struct jvalue *data = jv_get(c->arguments, "data"),
                        *state = jv_get(data, "configuration_state");
    struct connection conn;
    struct buf arguments;
    buf_init(&arguments, LIMIT_BODY_MCP);
    bool is_good = buf_reserve(&arguments, LIMIT_CREDENTIAL * 4) || io_no_memory(e);
    is_good = is_good && collection_data_read(c, data, before, &arguments, e) &&
              twin_run(c, buf_str(&arguments), e);
    if (arguments.p)
        secret_wipe(arguments.p, arguments.cap);
    buf_end(&arguments);
    is_good = is_good && connections_get(c->sv->db, c->arena, c->org_id, c->object, &conn, e) &&
              (!jv_is_object(state) || connection_settings_put(c, &conn, state, e));
    if (is_good)
        return answer(c, &conn, e);
    collection_data_rename(e);
    return false;
}

bool tool_collection_connections_create(struct tool_call *c, struct err *e)
{
    return write(c, NULL, e);
}

bool tool_collection_connections_update(struct tool_call *c, struct err *e)
{
    struct connection before;
    return find(c, &before, e) && write(c, &before, e);
}

bool tool_collection_connections_get(struct tool_call *c, struct err *e)
{
    struct connection conn;
    return find(c, &conn, e) && answer(c, &conn, e);
}

bool tool_collection_connections_delete(struct tool_call *c, struct err *e)
{
    struct connection conn;
    if (!find(c, &conn, e))
        return false;
    bool is_forced = jv_get_bool(c->arguments, "force", false);
    struct str arguments =
        is_forced ? arena_printf(c->arena, "{\"connection_id\":\"%.*s\",\"confirm\":\"%.*s\"}",
                                 STR_FMT(conn.id), STR_FMT(conn.slug))
                  : arena_printf(c->arena, "{\"connection_id\":\"%.*s\"}", STR_FMT(conn.id));
    if (str_is_absent(arguments))
        return io_no_memory(e);
    if (twin_run(c, arguments, e))
        return answer(c, &conn, e);
    if (e->code == ERR_UNPROCESSABLE && !is_forced)
        return err_set(e, ERR_UNPROCESSABLE,
                       "arguments.force: expected true, because calls of this connection are "
                       "recorded");
    return false;
}

/* ---- many ---- */

struct row {
    struct jdoc *doc;
    const struct jvalue *order;
    size_t at; /* as they were made */
};

struct listing {
    const struct jvalue *where, *order;
    struct str slug;
    struct row *rows;
    size_t n;
    size_t n_seen; /* connections looked at */
};

static bool row_add(struct tool_call *c, struct listing *l, const struct connection *conn,
                    struct err *e)
{
    struct buf text;
    struct jout j;
    buf_init(&text, LIMIT_BODY_MCP);
    jout_init(&j, &text);
    bool is_good = collection_item_write(&j, conn, e) && (buf_ok(&text) || io_no_memory(e));
    struct jdoc *doc = is_good ? jdoc_parse(buf_str(&text), e) : NULL;
    buf_end(&text);
    if (!doc)
        return false;
    if (!collection_where_holds(l->where, jdoc_root(doc))) {
        jdoc_free(doc);
        return true;
    }
    if (!l->rows)
        l->rows = arena_alloc(c->arena, LIMIT_COLLECTION * sizeof(*l->rows));
    if (!l->rows) {
        jdoc_free(doc);
        return io_no_memory(e);
    }
    l->rows[l->n] = (struct row){.doc = doc, .order = l->order, .at = l->n};
    l->n++;
    return true;
}

static bool page_add(struct tool_call *c, struct listing *l, const struct connection *conns,
                     size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (++l->n_seen > LIMIT_COLLECTION)
            return err_set(e, ERR_UNPROCESSABLE,
                           "more than %d connections: CONNECTION_LIST lists them by pages",
                           LIMIT_COLLECTION);
        bool is_wanted = str_is_absent(l->slug) || str_eq(l->slug, conns[i].slug);
        if (is_wanted && io_sees_connection(c, &conns[i]) && !row_add(c, l, &conns[i], e))
            return false;
    }
    return true;
}

static bool rows_collect(struct tool_call *c, struct listing *l, struct err *e)
{
    struct db_page page = {.limit = LIMIT_LIST};
    struct connection *conns;
    size_t n;
    do {
        if (!connections_list(c->sv->db, c->arena, c->org_id, &page, &conns, &n, e))
            return false;
        size_t n_here = n < LIMIT_LIST ? n : LIMIT_LIST;
        if (!page_add(c, l, conns, n_here, e))
            return false;
        if (n_here > 0) {
            page.after_at = conns[n_here - 1].created_at;
            page.after_id = conns[n_here - 1].id;
        }
    } while (n > LIMIT_LIST);
    return true;
}

static int row_compare(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    int order = collection_order_compare(a->order, jdoc_root(a->doc), jdoc_root(b->doc));
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

static void rows_write(struct tool_call *c, const struct listing *l)
{
    size_t offset = (size_t)jv_get_i64(c->arguments, "offset", 0),
           limit = (size_t)jv_get_i64(c->arguments, "limit", LIMIT_LIST), i = offset;
    struct jout j;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("items"));
    jout_array(&j);
    for (; i < l->n && i - offset < limit; i++) {
        struct buf text;
        buf_init(&text, LIMIT_BODY_MCP);
        jv_write(jdoc_root(l->rows[i].doc), &text);
        jout_raw(&j, buf_str(&text));
        buf_end(&text);
    }
    jout_array_end(&j);
    jout_ki64(&j, "totalCount", (int64_t)l->n);
    jout_kbool(&j, "hasMore", i < l->n);
    jout_object_end(&j);
}

bool tool_collection_connections_list(struct tool_call *c, struct err *e)
{
    struct listing l = {.where = jv_get(c->arguments, "where"),
                        .order = jv_get(c->arguments, "orderBy"),
                        .slug = jv_get_str(c->arguments, "slug")};
    const struct jvalue *binding = jv_get(c->arguments, "binding");
    if (binding && !jv_is_null(binding))
        return err_set(
            e, ERR_UNPROCESSABLE,
            "arguments.binding is not supported: CONNECTION_TOOLS_LIST says what a server "
            "offers");
    bool is_good = collection_where_check(l.where, e) && collection_order_check(l.order, e) &&
                   rows_collect(c, &l, e);
    if (is_good) {
        if (l.n > 1 && jv_count(l.order) > 0)
            qsort(l.rows, l.n, sizeof(*l.rows), row_compare);
        rows_write(c, &l);
    }
    for (size_t i = 0; i < l.n; i++)
        jdoc_free(l.rows[i].doc);
    return is_good;
}
