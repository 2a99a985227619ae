#include "store/installation.h"

static const struct db_stmt installation_by_name = {
    "installation_by_name", "SELECT value FROM installation WHERE name = $1", DB_READ, 0};
static const struct db_stmt installation_insert = {
    "installation_insert",
    "INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt installation_upsert = {
    "installation_upsert",
    "INSERT INTO installation (name, value) VALUES ($1, $2) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    DB_WRITE, DB_DURABLE};

bool installation_get(struct db *db, struct arena *a, struct str name, struct str *value,
                      struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &installation_by_name, DB_ARGS(A_STR(name)), &r, e))
        return false;
    *value = db_text(&r, 0, 0);
    return true;
}

bool installation_put_once(struct db *db, struct arena *a, struct str name, struct str value,
                           struct str *now_there, struct err *e)
{
    return db_run(db, a, &installation_insert, DB_ARGS(A_STR(name), A_STR(value)), NULL, e) &&
           installation_get(db, a, name, now_there, e);
}

bool installation_put(struct db *db, struct arena *a, struct str name, struct str value,
                      struct err *e)
{
    return db_run(db, a, &installation_upsert, DB_ARGS(A_STR(name), A_STR(value)), NULL, e);
}
