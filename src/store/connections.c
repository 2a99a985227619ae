#include "store/connections.h"

#include "store/credentials.h"
#include "store/rows.h"
#include "store/slugs.h"

#define CONNECTION_COLUMNS                                                                         \
    "id, org_id, name, slug, description, icon, transport, url, command, args, env_names, auth, "  \
    "credential_scope, enabled, status, era, era_at, tool_count, configuration, metadata, "        \
    "created_by, created_at, updated_at, calls_per_minute, calls_at_once"
/* What Tulle found out holds while the server is reached in the same way. */
#define SAME_SERVER                                                                                \
    "transport = CAST($7 AS TEXT) AND COALESCE(url, '') = COALESCE(CAST($8 AS TEXT), '')"

static const struct db_stmt connection_insert = {
    "connection_insert",
    "INSERT INTO connections (" CONNECTION_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
    "$10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt connection_by_id = {
    "connection_by_id",
    "SELECT " CONNECTION_COLUMNS " FROM connections WHERE org_id = $1 AND id = $2", DB_READ, 0};
static const struct db_stmt connections_of_org = {
    "connections_of_org",
    "SELECT " CONNECTION_COLUMNS " FROM connections WHERE org_id = $1 "
    "AND (created_at, id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY created_at, id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt connections_number = {
    "connections_number", "SELECT count(*) FROM connections WHERE org_id = $1", DB_LIST, 0};
static const struct db_stmt connection_update = {
    "connection_update",
    "UPDATE connections SET name = $3, slug = $4, description = $5, icon = $6, "
    "era = CASE WHEN " SAME_SERVER " THEN era ELSE NULL END, "
    "era_at = CASE WHEN " SAME_SERVER " THEN era_at ELSE NULL END, "
    "status = CASE WHEN " SAME_SERVER " THEN status ELSE 'unknown' END, "
    "transport = CAST($7 AS TEXT), url = CAST($8 AS TEXT), command = $9, args = $10, "
    "env_names = $11, auth = $12, credential_scope = $13, enabled = $14, configuration = $15, "
    "metadata = $16, updated_at = $17, calls_per_minute = $18, calls_at_once = $19 WHERE org_id = "
    "$1 AND id = $2",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt connection_set_enabled = {
    "connection_set_enabled",
    "UPDATE connections SET enabled = $3, updated_at = $4 WHERE org_id = $1 AND id = $2", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt connection_note_era = {
    "connection_note_era",
    "UPDATE connections SET era = CAST($3 AS TEXT) "
    "WHERE org_id = $1 AND id = $2 AND COALESCE(era, '') <> CAST($3 AS TEXT)",
    DB_WRITE, DB_INVALIDATES};
static const struct db_stmt connection_note = {
    "connection_note",
    "UPDATE connections SET status = COALESCE(CAST($3 AS TEXT), status), "
    "era_at = CASE WHEN CAST($4 AS BIGINT) IS NULL THEN era_at ELSE CAST($4 AS BIGINT) END, "
    "tool_count = COALESCE(CAST($5 AS BIGINT), tool_count) WHERE org_id = $1 AND id = $2",
    DB_WRITE, DB_MUST_AFFECT};
static const struct db_stmt connection_delete = {
    "connection_delete", "DELETE FROM connections WHERE org_id = $1 AND id = $2", DB_WRITE,
    DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};

static void connection_read(const struct db_rows *r, size_t row, void *item)
{
    struct connection *c = item;
    *c = (struct connection){
        .id = db_text(r, row, 0),
        .org_id = db_text(r, row, 1),
        .name = db_text(r, row, 2),
        .slug = db_text(r, row, 3),
        .description = db_text(r, row, 4),
        .icon = db_text(r, row, 5),
        .transport = db_text(r, row, 6),
        .url = db_text(r, row, 7),
        .command = db_text(r, row, 8),
        .args = db_text(r, row, 9),
        .env_names = db_text(r, row, 10),
        .auth = db_text(r, row, 11),
        .credential_scope = db_text(r, row, 12),
        .enabled = db_int(r, row, 13) != 0,
        .status = db_text(r, row, 14),
        .era = db_text(r, row, 15),
        .era_at = db_int(r, row, 16),
        .tool_count = db_int(r, row, 17),
        .configuration = db_text(r, row, 18),
        .metadata = db_text(r, row, 19),
        .created_by = db_text(r, row, 20),
        .created_at = db_int(r, row, 21),
        .updated_at = db_int(r, row, 22),
        .calls_per_minute = db_int(r, row, 23),
        .calls_at_once = db_int(r, row, 24),
    };
}
static const struct rows_kind connection_kind = {sizeof(struct connection), connection_read};

bool connections_insert(struct db *db, struct arena *a, const struct connection *c,
                        const struct credential_row *credential, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &connection_insert,
                 DB_ARGS(A_STR(c->id), A_STR(c->org_id), A_STR(c->name), A_STR(c->slug),
                         A_STR(c->description), A_STR(c->icon), A_STR(c->transport), A_STR(c->url),
                         A_STR(c->command), A_STR(c->args), A_STR(c->env_names), A_STR(c->auth),
                         A_STR(c->credential_scope), A_INT(c->enabled), A_STR(c->status),
                         A_STR(c->era), A_TIME(c->era_at), A_INT(c->tool_count),
                         A_STR(c->configuration), A_STR(c->metadata), A_STR(c->created_by),
                         A_INT(c->created_at), A_INT(c->updated_at), A_INT(c->calls_per_minute),
                         A_INT(c->calls_at_once)));
    slugs_add(&b, c->org_id, c->org_id, c->id, c->slug);
    if (credential)
        credentials_put_in(&b, c->org_id, credential);
    if (db_batch_run(db, &b, NULL, e))
        return true;
    bool is_slug =
        slugs_is_taken(e) || (rows_failed_at(e, &connection_insert) && rows_is_duplicate(e));
    return is_slug ? slugs_taken(e, c->slug) : false;
}

bool connections_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                     struct connection *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &connection_by_id, DB_ARGS(A_STR(org_id), A_STR(id)), &r, e))
        return false;
    connection_read(&r, 0, out);
    return true;
}

