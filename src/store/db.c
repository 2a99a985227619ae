/* The storage port: picks the adapter, and what all adapters share. */
#include "store/db.h"

#include "base/limits.h"
#include "log/metrics.h"
#include "store/db_adapter.h"

static const struct db_adapter *const adapters[] = {&db_sqlite_adapter, &db_postgres_adapter,
                                                    &db_postgres_short_adapter};

static const struct db_stmt ping = {"ping", "SELECT 1", DB_READ, 0};

struct db_store *db_open(const struct db_config *c, struct err *e)
{
    struct str url = str_c(c->url);
    for (size_t i = 0; i < ARRAY_LEN(adapters); i++)
        if (str_starts(url, str_c(adapters[i]->scheme)))
            return adapters[i]->open(c, e);
    err_set(e, ERR_INVALID, "DATABASE_URL must begin with sqlite: or postgresql://");
    return NULL;
}

void db_close(struct db_store *s)
{
    if (s)
        s->adapter->close(s);
}

struct db *db_attach(struct db_store *s, struct loop *l, struct err *e)
{
    return s->adapter->attach(s, l, e);
}

void db_detach(struct db *db)
{
    if (db)
        db->store->adapter->detach(db);
}

bool db_run(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
            struct db_rows *out, struct err *e)
{
    metric_add(M_DB_STATEMENTS, 1);
    if (s->use != DB_WRITE)
        return db->store->adapter->read(db, a, s, args, out, e);
    struct db_batch_item item = {.stmt = s, .args = args};
    struct db_batch one = {.arena = a, .first = &item, .last = &item, .n = 1};
    return db->store->adapter->write(db, &one, out, e);
}

bool db_one(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
            struct db_rows *out, struct err *e)
{
    if (!db_run(db, a, s, args, out, e))
        return false;
    if (out->n_rows != 1)
        return out->n_rows == 0 ? err_set(e, ERR_NOT_FOUND, "not found")
                                : (err_set(e, ERR_INTERNAL, "the store answered more than one row"),
                                   err_detail(e, "%s", s->name));
    return true;
}

void db_batch_init(struct db_batch *b, struct arena *a)
{
    *b = (struct db_batch){.arena = a};
}

static void item_add(struct db_batch *b, const struct db_stmt *s, struct db_batch_item *item)
{
    ensure(s->use == DB_WRITE);
    ensure(!b->first || ((b->first->stmt->flags ^ s->flags) & DB_AUDIT) == 0);
    item->stmt = s;
    if (b->last)
        b->last->next = item;
    else
        b->first = item;
    b->last = item;
    b->n++;
}

void db_batch_add(struct db_batch *b, const struct db_stmt *s, struct db_args args)
{
    struct db_batch_item *item = arena_alloc(b->arena, sizeof *item);
    if (item && db_args_copy(b->arena, args, &item->args))
        item_add(b, s, item);
    else
        b->failed = true;
}

void db_batch_lend(struct db_batch *b, const struct db_stmt *s, struct db_args args)
{
    struct db_batch_item *item = arena_alloc(b->arena, sizeof *item);
    if (!item) {
        b->failed = true;
        return;
    }
    item->args = args;
    b->is_lent = true;
    item_add(b, s, item);
}

bool db_batch_run(struct db *db, struct db_batch *b, struct db_rows *results, struct err *e)
{
    if (b->failed)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (b->n == 0)
        return true;
    metric_add(M_DB_STATEMENTS, (int64_t)b->n);
    return db->store->adapter->write(db, b, results, e);
}

uint64_t db_epoch(const struct db_store *s)
{
    return atomic_load_explicit(&s->epoch, memory_order_acquire);
}

struct db_store *db_store_of(const struct db *db)
{
    return db->store;
}

bool db_ping(struct db *db, struct err *e)
{
    struct arena *a = arena_new(LIMIT_BODY_SMALL);
    if (!a)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct db_rows rows;
    bool is_up = db_one(db, a, &ping, DB_NO_ARGS, &rows, e);
    arena_end(a);
    return is_up;
}

bool db_args_copy(struct arena *a, struct db_args args, struct db_args *out)
{
    struct db_value *v = arena_alloc(a, (args.n ? args.n : 1) * sizeof *v);
    if (!v)
        return false;
    for (size_t i = 0; i < args.n; i++) {
        v[i] = args.v[i];
        if (v[i].type != DB_TEXT)
            continue;
        v[i].s = arena_dup(a, args.v[i].s);
        if (str_is_absent(v[i].s))
            return false;
    }
    *out = (struct db_args){v, args.n};
    return true;
}

bool db_rows_copy(struct arena *a, const struct db_rows *rows, struct db_rows *out)
{
    struct db_args cells;
    if (!db_args_copy(a, (struct db_args){rows->cells, rows->n_rows * rows->n_cols}, &cells))
        return false;
    *out = *rows;
    out->cells = cells.v;
    return true;
}
