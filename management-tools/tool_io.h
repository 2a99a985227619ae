/* What many tools share: pages and cursors, list answers, who may see a connection. */
#pragma once

#include "json/jout.h"
#include "management-tools/registry.h"
#include "store/connections.h"

bool io_no_memory(struct err *e);
bool io_no_connection(
    struct err *e); /* ERR_NOT_FOUND in the words for unknown, foreign and invisible ones alike */

/* Reads limit and cursor. ERR_INVALID: a cursor that is not this caller's, not this tool's, or
 * older than a day. */
bool io_page_read(struct tool_call *c, struct db_page *page, struct err *e) must_use;

/* {"items":[ ... ],"next_cursor","total_count"}: begin, write each item as one value, end. */
void io_list_begin(struct tool_call *c, struct jout *j);
struct io_list_end {
    bool has_more;
    int64_t last_at; /* of the last item written, in the list's order */
    struct str last_id;
    int64_t total; /* -1: this list has none */
};
bool io_list_end(struct tool_call *c, struct jout *j, const struct io_list_end *end,
                 struct err *e) must_use;

/* The given management tool, asked of the policy for the present caller: "does this person manage
 * connections?" */
bool io_may(const struct tool_call *c, const char *tool_name, struct str connection_id);
bool io_is_admin(const struct tool_call *c); /* owner or admin by a built-in role */

/* May the caller use this connection or, managing connections, at least see it? */
bool io_sees_connection(const struct tool_call *c, const struct connection *conn);
/* The connection of arguments.connection_id. ERR_NOT_FOUND: unknown, foreign or invisible. Waits.
 */
bool io_connection(struct tool_call *c, struct connection *out, struct err *e) must_use;

/* A trimmed name (1..LIMIT_NAME bytes, no controls) into *out. ERR_INVALID. */
bool io_name(struct str given, struct str *out, struct err *e) must_use;
/* True when `confirm` says the slug or the name. ERR_UNPROCESSABLE. */
bool io_confirm(struct tool_call *c, struct str slug, struct str name, struct err *e) must_use;
/* {"deleted":true,"id":...} */
void io_deleted(struct tool_call *c, struct str id);
/* The JSON of an array or object argument; `otherwise` when it is absent or null. STR_NONE with *e
 * only without memory. */
bool io_json(struct tool_call *c, const struct jvalue *v, struct str otherwise, struct str *out,
             struct err *e) must_use;
/* A free slug: tries the wanted one (`given`), or one made from the name, then with -2, -3 ...
 * insert() says ERR_CONFLICT. */
bool io_slug_insert(struct tool_call *c, struct str given, struct str name,
                    bool (*insert)(struct tool_call *c, struct str slug, void *arg, struct err *e),
                    void *arg, struct err *e) must_use;
