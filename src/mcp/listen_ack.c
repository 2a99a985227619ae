/* The first event of a listen stream. */
#include "mcp/listen_ack.h"

#include "base/limits.h"
#include "io/sse.h"
#include "json/jout.h"

static void array_write(struct jout *j, const char *key, const struct str *list, size_t n)
{
    if (n == 0)
        return;
    jout_key(j, str_c(key));
    jout_array(j);
    for (size_t i = 0; i < n; i++)
        jout_raw(j, list[i]);
    jout_array_end(j);
}

static void honoured_write(struct jout *j, const struct listen_honoured *h)
{
    jout_object(j);
    if (h->tools)
        jout_kbool(j, "toolsListChanged", true);
    if (h->prompts)
        jout_kbool(j, "promptsListChanged", true);
    if (h->resources)
        jout_kbool(j, "resourcesListChanged", true);
    array_write(j, "resourceSubscriptions", h->uris, h->n_uris);
    array_write(j, "taskIds", h->tasks, h->n_tasks);
    jout_object_end(j);
}

struct str listen_acknowledge(struct arena *a, struct str id, const struct listen_honoured *h)
{
    struct buf out, event;
    struct jout j;
    buf_init(&out, LIMIT_BODY_MCP);
    buf_init(&event, LIMIT_BODY_MCP);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "jsonrpc", STR("2.0"));
    jout_kstr(&j, "method", STR("notifications/subscriptions/acknowledged"));
    jout_key(&j, STR("params"));
    jout_object(&j);
    jout_key(&j, STR("_meta"));
    jout_object(&j);
    jout_kraw(&j, META_SUBSCRIPTION_ID, id);
    jout_object_end(&j);
    jout_key(&j, STR("notifications"));
    honoured_write(&j, h);
    jout_object_end(&j);
    jout_object_end(&j);
    sse_write_event(&event, STR("message"), STR_NONE, buf_str(&out));
    struct str text = buf_ok(&out) && buf_ok(&event) ? arena_dup(a, buf_str(&event)) : STR_NONE;
    buf_end(&out);
    buf_end(&event);
    return text;
}
