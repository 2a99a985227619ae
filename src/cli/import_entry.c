/* Reading one entry: where the server is, what it is told, and what stands in placeholders. */
#include "cli/import_entry.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "json/jout.h"

struct expansion {
    struct buf text;
    bool is_open;  /* a placeholder is left: its value is not known here */
    bool is_input; /* one of those is asked of each person */
};

static bool skip(struct import_entry *x, struct str why)
{
    if (str_is_absent(x->skipped))
        x->skipped = why;
    return false;
}

/* ---- placeholders (reference: the seeds' ${...} forms) ---- */

static bool is_variable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return s.n > 0;
}

static bool is_of_one_machine(struct str s)
{
    static const struct str names[] = {
        STR("workspaceFolder"), STR("workspaceFolderBasename"), STR("cwd"),
        STR("userHome"),        STR("pathSeparator"),           STR("/")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(s, names[i]))
            return true;
    return false;
}

/* ${NAME}, ${NAME:-default}, ${env:NAME}: never the server's own environment. */
static void variable_expand(struct import_entry *x, struct str name, struct str otherwise,
                            struct expansion *out)
{
    char *c_name = arena_cstr(x->a, name);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the only thread, and nobody changes the environment */
    const char *value = x->with_env && c_name ? getenv(c_name) : NULL;
    if (value || !str_is_absent(otherwise)) {
        buf_add(&out->text, value ? str_c(value) : otherwise);
        return;
    }
    buf_addf(&out->text, "${secret:%.*s}", STR_FMT(name));
    out->is_open = true;
}

static bool placeholder_expand(struct import_entry *x, struct str inside, struct expansion *out)
{
    struct str name = inside, otherwise = STR_NONE;
    size_t at = str_find(inside, STR(":-"));
    if (at != SIZE_MAX) {
        name = str_slice(inside, 0, at);
        otherwise = str_slice(inside, at + 2, SIZE_MAX);
    }
    if (str_starts(name, STR("cmd:")))
        return skip(x, STR("it holds ${cmd:...}, and commands are never run"));
    if (is_of_one_machine(name))
        return skip(x, arena_printf(x->a, "${%.*s} means something on one person's machine only",
                                    STR_FMT(name)));
    if (str_starts(name, STR("input:")) || str_starts(name, STR("secret:"))) {
        buf_addf(&out->text, "${%.*s}", STR_FMT(name));
        out->is_open = true;
        out->is_input = out->is_input || str_starts(name, STR("input:"));
        return true;
    }
    if (str_starts(name, STR("env:")))
        name = str_slice(name, 4, SIZE_MAX);
    if (!is_variable(name))
        return skip(x, arena_printf(x->a, "the placeholder ${%.*s} is not known",
                                    STR_FMT(str_slice(inside, 0, 60))));
    variable_expand(x, name, otherwise, out);
    return true;
}

/* False: the entry is skipped. The caller ends out->text. */
static bool expand(struct import_entry *x, struct str text, struct expansion *out)
{
    buf_init(&out->text, LIMIT_CREDENTIAL);
    while (text.n > 0) {
        size_t at = str_find(text, STR("${"));
        size_t end = at == SIZE_MAX ? SIZE_MAX : str_find_char(str_slice(text, at, SIZE_MAX), '}');
        if (end == SIZE_MAX) {
            buf_add(&out->text, text);
            break;
        }
        buf_add(&out->text, str_slice(text, 0, at));
        if (!placeholder_expand(x, str_slice(text, at + 2, end - 2), out))
            return false;
        text = str_slice(text, at + end + 1, SIZE_MAX);
    }
    return buf_ok(&out->text) || skip(x, STR("a value is too long"));
}

/* A text that must be known now: url, command, args. */
static bool known(struct import_entry *x, const char *what, struct str text, struct str *out)
{
    struct expansion found = {0};
    bool is_good = expand(x, text, &found);
    if (is_good && found.is_open)
        is_good = skip(x, arena_printf(x->a,
                                       "its %s holds a placeholder: write the value, or use "
                                       "--with-env",
                                       what));
    *out = is_good ? arena_dup(x->a, buf_str(&found.text)) : STR_NONE;
    buf_end(&found.text);
    return is_good && (!str_is_absent(*out) || skip(x, STR("out of memory")));
}

/* ---- headers and variables ---- */

struct pairs {
    struct str names[LIMIT_HEADERS_INJECTED], values[LIMIT_HEADERS_INJECTED];
    bool is_open[LIMIT_HEADERS_INJECTED];
    size_t n;
    bool any_open, any_input;
};

