/* tulle export: the registry as a configuration file. Secrets leave as placeholders. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/command.h"
#include "cli/install.h"
#include "cli/printable.h"
#include "cli/tool_door.h"

#define USAGE                                                                                      \
    "usage: tulle export [--org SLUG] [--format mcpServers|vscode]\n"                              \
    "Prints the registered servers as a configuration file that tulle import reads again. "        \
    "Secrets\n"                                                                                    \
    "are not in it: ${env:...} stands in their place. With TULLE_URL and TULLE_API_KEY over\n"     \
    "HTTP, else from this machine's store, where --org names the organization.\n"

struct export
{
    const char *format;
    struct buf text;
    struct jout j;
};

/* Only values with the placeholders that an import keeps: the registry's open part may have been
 * written by anyone who may change a connection, and ${cmd:...} runs a command where some clients
 * read it. */
static bool is_kept(const struct jvalue *kept)
{
    struct str name;
    const struct jvalue *value;
    if (!jv_is_object(kept))
        return false;
    for (void *iter = NULL; jv_member(kept, &iter, &name, &value);) {
        struct str rest = jv_str(value);
        if (!jv_is_string(value))
            return false;
        for (size_t at; (at = str_find(rest, STR("${"))) != SIZE_MAX;) {
            rest = str_slice(rest, at + 2, SIZE_MAX);
            if (!str_starts(rest, STR("input:")) && !str_starts(rest, STR("secret:")))
                return false;
        }
    }
    return true;
}

static bool is_vscode(const struct export *x)
{
    return x->format && str_eq(str_c(x->format), STR("vscode"));
}

static void value_write(struct jout *j, const char *key, const struct jvalue *value)
{
    struct buf text;
    buf_init(&text, LIMIT_BODY_MCP);
    jv_write(value, &text);
    jout_kraw(j, key, buf_str(&text));
    buf_end(&text);
}

/* "linear-eu" -> LINEAR_EU_TOKEN */
static struct str variable_of(struct tool_door *d, struct str slug, struct str suffix)
{
    char *name = arena_cstr(d->a, slug);
    for (char *p = name; p && *p; p++)
        if (*p == '-')
            *p = '_';
        else if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    return arena_printf(d->a, "%s%.*s", name ? name : "", STR_FMT(suffix));
}

/* What the import kept of it, or a bearer token's usual form. Names of other headers are as sealed
 * as their values. */
static void headers_write(struct tool_door *d, struct export *x, const struct jvalue *item)
{
    const struct jvalue *kept = jv_get(jv_get(jv_get(item, "metadata"), "import"), "headers");
    struct str auth = jv_get_str(item, "auth"), slug = jv_get_str(item, "slug");
    if (is_kept(kept)) {
        value_write(&x->j, "headers", kept);
    } else if (str_eq(auth, STR("bearer"))) {
        struct str variable = variable_of(d, slug, STR("_TOKEN"));
        jout_key(&x->j, STR("headers"));
        jout_object(&x->j);
        jout_kstr(&x->j, "Authorization",
                  arena_printf(d->a, "Bearer ${env:%.*s}", STR_FMT(variable)));
        jout_object_end(&x->j);
    } else if (!str_eq(auth, STR("none"))) {
        struct str shown = printable(d->a, slug), kind = printable(d->a, auth);
        (void)fprintf(stderr, "tulle: %.*s: its credential (%.*s) is not exported\n",
                      STR_FMT(shown), STR_FMT(kind));
    }
}

static void program_write(struct tool_door *d, struct export *x, const struct jvalue *item)
{
    const struct jvalue *env = jv_get(item, "env"),
                        *kept = jv_get(jv_get(jv_get(item, "metadata"), "import"), "env");
    jout_kstr(&x->j, "command", jv_get_str(item, "command"));
    value_write(&x->j, "args", jv_get(item, "args"));
    if (is_kept(kept) && jv_count(env) == 0) {
        value_write(&x->j, "env", kept);
        return;
    }
    if (jv_count(env) == 0)
        return;
    jout_key(&x->j, STR("env"));
    jout_object(&x->j);
    for (size_t i = 0; i < jv_count(env); i++) {
        struct str name = jv_str(jv_at(env, i));
        jout_key(&x->j, name);
        jout_str(&x->j, arena_printf(d->a, "${env:%.*s}", STR_FMT(name)));
    }
    jout_object_end(&x->j);
}

