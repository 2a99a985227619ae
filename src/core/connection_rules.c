/* Rules for registered servers. */
#include "core/connection_rules.h"

#include "base/limits.h"
#include "base/text.h"
#include "base/uri.h"

static bool is_one_of(struct str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(s, str_c(words[i])))
            return true;
    return false;
}

static bool text_check(struct str s, size_t max, const char *where, struct err *e)
{
    if (str_is_absent(s) || (s.n <= max && text_is_utf8(s) && str_find_char(s, '\0') == SIZE_MAX))
        return true;
    return err_set(e, ERR_INVALID, "arguments.%s has %zu bytes, expected at most %zu of text",
                   where, s.n, max);
}

static bool url_check(const struct connection *c, struct err *e)
{
    struct uri uri;
    if (str_is_absent(c->url) || !str_is_absent(c->command))
        return err_set(e, ERR_INVALID, "arguments: transport %.*s takes url and no command",
                       STR_FMT(c->transport));
    if (c->url.n > LIMIT_URL || !uri_parse(c->url, &uri) || !uri_is_http(&uri) || uri.host.n == 0)
        return err_set(e, ERR_INVALID,
                       "arguments.url: expected an http or https address of at most %d bytes",
                       LIMIT_URL);
    if (!str_is_absent(uri.userinfo))
        return err_set(e, ERR_INVALID,
                       "arguments.url: expected no user name or password in it: give a credential");
    return str_is_absent(uri.fragment) ||
           err_set(e, ERR_INVALID, "arguments.url: expected no fragment");
}

static bool command_check(const struct connection *c, bool is_stdio_allowed, struct err *e)
{
    if (str_is_absent(c->command) || !str_is_absent(c->url))
        return err_set(e, ERR_INVALID, "arguments: transport stdio takes command and no url");
    if (!is_stdio_allowed)
        return err_set(e, ERR_UNPROCESSABLE,
                       "stdio servers are not allowed on this installation: its operator sets "
                       "ALLOW_STDIO=1");
    return (c->command.n > 0 && !text_has_control(c->command)) ||
           err_set(e, ERR_INVALID, "arguments.command: expected the name or path of a program");
}

bool connection_rules_check(struct connection *c, bool is_stdio_allowed, struct err *e)
{
    static const char *const transports[] = {"auto", "streamable-http", "sse", "stdio"};
    static const char *const auths[] = {"none", "bearer", "headers", "query", "oauth"};
    if (str_is_absent(c->url) && str_is_absent(c->command))
        return err_set(e, ERR_INVALID, "arguments: expected url or command");
    if (str_is_absent(c->transport))
        c->transport = str_is_absent(c->command) ? STR("auto") : STR("stdio");
    if (!is_one_of(c->transport, transports, ARRAY_LEN(transports)))
        return err_set(e, ERR_INVALID,
                       "arguments.transport: expected auto, streamable-http, sse or stdio");
    if (!is_one_of(c->auth, auths, ARRAY_LEN(auths)))
        return err_set(e, ERR_INVALID,
                       "arguments.auth: expected none, bearer, headers, query or oauth");
    if (!str_eq(c->credential_scope, STR("organization")) &&
        !str_eq(c->credential_scope, STR("user")))
        return err_set(e, ERR_INVALID, "arguments.credential_scope: expected organization or user");
    if (!text_check(c->description, LIMIT_DESCRIPTION, "description", e) ||
        !text_check(c->icon, LIMIT_URL, "icon", e) ||
        !text_check(c->command, LIMIT_URL, "command", e) ||
        !text_check(c->args, LIMIT_CREDENTIAL, "args", e) ||
        !text_check(c->configuration, LIMIT_BODY_FORM, "configuration", e) ||
        !text_check(c->metadata, LIMIT_BODY_FORM, "metadata", e))
        return false;
    return str_eq(c->transport, STR("stdio")) ? command_check(c, is_stdio_allowed, e)
                                              : url_check(c, e);
}

bool connection_rules_moved(struct arena *a, const struct connection *before,
                            const struct connection *after)
{
    struct uri x, y;
    if (str_is_absent(before->url) || str_is_absent(after->url))
        return !str_eq(before->url, after->url) || !str_eq(before->command, after->command) ||
               !str_eq(before->args, after->args);
    if (!uri_parse(before->url, &x) || !uri_parse(after->url, &y))
        return true;
    struct str from = uri_origin(a, &x), to = uri_origin(a, &y);
    return str_is_absent(from) || !str_eq(from, to);
}

bool connection_rules_tool_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        bool is_good = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                       (ch >= '0' && ch <= '9') || (ch && strchr("_./-", ch));
        if (!is_good)
            return false;
    }
    return name.n >= 1 && name.n <= 128;
}
