/* What the files of nouns share: rows to structs, errors by statement. */
#pragma once

#include "store/db.h"

typedef void rows_read_fn(const struct db_rows *r, size_t row, void *item);

/* How rows become structs. */
struct rows_kind {
    size_t item_size;
    rows_read_fn *read;
};
struct rows_found {
    void *items; /* an array in the arena */
    size_t n;
};
/* Runs a list statement and reads all of its rows. ERR_UNAVAILABLE when the arena is full, and what
 * db_run gives. */
bool rows_list(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
               const struct rows_kind *kind, struct rows_found *out, struct err *e) must_use;
/* Runs a statement that gives one integer. */
bool rows_count(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                int64_t *out, struct err *e) must_use;
/* Runs one write that must touch a row: ERR_NOT_FOUND otherwise. */
bool rows_change(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                 struct err *e) must_use;
/* True when e is an ERR_CONFLICT that this statement raised. */
bool rows_failed_at(const struct err *e, const struct db_stmt *s);
/* True when e is an ERR_CONFLICT because a row like it exists. */
bool rows_is_duplicate(const struct err *e);
/* True when e is the ERR_CONFLICT of a DB_MUST_AFFECT statement. */
bool rows_is_no_row(const struct err *e);

/* A cursor's three arguments, for (created_at, id) > ($n, $m) ... LIMIT $k. */
#define PAGE_ARGS(page)                                                                            \
    A_INT((page)->after_at), A_STR((page)->after_id.p ? (page)->after_id : STR("")),               \
        A_INT((page)->limit + 1)
