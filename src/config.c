#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/shape.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/uri.h"
#include "crypto/keyring.h"
#include "log/log.h"

/* --- the table, made from config.def --- */

enum type { TYPE_TEXT, TYPE_INT, TYPE_BOOL };

enum setting {
#define X(field, name, type, def, min, max, secret, sentence) SETTING_##field,
#include "config.def"
#undef X
    SETTING_COUNT
};

struct row {
    const char *name;
    const char *sentence;
    const char *text; /* TEXT: default or NULL */
    size_t offset;    /* of the field in struct config */
    int64_t number;   /* INT, BOOL: default; INT -1 means "unset" and cannot be given */
    int64_t min, max;
    enum type type;
    bool is_secret;
};

#define DEFAULT_TEXT(def) .text = (def)
#define DEFAULT_INT(def)  .number = (def)
#define DEFAULT_BOOL(def) .number = (def)
static const struct row rows[] = {
#define X(field_, name_, type_, def_, min_, max_, secret_, sentence_)                              \
    [SETTING_##field_] = {.name = (name_),                                                         \
                          .type = TYPE_##type_,                                                    \
                          .offset = offsetof(struct config, field_),                               \
                          DEFAULT_##type_(def_),                                                   \
                          .min = (min_),                                                           \
                          .max = (max_),                                                           \
                          .is_secret = (secret_),                                                  \
                          .sentence = (sentence_)},
#include "config.def"
#undef X
};

/* --- what was given --- */

enum layer { LAYER_NONE, LAYER_FILE, LAYER_ENVIRONMENT, LAYER_FLAG }; /* the higher wins */

struct given {
    enum layer layer;
    bool is_path;    /* NAME_FILE: the text names a file that holds the value */
    struct str text; /* NUL-ended */
    const char *source;
};

struct load {
    struct given given[SETTING_COUNT];
    const char *file; /* --config */
    char **rest;      /* arguments that are not ours */
    int n_rest;
    struct err *e;
};

/* Settings' strings and the list of arguments: they live until the process ends. */
static struct arena *forever;

static const char *keep(struct str s)
{
    const char *copy = arena_cstr(forever, s);
    ensure(copy); /* sizes are bounded, and this is the start of the program */
    return copy;
}

/* The text of arena_printf(forever, ...). */
static const char *kept(struct str s)
{
    ensure(s.p);
    return s.p;
}

/* --- messages --- */

static bool refuse(struct err *e, enum setting setting, const struct given *g, const char *expected)
{
    const char *name = rows[setting].name;
    if (rows[setting].is_secret)
        return err_set(e, ERR_INVALID, "%s (%s): given a value of %zu characters, expected %s",
                       name, g->source, g->text.n, expected);
    return err_set(e, ERR_INVALID, "%s (%s): given \"%.*s\", expected %s", name, g->source,
                   STR_FMT(str_slice(g->text, 0, 120)), expected);
}

/* --- collecting: flags, environment, file --- */

/* Finds the row of NAME or NAME_FILE. */
static bool setting_find(struct str name, enum setting *out, bool *is_path)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < SETTING_COUNT; i++) {
            if (str_eq(name, str_c(rows[i].name))) {
                *out = (enum setting)i;
                *is_path = pass == 1;
                return true;
            }
        }
        if (!str_ends(name, STR("_FILE")))
            return false;
        name.n -= sizeof("_FILE") - 1;
    }
    return false;
}

/* Records one value; an empty one counts as not given, as `NAME=` in compose files means it. */
static bool put(struct load *l, enum setting setting, struct given g)
{
    struct given *old = &l->given[setting];
    if (g.text.n == 0 || old->layer > g.layer)
        return true;
    if (text_has_control(g.text))
        return err_set(l->e, ERR_INVALID, "%s (%s): given control characters, expected text",
                       rows[setting].name, g.source);
    if (old->layer == g.layer && old->is_path != g.is_path)
        return err_set(l->e, ERR_INVALID, "%s (%s): given %s and %s_FILE, expected one of them",
                       rows[setting].name, g.source, rows[setting].name, rows[setting].name);
    if (old->layer == g.layer && g.layer == LAYER_FILE)
        return err_set(l->e, ERR_INVALID, "%s: given in %s and %s, expected once",
                       rows[setting].name, old->source, g.source);
    *old = g;
    return true;
}

