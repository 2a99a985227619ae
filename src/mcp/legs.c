/* Differences between the session revisions (MCP changelogs of 2025-03-26, 2025-06-18, 2025-11-25).
 */
#include "mcp/legs.h"

#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/eras.h"
#include "mcp/jsonrpc.h"
#include "mcp/m2s_caps.h"

/* ISO dates compare as text. */
static bool is_before(struct str version, struct str since)
{
    return str_cmp(version, since) < 0;
}

/* ---- the client's hello ---- */

/* elicitation came with 2025-06-18, its modes with 2025-11-25. */
static void elicitation_write(struct jout *j, struct str key, struct str value, struct str version)
{
    bool is_url_only = !str_is_absent(jscan_member(value, STR("url"))) &&
                       str_is_absent(jscan_member(value, STR("form")));
    bool has_modes = !is_before(version, STR("2025-11-25"));
    if (is_before(version, STR("2025-06-18")) || (is_url_only && !has_modes))
        return;
    jout_raw_key(j, key);
    jout_raw(j, has_modes ? value : STR("{}"));
}

static struct str capabilities_project(struct arena *a, struct str declared, struct str version)
{
    struct jiter it;
    struct buf out;
    struct jout j;
    bool is_old = is_before(version, STR("2025-11-25"));
    buf_init(&out, LIMIT_BODY_MCP);
    jout_init(&j, &out);
    jout_object(&j);
    for (jscan_iter(&it, declared); jscan_next(&it);) {
        if (jscan_string_eq(it.key, STR("elicitation"))) {
            elicitation_write(&j, it.key, it.value, version);
            continue;
        }
        if (is_old && jscan_string_eq(it.key, STR("tasks")))
            continue;
        bool is_cut = is_old && jscan_string_eq(it.key, STR("sampling"));
        jout_raw_key(&j, it.key);
        jout_raw(&j, is_cut ? STR("{}") : it.value);
    }
    jout_object_end(&j);
    struct str text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

bool leg_hello_read(struct arena *a, struct str params, struct leg_hello *out, struct err *e)
{
    struct jwant wants[] = {{.name = STR("protocolVersion")}, {.name = STR("capabilities")}};
    struct str wanted;
    if (str_is_absent(params) || !jscan_object(params, wants, ARRAY_LEN(wants), e) ||
        str_is_absent(wants[0].value) || !jscan_string(a, wants[0].value, &wanted))
        return err_set(e, ERR_INVALID, "params.protocolVersion is missing, expected a string");
    out->version = era_negotiate(wanted);
    struct rpc_edit edits[2] = {{wants[0].value, STR_NONE}, {wants[1].value, STR_NONE}};
    edits[0].with = arena_printf(a, "\"%.*s\"", STR_FMT(out->version));
    bool has_capabilities =
        !str_is_absent(wants[1].value) && jscan_type(wants[1].value) == JTYPE_OBJECT;
    if (has_capabilities)
        edits[1].with = capabilities_project(a, wants[1].value, out->version);
    out->caps =
        has_capabilities && !str_is_absent(edits[1].with) ? m2s_caps_read(edits[1].with) : 0;
    if (str_is_absent(edits[0].with) || (has_capabilities && str_is_absent(edits[1].with)))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    out->params = rpc_replace(a, params, edits, has_capabilities ? 2 : 1);
    return !str_is_absent(out->params) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- the server's welcome ---- */

/* `object` without one member. */
static struct str without(struct arena *a, struct str object, struct str name)
{
    struct jiter it;
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_MCP);
    jout_init(&j, &out);
    jout_object(&j);
    for (jscan_iter(&it, object); jscan_next(&it);) {
        if (jscan_string_eq(it.key, name))
            continue;
        jout_raw_key(&j, it.key);
        jout_raw(&j, it.value);
    }
    jout_object_end(&j);
    struct str text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

struct str leg_welcome(struct arena *a, struct str response, struct str client_version,
                       struct str server_version)
{
    struct str result = jscan_member(response, STR("result"));
    struct str capabilities = jscan_member(result, STR("capabilities"));
    struct rpc_edit edits[2] = {{jscan_member(result, STR("protocolVersion")), STR_NONE},
                                {capabilities, STR_NONE}};
    edits[0].with = arena_printf(a, "\"%.*s\"", STR_FMT(client_version));
    bool has_tasks = !str_is_absent(jscan_member(capabilities, STR("tasks")));
    bool is_old = is_before(client_version, STR("2025-11-25")) ||
                  is_before(server_version, STR("2025-11-25"));
    size_t n = 1;
    if (has_tasks && is_old) {
        edits[1].with = without(a, capabilities, STR("tasks"));
        n = 2;
    }
    if (str_is_absent(edits[0].with) || (n == 2 && str_is_absent(edits[1].with)))
        return STR_NONE;
    return rpc_replace(a, response, edits, n);
}

/* ---- content ---- */

bool leg_knows_all_content(struct str client_version)
{
    return str_is_absent(client_version) || !is_before(client_version, STR("2025-06-18"));
}

struct edits {
    struct arena *a;
    struct rpc_edit *list;
    size_t n, room;
    bool failed;
};

static void edit_add(struct edits *edits, struct str span, struct str with)
{
    if (str_is_absent(with) || edits->failed) {
        edits->failed = true;
        return;
    }
    if (edits->n == edits->room) {
        size_t room = edits->room ? 2 * edits->room : 16;
        struct rpc_edit *grown = arena_alloc(edits->a, room * sizeof(*grown));
        if (!grown) {
            edits->failed = true;
            return;
        }
        if (edits->n > 0)
            memcpy(grown, edits->list, edits->n * sizeof(*grown));
        edits->list = grown;
        edits->room = room;
    }
    edits->list[edits->n++] = (struct rpc_edit){span, with};
}

/* A text block that stands for another, with its annotations and _meta. */
static struct str text_block(struct arena *a, struct str text, struct str annotations)
{
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_MCP);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "type", STR("text"));
    jout_kstr(&j, "text", text);
    if (!str_is_absent(annotations))
        jout_kraw(&j, "annotations", annotations);
    jout_object_end(&j);
    struct str block = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return block;
}

