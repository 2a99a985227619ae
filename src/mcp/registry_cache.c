/* The registry as a worker remembers it. */
#include "mcp/registry_cache.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/map.h"
#include "core/row_cache.h"
#include "log/metrics.h"
#include "store/credentials.h"
#include "store/orgs.h"

/* What a called tool was defined as. One allocation. */
struct kept_definition {
    int64_t read_at; /* monotonic ms */
    struct str hash, text;
    char bytes[];
};

static void entry_end(void *arg)
{
    struct registry_entry *entry = arg;
    map_free(entry->tools, NULL);
    map_free(entry->tools_renamed, NULL);
    map_free(entry->credentials, NULL);
    map_free(entry->definitions, free);
}

static bool tools_load(struct services *sv, struct registry_entry *entry, struct err *e)
{
    struct connection_tool *tools;
    size_t n;
    if (!connection_tools_marks(sv->db, entry->keep, entry->conn.org_id, entry->conn.id, &tools, &n,
                                e))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool is_kept = map_set(entry->tools, tools[i].name, &tools[i], NULL);
        if (is_kept && !str_is_absent(tools[i].renamed_to))
            is_kept = map_set(entry->tools_renamed, tools[i].renamed_to, &tools[i], NULL);
        if (!is_kept)
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    return true;
}

static struct registry_entry *entry_new(struct row *row)
{
    struct registry_entry *entry = arena_alloc(row->keep, sizeof(*entry));
    if (!entry || !arena_on_end(row->keep, entry_end, entry))
        return NULL;
    entry->row = row;
    entry->keep = row->keep;
    entry->tools = map_new();
    entry->tools_renamed = map_new();
    entry->credentials = map_new();
    entry->definitions = map_new();
    return entry->tools && entry->tools_renamed && entry->credentials && entry->definitions ? entry
                                                                                            : NULL;
}

struct wanted {
    struct str org_id, id_or_slug;
};

static void *entry_load(struct services *sv, struct row *row, void *arg, struct err *e)
{
    const struct wanted *w = arg;
    struct registry_entry *entry = entry_new(row);
    if (!entry) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    bool is_found =
        id_is(w->id_or_slug, "conn")
            ? connections_get(sv->db, entry->keep, w->org_id, w->id_or_slug, &entry->conn, e)
            : connections_by_slug(sv->db, entry->keep, w->org_id, w->id_or_slug, &entry->conn, e);
    struct org org;
    if (!is_found || !tools_load(sv, entry, e) ||
        !orgs_get(sv->db, entry->keep, w->org_id, &org, e))
        return NULL;
    entry->audit_arguments = org.audit_arguments;
    entry->era = era_parse(entry->conn.era);
    return entry;
}

bool registry_get(struct services *sv, struct arena *a, struct str org_id, struct str id_or_slug,
                  struct registry_entry **out, struct err *e)
{
    struct wanted wanted = {org_id, id_or_slug};
    struct str name = ARENA_JOIN(a, org_id, STR("/"), id_or_slug);
    const struct row_ask ask = {STR_NONE, name, entry_load, &wanted};
    return (*out = row_cache_get(sv->registry, sv, a, &ask, e)) != NULL;
}

bool registry_hold(struct arena *a, struct registry_entry *entry)
{
    return row_hold(a, entry->row);
}

const struct connection_tool *registry_tool(const struct registry_entry *entry, struct str name)
{
    return map_get(entry->tools, name);
}

const struct connection_tool *registry_tool_as_seen(const struct registry_entry *entry,
                                                    struct str seen_name)
{
    const struct connection_tool *renamed = map_get(entry->tools_renamed, seen_name);
    if (renamed)
        return renamed;
    const struct connection_tool *tool = map_get(entry->tools, seen_name);
    /* A renamed tool is not reachable by the name it no longer shows. */
    return tool && str_is_absent(tool->renamed_to) ? tool : NULL;
}

static void tool_note(struct registry_entry *entry, const struct connection_tool *seen)
{
    struct connection_tool *known = map_get(entry->tools, seen->name);
    if (known && str_eq(known->hash, seen->hash))
        return;
    struct str hash = arena_dup(entry->keep, seen->hash);
    if (known && !str_is_absent(hash))
        known->hash = hash;
    if (known || str_is_absent(hash))
        return;
    struct connection_tool *made = arena_alloc(entry->keep, sizeof(*made));
    struct str name = arena_dup(entry->keep, seen->name);
    if (!made || str_is_absent(name))
        return;
    *made = (struct connection_tool){.name = name, .hash = hash, .enabled = true};
    (void)!map_set(entry->tools, name, made, NULL);
}