/* "--data-dir" as "DATA_DIR"; false when it cannot be one of our names. */
static bool flag_to_name(struct str flag, char *name, size_t size)
{
    if (flag.n >= size)
        return false;
    for (size_t i = 0; i < flag.n; i++) {
        char c = flag.p[i];
        if (c != '-' && !(c >= 'a' && c <= 'z'))
            return false;
        name[i] = '_';
        if (c != '-')
            name[i] = (char)(c - 'a' + 'A');
    }
    name[flag.n] = '\0';
    return true;
}

/* One argument. *i moves on when the value is the next one. Arguments that are not settings go to
 * the rest. */
static bool read_flag(struct load *l, int argc, char **argv, int *i)
{
    struct str arg = str_c(argv[*i]);
    struct str value = STR_NONE;
    struct str flag = str_slice(arg, 2, SIZE_MAX);
    size_t equals = str_find_char(flag, '=');
    if (equals != SIZE_MAX) {
        value = str_slice(flag, equals + 1, SIZE_MAX);
        flag = str_slice(flag, 0, equals);
    }
    char name[64];
    enum setting setting = SETTING_COUNT;
    bool is_path = false;
    bool is_config = str_eq(flag, STR("config"));
    if (!str_starts(arg, STR("--")) ||
        (!is_config && (!flag_to_name(flag, name, sizeof(name)) ||
                        !setting_find(str_c(name), &setting, &is_path)))) {
        l->rest[l->n_rest++] = argv[*i];
        return true;
    }
    if (str_is_absent(value)) {
        if (*i + 1 >= argc || str_starts(str_c(argv[*i + 1]), STR("--")))
            return err_set(l->e, ERR_INVALID, "--%.*s: given nothing, expected a value",
                           STR_FMT(flag));
        value = str_c(argv[++*i]);
    }
    if (is_config) {
        l->file = keep(value);
        return true;
    }
    const char *source = kept(arena_printf(forever, "flag --%.*s", STR_FMT(flag)));
    return put(l, setting, (struct given){LAYER_FLAG, is_path, str_c(keep(value)), source});
}

static bool read_flags(struct load *l, int argc, char **argv)
{
    l->rest = arena_alloc(forever, ((size_t)argc + 1) * sizeof(*l->rest));
    ensure(l->rest);
    for (int i = 0; i < argc; i++) {
        if (str_eq(str_c(argv[i]), STR("--"))) { /* what follows belongs to the subcommand */
            while (i < argc)
                l->rest[l->n_rest++] = argv[i++];
            break;
        }
        if (!read_flag(l, argc, argv, &i))
            return false;
    }
    return true;
}

static bool read_environment(struct load *l)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        for (int is_path = 0; is_path < 2; is_path++) {
            char name[64];
            snprintf(name, sizeof(name), "%s%s", rows[i].name, is_path ? "_FILE" : "");
            const char *value = secure_getenv(name);
            if (value && !put(l, (enum setting)i,
                              (struct given){LAYER_ENVIRONMENT, is_path, str_c(keep(str_c(value))),
                                             "environment"}))
                return false;
        }
    }
    return true;
}