static struct str string_of(struct arena *a, struct str object, const char *name)
{
    struct str raw = jscan_member(object, str_c(name)), text;
    bool is_text = !str_is_absent(raw) && jscan_type(raw) == JTYPE_STRING;
    return is_text && jscan_string(a, raw, &text) ? text : STR_NONE;
}

static void block_edit(struct edits *edits, struct str block, struct str version)
{
    struct arena *a = edits->a;
    struct str type = jscan_member(block, STR("type")), text;
    if (str_is_absent(type) || jscan_type(type) != JTYPE_STRING)
        return;
    if (jscan_string_eq(type, STR("audio")) && is_before(version, STR("2025-03-26"))) {
        struct str kind = string_of(a, block, "mimeType");
        text = arena_printf(a, "[audio%s%.*s, left out: this client's revision of MCP has none]",
                            str_is_absent(kind) ? "" : " ", STR_FMT(kind));
    } else if (jscan_string_eq(type, STR("resource_link")) &&
               is_before(version, STR("2025-06-18"))) {
        struct str name = string_of(a, block, "title");
        if (str_is_absent(name))
            name = string_of(a, block, "name");
        struct str uri = string_of(a, block, "uri");
        text = arena_printf(a, "[resource%s%.*s] %.*s", str_is_absent(name) ? "" : " ",
                            STR_FMT(name), STR_FMT(uri));
    } else {
        return;
    }
    struct str stand_in = str_is_absent(text)
                              ? STR_NONE
                              : text_block(a, text, jscan_member(block, STR("annotations")));
    edit_add(edits, block, stand_in);
}

static void content_edit(struct edits *edits, struct str content, struct str version)
{
    struct jiter it;
    if (str_is_absent(content))
        return;
    if (jscan_type(content) == JTYPE_OBJECT)
        block_edit(edits, content, version);
    if (jscan_type(content) != JTYPE_ARRAY)
        return;
    for (jscan_iter(&it, content); jscan_next(&it);)
        block_edit(edits, it.value, version);
}

struct str leg_content(struct arena *a, struct str response, struct str client_version)
{
    struct str result = jscan_member(response, STR("result")),
               messages = jscan_member(result, STR("messages"));
    struct edits edits = {.a = a};
    struct jiter it;
    content_edit(&edits, jscan_member(result, STR("content")), client_version);
    if (!str_is_absent(messages) && jscan_type(messages) == JTYPE_ARRAY)
        for (jscan_iter(&it, messages); jscan_next(&it);)
            content_edit(&edits, jscan_member(it.value, STR("content")), client_version);
    if (edits.failed)
        return STR_NONE;
    return edits.n > 0 ? rpc_replace(a, response, edits.list, edits.n) : response;
}
