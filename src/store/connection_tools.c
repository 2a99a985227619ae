#include "store/connection_tools.h"

#include "base/limits.h"
#include "store/rows.h"

#define TOOL_COLUMNS                                                                               \
    "name, hash, approved_hash, definition, renamed_to, effect, enabled, first_seen_at, "          \
    "last_seen_at, changed_at"

static const struct db_stmt tools_of_connection = {
    "tools_of_connection",
    "SELECT " TOOL_COLUMNS " FROM connection_tools WHERE org_id = $1 AND connection_id = $2 "
    "ORDER BY name",
    DB_LIST, 0};
/* The same columns without the definition, which may be large. */
static const struct db_stmt marks_of_connection = {
    "marks_of_connection",
    "SELECT name, hash, approved_hash, NULL, renamed_to, effect, enabled, first_seen_at, "
    "last_seen_at, changed_at FROM connection_tools WHERE org_id = $1 AND connection_id = $2 "
    "ORDER BY name",
    DB_LIST, 0};
static const struct db_stmt tool_by_name = {
    "tool_by_name",
    "SELECT " TOOL_COLUMNS
    " FROM connection_tools WHERE org_id = $1 AND connection_id = $2 AND name = $3",
    DB_READ, 0};
/* An unknown tool is new and enabled; of a known one only what the server says changes. Such a
 * change widens nothing. */
static const struct db_stmt tool_record = {
    "tool_record",
    "INSERT INTO connection_tools (org_id, connection_id, name, hash, definition, enabled, "
    "first_seen_at, last_seen_at, changed_at) VALUES ($1, $2, $3, $4, $5, 1, $6, $6, $6) "
    "ON CONFLICT (org_id, connection_id, name) DO UPDATE SET "
    "changed_at = CASE WHEN connection_tools.hash = excluded.hash THEN connection_tools.changed_at "
    "ELSE excluded.changed_at END, hash = excluded.hash, definition = excluded.definition, "
    "last_seen_at = excluded.last_seen_at",
    DB_WRITE, 0};
/* A server that names other tools on each list must not fill the store: of those that no
 * administrator has touched, the longest unseen go. */
static const struct db_stmt tools_prune = {
    "tools_prune",
    "DELETE FROM connection_tools WHERE org_id = $1 AND connection_id = $2 AND enabled = 1 "
    "AND renamed_to IS NULL AND effect IS NULL AND approved_hash IS NULL AND last_seen_at < "
    "(SELECT MIN(newest.last_seen_at) FROM (SELECT last_seen_at FROM connection_tools "
    "WHERE org_id = $1 AND connection_id = $2 ORDER BY last_seen_at DESC LIMIT $3) AS newest)",
    DB_WRITE, 0};
static const struct db_stmt tool_update = {
    "tool_update",
    "UPDATE connection_tools SET enabled = COALESCE(CAST($4 AS BIGINT), enabled), "
    "renamed_to = CASE WHEN CAST($5 AS TEXT) IS NULL THEN renamed_to "
    "ELSE NULLIF(CAST($5 AS TEXT), '') END, "
    "effect = CASE WHEN CAST($6 AS TEXT) IS NULL THEN effect "
    "ELSE NULLIF(CAST($6 AS TEXT), '') END, "
    "approved_hash = CASE WHEN CAST($7 AS BIGINT) = 1 THEN hash ELSE approved_hash END "
    "WHERE org_id = $1 AND connection_id = $2 AND name = $3",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};

static void tool_read(const struct db_rows *r, size_t row, void *item)
{
    struct connection_tool *t = item;
    *t = (struct connection_tool){
        .name = db_text(r, row, 0),
        .hash = db_text(r, row, 1),
        .approved_hash = db_text(r, row, 2),
        .definition = db_text(r, row, 3),
        .renamed_to = db_text(r, row, 4),
        .effect = db_text(r, row, 5),
        .enabled = db_int(r, row, 6) != 0,
        .first_seen_at = db_int(r, row, 7),
        .last_seen_at = db_int(r, row, 8),
        .changed_at = db_int(r, row, 9),
    };
}
static const struct rows_kind tool_kind = {sizeof(struct connection_tool), tool_read};

bool connection_tools_list(struct db *db, struct arena *a, struct str org_id,
                           struct str connection_id, struct connection_tool **out, size_t *n,
                           struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &tools_of_connection, DB_ARGS(A_STR(org_id), A_STR(connection_id)),
                   &tool_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool connection_tools_marks(struct db *db, struct arena *a, struct str org_id,
                            struct str connection_id, struct connection_tool **out, size_t *n,
                            struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &marks_of_connection, DB_ARGS(A_STR(org_id), A_STR(connection_id)),
                   &tool_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool connection_tools_get(struct db *db, struct arena *a, struct str org_id,
                          struct str connection_id, struct str name, struct connection_tool *out,
                          struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &tool_by_name, DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(name)), &r,
                e))
        return false;
    tool_read(&r, 0, out);
    return true;
}

bool connection_tools_record(struct db *db, struct arena *a, struct str org_id,
                             struct str connection_id, const struct connection_tool *tools,
                             size_t n, int64_t now, struct err *e)
{
    if (n > LIMIT_TOOLS)
        return err_set(e, ERR_TOO_LARGE, "a connection has at most %d tools", LIMIT_TOOLS);
    struct db_batch b;
    db_batch_init(&b, a);
    for (size_t i = 0; i < n; i++)
        db_batch_add(&b, &tool_record,
                     DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(tools[i].name),
                             A_STR(tools[i].hash), A_STR(tools[i].definition), A_INT(now)));
    db_batch_add(&b, &tools_prune,
                 DB_ARGS(A_STR(org_id), A_STR(connection_id), A_INT(LIMIT_TOOLS)));
    return db_batch_run(db, &b, NULL, e);
}

bool connection_tools_update(struct db *db, struct arena *a, struct str org_id,
                             struct str connection_id, const struct connection_tool_mark *mark,
                             unused_arg int64_t now, struct err *e)
{
    return rows_change(db, a, &tool_update,
                       DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(mark->name),
                               mark->enabled < 0 ? A_NULL : A_INT(mark->enabled),
                               A_STR(mark->renamed_to), A_STR(mark->effect), A_INT(mark->approve)),
                       e);
}
