#include "store/slugs.h"

#include "base/clock.h"
#include "store/rows.h"

/* One primary key over present and retired slugs decides who may have one. */
static const struct db_stmt slug_claim = {
    "slug_claim",
    "INSERT INTO slugs (scope, slug, org_id, object_id) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (scope, slug) DO UPDATE SET retired_at = NULL "
    "WHERE slugs.object_id = excluded.object_id",
    DB_WRITE, DB_MUST_AFFECT | DB_INVALIDATES};
static const struct db_stmt slug_retire = {
    "slug_retire",
    "UPDATE slugs SET retired_at = $4 "
    "WHERE org_id = $1 AND object_id = $2 AND slug <> $3 AND retired_at IS NULL",
    DB_WRITE, DB_INVALIDATES};
static const struct db_stmt slug_drop = {"slug_drop",
                                         "DELETE FROM slugs WHERE org_id = $1 AND object_id = $2",
                                         DB_WRITE, DB_INVALIDATES};
static const struct db_stmt slug_resolve = {
    "slug_resolve",
    "SELECT object_id FROM slugs WHERE scope = $1 AND slug = $2 "
    "AND (retired_at IS NULL OR retired_at > $3)",
    DB_READ, 0};

void slugs_add(struct db_batch *b, struct str org_id, struct str scope, struct str object_id,
               struct str slug)
{
    db_batch_add(b, &slug_claim,
                 DB_ARGS(A_STR(scope), A_STR(slug), A_STR(org_id), A_STR(object_id)));
}

void slugs_change(struct db_batch *b, struct str org_id, struct str scope, struct str object_id,
                  struct str slug, int64_t now)
{
    db_batch_add(b, &slug_retire,
                 DB_ARGS(A_STR(org_id), A_STR(object_id), A_STR(slug), A_INT(now)));
    slugs_add(b, org_id, scope, object_id, slug);
}

void slugs_drop(struct db_batch *b, struct str org_id, struct str object_id)
{
    db_batch_add(b, &slug_drop, DB_ARGS(A_STR(org_id), A_STR(object_id)));
}

bool slugs_is_taken(const struct err *e)
{
    return rows_failed_at(e, &slug_claim);
}

bool slugs_taken(struct err *e, struct str slug)
{
    return err_set(e, ERR_CONFLICT, "the slug \"%.*s\" is taken", STR_FMT(slug));
}

bool slugs_resolve(struct db *db, struct arena *a, struct str scope, struct str slug,
                   struct str *object_id, struct err *e)
{
    int64_t since = clock_wall_ms() - SLUG_RETIRED_DAYS * 86400000LL;
    struct db_rows r;
    if (!db_one(db, a, &slug_resolve, DB_ARGS(A_STR(scope), A_STR(slug), A_INT(since)), &r, e))
        return false;
    *object_id = db_text(&r, 0, 0);
    return true;
}