void registry_tools_note(struct registry_entry *entry, const struct connection_tool *tools,
                         size_t n)
{
    for (size_t i = 0; i < n; i++)
        tool_note(entry, &tools[i]);
}

static bool definition_drop(struct str name unused_arg, void *value, void *arg unused_arg)
{
    free(value);
    return true;
}

void registry_definition_forget(struct registry_entry *entry, struct str name)
{
    struct kept_definition *kept = map_take(entry->definitions, name);
    if (kept)
        entry->definitions_bytes -= kept->text.n;
    free(kept);
}

static void definition_keep(struct registry_entry *entry, const struct connection_tool *tool)
{
    struct kept_definition *kept = malloc(sizeof(*kept) + tool->hash.n + tool->definition.n);
    registry_definition_forget(entry, tool->name);
    if (!kept || tool->definition.n > LIMIT_DEFINITIONS_KEPT) {
        free(kept); /* it is read again */
        return;
    }
    if (entry->definitions_bytes + tool->definition.n > LIMIT_DEFINITIONS_KEPT) {
        map_each(entry->definitions, definition_drop, NULL);
        entry->definitions_bytes = 0;
    }
    kept->read_at = clock_mono_ms();
    memcpy(kept->bytes, tool->hash.p, tool->hash.n);
    memcpy(kept->bytes + tool->hash.n, tool->definition.p, tool->definition.n);
    kept->hash = (struct str){kept->bytes, tool->hash.n};
    kept->text = (struct str){kept->bytes + tool->hash.n, tool->definition.n};
    if (map_set(entry->definitions, tool->name, kept, NULL))
        entry->definitions_bytes += kept->text.n;
    else
        free(kept);
}

struct str registry_definition(struct services *sv, struct arena *a, struct registry_entry *entry,
                               struct str name)
{
    const struct kept_definition *kept = map_get(entry->definitions, name);
    const struct connection_tool *known = map_get(entry->tools, name);
    struct connection_tool tool;
    struct err ignored;
    if (kept && clock_mono_ms() - kept->read_at < LIMIT_DEFINITION_MS && known &&
        str_eq(known->hash, kept->hash))
        return arena_dup(a, kept->text);
    if (!connection_tools_get(sv->db, a, entry->conn.org_id, entry->conn.id, name, &tool, &ignored))
        return STR_NONE;
    tool_note(entry, &tool);
    if (!str_is_absent(tool.hash) && !str_is_absent(tool.definition))
        definition_keep(entry, &tool);
    return tool.definition;
}

enum effect registry_tool_effect(const struct connection_tool *tool)
{
    if (!tool || str_is_absent(tool->effect))
        return EFFECT_UNKNOWN;
    if (str_eq(tool->effect, STR("read")))
        return EFFECT_READ;
    return str_eq(tool->effect, STR("write")) ? EFFECT_WRITE : EFFECT_DESTRUCTIVE;
}

bool registry_credential(struct services *sv, struct arena *a, struct registry_entry *entry,
                         struct str user_id, const struct credential_row **out, struct err *e)
{
    *out = map_get(entry->credentials, user_id);
    if (*out)
        return true;
    /* Read into the request's memory: what is not there must not fill the entry's. */
    struct credential_row row;
    if (!credentials_get(sv->db, a, entry->conn.org_id, entry->conn.id, user_id, &row, e))
        return false;
    struct credential_row *kept = arena_alloc(entry->keep, sizeof(*kept));
    if (kept) {
        *kept = (struct credential_row){.connection_id = entry->conn.id,
                                        .user_id = arena_dup(entry->keep, row.user_id),
                                        .kind = arena_dup(entry->keep, row.kind),
                                        .sealed = arena_dup(entry->keep, row.sealed),
                                        .updated_at = row.updated_at};
    }
    if (!kept || str_is_absent(kept->sealed) || !map_set(entry->credentials, user_id, kept, NULL))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    *out = kept;
    return true;
}
