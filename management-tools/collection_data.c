/* Mesh's data to the arguments of CONNECTION_CREATE and CONNECTION_UPDATE. */
#include "management-tools/collection.h"

#include "base/limits.h"
#include "base/secret.h"
#include "management-tools/tool_io.h"

struct reading {
    const struct jvalue *data, *headers,
        *oauth;                      /* headers: connection_headers; NULL: not given or null */
    const struct connection *before; /* NULL: a new one */
    struct jdoc *kept;               /* the metadata of `before` */
    struct str type, token;
    bool is_stdio; /* when all of this is done */
    struct jout j;
};

static const struct jvalue *given(const struct jvalue *data, const char *name)
{
    const struct jvalue *value = jv_get(data, name);
    return value && !jv_is_null(value) ? value : NULL;
}

static void value_write(struct jout *j, const char *key, const struct jvalue *value)
{
    struct buf text;
    buf_init(&text, LIMIT_BODY_MCP);
    jv_write(value, &text);
    jout_kraw(j, key, buf_str(&text));
    if (text.p)
        secret_wipe(text.p, text.cap);
    buf_end(&text);
}

/* ---- what it is called, where it is ---- */

static void texts_write(struct reading *r)
{
    static const struct {
        const char *theirs, *ours;
        bool can_be_emptied; /* null takes it away */
    } texts[] = {{"title", "name", false},
                 {"slug", "slug", false},
                 {"description", "description", true},
                 {"icon", "icon", true}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct jvalue *value = jv_get(r->data, texts[i].theirs);
        if (!value || (jv_is_null(value) && (!r->before || !texts[i].can_be_emptied)))
            continue;
        jout_kstr(&r->j, texts[i].ours, jv_is_null(value) ? STR("") : jv_str(value));
    }
    struct str status = jv_get_str(r->data, "status");
    if (str_eq(status, STR("active")) || str_eq(status, STR("inactive")))
        jout_kbool(&r->j, "enabled", str_eq(status, STR("active")));
}

static bool transport_write(struct reading *r, struct err *e)
{
    struct str transport = str_eq(r->type, STR("STDIO")) ? STR("stdio")
                           : str_eq(r->type, STR("SSE")) ? STR("sse")
                                                         : STR("streamable-http");
    if (str_is_absent(r->type))
        return true;
    if (str_eq(r->type, STR("Websocket")) || str_eq(r->type, STR("VIRTUAL")))
        return err_set(
            e, ERR_UNPROCESSABLE,
            "arguments.data.connection_type: %.*s is not supported, expected HTTP, SSE or "
            "STDIO",
            STR_FMT(r->type));
    bool is_kept =
        r->before && str_eq(r->type, STR("HTTP")) && str_eq(r->before->transport, STR("auto"));
    if (!is_kept)
        jout_kstr(&r->j, "transport", transport);
    return true;
}

static bool headers_check(const struct reading *r, struct err *e)
{
    bool has_program = jv_get(r->headers, "command") || jv_get(r->headers, "args") ||
                       jv_get(r->headers, "envVars");
    if (jv_get_str(r->headers, "cwd").n > 0)
        return err_set(e, ERR_UNPROCESSABLE,
                       "arguments.data.connection_headers.cwd is not supported: a server runs in a "
                       "folder of its own");
    if (r->is_stdio ? jv_get(r->headers, "headers") != NULL : has_program)
        return err_set(e, ERR_INVALID,
                       "arguments.data.connection_headers: a STDIO server takes command, args and "
                       "envVars, any other headers");
    return true;
}

static void server_write(struct reading *r)
{
    struct str url = jv_get_str(r->data, "connection_url"),
               command = jv_get_str(r->headers, "command");
    const struct jvalue *args = jv_get(r->headers, "args"), *env = jv_get(r->headers, "envVars");
    if (url.n > 0)
        jout_kstr(&r->j, "url", url);
    if (command.n > 0)
        jout_kstr(&r->j, "command", command);
    if (args)
        value_write(&r->j, "args", args);
    if (jv_count(env) > 0)
        value_write(&r->j, "env", env);
}

