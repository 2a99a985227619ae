/* CONNECTION_CALLS_LIST, CONNECTION_CALL_GET, ORGANIZATION_AUDIT_LIST: reading the record. */
#include "base/clock.h"
#include "json/jscan.h"
#include "management-tools/tool_io.h"
#include "store/audit.h"

tool_fn tool_connection_calls_list, tool_connection_call_get, tool_organization_audit_list;

static void call_members_write(struct jout *j, const struct audit_row *r)
{
    jout_kstr(j, "connection_id", r->connection_id);
    jout_kstr(j, "method", r->method);
    jout_kstr(j, "name", r->name);
    jout_kstr(j, "user_id", r->user_id);
    jout_kstr(j, "client_id", r->client_id);
    jout_kstr(j, "key_id", r->key_id);
    jout_kstr(j, "outcome", r->outcome);
    jout_kstr(j, "error", r->error);
    jout_key(j, STR("duration_ms"));
    jout_double(j, (double)r->duration_us / 1000.0);
    jout_ki64(j, "bytes_in", r->bytes_in);
    jout_ki64(j, "bytes_out", r->bytes_out);
    jout_kstr(j, "request_id", r->request_id);
}

static void arguments_write(struct jout *j, const struct audit_row *r)
{
    struct err ignored;
    bool is_json = r->arguments.n && jscan_valid(r->arguments, &ignored);
    jout_kraw(j, "arguments", is_json ? r->arguments : STR("null"));
}

static void call_write(struct jout *j, const struct audit_row *r)
{
    jout_object(j);
    jout_kstr(j, "id", r->id);
    jout_ktime(j, "at", r->at);
    call_members_write(j, r);
    jout_object_end(j);
}

static void event_write(struct jout *j, const struct audit_row *r)
{
    jout_object(j);
    jout_kstr(j, "id", r->id);
    jout_ktime(j, "at", r->at);
    jout_kstr(j, "kind", r->kind);
    call_members_write(j, r);
    arguments_write(j, r);
    jout_kstr(j, "chain", r->chain);
    jout_ki64(j, "seq", r->seq);
    jout_kstr(j, "prev_hash", r->prev_hash);
    jout_kstr(j, "hash", r->hash);
    jout_object_end(j);
}

static bool time_read(struct tool_call *c, const char *name, int64_t *out, struct err *e)
{
    struct str text = jv_get_str(c->arguments, name);
    *out = 0;
    return str_is_absent(text) || clock_parse_rfc3339(text, out) ||
           err_set(e, ERR_INVALID, "arguments.%s: expected a time such as 2026-11-21T03:58:13.123Z",
                   name);
}

static bool filter_read(struct tool_call *c, struct audit_filter *f, struct err *e)
{
    *f = (struct audit_filter){.kind = jv_get_str(c->arguments, "kind"),
                               .user_id = jv_get_str(c->arguments, "user_id"),
                               .key_id = jv_get_str(c->arguments, "key_id"),
                               .connection_id = jv_get_str(c->arguments, "connection_id"),
                               .method = jv_get_str(c->arguments, "method"),
                               .name = jv_get_str(c->arguments, "name"),
                               .outcome = jv_get_str(c->arguments, "outcome")};
    return time_read(c, "from", &f->from_at, e) && time_read(c, "to", &f->to_at, e);
}

/* A key that is narrowed to connections reads of these only. */
static bool is_in_reach(const struct tool_call *c, const struct audit_row *r)
{
    if (!c->caller->connection_ids)
        return true;
    for (size_t i = 0; i < c->caller->n_connection_ids; i++)
        if (str_eq(c->caller->connection_ids[i], r->connection_id))
            return true;
    return false;
}

typedef void row_write(struct jout *j, const struct audit_row *r);

static bool rows_answer(struct tool_call *c, const struct audit_filter *f, row_write *write,
                        struct err *e)
{
    struct db_page page;
    struct audit_row *rows;
    struct jout j;
    size_t n;
    struct io_list_end end = {.total = -1};
    if (!io_page_read(c, &page, e) ||
        !audit_list(c->sv->db, c->arena, c->org_id, f, &page, &rows, &n, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        if (is_in_reach(c, &rows[i]))
            write(&j, &rows[i]);
        end.last_at = rows[i].at;
        end.last_id = rows[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

/* Whoever may read the audit reads the calls of all, everybody else their own. */
static bool sees_all(const struct tool_call *c)
{
    return io_may(c, "ORGANIZATION_AUDIT_LIST", STR_NONE);
}

bool tool_connection_calls_list(struct tool_call *c, struct err *e)
{
    struct audit_filter filter;
    struct connection conn;
    if (!filter_read(c, &filter, e) ||
        (!str_is_absent(filter.connection_id) && !io_connection(c, &conn, e)))
        return false;
    filter.kind = STR("call");
    if (!sees_all(c)) {
        if (!str_is_absent(filter.user_id) && !str_eq(filter.user_id, c->caller->user_id))
            return err_set(e, ERR_FORBIDDEN, "only administrators see the calls of others");
        filter.user_id = c->caller->user_id;
    }
    return rows_answer(c, &filter, call_write, e);
}

bool tool_connection_call_get(struct tool_call *c, struct err *e)
{
    struct audit_row row;
    struct jout j;
    bool is_found =
        audit_get(c->sv->db, c->arena, c->org_id, jv_get_str(c->arguments, "call_id"), &row, e);
    if (!is_found && e->code != ERR_NOT_FOUND)
        return false;
    bool is_theirs = is_found && str_eq(row.kind, STR("call")) && is_in_reach(c, &row) &&
                     (str_eq(row.user_id, c->caller->user_id) || sees_all(c));
    if (!is_theirs)
        return err_set(e, ERR_NOT_FOUND, "no such call");
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    jout_object(&j);
    jout_kstr(&j, "id", row.id);
    jout_ktime(&j, "at", row.at);
    call_members_write(&j, &row);
    arguments_write(&j, &row);
    jout_object_end(&j);
    jout_object_end(&j);
    return true;
}

bool tool_organization_audit_list(struct tool_call *c, struct err *e)
{
    struct audit_filter filter;
    return filter_read(c, &filter, e) && rows_answer(c, &filter, event_write, e);
}
