/* tulle call: any tool from the shell, over HTTP with an API key, as any other client. */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "cli/command.h"
#include "cli/install.h"
#include "cli/options.h"
#include "io/fiber.h"
#include "io/http_client.h"
#include "json/jout.h"
#include "json/jread.h"
#include "json/jscan.h"

#define USAGE                                                                                      \
    "usage: tulle call TOOL [name=value ...] [--json '{...}'] [--connection ID] [--output json]\n" \
    "Calls a management tool, or with --connection a tool of that connection. TULLE_URL "          \
    "(default\n"                                                                                   \
    "http://localhost:3000) and TULLE_API_KEY say where and as whom. A value that is a JSON "      \
    "number,\n"                                                                                    \
    "boolean, null, array, object or quoted string is sent as that; anything else is sent as "     \
    "text.\n"

struct calling {
    const char *tool, *json, *connection, *url, *key;
    struct options words; /* name=value */
    bool is_tool_error;
    struct err *e;
    bool is_good;
};

static bool value_is_json(struct str value)
{
    struct err ignored;
    return value.n > 0 && jscan_valid(value, &ignored);
}

/* {"name":value,...} from the words of the command line. */
static bool arguments_build(struct calling *c, struct buf *out, struct err *e)
{
    struct jout j;
    const char *word;
    if (c->json) {
        buf_add(out, str_c(c->json));
        return c->words.n == 0 ||
               err_set(e, ERR_INVALID, "give either name=value words or --json, not both");
    }
    jout_init(&j, out);
    jout_object(&j);
    while ((word = options_take_word(&c->words)) != NULL) {
        struct str text = str_c(word);
        size_t at = str_find_char(text, '=');
        if (at == SIZE_MAX || at == 0)
            return err_set(e, ERR_INVALID, "\"%.60s\" is no argument, expected name=value", word);
        struct str value = str_slice(text, at + 1, SIZE_MAX);
        jout_key(&j, str_slice(text, 0, at));
        if (value_is_json(value))
            jout_raw(&j, value);
        else
            jout_str(&j, value);
    }
    jout_object_end(&j);
    return options_done(&c->words, e);
}

/* A management tool has an address of its own; a connection's tool is a JSON-RPC call. */
static bool request_build(struct calling *c, struct arena *a, struct http_call *call, struct err *e)
{
    struct buf arguments, body;
    buf_init(&arguments, LIMIT_BODY_MCP);
    buf_init(&body, LIMIT_BODY_MCP + LIMIT_BODY_SMALL);
    bool is_good = arguments_build(c, &arguments, e);
    if (is_good && !c->connection) {
        call->url = arena_printf(a, "%s/api/tools/%s", c->url, c->tool);
        buf_add(&body, buf_str(&arguments));
    } else if (is_good) {
        struct jout j;
        call->url = arena_printf(a, "%s/mcp/%s", c->url, c->connection);
        jout_init(&j, &body);
        jout_object(&j);
        jout_kstr(&j, "jsonrpc", STR("2.0"));
        jout_ki64(&j, "id", 1);
        jout_kstr(&j, "method", STR("tools/call"));
        jout_key(&j, STR("params"));
        jout_object(&j);
        jout_kstr(&j, "name", str_c(c->tool));
        jout_kraw(&j, "arguments", buf_str(&arguments));
        jout_object_end(&j);
        jout_object_end(&j);
    }
    call->body = arena_dup(a, buf_str(&body));
    buf_end(&arguments);
    buf_end(&body);
    return is_good;
}

/* What to print: the structured result, the tool's content, or the error. */
static bool answer_print(struct calling *c, const struct http_fetched *got, struct err *e)
{
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(got->body, e);
    if (!doc)
        return err_set(e, ERR_UPSTREAM, "HTTP %d, and the answer is not JSON", got->head.status);
    const struct jvalue *root = jdoc_root(doc);
    const struct jvalue *error = jv_get(root, "error");
    const struct jvalue *shown = c->connection ? jv_get(root, "result") : root;
    if (error) {
        struct str message = jv_get_str(error, "message");
        return err_set(e, ERR_UPSTREAM, "%.*s (HTTP %d)", STR_FMT(str_slice(message, 0, 300)),
                       got->head.status);
    }
    struct buf out;
    buf_init(&out, LIMIT_ANSWER_HELD);
    c->is_tool_error = c->connection && jv_get_bool(shown, "isError", false);
    jv_write(shown, &out);
    (void)printf("%.*s\n", STR_FMT(buf_str(&out)));
    buf_end(&out);
    return true;
}

static bool call_send(struct calling *c, struct arena *a, struct http_client *client, struct err *e)
{
    struct http_header headers[] = {
        {STR("Authorization"), arena_printf(a, "Bearer %s", c->key)},
        {STR("Content-Type"), STR("application/json")},
        {STR("Accept"), STR("application/json")},
    };
    struct http_call call = {.method = STR("POST"),
                             .headers = headers,
                             .n_headers = ARRAY_LEN(headers),
                             .is_operator_destination = true};
    struct http_fetched got;
    return request_build(c, a, &call, e) &&
           http_fetch(client, a, &call, LIMIT_ANSWER_HELD, &got, e) && answer_print(c, &got, e);
}

static void call_run(void *arg)
{
    struct calling *c = arg;
    struct http_client_config config = {0};
    struct http_guard_config guard_config = {.allow_loopback = true};
    struct http_guard *guard = http_guard_new(&guard_config, c->e);
    struct arena *a = arena_new(LIMIT_REQUEST_ARENA);
    config.guard = guard;
    struct http_client *client = guard && a ? http_client_new(loop_self(), &config, c->e) : NULL;
    if (client) {
        c->is_good = call_send(c, a, client, c->e);
        http_client_free(client);
    }
    http_guard_free(guard);
    arena_end(a);
}

int command_call(int argc, char **argv)
{
    struct err e = {.code = ERR_NONE};
    struct calling c = {.words = {argc - 1, argv + 1}, .e = &e};
    if (options_take_switch(&c.words, "help")) {
        (void)printf(USAGE);
        return 0;
    }
    c.json = options_take(&c.words, "json");
    c.connection = options_take(&c.words, "connection");
    const char *output = options_take(&c.words, "output");
    c.tool = options_take_word(&c.words);
    /* NOLINTBEGIN(concurrency-mt-unsafe): the only thread, and nobody changes the environment */
    const char *url = getenv("TULLE_URL");
    c.url = url ? url : "http://localhost:3000";
    c.key = getenv("TULLE_API_KEY");
    /* NOLINTEND(concurrency-mt-unsafe) */
    bool is_good = (c.tool || err_set(&e, ERR_INVALID,
                                      "the tool's name is missing; tulle call --help shows how")) &&
                   (c.key || err_set(&e, ERR_INVALID,
                                     "TULLE_API_KEY is not set; tulle key create makes a key")) &&
                   (!output || str_eq(str_c(output), STR("json")) ||
                    err_set(&e, ERR_INVALID, "--output is \"%.40s\", expected json", output));
    if (!is_good || !fiber_main(call_run, &c, &e) || !c.is_good)
        return command_failed(&e);
    return c.is_tool_error ? 1 : 0;
}