/* Reads a whole small file into b. False with *why, a constant text or NULL for errno. */
static bool file_read(const char *path, struct buf *b, const char **why)
{
    *why = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n;
    do {
        char *to = buf_reserve(b, 4096);
        if (!to) {
            *why = "it is too long";
            close(fd);
            return false;
        }
        n = read(fd, to, 4096);
        if (n > 0)
            b->n += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    int saved = errno;
    close(fd);
    errno = saved;
    return n == 0;
}

static bool read_line(struct load *l, const char *path, int number, struct str line)
{
    line = str_trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return true;
    size_t equals = str_find_char(line, '=');
    if (equals == SIZE_MAX)
        return err_set(l->e, ERR_INVALID, "%s line %d: given no '=', expected NAME=value", path,
                       number);
    struct str name = str_trim(str_slice(line, 0, equals));
    struct str value = str_trim(str_slice(line, equals + 1, SIZE_MAX));
    enum setting setting;
    bool is_path;
    /* The value is not repeated: a misspelt name may stand before a secret. */
    if (!setting_find(name, &setting, &is_path))
        return err_set(l->e, ERR_INVALID,
                       "%s line %d: given \"%.*s\", expected the name of a setting", path, number,
                       STR_FMT(str_slice(name, 0, 60)));
    if (memchr(value.p, '\0', value.n))
        return err_set(l->e, ERR_INVALID, "%s line %d: given a NUL, expected text", path, number);
    const char *source = kept(arena_printf(forever, "%s line %d", path, number));
    return put(l, setting, (struct given){LAYER_FILE, is_path, str_c(keep(value)), source});
}

static bool read_lines(struct load *l, const char *path, struct str text)
{
    struct str line;
    for (int number = 1; str_next(&text, '\n', &line); number++)
        if (!read_line(l, path, number, line))
            return false;
    return true;
}

static bool read_file(struct load *l)
{
    const char *path = l->file ? l->file : "tulle.conf";
    const char *why;
    struct buf b;
    buf_init(&b, LIMIT_CONFIG_FILE);
    bool is_good = file_read(path, &b, &why);
    if (is_good)
        is_good = read_lines(l, path, buf_str(&b));
    else if (!why && errno == ENOENT && !l->file)
        is_good = true; /* the file of the current folder is optional */
    else if (why)
        err_set(l->e, ERR_INVALID, "--config: given \"%s\", but %s", path, why);
    else
        err_set(l->e, ERR_INVALID, "--config: given \"%s\", which cannot be read: %m", path);
    if (b.p)
        secret_wipe(b.p, b.cap);
    buf_end(&b);
    return is_good;
}

/* --- checking --- */

static bool is_who(struct str s)
{
    return str_eq(s, STR("operator")) || str_eq(s, STR("everyone"));
}

static bool is_cimd(struct str s)
{
    return str_eq(s, STR("on")) || str_eq(s, STR("off")) || str_eq(s, STR("auto"));
}

static bool is_log_level(struct str s)
{
    enum log_level level;
    return log_level_parse(s, &level);
}

static const struct form {
    bool (*is_good)(struct str);
    const char *expected;
} forms[SETTING_COUNT] = {
    [SETTING_host] = {shape_is_listen_host, "localhost or an IP address"},
    [SETTING_base_url] = {shape_is_base_url, "an https origin without a path, such as "
                                             "https://tulle.example.org; http only on localhost"},
    [SETTING_database_url] = {shape_is_database_url, "sqlite:PATH or postgresql://..."},
    [SETTING_admin_email] = {shape_is_email, "an e-mail address"},
    [SETTING_allow_org_creation] = {is_who, "operator or everyone"},
    [SETTING_smtp_url] = {shape_is_smtp_url, "smtp://[user:password@]host[:port] or smtps://..."},
    [SETTING_mail_from] = {shape_is_sender, "an e-mail address, or Name <address>"},
    [SETTING_trusted_proxies] = {shape_is_cidr_list, "addresses or CIDRs, comma separated"},
    [SETTING_cors_origins] = {shape_is_origin_list,
                              "origins such as https://app.example.org, comma "
                              "separated"},
    [SETTING_egress_allow] = {shape_is_destination_list,
                              "CIDR[:port], host[:port] or *.suffix, comma "
                              "separated; IPv6 with a port as [CIDR]:port"},
    [SETTING_https_proxy] = {shape_is_http_url, "http://host:port or https://host:port"},
    [SETTING_cimd] = {is_cimd, "on, off or auto"},
    [SETTING_audit_stream] = {shape_is_audit_stream, "stdout, file:PATH or syslog"},
    [SETTING_log_level] = {is_log_level, "debug, info, warn or error"},
    [SETTING_dns_server] = {shape_is_resolver, "an address or host, with or without :port"},
    [SETTING_otel_endpoint] = {shape_is_http_url, "an http or https address"},
};

/* --- values --- */

/* NAME_FILE: the file's content, less one newline at its end, becomes the value. */
static bool resolve_path(enum setting setting, struct given *g, struct err *e)
{
    const char *why;
    struct buf b;
    if (!g->is_path)
        return true;
    buf_init(&b, LIMIT_CONFIG_FILE);
    bool is_good = file_read(g->text.p, &b, &why);
    if (!is_good && why)
        err_set(e, ERR_INVALID, "%s_FILE (%s): given \"%s\", but %s", rows[setting].name, g->source,
                g->text.p, why);
    else if (!is_good)
        err_set(e, ERR_INVALID, "%s_FILE (%s): given \"%s\", which cannot be read: %m",
                rows[setting].name, g->source, g->text.p);
    struct str value = buf_str(&b);
    if (str_ends(value, STR("\n")))
        value.n--;
    if (str_ends(value, STR("\r")))
        value.n--;
    if (is_good && (value.n == 0 || text_has_control(value)))
        is_good = err_set(e, ERR_INVALID,
                          "%s_FILE (%s): given \"%s\", which holds %s, expected one "
                          "line of text",
                          rows[setting].name, g->source, g->text.p,
                          value.n == 0 ? "nothing" : "control characters");
    if (is_good) {
        const char *source =
            kept(arena_printf(forever, "%s_FILE %s", rows[setting].name, g->text.p));
        *g = (struct given){g->layer, false, str_c(keep(value)), source};
    }
    if (b.p)
        secret_wipe(b.p, b.cap);
    buf_end(&b);
    return is_good;
}

static bool is_bool(struct str s, bool *out)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_ieq(s, str_c(words[i]))) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* Writes one field: what was given when its form is right, the default when nothing was given. */
static bool set_field(struct config *c, enum setting setting, const struct given *g, struct err *e)
{
    const struct row *row = &rows[setting];
    void *field = (char *)c + row->offset;
    bool is_given = g->layer != LAYER_NONE;
    if (row->type == TYPE_TEXT) {
        if (is_given && forms[setting].is_good && !forms[setting].is_good(g->text))
            return refuse(e, setting, g, forms[setting].expected);
        *(const char **)field = is_given ? g->text.p : row->text;
        return true;
    }
    if (row->type == TYPE_BOOL) {
        bool value = row->number != 0;
        if (is_given && !is_bool(g->text, &value))
            return refuse(e, setting, g, "true or false");
        *(bool *)field = value;
        return true;
    }
    int64_t value = row->number;
    int64_t min = row->min < 0 ? 0 : row->min;
    if (is_given && !str_to_i64(g->text, min, row->max, &value)) {
        char expected[80];
        snprintf(expected, sizeof(expected), "an integer from %lld to %lld", (long long)min,
                 (long long)row->max);
        return refuse(e, setting, g, expected);
    }
    *(int64_t *)field = value;
    return true;
}