/* ---- secrets ---- */

static const struct jvalue *note_of(const struct reading *r, enum collection_note note)
{
    const struct jvalue *mesh = r->kept ? jv_get(jdoc_root(r->kept), "mesh") : NULL;
    return jv_get(mesh, collection_notes[note]);
}

/* A whole item that is sent back has no clientSecret: the one that is stored stays. */
static bool is_new_client(const struct reading *r)
{
    if (!r->oauth)
        return false;
    return jv_get_str(r->oauth, "clientSecret").n > 0 ||
           !str_eq(jv_get_str(note_of(r, NOTE_OAUTH), "clientId"),
                   jv_get_str(r->oauth, "clientId"));
}

static bool headers_write(struct reading *r, const struct jvalue *headers, struct err *e)
{
    struct jout *j = &r->j;
    struct str name;
    const struct jvalue *value;
    jout_key(j, STR("headers"));
    jout_object(j);
    for (void *iter = NULL; jv_member(headers, &iter, &name, &value);) {
        if (r->token.n > 0 && str_ieq(name, STR("authorization")))
            return err_set(e, ERR_INVALID,
                           "arguments.data: expected either connection_token or a header "
                           "Authorization");
        jout_key(j, name);
        jout_str(j, jv_str(value));
    }
    if (r->token.n > 0) {
        struct buf text;
        buf_init(&text, LIMIT_CREDENTIAL * 2);
        buf_add(&text, STR("Bearer "));
        buf_add(&text, r->token);
        jout_kstr(j, "Authorization", buf_str(&text));
        if (text.p)
            secret_wipe(text.p, text.cap);
        buf_end(&text);
    }
    jout_object_end(j);
    return true;
}

static bool credential_write(struct reading *r, struct err *e)
{
    const struct jvalue *headers = r->is_stdio ? NULL : jv_get(r->headers, "headers");
    bool has_headers = jv_count(headers) > 0, is_client = is_new_client(r);
    if (is_client && (has_headers || r->token.n > 0))
        return err_set(e, ERR_INVALID,
                       "arguments.data: expected either oauth_config or connection_token and "
                       "connection_headers");
    if (!is_client && !has_headers && r->token.n == 0)
        return true;
    jout_key(&r->j, STR("credential"));
    jout_object(&r->j);
    if (is_client) {
        jout_kstr(&r->j, "client_id", jv_get_str(r->oauth, "clientId"));
        if (jv_get_str(r->oauth, "clientSecret").n > 0)
            jout_kstr(&r->j, "client_secret", jv_get_str(r->oauth, "clientSecret"));
    } else if (!has_headers) {
        jout_kstr(&r->j, "bearer", r->token);
    } else if (!headers_write(r, headers, e)) {
        return false;
    }
    jout_object_end(&r->j);
    return true;
}

/* ---- metadata ---- */

static void oauth_note_write(struct jout *j, const struct jvalue *oauth)
{
    struct str name;
    const struct jvalue *value;
    jout_key(j, str_c(collection_notes[NOTE_OAUTH]));
    jout_object(j);
    for (void *iter = NULL; jv_member(oauth, &iter, &name, &value);)
        if (!str_eq(name, STR("clientSecret"))) {
            struct buf text;
            buf_init(&text, LIMIT_BODY_FORM);
            jv_write(value, &text);
            jout_key(j, name);
            jout_raw(j, buf_str(&text));
            buf_end(&text);
        }
    jout_object_end(j);
}

static void notes_write(struct reading *r)
{
    jout_key(&r->j, COLLECTION_MESH);
    jout_object(&r->j);
    for (int i = 0; i < N_NOTES; i++) {
        const struct jvalue *value = jv_get(r->data, collection_notes[i]);
        bool is_ours = value != NULL;
        if (!is_ours)
            value = note_of(r, (enum collection_note)i);
        if (!value || jv_is_null(value))
            continue;
        if (is_ours && i == NOTE_OAUTH)
            oauth_note_write(&r->j, value);
        else
            value_write(&r->j, collection_notes[i], value);
    }
    jout_object_end(&r->j);
}

