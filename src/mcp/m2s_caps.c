/* Capabilities of stateless clients. */
#include "mcp/m2s_caps.h"

#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"

static struct str object_member(struct str object, const char *name)
{
    struct jwant want = {.name = str_c(name)};
    struct err ignored;
    if (str_is_absent(object) || !jscan_object(object, &want, 1, &ignored) ||
        str_is_absent(want.value) || jscan_type(want.value) != JTYPE_OBJECT)
        return STR_NONE;
    return want.value;
}

static int when(struct str member, int cap)
{
    return str_is_absent(member) ? 0 : cap;
}

int m2s_caps_read(struct str capabilities)
{
    struct str sampling = object_member(capabilities, "sampling");
    struct str elicitation = object_member(capabilities, "elicitation");
    struct str form = object_member(elicitation, "form"), url = object_member(elicitation, "url");
    int caps = when(object_member(capabilities, "roots"), M2S_ROOTS) |
               when(sampling, M2S_SAMPLING) |
               when(object_member(sampling, "tools"), M2S_SAMPLING_TOOLS) |
               when(object_member(sampling, "context"), M2S_SAMPLING_CONTEXT) |
               when(form, M2S_FORM) | when(url, M2S_URL);
    bool is_bare = !str_is_absent(elicitation) && str_is_absent(form) && str_is_absent(url);
    return caps | (is_bare ? M2S_FORM : 0);
}

static void flag(struct jout *j, int caps, int cap, const char *name)
{
    if (caps & cap)
        jout_kraw(j, name, STR("{}"));
}

struct str m2s_caps_project(struct arena *a, struct str capabilities)
{
    static const char *const kept[] = {"extensions", "experimental"};
    int caps = m2s_caps_read(capabilities);
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_MCP);
    jout_init(&j, &out);
    jout_object(&j);
    flag(&j, caps, M2S_ROOTS, "roots");
    if (caps & M2S_SAMPLING) {
        jout_key(&j, STR("sampling"));
        jout_object(&j);
        flag(&j, caps, M2S_SAMPLING_TOOLS, "tools");
        flag(&j, caps, M2S_SAMPLING_CONTEXT, "context");
        jout_object_end(&j);
    }
    if (caps & (M2S_FORM | M2S_URL)) {
        jout_key(&j, STR("elicitation"));
        jout_object(&j);
        flag(&j, caps, M2S_FORM, "form");
        flag(&j, caps, M2S_URL, "url");
        jout_object_end(&j);
    }
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct str value = object_member(capabilities, kept[i]);
        if (!str_is_absent(value))
            jout_kraw(&j, kept[i], value);
    }
    jout_object_end(&j);
    struct str text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

static bool need(int caps, int wanted, const char *what, struct err *e)
{
    return (caps & wanted) == wanted ||
           err_set(e, ERR_MISSING_CAPABILITY, "the client does not support %s", what);
}

bool m2s_caps_allow(int caps, const struct rpc_message *q, struct err *e)
{
    if (str_eq(q->method, STR("roots/list")))
        return need(caps, M2S_ROOTS, "roots", e);
    struct jwant wants[] = {{.name = STR("mode")}, {.name = STR("tools")}, {.name = STR("url")}};
    if (!str_is_absent(q->params) && !jscan_object(q->params, wants, ARRAY_LEN(wants), e))
        return false;
    if (str_eq(q->method, STR("sampling/createMessage")))
        return need(caps, M2S_SAMPLING, "sampling", e) &&
               (str_is_absent(wants[1].value) ||
                need(caps, M2S_SAMPLING_TOOLS, "sampling with tools", e));
    if (!str_eq(q->method, STR("elicitation/create")))
        return err_set(e, ERR_METHOD_NOT_FOUND, "this client cannot be asked %.*s",
                       STR_FMT(str_slice(q->method, 0, 80)));
    bool is_url = !str_is_absent(wants[0].value) && jscan_type(wants[0].value) == JTYPE_STRING &&
                  jscan_string_eq(wants[0].value, STR("url"));
    if (!is_url)
        return need(caps, M2S_FORM, "elicitation by form", e);
    struct str url = wants[2].value; /* as it is opened in a browser: nothing but the web */
    bool is_web = !str_is_absent(url) &&
                  (str_starts(url, STR("\"https://")) || str_starts(url, STR("\"http://")));
    return need(caps, M2S_URL, "elicitation by URL", e) &&
           (is_web || err_set(e, ERR_INVALID, "the URL is not one of the web"));
}
