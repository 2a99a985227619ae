/* CONNECTION_GET, CONNECTION_LIST: who sees what of the registry. */
#include "base/limits.h"
#include "management-tools/connection_item.h"
#include "management-tools/tool_io.h"
#include "mcp/upstream_health.h"

tool_fn tool_connection_get, tool_connection_list;

bool tool_connection_get(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct upstream_health_view health;
    struct jout j;
    if (!io_connection(c, &conn, e))
        return false;
    upstream_health_look(c->sv->health, conn.id, &health);
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    if (!connection_item_write(c, &j, &conn, e))
        return false;
    jout_key(&j, STR("health"));
    jout_object(&j);
    jout_kstr(&j, "breaker", str_c(health.state));
    jout_ki64(&j, "failures", health.failures);
    jout_ki64(&j, "retry_in_ms", health.retry_ms);
    jout_kstr(&j, "reason", str_c(health.reason));
    jout_object_end(&j);
    jout_object_end(&j);
    return true;
}

struct walk {
    struct db_page page; /* moves on */
    struct connection *conns;
    size_t n, at;
    bool has_more;
};

/* The next connection that the caller sees; *out NULL at the end. */
static bool walk_next(struct tool_call *c, struct walk *w, const struct connection **out,
                      struct err *e)
{
    *out = NULL;
    for (;;) {
        while (w->at < w->n) {
            const struct connection *conn = &w->conns[w->at++];
            w->page.after_at = conn->created_at;
            w->page.after_id = conn->id;
            if (io_sees_connection(c, conn)) {
                *out = conn;
                return true;
            }
        }
        if (!w->has_more)
            return true;
        if (!connections_list(c->sv->db, c->arena, c->org_id, &w->page, &w->conns, &w->n, e))
            return false;
        w->at = 0;
        w->has_more = w->n > (size_t)w->page.limit;
        if (w->has_more)
            w->n = (size_t)w->page.limit;
    }
}

static bool visible_count(struct tool_call *c, int64_t *out, struct err *e)
{
    if (!c->caller->connection_ids && io_may(c, "CONNECTION_UPDATE", STR_NONE))
        return connections_count(c->sv->db, c->arena, c->org_id, out, e);
    struct walk all = {.page = {.limit = LIMIT_LIST}, .has_more = true};
    const struct connection *conn;
    *out = 0;
    do {
        if (!walk_next(c, &all, &conn, e))
            return false;
        *out += conn != NULL;
    } while (conn);
    return true;
}

bool tool_connection_list(struct tool_call *c, struct err *e)
{
    struct walk w = {.has_more = true};
    struct io_list_end end = {0};
    const struct connection *conn;
    struct jout j;
    if (!io_page_read(c, &w.page, e) || !visible_count(c, &end.total, e))
        return false;
    int limit = w.page.limit;
    io_list_begin(c, &j);
    for (int i = 0; i <= limit; i++) {
        if (!walk_next(c, &w, &conn, e))
            return false;
        end.has_more = conn && i == limit;
        if (!conn || end.has_more)
            break;
        if (!connection_item_write(c, &j, conn, e))
            return false;
        end.last_at = conn->created_at;
        end.last_id = conn->id;
    }
    return io_list_end(c, &j, &end, e);
}
