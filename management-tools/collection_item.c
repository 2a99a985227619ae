/* A connection as an item of a collection. */
#include "management-tools/collection.h"

#include "base/limits.h"

const char *const collection_notes[N_NOTES] = {"app_name", "app_id", "configuration_scopes",
                                               "oauth_config"};

static struct str type_of(const struct connection *conn)
{
    return str_eq(conn->transport, STR("stdio")) ? STR("STDIO")
           : str_eq(conn->transport, STR("sse")) ? STR("SSE")
                                                 : STR("HTTP");
}

static struct str status_of(const struct connection *conn)
{
    return !conn->enabled                      ? STR("inactive")
           : str_eq(conn->status, STR("down")) ? STR("error")
                                               : STR("active");
}

static void text_or_null(struct jout *j, const char *key, struct str text)
{
    jout_kstr(j, key, text.n ? text : STR_NONE);
}

static void value_write(struct jout *j, const struct jvalue *value)
{
    struct buf text;
    buf_init(&text, LIMIT_BODY_FORM);
    if (value)
        jv_write(value, &text);
    jout_raw(j, value && buf_ok(&text) ? buf_str(&text) : STR("null"));
    buf_end(&text);
}

static void metadata_write(struct jout *j, const struct jvalue *metadata)
{
    struct str name;
    const struct jvalue *value;
    jout_key(j, STR("metadata"));
    jout_object(j);
    for (void *iter = NULL; jv_member(metadata, &iter, &name, &value);)
        if (!str_eq(name, COLLECTION_MESH)) {
            jout_key(j, name);
            value_write(j, value);
        }
    jout_object_end(j);
}

static void server_write(struct jout *j, const struct connection *conn)
{
    jout_kstr(j, "connection_type", type_of(conn));
    text_or_null(j, "connection_url", conn->url);
    jout_kraw(j, "connection_token", STR_NONE);
    jout_key(j, STR("connection_headers"));
    if (!str_eq(conn->transport, STR("stdio"))) {
        jout_null(j);
        return;
    }
    jout_object(j);
    jout_kstr(j, "command", conn->command);
    jout_kraw(j, "args", conn->args.n ? conn->args : STR("[]"));
    jout_object_end(j);
}

bool collection_item_write(struct jout *j, const struct connection *conn, struct err *e)
{
    struct err why;
    auto_free(jdoc_freep) struct jdoc *doc =
        jdoc_parse(conn->metadata.n ? conn->metadata : STR("{}"), &why);
    if (!doc)
        return err_set(e, ERR_INTERNAL, "the stored metadata is damaged");
    const struct jvalue *metadata = jdoc_root(doc), *mesh = jv_get(metadata, "mesh");
    jout_object(j);
    jout_kstr(j, "id", conn->id);
    jout_kstr(j, "title", conn->name);
    text_or_null(j, "description", conn->description);
    text_or_null(j, "icon", conn->icon);
    jout_kstr(j, "slug", conn->slug);
    jout_kstr(j, "organization_id", conn->org_id);
    jout_ktime(j, "created_at", conn->created_at);
    jout_kstr(j, "created_by", conn->created_by);
    jout_ktime(j, "updated_at", conn->updated_at);
    server_write(j, conn);
    for (int i = 0; i < N_NOTES; i++) {
        jout_key(j, str_c(collection_notes[i]));
        value_write(j, jv_get(mesh, collection_notes[i]));
    }
    jout_kraw(j, "configuration_state", STR_NONE);
    metadata_write(j, metadata);
    jout_kraw(j, "tools", STR_NONE);
    jout_kraw(j, "bindings", STR_NONE);
    jout_kstr(j, "status", status_of(conn));
    jout_object_end(j);
    return true;
}