static bool metadata_write(struct tool_call *c, struct reading *r, struct err *e)
{
    const struct jvalue *metadata = given(r->data, "metadata");
    struct str name;
    bool is_noted = false;
    for (int i = 0; i < N_NOTES; i++)
        is_noted = is_noted || jv_get(r->data, collection_notes[i]);
    if (!metadata && !is_noted)
        return true;
    if (jv_get(metadata, "mesh"))
        return err_set(e, ERR_INVALID, "arguments.data.metadata: the member mesh is Tulle's own");
    if (!metadata && r->kept)
        metadata = jdoc_root(r->kept);
    jout_key(&r->j, STR("metadata"));
    jout_object(&r->j);
    const struct jvalue *value;
    for (void *iter = NULL; jv_member(metadata, &iter, &name, &value);)
        if (!str_eq(name, COLLECTION_MESH)) {
            struct str json;
            if (!io_json(c, value, STR("null"), &json, e))
                return false;
            jout_key(&r->j, name);
            jout_raw(&r->j, json);
        }
    notes_write(r);
    jout_object_end(&r->j);
    return true;
}

/* ---- all of it ---- */

static bool all_write(struct tool_call *c, struct reading *r, struct err *e)
{
    jout_object(&r->j);
    if (r->before)
        jout_kstr(&r->j, "connection_id", r->before->id);
    texts_write(r);
    if (!transport_write(r, e) || !headers_check(r, e))
        return false;
    server_write(r);
    if (!credential_write(r, e) || !metadata_write(c, r, e))
        return false;
    jout_object_end(&r->j);
    return true;
}

bool collection_data_read(struct tool_call *c, const struct jvalue *data,
                          const struct connection *before, struct buf *out, struct err *e)
{
    struct reading r = {.data = data,
                        .headers = given(data, "connection_headers"),
                        .oauth = given(data, "oauth_config"),
                        .before = before,
                        .type = jv_get_str(data, "connection_type"),
                        .token = jv_get_str(data, "connection_token")};
    r.is_stdio = str_is_absent(r.type) ? before && str_eq(before->transport, STR("stdio"))
                                       : str_eq(r.type, STR("STDIO"));
    if (before && before->metadata.n > 0) {
        r.kept = jdoc_parse(before->metadata, e);
        if (!r.kept)
            return err_set(e, ERR_INTERNAL, "the stored metadata is damaged");
    }
    jout_init(&r.j, out);
    bool is_good = all_write(c, &r, e);
    jdoc_free(r.kept);
    return is_good && (buf_ok(out) || err_set(e, ERR_TOO_LARGE, "arguments.data: too large"));
}

void collection_data_rename(struct err *e)
{
    static const struct {
        struct str ours;
        const char *theirs;
    } names[] = {{STR("arguments.name"), "title"},
                 {STR("arguments.url"), "connection_url"},
                 {STR("arguments.command"), "connection_headers.command"},
                 {STR("arguments.args"), "connection_headers.args"},
                 {STR("arguments.env"), "connection_headers.envVars"},
                 {STR("arguments.headers"), "connection_headers.headers"},
                 {STR("arguments.bearer"), "connection_token"},
                 {STR("arguments.slug"), "slug"},
                 {STR("arguments.description"), "description"},
                 {STR("arguments.icon"), "icon"},
                 {STR("arguments.metadata"), "metadata"},
                 {STR("arguments.values"), "configuration_state"},
                 {STR("arguments.transport"), "connection_type"}};
    const struct err was = *e;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_starts(str_c(was.msg), names[i].ours)) {
            err_set(e, was.code, "arguments.data.%s%s", names[i].theirs, was.msg + names[i].ours.n);
            memcpy(e->detail, was.detail, sizeof(e->detail));
            return;
        }
}