/* null and "" mean the variable of that name, as mcp-hub has it. */
static bool pair_add(struct import_entry *x, struct pairs *p, const char *what, struct str name,
                     const struct jvalue *value)
{
    struct expansion found = {0};
    bool is_own = jv_is_null(value) || (jv_is_string(value) && jv_str(value).n == 0);
    if (!is_own && !jv_is_string(value))
        return skip(x, arena_printf(x->a, "%s: expected texts as values", what));
    if (p->n == LIMIT_HEADERS_INJECTED)
        return skip(x, arena_printf(x->a, "%s: more than %d", what, LIMIT_HEADERS_INJECTED));
    struct str text = is_own ? arena_printf(x->a, "${%.*s}", STR_FMT(name)) : jv_str(value);
    bool is_good = expand(x, text, &found);
    p->names[p->n] = name;
    p->values[p->n] = is_good ? arena_dup(x->a, buf_str(&found.text)) : STR_NONE;
    p->is_open[p->n] = found.is_open;
    p->any_open = p->any_open || found.is_open;
    p->any_input = p->any_input || found.is_input;
    p->n++;
    buf_end(&found.text);
    return is_good;
}

static bool pairs_read(struct import_entry *x, const char *what, struct pairs *p)
{
    const struct jvalue *map = jv_get(x->value, what), *value;
    struct str name;
    *p = (struct pairs){0};
    if (!map || jv_is_null(map))
        return true;
    if (!jv_is_object(map))
        return skip(x, arena_printf(x->a, "%s: expected an object", what));
    for (void *iter = NULL; jv_member(map, &iter, &name, &value);)
        if (!pair_add(x, p, what, name, value))
            return false;
    return true;
}

static void pairs_write(struct jout *j, const char *key, const struct pairs *p)
{
    jout_key(j, str_c(key));
    jout_object(j);
    for (size_t i = 0; i < p->n; i++) {
        jout_key(j, p->names[i]);
        jout_str(j, p->values[i]);
    }
    jout_object_end(j);
}

/* What is kept of a value in the registry's open part: the placeholder and the scheme before it.
 * Any other text may be part of a secret. */
static struct str outline(struct import_entry *x, const struct pairs *p, size_t i)
{
    static const struct str schemes[] = {STR("${"), STR("Bearer ${"), STR("Basic ${"),
                                         STR("token ${")};
    struct str value = p->values[i];
    for (size_t s = 0; p->is_open[i] && s < ARRAY_LEN(schemes); s++)
        if (str_starts(value, schemes[s]) && str_find_char(value, '}') == value.n - 1)
            return value;
    return arena_printf(x->a, "${secret:%.*s}", STR_FMT(p->names[i]));
}

/* "metadata": {"import": {"headers": {...}}} and what the report says. */
static void outline_write(struct import_entry *x, struct jout *j, const char *what,
                          const struct pairs *p)
{
    struct buf names;
    buf_init(&names, LIMIT_BODY_SMALL);
    buf_addf(&names, "%s", what);
    jout_key(j, STR("metadata"));
    jout_object(j);
    jout_key(j, STR("import"));
    jout_object(j);
    jout_key(j, str_c(what));
    jout_object(j);
    for (size_t i = 0; i < p->n; i++) {
        jout_key(j, p->names[i]);
        jout_str(j, outline(x, p, i));
        buf_addf(&names, "%s %.*s", i ? "," : "", STR_FMT(p->names[i]));
    }
    jout_object_end(j);
    jout_object_end(j);
    jout_object_end(j);
    x->needs = arena_dup(x->a, buf_str(&names));
    buf_end(&names);
}

static bool is_bearer(const struct pairs *p)
{
    return p->n == 1 && str_ieq(p->names[0], STR("authorization")) &&
           str_starts(p->values[0], STR("Bearer "));
}

static void headers_write(struct import_entry *x, struct jout *j, const struct pairs *p)
{
    if (p->n == 0)
        return;
    if (p->any_open) {
        jout_kstr(j, "auth", is_bearer(p) ? STR("bearer") : STR("headers"));
        jout_kstr(j, "credential_scope", p->any_input ? STR("user") : STR("organization"));
        outline_write(x, j, "headers", p);
        return;
    }
    jout_key(j, STR("credential"));
    jout_object(j);
    if (is_bearer(p))
        jout_kstr(j, "bearer", str_trim(str_slice(p->values[0], 7, SIZE_MAX)));
    else
        pairs_write(j, "headers", p);
    jout_object_end(j);
}

/* ---- the two kinds ---- */

static struct str transport_of(const struct import_entry *x, struct str type)
{
    if (jv_get(x->value, "httpUrl"))
        return STR("streamable-http");
    if (str_is_absent(type))
        return STR("auto");
    if (str_eq(type, STR("sse")))
        return type;
    return str_eq(type, STR("http")) || str_eq(type, STR("streamable-http")) ||
                   str_eq(type, STR("streamableHttp"))
               ? STR("streamable-http")
               : STR_NONE;
}

static bool network_write(struct import_entry *x, struct jout *j, struct str raw_url,
                          struct str type)
{
    struct str url, transport = transport_of(x, type);
    struct pairs headers;
    if (str_is_absent(transport))
        return skip(x, arena_printf(x->a, "its type \"%.*s\" is not known",
                                    STR_FMT(str_slice(type, 0, 40))));
    if (!known(x, "url", raw_url, &url) || !pairs_read(x, "headers", &headers))
        return false;
    jout_kstr(j, "transport", transport);
    jout_kstr(j, "url", url);
    headers_write(x, j, &headers);
    return true;
}