bool connections_by_slug(struct db *db, struct arena *a, struct str org_id, struct str slug,
                         struct connection *out, struct err *e)
{
    struct str id;
    return slugs_resolve(db, a, org_id, slug, &id, e) && connections_get(db, a, org_id, id, out, e);
}

bool connections_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                      struct connection **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &connections_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page)),
                   &connection_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool connections_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                       struct err *e)
{
    return rows_count(db, a, &connections_number, DB_ARGS(A_STR(org_id)), out, e);
}

bool connections_update(struct db *db, struct arena *a, const struct connection *c, int64_t now,
                        struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &connection_update,
                 DB_ARGS(A_STR(c->org_id), A_STR(c->id), A_STR(c->name), A_STR(c->slug),
                         A_STR(c->description), A_STR(c->icon), A_STR(c->transport), A_STR(c->url),
                         A_STR(c->command), A_STR(c->args), A_STR(c->env_names), A_STR(c->auth),
                         A_STR(c->credential_scope), A_INT(c->enabled), A_STR(c->configuration),
                         A_STR(c->metadata), A_INT(now), A_INT(c->calls_per_minute),
                         A_INT(c->calls_at_once)));
    slugs_change(&b, c->org_id, c->org_id, c->id, c->slug, now);
    if (db_batch_run(db, &b, NULL, e))
        return true;
    if (slugs_is_taken(e))
        return slugs_taken(e, c->slug);
    if (rows_failed_at(e, &connection_update))
        return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "not found") : slugs_taken(e, c->slug);
    return false;
}

bool connections_set_enabled(struct db *db, struct arena *a, struct str org_id, struct str id,
                             bool enabled, int64_t now, struct err *e)
{
    return rows_change(db, a, &connection_set_enabled,
                       DB_ARGS(A_STR(org_id), A_STR(id), A_INT(enabled), A_INT(now)), e);
}

bool connections_note(struct db *db, struct arena *a, struct str org_id, struct str id,
                      const struct connection_note *note, int64_t now, struct err *e)
{
    struct db_batch b;
    struct err own;
    bool has_era = !str_is_absent(note->era);
    e = e ? e : &own;
    db_batch_init(&b, a);
    if (has_era)
        db_batch_add(&b, &connection_note_era, DB_ARGS(A_STR(org_id), A_STR(id), A_STR(note->era)));
    db_batch_add(&b, &connection_note,
                 DB_ARGS(A_STR(org_id), A_STR(id), A_STR(note->status),
                         has_era ? A_INT(now) : A_NULL,
                         note->tool_count < 0 ? A_NULL : A_INT(note->tool_count)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_failed_at(e, &connection_note) ? err_set(e, ERR_NOT_FOUND, "not found") : false;
}

bool connections_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                        unused_arg int64_t now, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &connection_delete, DB_ARGS(A_STR(org_id), A_STR(id)));
    slugs_drop(&b, org_id, id);
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_failed_at(e, &connection_delete) ? err_set(e, ERR_NOT_FOUND, "not found") : false;
}
