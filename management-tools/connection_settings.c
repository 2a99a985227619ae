/* CONNECTION_CONFIGURE: the settings that a server asks for by its tool MCP_CONFIGURATION. */
#include "management-tools/connection_settings.h"

#include "management-tools/credential_store.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "core/vault.h"
#include "json/jschema.h"
#include "json/jscan.h"
#include "management-tools/connection_item.h"
#include "management-tools/tool_io.h"
#include "mcp/upstream.h"
#include "store/credentials.h"

tool_fn tool_connection_configure;

/* No user has such an id, and no call asks for it: credential_load knows only "" and users. */
#define OWNER STR("#settings")

static void text_end(struct buf *text)
{
    if (text->p)
        secret_wipe(text->p, text->cap);
    buf_end(text);
}

bool connection_settings_put(struct tool_call *c, const struct connection *conn,
                             const struct jvalue *values, struct err *e)
{
    struct credential_row row = {.connection_id = conn->id,
                                 .user_id = OWNER,
                                 .kind = STR("settings"),
                                 .updated_by = c->caller->user_id,
                                 .updated_at = clock_wall_ms()};
    struct buf plain;
    buf_init(&plain, LIMIT_CREDENTIAL);
    /* Its memory is taken at once, so that growing leaves no copies behind. */
    bool is_good = buf_reserve(&plain, LIMIT_CREDENTIAL - 1) || io_no_memory(e);
    if (is_good) {
        jv_write(values, &plain);
        is_good =
            buf_ok(&plain) ||
            err_set(e, ERR_INVALID, "arguments.values: larger than %d bytes", LIMIT_CREDENTIAL);
    }
    is_good = is_good && credential_store_seal_text(c, &row, buf_str(&plain), e) &&
              credentials_put(c->sv->db, c->arena, c->org_id, &row, e);
    text_end(&plain);
    return is_good;
}

/* ---- what the server publishes ---- */

struct publication {
    bool asks,
        listens; /* MCP_CONFIGURATION; ON_MCP_CONFIGURATION, which Mesh calls with new values */
    struct jdoc *answer; /* of MCP_CONFIGURATION */
    struct str schema;   /* JSON text, or absent */
};

static bool tools_look(struct tool_call *c, const struct connection *conn, struct publication *p,
                       struct err *e)
{
    struct str offered, name;
    struct jiter it;
    if (!upstream_tools(c->sv, c->arena, conn, c->caller, &offered, e))
        return false;
    for (jscan_iter(&it, offered); jscan_next(&it);) {
        struct jwant wants[] = {{.name = STR("name")}};
        if (!jscan_object(it.value, wants, ARRAY_LEN(wants), e) ||
            !jscan_string(c->arena, wants[0].value, &name))
            continue;
        p->asks = p->asks || str_eq(name, STR("MCP_CONFIGURATION"));
        p->listens = p->listens || str_eq(name, STR("ON_MCP_CONFIGURATION"));
    }
    return p->asks || err_set(e, ERR_UNPROCESSABLE,
                              "the server publishes no configuration schema: it has no tool "
                              "MCP_CONFIGURATION");
}

/* The result as a tree; a failure of the tool is a failure of the server. */
static bool tool_ask(struct tool_call *c, const struct connection *conn, struct str name,
                     struct str arguments, struct jdoc **out, struct err *e)
{
    struct upstream_reply reply;
    struct upstream_ask ask = {.conn = conn,
                               .caller = c->caller,
                               .method = STR("tools/call"),
                               .name = name,
                               .timeout_ms = LIMIT_FIRST_BYTE_MS};
    ask.params = arena_printf(c->arena, "{\"name\":\"%.*s\",\"arguments\":%.*s}", STR_FMT(name),
                              STR_FMT(arguments));
    if (str_is_absent(ask.params))
        return io_no_memory(e);
    bool is_answered = upstream_ask(c->sv, c->arena, &ask, &reply, e);
    secret_wipe((char *)(uintptr_t)ask.params.p, ask.params.n);
    if (!is_answered)
        return false;
    *out = str_is_absent(reply.result) ? NULL : jdoc_parse(reply.result, e);
    if (*out && !jv_get_bool(jdoc_root(*out), "isError", false))
        return true;
    jdoc_free(*out);
    *out = NULL;
    return err_set(e, ERR_UPSTREAM, "the server's tool %.*s failed", STR_FMT(name));
}

