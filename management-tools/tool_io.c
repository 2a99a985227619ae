/* Shared pieces of tool functions. */
#include "management-tools/tool_io.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/policy.h"
#include "core/principal_rules.h"
#include "crypto/keyring.h"

enum {
    CURSOR_LIFE_MS = 24 * 60 * 60 * 1000,
    CURSOR_MAX = 1000, /* bytes of a cursor */
    SLUG_TRIES = 50,
    SLUG_BASE = 46, /* bytes of a slug that leave room for "-50" */
};

bool io_no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool io_no_connection(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "no such connection");
}

/* ---- pages ---- */

static struct str cursor_binding(const struct tool_call *c)
{
    return arena_printf(c->arena, "%.*s|%s", STR_FMT(c->caller->principal), c->tool->name);
}

/* "at|id|expires" */
static bool cursor_split(struct tool_call *c, struct str plain, struct db_page *page)
{
    struct str rest = plain, at, id, expires;
    int64_t expires_at;
    if (!str_next(&rest, '|', &at) || !str_next(&rest, '|', &id) ||
        !str_next(&rest, '|', &expires) || !str_is_absent(rest))
        return false;
    if (!str_to_i64(expires, 0, INT64_MAX, &expires_at) || expires_at < clock_wall_ms() ||
        !str_to_i64(at, 0, INT64_MAX, &page->after_at))
        return false;
    page->after_id = arena_dup(c->arena, id);
    return !str_is_absent(page->after_id);
}

bool io_page_read(struct tool_call *c, struct db_page *page, struct err *e)
{
    *page = (struct db_page){.limit = (int)jv_get_i64(c->arguments, "limit", LIMIT_LIST_DEFAULT)};
    struct str cursor = jv_get_str(c->arguments, "cursor");
    if (str_is_absent(cursor))
        return true;
    struct buf plain;
    buf_init(&plain, CURSOR_MAX);
    bool is_good = keyring_open(c->sv->keys, STR("cursor"), cursor_binding(c), cursor, &plain) &&
                   cursor_split(c, buf_str(&plain), page);
    buf_end(&plain);
    return is_good || err_set(e, ERR_INVALID,
                              "arguments.cursor: expected the next_cursor of an answer of this "
                              "tool to this caller, "
                              "at most a day old; start again without it");
}

void io_list_begin(struct tool_call *c, struct jout *j)
{
    jout_init(j, c->out);
    jout_object(j);
    jout_key(j, STR("items"));
    jout_array(j);
}

static bool cursor_write(struct tool_call *c, struct jout *j, const struct io_list_end *end,
                         struct err *e)
{
    if (!end->has_more) {
        jout_key(j, STR("next_cursor"));
        jout_null(j);
        return true;
    }
    int64_t expires_at = clock_wall_ms() + CURSOR_LIFE_MS;
    struct str plain = arena_printf(c->arena, "%" PRId64 "|%.*s|%" PRId64, end->last_at,
                                    STR_FMT(end->last_id), expires_at);
    struct buf sealed;
    buf_init(&sealed, CURSOR_MAX);
    bool is_good = !str_is_absent(plain) &&
                   keyring_seal(c->sv->keys, STR("cursor"), cursor_binding(c), plain, &sealed);
    if (is_good)
        jout_kstr(j, "next_cursor", buf_str(&sealed));
    buf_end(&sealed);
    return is_good || io_no_memory(e);
}

bool io_list_end(struct tool_call *c, struct jout *j, const struct io_list_end *end, struct err *e)
{
    jout_array_end(j);
    if (!cursor_write(c, j, end, e))
        return false;
    if (end->total >= 0)
        jout_ki64(j, "total_count", end->total);
    jout_object_end(j);
    return true;
}

/* ---- who ---- */

bool io_may(const struct tool_call *c, const char *tool_name, struct str connection_id)
{
    const struct tool *tool = registry_find(str_c(tool_name));
    ensure(tool != NULL);
    return registry_decide(c->sv, c->caller, tool, connection_id).is_allowed;
}

bool io_is_admin(const struct tool_call *c)
{
    return (c->caller->builtin_roles & (ROLE_OWNER | ROLE_ADMIN)) != 0;
}

bool io_sees_connection(const struct tool_call *c, const struct connection *conn)
{
    bool is_managers_tool = (registry_manage_roles(c->sv, c->tool) & ROLE_MEMBER) == 0;
    if (is_managers_tool || io_may(c, "CONNECTION_UPDATE", conn->id))
        return true;
    struct policy_target target = {.connection_id = conn->id};
    /* With the scope mcp:manage alone a connection is seen by whoever could use it with a wider
     * key. */
    struct caller wide = *c->caller;
    if (wide.scopes & SCOPE_MCP_MANAGE)
        wide.scopes |= SCOPE_MCP;
    return conn->enabled && policy_decide(&wide, POLICY_CONNECT, &target).is_allowed;
}

bool io_connection(struct tool_call *c, struct connection *out, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "connection_id");
    if (!connections_get(c->sv->db, c->arena, c->org_id, id, out, e))
        return e->code == ERR_NOT_FOUND ? io_no_connection(e) : false;
    c->object = out->id;
    return io_sees_connection(c, out) || io_no_connection(e);
}

/* ---- values ---- */

bool io_name(struct str given, struct str *out, struct err *e)
{
    *out = str_trim(given);
    return principal_name_check(*out, "arguments.name", e);
}

bool io_confirm(struct tool_call *c, struct str slug, struct str name, struct err *e)
{
    struct str confirm = jv_get_str(c->arguments, "confirm");
    if (str_eq(confirm, slug) || str_eq(confirm, name))
        return true;
    return err_set(e, ERR_UNPROCESSABLE,
                   "arguments.confirm: expected \"%.*s\", because this cannot be undone",
                   STR_FMT(slug));
}

void io_deleted(struct tool_call *c, struct str id)
{
    struct jout j;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_kbool(&j, "deleted", true);
    jout_kstr(&j, "id", id);
    jout_object_end(&j);
}

bool io_json(struct tool_call *c, const struct jvalue *v, struct str otherwise, struct str *out,
             struct err *e)
{
    *out = otherwise;
    if (!v || jv_is_null(v))
        return true;
    struct buf text;
    buf_init(&text, LIMIT_BODY_MCP);
    jv_write(v, &text);
    *out = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || io_no_memory(e);
}

bool io_slug_insert(struct tool_call *c, struct str given, struct str name,
                    bool (*insert)(struct tool_call *c, struct str slug, void *arg, struct err *e),
                    void *arg, struct err *e)
{
    if (!str_is_absent(given))
        return principal_slug_check(given, "arguments.slug", e) && insert(c, given, arg, e);
    char made[51];
    text_slug(name, made);
    struct str base = made[0] ? str_slice(str_c(made), 0, SLUG_BASE) : STR("unnamed");
    while (str_ends(base, STR("-")))
        base = str_slice(base, 0, base.n - 1);
    for (int i = 1; i <= SLUG_TRIES; i++) {
        struct str slug = i == 1 ? arena_dup(c->arena, base)
                                 : arena_printf(c->arena, "%.*s-%d", STR_FMT(base), i);
        struct err ignored;
        if (str_is_absent(slug))
            return io_no_memory(e);
        if (!principal_slug_check(slug, "slug", &ignored))
            continue; /* reserved */
        if (insert(c, slug, arg, e))
            return true;
        if (e->code != ERR_CONFLICT)
            return false;
    }
    return err_set(e, ERR_CONFLICT, "no free slug for this name: give one");
}
