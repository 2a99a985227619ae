/*
 * What a worker remembers of the registry: connections, what administrators said of their tools,
 * sealed credentials, in sv->registry (core/row_cache.h). Secrets stay sealed in it.
 */
#pragma once

#include "core/caller.h"
#include "core/services.h"
#include "mcp/eras.h"
#include "store/connection_tools.h"
#include "store/connections.h"

/* One connection. Shared by the requests of this worker while they run; strings live as long as the
 * entry. */
struct registry_entry {
    struct connection conn;
    /* What is known by now, kept up to date in place. A server may speak both eras: that initialize
     * works says nothing of the other one, and a probe nothing of initialize. */
    enum era era;
    bool is_era_doubted;    /* ... and by then refused: the next look-up probes */
    int64_t era_doubted_at; /* monotonic; 0: never */
    bool is_era_probed;     /* the era was found by server/discover */
    bool refuses_sessions;  /* a stateless server, and initialize was refused too */
    bool is_sse;            /* transport auto: POST was refused, and HTTP+SSE of 2024-11-05 works */
    bool audit_arguments;   /* the organization asks for arguments in its record */
    struct row *row;        /* what holds it */
    struct arena *keep;
    struct map *tools;         /* name as the server gave it -> const struct connection_tool * */
    struct map *tools_renamed; /* new name -> the same */
    struct map *credentials; /* user id ("" the organization's) -> const struct credential_row * */
    struct map *definitions; /* of called tools, by the server's names; see registry_definition */
    size_t definitions_bytes;
    int64_t tools_asked_at; /* clock_mono_ms of the last tools/list for a tool that was not known */
};

/*
 * The connection with this id, or (slug given) with this slug, in the organization. Valid until the
 * arena ends. Disabled ones are found too. ERR_NOT_FOUND for unknown and foreign ones alike. Cost:
 * a map look-up; on a miss three store look-ups.
 */
bool registry_get(struct services *sv, struct arena *a, struct str org_id, struct str id_or_slug,
                  struct registry_entry **out, struct err *e) must_use;

/* Keeps an entry until another arena ends too. False: out of memory. */
bool registry_hold(struct arena *a, struct registry_entry *entry) must_use;

/* What an administrator said of a tool (NULL: nothing is known of it yet), by the server's name or
 * by the name clients see. */
const struct connection_tool *registry_tool(const struct registry_entry *entry, struct str name);
const struct connection_tool *registry_tool_as_seen(const struct registry_entry *entry,
                                                    struct str seen_name);
/* The store has recorded these: they are no news to this worker any more. What does not fit into
 * memory stays news. */
void registry_tools_note(struct registry_entry *entry, const struct connection_tool *tools,
                         size_t n);
/* How a tool is defined, as the store knows it. Kept for LIMIT_DEFINITION_MS at most, and not
 * beyond a registry_tools_note that says otherwise. Copied into the arena; absent: not known. Waits
 * on a miss. */
struct str registry_definition(struct services *sv, struct arena *a, struct registry_entry *entry,
                               struct str name);
/* The store may know another one by now. */
void registry_definition_forget(struct registry_entry *entry, struct str name);
/* Its mark as the policy wants it. */
enum effect registry_tool_effect(const struct connection_tool *tool);

/* The sealed credential of a user, or of the organization (user_id ""), with its kind. Waits on a
 * miss. ERR_NOT_FOUND: none is set. */
struct credential_row;
bool registry_credential(struct services *sv, struct arena *a, struct registry_entry *entry,
                         struct str user_id, const struct credential_row **out,
                         struct err *e) must_use;