/* What concerns several settings, or is judged by another module. */
static bool check_together(const struct config *c, struct err *e)
{
    if (c->encryption_key) {
        struct keyring ring;
        if (!keyring_parse(&ring, str_c(c->encryption_key), e))
            return false;
        keyring_end(&ring);
    }
    if ((c->tls_cert == NULL) != (c->tls_key == NULL))
        return err_set(e, ERR_INVALID, "%s: given without %s, expected both or neither",
                       c->tls_cert ? "TLS_CERT" : "TLS_KEY", c->tls_cert ? "TLS_KEY" : "TLS_CERT");
    if (c->admin_password && !c->admin_email)
        return err_set(e, ERR_INVALID,
                       "ADMIN_PASSWORD: given without ADMIN_EMAIL, expected both or neither");
    return true;
}

static void derive(struct config *c)
{
    struct uri base;
    if (!c->base_url)
        c->base_url = kept(arena_printf(forever, "%s://localhost:%lld",
                                        c->tls_cert ? "https" : "http", (long long)c->port));
    if (!c->database_url)
        c->database_url = kept(arena_printf(forever, "sqlite:%s/tulle.db", c->data_dir));
    if (!c->auth_config && access("auth-config.json", F_OK) == 0)
        c->auth_config = "./auth-config.json";
    ensure(uri_parse(str_c(c->base_url), &base));
    c->origin = kept(uri_origin(forever, &base));
    c->host_is_loopback = !c->host || uri_host_is_loopback(str_c(c->host));
    c->base_is_loopback = uri_host_is_loopback(base.host);
    c->base_is_https = str_ieq(base.scheme, STR("https"));
    c->allow_stdio_effective =
        c->allow_stdio == -1 ? c->host_is_loopback && c->base_is_loopback : c->allow_stdio == 1;
}