static bool args_write(struct import_entry *x, struct jout *j)
{
    const struct jvalue *args = jv_get(x->value, "args");
    if (args && !jv_is_array(args))
        return skip(x, STR("args: expected a list"));
    jout_key(j, STR("args"));
    jout_array(j);
    for (size_t i = 0; i < jv_count(args); i++) {
        struct str one;
        if (!jv_is_string(jv_at(args, i)))
            return skip(x, STR("args: expected texts"));
        if (!known(x, "arguments", jv_str(jv_at(args, i)), &one))
            return false;
        jout_str(j, one);
    }
    jout_array_end(j);
    return true;
}

static bool program_write(struct import_entry *x, struct jout *j, struct str raw_command)
{
    struct str command;
    struct pairs env;
    static const char *const missing[] = {"cwd", "envFile"};
    for (size_t i = 0; i < ARRAY_LEN(missing); i++)
        if (jv_is_string(jv_get(x->value, missing[i])))
            return skip(x, arena_printf(x->a,
                                        "%s is not supported: a server runs in a folder of "
                                        "its own, with the variables of env",
                                        missing[i]));
    if (!known(x, "command", raw_command, &command) || !pairs_read(x, "env", &env))
        return false;
    jout_kstr(j, "transport", STR("stdio"));
    jout_kstr(j, "command", command);
    if (!args_write(x, j))
        return false;
    if (env.n > 0 && env.any_open)
        outline_write(x, j, "env", &env);
    else if (env.n > 0)
        pairs_write(j, "env", &env);
    return true;
}

/* ---- all of it ---- */

static void ignored_note(struct import_entry *x)
{
    static const struct str used[] = {STR("type"),    STR("url"),         STR("serverUrl"),
                                      STR("httpUrl"), STR("headers"),     STR("command"),
                                      STR("args"),    STR("env"),         STR("disabled"),
                                      STR("enabled"), STR("description"), STR("transport")};
    struct buf names;
    struct str name;
    const struct jvalue *value;
    buf_init(&names, LIMIT_BODY_SMALL);
    for (void *iter = NULL; jv_member(x->value, &iter, &name, &value);) {
        bool is_used = false;
        for (size_t i = 0; i < ARRAY_LEN(used); i++)
            is_used = is_used || str_eq(name, used[i]);
        if (!is_used)
            buf_addf(&names, "%s%.*s", names.n ? ", " : "", STR_FMT(str_slice(name, 0, 60)));
    }
    if (names.n > 0)
        x->ignored = arena_dup(x->a, buf_str(&names));
    buf_end(&names);
}

static struct str url_of(const struct import_entry *x)
{
    static const char *const names[] = {"url", "serverUrl", "httpUrl"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (jv_is_string(jv_get(x->value, names[i])))
            return jv_get_str(x->value, names[i]);
    return STR_NONE;
}

static bool entry_write(struct import_entry *x, struct jout *j)
{
    struct str url = url_of(x), command = jv_get_str(x->value, "command"),
               type = jv_get_str(x->value, "type");
    char slug[51];
    if (!jv_is_object(x->value))
        return skip(x, STR("expected an object"));
    if (str_is_absent(type))
        type = jv_get_str(x->value, "transport");
    if (str_is_absent(url) == str_is_absent(command))
        return skip(x, str_is_absent(url) ? STR("it has neither url nor command")
                                          : STR("it has both url and command"));
    if (str_is_absent(url) && !str_is_absent(type) && !str_eq(type, STR("stdio")))
        return skip(x, STR("it has a command, and its type is not stdio"));
    text_slug(x->name, slug);
    jout_object(j);
    if (!str_is_absent(x->org_id))
        jout_kstr(j, "organization_id", x->org_id);
    jout_kstr(j, "name", x->name);
    if (slug[0])
        jout_kstr(j, "slug", str_c(slug));
    if (jv_is_string(jv_get(x->value, "description")))
        jout_kstr(j, "description", jv_get_str(x->value, "description"));
    if (jv_get_bool(x->value, "disabled", false) || !jv_get_bool(x->value, "enabled", true))
        jout_kbool(j, "enabled", false);
    if (!(str_is_absent(url) ? program_write(x, j, command) : network_write(x, j, url, type)))
        return false;
    jout_object_end(j);
    return true;
}

bool import_entry_read(struct import_entry *x, struct err *e)
{
    struct buf text;
    struct jout j;
    buf_init(&text, LIMIT_BODY_MCP);
    jout_init(&j, &text);
    x->arguments = x->skipped = x->needs = x->ignored = STR_NONE;
    if (entry_write(x, &j)) {
        x->arguments = buf_ok(&text) ? arena_dup(x->a, buf_str(&text)) : STR_NONE;
        ignored_note(x);
    }
    buf_end(&text);
    return !str_is_absent(x->arguments) || !str_is_absent(x->skipped) ||
           err_set(e, ERR_UNAVAILABLE, "out of memory");
}
