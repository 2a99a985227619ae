/*
 * Tasks that a listen stream is about: `taskIds` of subscriptions/listen and notifications/tasks
 * (extension io.modelcontextprotocol/tasks of MCP 2026-07-28, SEP-2663).
 */
#pragma once

#include "mcp/client_sessions.h"

#define TASKS_EXTENSION    "io.modelcontextprotocol/tasks"
#define TASKS_NOTIFICATION "notifications/tasks"

struct listen_tasks {
    struct str *ids; /* the server's, unescaped */
    size_t n;
};
/*
 * s2m_listen (mcp/s2m.h) for a part of an aggregate's listen, which hears of tasks besides the
 * resources that it has: on success *tasks has those that the server honours, and the part its
 * resources likewise. ERR_METHOD_NOT_FOUND: nothing is honoured. Waits.
 */
bool s2m_listen_tasks(struct services *sv, struct arena *a, struct client_session *part,
                      struct str connection_id, struct listen_tasks *tasks, struct err *e) must_use;
