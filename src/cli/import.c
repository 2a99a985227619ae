/* tulle import: the servers of a configuration file become connections, one by one, each whole or
 * not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/command.h"
#include "cli/import_entry.h"
#include "cli/install.h"
#include "cli/printable.h"
#include "cli/tool_door.h"
#include "json/json5.h"

#define USAGE                                                                                      \
    "usage: tulle import FILE [--org SLUG] [--with-env]\n"                                         \
    "Registers the servers of a configuration file: mcpServers (Claude, Cursor) or servers (VS\n"  \
    "Code), JSON or JSON5; - reads from stdin. With TULLE_URL and TULLE_API_KEY over HTTP, "       \
    "else\n"                                                                                       \
    "in this machine's store, where --org names the organization. ${env:X} and ${X} are looked\n"  \
    "up in this command's environment with --with-env; what is still open is set afterwards by\n"  \
    "CONNECTION_CREDENTIAL_SET. A server that is registered already is left as it is.\n"

struct import {
    const char *file;
    bool with_env;
    struct jdoc *doc;
    int n_made, n_there, n_skipped;
};

static bool file_read(const char *path, struct buf *out, struct err *e)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "re");
    if (!f)
        return err_set(e, ERR_INVALID, "%.200s: %s", path, strerrordesc_np(errno));
    for (;;) {
        char *to = buf_reserve(out, 4096);
        size_t n = to ? fread(to, 1, 4096, f) : 0;
        out->n += n;
        if (n == 0)
            break;
    }
    bool is_read = !ferror(f);
    if (!is_stdin)
        (void)fclose(f);
    if (!buf_ok(out))
        return err_set(e, ERR_INVALID, "%.200s: larger than %d bytes", path, LIMIT_IMPORT);
    return is_read || err_set(e, ERR_INVALID, "%.200s: it cannot be read", path);
}

static bool file_parse(struct import *im, struct err *e)
{
    struct buf text, json;
    buf_init(&text, LIMIT_IMPORT);
    buf_init(&json, (size_t)LIMIT_IMPORT * 6); /* a control character becomes six bytes */
    bool is_good = file_read(im->file, &text, e);
    if (is_good) {
        struct err why = {0};
        im->doc =
            json5_to_json(buf_str(&text), &json, &why) ? jdoc_parse(buf_str(&json), &why) : NULL;
        is_good = im->doc || err_set(e, ERR_PARSE, "%.200s: %s", im->file, why.msg);
    }
    buf_end(&text);
    buf_end(&json);
    return is_good;
}

/* mcpServers, servers, or VS Code's settings with mcp.servers around it. */
static const struct jvalue *servers_find(const struct import *im, struct err *e)
{
    const struct jvalue *root = jdoc_root(im->doc), *a = jv_get(root, "mcpServers"),
                        *b = jv_get(root, "servers");
    if (!a && !b)
        b = jv_get(jv_get(root, "mcp"), "servers");
    if (a && b) {
        err_set(e, ERR_INVALID, "%.200s: it has both mcpServers and servers", im->file);
        return NULL;
    }
    if (!jv_is_object(a ? a : b)) {
        err_set(e, ERR_INVALID, "%.200s: expected an object mcpServers or servers", im->file);
        return NULL;
    }
    return a ? a : b;
}

static void made_report(const struct import_entry *x, struct str id)
{
    struct str name = printable(x->a, x->name), needs = printable(x->a, x->needs),
               ignored = printable(x->a, x->ignored);
    (void)printf("imported %.*s as %.*s", STR_FMT(name), STR_FMT(id));
    if (needs.n > 0)
        (void)printf("; needs a credential: %.*s", STR_FMT(needs));
    if (ignored.n > 0)
        (void)printf("; ignored: %.*s", STR_FMT(ignored));
    (void)printf("\n");
}

static void skip_report(struct import *im, const struct import_entry *x, struct str why)
{
    struct str name = printable(x->a, x->name), shown = printable(x->a, why);
    (void)printf("skipped %.*s: %.*s\n", STR_FMT(name), STR_FMT(shown));
    im->n_skipped++;
}

/* False for what stops the whole import: no store, no server, no right. */
static bool entry_import(struct tool_door *d, struct import *im, struct import_entry *x,
                         struct err *e)
{
    const struct jvalue *answer;
    struct err why = {0};
    if (!import_entry_read(x, e))
        return false;
    if (!str_is_absent(x->skipped)) {
        skip_report(im, x, x->skipped);
        return true;
    }
    if (tool_door_call(d, "CONNECTION_CREATE", x->arguments, &answer, &why)) {
        made_report(x, jv_get_str(jv_get(answer, "item"), "id"));
        im->n_made++;
        return true;
    }
    if (why.code == ERR_CONFLICT) {
        struct str name = printable(x->a, x->name);
        (void)printf("unchanged %.*s: a connection of this name is there already\n", STR_FMT(name));
        im->n_there++;
        return true;
    }
    if (why.code != ERR_INVALID && why.code != ERR_UNPROCESSABLE && why.code != ERR_EGRESS) {
        *e = why;
        return false;
    }
    skip_report(im, x, str_c(why.msg));
    return true;
}

static bool import_run(struct tool_door *d, void *arg, struct err *e)
{
    struct import *im = arg;
    struct str name;
    const struct jvalue *value, *servers = servers_find(im, e);
    if (!servers)
        return false;
    for (void *iter = NULL; jv_member(servers, &iter, &name, &value);) {
        struct import_entry x = {
            .a = d->a, .name = name, .value = value, .with_env = im->with_env, .org_id = d->org_id};
        if (!entry_import(d, im, &x, e))
            return false;
    }
    (void)printf("%d imported, %d unchanged, %d skipped\n", im->n_made, im->n_there, im->n_skipped);
    return im->n_skipped == 0 || err_set(e, ERR_INVALID, "%d of %zu servers were not imported",
                                         im->n_skipped, jv_count(servers));
}

/* The file is read before anything is opened. */
static bool import_read(struct options *o, void *arg, struct err *e)
{
    struct import *im = arg;
    im->with_env = options_take_switch(o, "with-env");
    im->file = options_take_word(o);
    if (!im->file)
        return err_set(e, ERR_INVALID, "the file's name is missing; tulle import --help shows how");
    return file_parse(im, e) && servers_find(im, e);
}

int command_import(int argc, char **argv)
{
    struct import im = {0};
    struct err e = {.code = ERR_NONE};
    struct tool_door_use use = {import_read, import_run, &im};
    struct options options = {argc - 1, argv + 1};
    if (options_take_switch(&options, "help")) {
        (void)printf(USAGE);
        return 0;
    }
    bool is_good = tool_door_run(options.n, options.v, &use, &e);
    jdoc_free(im.doc);
    return is_good ? 0 : command_failed(&e);
}
