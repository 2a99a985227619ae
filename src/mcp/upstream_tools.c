/* The tools of a server: all pages of tools/list, each raw definition hashed and recorded. */
#include "mcp/upstream_tools.h"

#include "base/clock.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/upstream.h"

enum { PAGES_MAX = 50 };

bool upstream_tools_read(struct arena *a, struct str array, struct connection_tool *tools,
                         size_t max, size_t *n, struct err *e)
{
    struct jiter it;
    for (jscan_iter(&it, array); jscan_next(&it);) {
        struct jwant wants[] = {{.name = STR("name")}};
        struct err why;
        struct connection_tool *tool = &tools[*n];
        if (*n == max)
            return err_set(e, ERR_UPSTREAM, "the server offers more than %zu tools", max);
        if (!jscan_object(it.value, wants, 1, &why) || str_is_absent(wants[0].value) ||
            !jscan_string(a, wants[0].value, &tool->name) || tool->name.n == 0)
            return err_set(e, ERR_UPSTREAM, "the server's tools/list holds a tool without a name");
        struct sha256 digest = hash_sha256(it.value);
        char hex[65];
        hash_hex(&digest, hex);
        tool->hash = arena_dup(a, str_c(hex));
        tool->definition = it.value;
        tool->enabled = true;
        if (str_is_absent(tool->hash))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        (*n)++;
    }
    return true;
}

/* One page: appends its tools; *cursor becomes the next page's, raw, or absent. */
static bool page_read(struct arena *a, struct str result, struct connection_tool *tools, size_t *n,
                      struct str *cursor, struct err *e)
{
    struct jwant wants[] = {{.name = STR("tools")}, {.name = STR("nextCursor")}};
    if (!jscan_object(result, wants, ARRAY_LEN(wants), e) || str_is_absent(wants[0].value) ||
        jscan_type(wants[0].value) != JTYPE_ARRAY)
        return err_set(e, ERR_UPSTREAM, "the server's tools/list result has no array \"tools\"");
    *cursor = wants[1].value;
    if (!str_is_absent(*cursor) && jscan_type(*cursor) != JTYPE_STRING)
        *cursor = STR_NONE;
    return upstream_tools_read(a, wants[0].value, tools, LIMIT_TOOLS, n, e);
}

static bool error_to_err(struct arena *a, struct str error, struct err *e)
{
    struct jwant wants[] = {{.name = STR("code")}, {.name = STR("message")}};
    struct str message = STR("");
    struct err ignored;
    if (jscan_object(error, wants, ARRAY_LEN(wants), &ignored) && !str_is_absent(wants[1].value) &&
        !jscan_string(a, wants[1].value, &message))
        message = STR("");
    return err_set(e, ERR_UPSTREAM, "the server answered with JSON-RPC error %.*s: %.*s",
                   STR_FMT(wants[0].value), STR_FMT(str_slice(message, 0, 200)));
}

static struct str array_write(struct arena *a, const struct connection_tool *tools, size_t n)
{
    struct buf out;
    struct jout j;
    buf_init(&out, (size_t)2 * LIMIT_ANSWER_HELD);
    jout_init(&j, &out);
    jout_array(&j);
    for (size_t i = 0; i < n; i++)
        jout_raw(&j, tools[i].definition);
    jout_array_end(&j);
    struct str text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

bool upstream_tools(struct services *sv, struct arena *a, const struct connection *conn,
                    const struct caller *caller, struct str *tools_json, struct err *e)
{
    struct connection_tool *tools = arena_alloc(a, LIMIT_TOOLS * sizeof(*tools));
    if (!tools)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    size_t n = 0;
    struct str cursor = STR_NONE;
    for (int page = 0; page == 0 || !str_is_absent(cursor); page++) {
        struct upstream_ask ask = {
            .conn = conn,
            .caller = caller,
            .method = STR("tools/list"),
            .params = str_is_absent(cursor) ? STR_NONE
                                            : arena_printf(a, "{\"cursor\":%.*s}", STR_FMT(cursor)),
            .timeout_ms = (int64_t)3 * LIMIT_PROBE_MS};
        struct upstream_reply reply;
        if (page == PAGES_MAX)
            return err_set(e, ERR_UPSTREAM, "the server's tools/list does not end after %d pages",
                           PAGES_MAX);
        if (!upstream_ask(sv, a, &ask, &reply, e))
            return false;
        if (!str_is_absent(reply.error))
            return error_to_err(a, reply.error, e);
        if (!page_read(a, reply.result, tools, &n, &cursor, e))
            return false;
    }
    int64_t now = clock_wall_ms();
    *tools_json = array_write(a, tools, n);
    struct connection_note note = {.status = STR("healthy"), .tool_count = (int64_t)n};
    return (!str_is_absent(*tools_json) || err_set(e, ERR_UNAVAILABLE, "out of memory")) &&
           connection_tools_record(sv->db, a, conn->org_id, conn->id, tools, n, now, e) &&
           connections_note(sv->db, a, conn->org_id, conn->id, &note, now, e);
}
