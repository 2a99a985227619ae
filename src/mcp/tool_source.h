/* PORT: something that lists and runs tools. Implemented by management-tools/registry.c, served by
 * mcp/local_server.c. */
#pragma once

#include "base/buf.h"
#include "core/caller.h"
#include "core/services.h"
#include "io/http.h"

/* One use of a tool, whichever door it came through. */
struct tool_use {
    struct http_request *rq; /* for the request id, peer and arena; NULL from the command line */
    struct arena *arena;
    struct services *sv;
    const struct caller *caller;
    struct str request_id;
};
/* A finished tool: either structured (JSON object text) or failed. */
struct tool_outcome {
    bool is_error;         /* the tool ran or was refused and says why: *e of call() */
    struct str structured; /* JSON object text in the arena */
};
struct tool_source {
    /* Appends the JSON array of tools the caller may use, narrowed to `toolset`
     * ("connections,organizations") if present. */
    bool (*list)(struct tool_use *u, struct str toolset, struct buf *out, struct err *e);
    /*
     * Checks arguments and permission, runs, audits. ERR_NOT_FOUND with msg "unknown tool ..." and
     * *is_unknown_tool set: unknown or invisible. Other errors are the tool's own failure.
     */
    bool (*call)(struct tool_use *u, struct str name, struct str arguments,
                 struct tool_outcome *out, bool *is_unknown_tool, struct err *e);
};