/* stateSchema as Mesh's servers call it, of the structured content or of the first text. */
static bool schema_find(struct tool_call *c, struct publication *p, struct err *e)
{
    const struct jvalue *result = jdoc_root(p->answer),
                        *content = jv_get(result, "structuredContent");
    if (!content) {
        struct str text = jv_get_str(jv_at(jv_get(result, "content"), 0), "text");
        struct jdoc *inner = str_is_absent(text) ? NULL : jdoc_parse(text, e);
        if (inner) {
            jdoc_free(p->answer);
            p->answer = inner;
            content = jdoc_root(inner);
        }
    }
    const struct jvalue *schema = jv_get(content, "stateSchema");
    if (!jv_is_object(schema))
        return err_set(e, ERR_UPSTREAM,
                       "the server's tool MCP_CONFIGURATION answers no stateSchema");
    return io_json(c, schema, STR_NONE, &p->schema, e);
}

/* A schema with keywords that Tulle does not know is left to the server. */
static bool values_check(const struct publication *p, const struct jvalue *values, bool *is_checked,
                         struct err *e)
{
    struct err ignored;
    struct jschema *schema = jschema_compile(p->schema, &ignored);
    *is_checked = schema != NULL;
    bool is_good = !schema || jschema_check(schema, values, "arguments.values", e);
    jschema_free(schema);
    if (is_good)
        return true;
    /* The values may be secrets: what was given is not quoted. */
    char *given = strstr(e->msg, "given ");
    const char *expected = given ? strstr(given, "expected") : NULL;
    if (given) {
        struct err plain = *e;
        plain.msg[given - e->msg] = '\0';
        err_set(e, ERR_INVALID, "%s%s", plain.msg,
                expected ? plain.msg + (expected - e->msg) : "what was given does not fit");
    }
    return false;
}

static bool deliver(struct tool_call *c, const struct connection *conn, const struct jvalue *values,
                    struct err *e)
{
    struct buf text;
    struct jdoc *answer = NULL;
    buf_init(&text, LIMIT_CREDENTIAL * 2);
    bool is_good = buf_reserve(&text, LIMIT_CREDENTIAL * 2 - 1) || io_no_memory(e);
    if (is_good) {
        buf_add(&text, STR("{\"state\":"));
        jv_write(values, &text);
        buf_add(&text, STR(",\"scopes\":[]}"));
        is_good = buf_ok(&text) || io_no_memory(e);
    }
    is_good = is_good && tool_ask(c, conn, STR("ON_MCP_CONFIGURATION"), buf_str(&text), &answer, e);
    text_end(&text);
    jdoc_free(answer);
    return is_good;
}

static void answer_write(struct tool_call *c, const struct connection *conn,
                         const struct publication *p, bool is_checked, bool is_delivered)
{
    struct jout j;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_kstr(&j, "connection_id", conn->id);
    jout_kbool(&j, "configured", true);
    jout_kbool(&j, "checked", is_checked);
    jout_kbool(&j, "delivered", is_delivered);
    jout_kraw(&j, "schema", p->schema);
    jout_object_end(&j);
}

static bool configure(struct tool_call *c, const struct connection *conn, struct publication *p,
                      struct err *e)
{
    const struct jvalue *values = jv_get(c->arguments, "values");
    bool is_checked, is_delivered = false;
    if (!tools_look(c, conn, p, e) ||
        !tool_ask(c, conn, STR("MCP_CONFIGURATION"), STR("{}"), &p->answer, e) ||
        !schema_find(c, p, e) || !values_check(p, values, &is_checked, e) ||
        !connection_settings_put(c, conn, values, e))
        return false;
    if (p->listens) {
        struct err why;
        is_delivered = deliver(c, conn, values, &why);
        if (!is_delivered && why.code == ERR_CANCELLED)
            return err_set(e, ERR_CANCELLED, "cancelled");
    }
    answer_write(c, conn, p, is_checked, is_delivered);
    return true;
}

bool tool_connection_configure(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct publication p = {0};
    if (!io_connection(c, &conn, e))
        return false;
    bool is_good = configure(c, &conn, &p, e);
    jdoc_free(p.answer);
    return is_good;
}