bool config_load(struct config *c, int argc, char **argv, int *n_rest, char ***rest, struct err *e)
{
    if (!forever)
        forever = arena_new(SIZE_MAX);
    ensure(forever);
    struct load l = {.e = e};
    if (!read_flags(&l, argc, argv))
        return false;
    if (!rest && l.n_rest > 0)
        return err_set(e, ERR_INVALID,
                       "%s: given, expected a setting such as --port 3000; see --help", l.rest[0]);
    if (!read_environment(&l) || !read_file(&l))
        return false;

    struct config read = {0};
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (!resolve_path((enum setting)i, &l.given[i], e) ||
            !set_field(&read, (enum setting)i, &l.given[i], e))
            return false;
    if (!check_together(&read, e))
        return false;
    derive(&read);
    *c = read;
    if (rest) {
        *rest = l.rest;
        *n_rest = l.n_rest;
    }
    return true;
}

/* --- help --- */

static void name_to_flag(const char *name, char *flag, size_t size)
{
    snprintf(flag, size, "--%s", name);
    text_lower(flag, strlen(flag));
    for (char *p = flag; *p; p++)
        if (*p == '_')
            *p = '-';
}

static void add_default(struct buf *out, const struct row *row)
{
    if (row->type == TYPE_BOOL)
        buf_add(out, row->number ? STR("true") : STR("false"));
    else if (row->type == TYPE_INT && row->number >= 0)
        buf_add_i64(out, row->number);
    else if (row->type == TYPE_TEXT && row->text)
        buf_add(out, str_c(row->text));
    else
        buf_add(out, STR("unset"));
}

/* A '|' would end the cell. */
static void add_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
}

void config_help(struct buf *out, bool markdown)
{
    if (markdown)
        buf_add(out, STR("| setting | flag | default | meaning |\n|---|---|---|---|\n"));
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct row *row = &rows[i];
        char flag[64];
        name_to_flag(row->name, flag, sizeof(flag));
        if (markdown) {
            buf_addf(out, "| `%s` | `%s` | ", row->name, flag);
            add_default(out, row);
            buf_add(out, STR(" | "));
            add_cell(out, row->sentence);
            buf_add(out, STR(" |\n"));
        } else {
            buf_addf(out, "  %-32s %s", flag, row->sentence);
            if (!strstr(row->sentence, "unset:")) {
                buf_add(out, STR(" ["));
                add_default(out, row);
                buf_add(out, STR("]"));
            }
            buf_add(out, STR("\n"));
        }
    }
    if (!markdown)
        buf_add(out,
                STR("\nEach setting is a flag, an environment variable (DATA_DIR) or a line of "
                    "tulle.conf (DATA_DIR=...);\nwith _FILE added to its name it is read from "
                    "that file. Flags win over the environment over tulle.conf.\n"));
}