static void item_write(struct tool_door *d, struct export *x, const struct jvalue *item)
{
    struct str transport = jv_get_str(item, "transport");
    bool is_stdio = str_eq(transport, STR("stdio")), is_sse = str_eq(transport, STR("sse")),
         is_auto = str_eq(transport, STR("auto"));
    jout_key(&x->j, jv_get_str(item, "slug"));
    jout_object(&x->j);
    /* VS Code wants a type; without one the others, and tulle import, find out. */
    if (is_vscode(x) || (!is_stdio && !is_auto))
        jout_kstr(&x->j, "type", is_stdio ? STR("stdio") : is_sse ? STR("sse") : STR("http"));
    if (is_stdio) {
        program_write(d, x, item);
    } else {
        jout_kstr(&x->j, "url", jv_get_str(item, "url"));
        headers_write(d, x, item);
    }
    if (jv_get_str(item, "description").n > 0)
        jout_kstr(&x->j, "description", jv_get_str(item, "description"));
    if (!jv_get_bool(item, "enabled", true))
        jout_kbool(&x->j, "disabled", true);
    jout_object_end(&x->j);
}

/* One page; *cursor moves on, absent at the end. */
static bool page_write(struct tool_door *d, struct export *x, struct str *cursor, struct err *e)
{
    struct buf arguments;
    struct jout j;
    const struct jvalue *list;
    buf_init(&arguments, LIMIT_BODY_SMALL);
    jout_init(&j, &arguments);
    jout_object(&j);
    tool_door_org(d, &j);
    jout_ki64(&j, "limit", LIMIT_LIST);
    if (!str_is_absent(*cursor))
        jout_kstr(&j, "cursor", *cursor);
    jout_object_end(&j);
    bool is_good = tool_door_call(d, "CONNECTION_LIST", buf_str(&arguments), &list, e);
    buf_end(&arguments);
    if (!is_good)
        return false;
    const struct jvalue *items = jv_get(list, "items");
    for (size_t i = 0; i < jv_count(items); i++)
        item_write(d, x, jv_at(items, i));
    *cursor = jv_get_str(list, "next_cursor");
    return true;
}

static bool export_run(struct tool_door *d, void *arg, struct err *e)
{
    struct export *x = arg;
    struct str cursor = STR_NONE;
    buf_init(&x->text, LIMIT_ANSWER_HELD);
    jout_init(&x->j, &x->text);
    jout_object(&x->j);
    jout_key(&x->j, is_vscode(x) ? STR("servers") : STR("mcpServers"));
    jout_object(&x->j);
    bool is_good;
    do
        is_good = page_write(d, x, &cursor, e);
    while (is_good && !str_is_absent(cursor));
    jout_object_end(&x->j);
    jout_object_end(&x->j);
    is_good = is_good && (buf_ok(&x->text) || err_set(e, ERR_UNAVAILABLE, "out of memory"));
    if (is_good)
        (void)printf("%.*s\n", STR_FMT(buf_str(&x->text)));
    buf_end(&x->text);
    return is_good;
}

static bool export_read(struct options *o, void *arg, struct err *e)
{
    struct export *x = arg;
    x->format = options_take(o, "format");
    return !x->format || is_vscode(x) || str_eq(str_c(x->format), STR("mcpServers")) ||
           err_set(e, ERR_INVALID, "--format is \"%.40s\", expected mcpServers or vscode",
                   x->format);
}

int command_export(int argc, char **argv)
{
    struct export x = {0};
    struct err e = {.code = ERR_NONE};
    struct tool_door_use use = {export_read, export_run, &x};
    struct options options = {argc - 1, argv + 1};
    if (options_take_switch(&options, "help")) {
        (void)printf(USAGE);
        return 0;
    }
    return tool_door_run(options.n, options.v, &use, &e) ? 0 : command_failed(&e);
}
