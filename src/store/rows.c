#include "store/rows.h"

#include "store/db_adapter.h"

bool rows_list(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
               const struct rows_kind *kind, struct rows_found *out, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, s, args, &r, e))
        return false;
    char *items = arena_alloc(a, (r.n_rows ? r.n_rows : 1) * kind->item_size);
    if (!items)
        return err_set(e, ERR_UNAVAILABLE, "the store's answer is too large");
    for (size_t i = 0; i < r.n_rows; i++)
        kind->read(&r, i, items + i * kind->item_size);
    *out = (struct rows_found){items, r.n_rows};
    return true;
}

bool rows_count(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                int64_t *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, s, args, &r, e))
        return false;
    *out = db_int(&r, 0, 0);
    return true;
}

bool rows_change(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                 struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, s, args, &r, e))
        return false;
    return r.n_affected > 0 || err_set(e, ERR_NOT_FOUND, "not found");
}

bool rows_failed_at(const struct err *e, const struct db_stmt *s)
{
    size_t n = strlen(s->name);
    return e->code == ERR_CONFLICT && strncmp(e->detail, s->name, n) == 0 && e->detail[n] == ':';
}

static bool conflict_is(const struct err *e, const char *kind)
{
    const char *colon = e->code == ERR_CONFLICT ? strstr(e->detail, ": ") : NULL;
    return colon && strncmp(colon + 2, kind, strlen(kind)) == 0;
}

bool rows_is_duplicate(const struct err *e)
{
    return conflict_is(e, DB_DUPLICATE);
}

bool rows_is_no_row(const struct err *e)
{
    return conflict_is(e, DB_NO_ROW);
}
