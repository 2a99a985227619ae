/* The connection object of contract.md. */
#include "management-tools/connection_item.h"

#include "management-tools/credential_store.h"
#include "management-tools/tool_io.h"

static void raw_or(struct jout *j, const char *key, struct str json, const char *otherwise)
{
    jout_kraw(j, key, json.n ? json : str_c(otherwise));
}

bool connection_item_write(struct tool_call *c, struct jout *j, const struct connection *conn,
                           struct err *e)
{
    bool has_credential;
    if (!credential_store_has(c, conn, &has_credential, e))
        return false;
    jout_object(j);
    jout_kstr(j, "id", conn->id);
    jout_kstr(j, "name", conn->name);
    jout_kstr(j, "slug", conn->slug);
    jout_kstr(j, "description", conn->description);
    jout_kstr(j, "icon", conn->icon);
    jout_kstr(j, "transport", conn->transport);
    jout_kstr(j, "url", conn->url);
    jout_kstr(j, "command", conn->command);
    raw_or(j, "args", conn->args, "[]");
    raw_or(j, "env", conn->env_names, "[]");
    jout_kstr(j, "auth", conn->auth);
    jout_kstr(j, "credential_scope", conn->credential_scope);
    jout_kbool(j, "has_credential", has_credential);
    jout_kbool(j, "enabled", conn->enabled);
    jout_kstr(j, "status", conn->status);
    jout_kstr(j, "era", conn->era);
    if (conn->tool_count >= 0)
        jout_ki64(j, "tool_count", conn->tool_count);
    else
        jout_kraw(j, "tool_count", STR("null"));
    raw_or(j, "configuration", conn->configuration, "{}");
    raw_or(j, "metadata", conn->metadata, "{}");
    jout_ki64(j, "calls_per_minute", conn->calls_per_minute);
    jout_ki64(j, "calls_at_once", conn->calls_at_once);
    jout_ktime(j, "created_at", conn->created_at);
    jout_kstr(j, "created_by", conn->created_by);
    jout_ktime(j, "updated_at", conn->updated_at);
    jout_object_end(j);
    return true;
}

bool connection_item_answer(struct tool_call *c, struct str id, struct err *e)
{
    struct connection conn;
    struct jout j;
    if (!connections_get(c->sv->db, c->arena, c->org_id, id, &conn, e))
        return e->code == ERR_NOT_FOUND ? io_no_connection(e) : false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    if (!connection_item_write(c, &j, &conn, e))
        return false;
    jout_object_end(&j);
    return true;
}
