#include "mcp/list_fetch.h"

#include "base/clock.h"
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/upstream.h"
#include "mcp/upstream_tools.h"

enum { PAGES_MAX = 50, RPC_METHOD_NOT_FOUND = -32601 };

static const struct {
    const char *method, *array, *name;
} kinds[N_LIST_KINDS] = {
    [LIST_TOOLS] = {"tools/list", "tools", "name"},
    [LIST_PROMPTS] = {"prompts/list", "prompts", "name"},
    [LIST_RESOURCES] = {"resources/list", "resources", "uri"},
    [LIST_TEMPLATES] = {"resources/templates/list", "resourceTemplates", "uriTemplate"},
};

const char *list_kind_array(enum list_kind kind)
{
    return kinds[kind].array;
}

const char *list_kind_name(enum list_kind kind)
{
    return kinds[kind].name;
}

const char *list_kind_method(enum list_kind kind)
{
    return kinds[kind].method;
}

struct fetching {
    struct services *sv;
    struct arena *a;
    struct registry_entry *entry;
    const struct caller *caller;
    enum list_kind kind;
    struct connection_tool *tools; /* of LIST_TOOLS */
    size_t n_tools;
    struct str cursor; /* raw, of the next page; absent: the first, or none */
    struct fetched_list *out;
};

/* ttlMs and cacheScope: the whole list lives as long as its shortest page, and is as private as any
 * of them. */
static void freshness_read(struct fetching *f, struct str ttl, struct str scope)
{
    int64_t ms;
    bool is_said = !str_is_absent(ttl) && jscan_i64(ttl, &ms) && ms >= 0;
    if (is_said && (f->out->ttl_ms < 0 || ms < f->out->ttl_ms))
        f->out->ttl_ms = ms;
    bool is_public = !str_is_absent(scope) && jscan_string_eq(scope, STR("public"));
    /* What a server of the stateless era does not call public is private (ttlMs comes with it). */
    if ((is_said || !str_is_absent(scope)) && !is_public)
        f->out->is_private = true;
}

static bool items_read(struct fetching *f, struct str array, struct err *e)
{
    struct jiter it;
    for (jscan_iter(&it, array); jscan_next(&it);) {
        if (f->out->n == LIMIT_TOOLS)
            return err_set(e, ERR_UPSTREAM, "the server's %s has more than %d entries",
                           kinds[f->kind].method, LIMIT_TOOLS);
        if (jscan_type(it.value) == JTYPE_OBJECT)
            f->out->items[f->out->n++] = it.value;
    }
    return f->kind != LIST_TOOLS ||
           upstream_tools_read(f->a, array, f->tools, LIMIT_TOOLS, &f->n_tools, e);
}

static bool page_read(struct fetching *f, struct str result, struct err *e)
{
    struct jwant wants[] = {{.name = str_c(kinds[f->kind].array)},
                            {.name = STR("nextCursor")},
                            {.name = STR("ttlMs")},
                            {.name = STR("cacheScope")}};
    if (!jscan_object(result, wants, ARRAY_LEN(wants), e) || str_is_absent(wants[0].value) ||
        jscan_type(wants[0].value) != JTYPE_ARRAY)
        return err_set(e, ERR_UPSTREAM, "the server's %s result has no array \"%s\"",
                       kinds[f->kind].method, kinds[f->kind].array);
    f->cursor = wants[1].value;
    if (!str_is_absent(f->cursor) && jscan_type(f->cursor) != JTYPE_STRING)
        f->cursor = STR_NONE;
    freshness_read(f, wants[2].value, wants[3].value);
    return items_read(f, wants[0].value, e);
}

/* A server that does not know the method has nothing of this kind. */
static bool error_read(const struct fetching *f, struct str error, struct err *e)
{
    struct jwant wants[] = {{.name = STR("code")}};
    struct err ignored;
    int64_t code = 0;
    if (jscan_object(error, wants, 1, &ignored) && !str_is_absent(wants[0].value) &&
        jscan_i64(wants[0].value, &code) && code == RPC_METHOD_NOT_FOUND)
        return true;
    return err_set(e, ERR_UPSTREAM, "the server answered %s with JSON-RPC error %lld",
                   kinds[f->kind].method, (long long)code);
}

/* Definitions that are new or changed since they were last seen. */
static bool definitions_record(const struct fetching *f, struct err *e)
{
    size_t n_news = 0;
    for (size_t i = 0; i < f->n_tools; i++) {
        const struct connection_tool *known = registry_tool(f->entry, f->tools[i].name);
        if (!known || !str_eq(known->hash, f->tools[i].hash))
            n_news++;
    }
    const struct connection *conn = &f->entry->conn;
    struct connection_note note = {.status = STR("healthy"), .tool_count = (int64_t)f->n_tools};
    if (n_news == 0 && conn->tool_count == note.tool_count)
        return true;
    if (!connection_tools_record(f->sv->db, f->a, conn->org_id, conn->id, f->tools, f->n_tools,
                                 clock_wall_ms(), e) ||
        !connections_note(f->sv->db, f->a, conn->org_id, conn->id, &note, clock_wall_ms(), e))
        return false;
    registry_tools_note(f->entry, f->tools, f->n_tools);
    f->entry->conn.tool_count = note.tool_count;
    return true;
}

static bool offers_fetch(struct fetching *f, struct err *e)
{
    f->out->n = 1;
    f->out->ttl_ms = LIMIT_LIST_TTL_MS;
    return upstream_capabilities(f->sv, f->a, &f->entry->conn, f->caller, &f->out->items[0], e);
}

bool list_fetch(struct services *sv, struct arena *a, struct registry_entry *entry,
                const struct caller *caller, enum list_kind kind, struct fetched_list *out,
                struct err *e)
{
    struct fetching f = {
        .sv = sv, .a = a, .entry = entry, .caller = caller, .kind = kind, .out = out};
    int64_t deadline = clock_mono_ms() + (int64_t)3 * LIMIT_PROBE_MS;
    *out = (struct fetched_list){.ttl_ms = -1};
    out->items = arena_alloc(a, LIMIT_TOOLS * sizeof(*out->items));
    f.tools = kind == LIST_TOOLS ? arena_alloc(a, LIMIT_TOOLS * sizeof(*f.tools)) : NULL;
    if (!out->items || (kind == LIST_TOOLS && !f.tools))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (kind == LIST_OFFERS)
        return offers_fetch(&f, e);
    for (int page = 0; page == 0 || !str_is_absent(f.cursor); page++) {
        struct upstream_reply reply;
        struct upstream_ask ask = {
            .conn = &entry->conn,
            .caller = caller,
            .method = str_c(kinds[kind].method),
            .params = str_is_absent(f.cursor)
                          ? STR_NONE
                          : arena_printf(a, "{\"cursor\":%.*s}", STR_FMT(f.cursor)),
            .timeout_ms = LIMIT_PROBE_MS};
        if (page == PAGES_MAX || clock_mono_ms() > deadline)
            return err_set(e, ERR_UPSTREAM, "the server's %s does not end", kinds[kind].method);
        if (!upstream_ask(sv, a, &ask, &reply, e))
            return false;
        if (!str_is_absent(reply.error))
            return error_read(&f, reply.error, e);
        if (!page_read(&f, reply.result, e))
            return false;
    }
    return kind != LIST_TOOLS || definitions_record(&f, e);
}
