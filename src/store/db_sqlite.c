/* The SQLite adapter: files, handles, reads. Its shape is told in db_sqlite.h. */
#include <errno.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "io/fiber.h"
#include "store/db_sqlite.h"

/* Splits "sqlite:PATH" into the two files' paths: x.db and x-audit.db. */
static bool paths_read(struct lite_store *s, const char *url, struct err *e)
{
    const char *path = url + strlen("sqlite:");
    size_t n = strlen(path);
    if (n == 0 || strcmp(path, ":memory:") == 0)
        return err_set(e, ERR_INVALID, "DATABASE_URL: a file is expected after sqlite:");
    if (n + sizeof "-audit" > sizeof s->path[0])
        return err_set(e, ERR_INVALID, "DATABASE_URL: the path is too long");
    size_t stem = n > 3 && strcmp(path + n - 3, ".db") == 0 ? n - 3 : n;
    snprintf(s->path[LITE_MAIN], sizeof s->path[0], "%s", path);
    snprintf(s->path[LITE_AUDIT], sizeof s->path[0], "%.*s-audit%s", (int)stem, path, path + stem);
    return true;
}

static bool folder_make(const char *path, struct err *e)
{
    char folder[sizeof((struct lite_store *)0)->path[0]];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash || slash == folder)
        return true;
    *slash = '\0';
    if (mkdir(folder, 0700) == 0 || errno == EEXIST)
        return true;
    return err_set(e, ERR_UNAVAILABLE, "cannot make the folder %s: %m", folder);
}

static void lite_close(struct db_store *base)
{
    struct lite_store *s = lite_store_of(base);
    for (int f = 0; f < LITE_FILES; f++) {
        db_sqlite_writer_stop(&s->writer[f]);
        for (struct lite_idle *i = s->idle[f], *next; i; i = next) {
            next = i->next;
            db_sqlite_conn_close(&i->conn);
            free(i);
        }
    }
    pthread_cond_destroy(&s->posted);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* SQLite counts its memory under one lock for all threads: workers and writers then wait for each
 * other at every allocation (sqlite.org/malloc.html 3.3). */
static void memory_is_not_counted(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static struct db_store *lite_open(const struct db_config *c, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, memory_is_not_counted);
    struct lite_store *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    s->base.adapter = &db_sqlite_adapter;
    s->base.offload = c->offload;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->posted, NULL);
    bool is_ok = paths_read(s, c->url, e) && folder_make(s->path[LITE_MAIN], e);
    for (int f = 0; f < LITE_FILES && is_ok; f++)
        is_ok = db_sqlite_writer_start(&s->writer[f], s, s->path[f], e);
    if (!is_ok) {
        lite_close(&s->base);
        return NULL;
    }
    return &s->base;
}

static struct db *lite_attach(struct db_store *base, struct loop *l, struct err *e)
{
    struct lite_db *db = calloc(1, sizeof *db);
    if (!db) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    db->base = (struct db){.store = base, .loop = l};
    list_init(&db->open);
    return &db->base;
}

static const struct db_stmt reads_begin_stmt = {"begin_reads", "BEGIN", DB_READ, 0};
static const struct db_stmt reads_end_stmt = {"end_reads", "COMMIT", DB_READ, 0};

static void reads_end(struct lite_db *db)
{
    struct err e;
    struct lite_conn *c = &db->reader[LITE_MAIN];
    if (!db->is_reading)
        return;
    fiber_pause_drop(&db->pause);
    db->is_reading = false;
    c->deadline_ms = INT64_MAX;
    if (db_sqlite_conn_in_transaction(c) &&
        !db_sqlite_conn_run(c, NULL, &reads_end_stmt, DB_NO_ARGS, NULL, &e))
        db_sqlite_conn_close(c); /* opened anew by the next read */
}

static void on_pause(struct fiber_pause *p)
{
    reads_end(CONTAINER_OF(p, struct lite_db, pause));
}

/* What a fiber reads without a wait in between, it reads in one transaction: SQLite takes its locks
 * and looks whether its pages still hold once, not once a statement. It ends before anything can
 * have changed that the fiber may rely on: with every wait, and when the epoch has moved. */
static void reads_begin(struct lite_db *db)
{
    struct err e;
    if (db->is_reading || !fiber_self())
        return;
    db->pause.fn = on_pause;
    db->read_epoch = db_epoch(db->base.store);
    db->is_reading =
        db_sqlite_conn_run(&db->reader[LITE_MAIN], NULL, &reads_begin_stmt, DB_NO_ARGS, NULL, &e);
    if (db->is_reading)
        fiber_pause_add(&db->pause);
}

/* Batches that a waiter gave up on may still be with the writer. In a fiber their way back is
   awaited; after the loop has ended only the writer's last touch is, and what it posted to the loop
   is freed here. */
static void lite_detach(struct db *base)
{
    struct lite_db *db = CONTAINER_OF(base, struct lite_db, base);
    struct lite_store *s = lite_store_of(base->store);
    reads_end(db);
    if (fiber_self() && !list_is_empty(&db->open)) {
        struct fiber_wait drained = {0};
        struct err e;
        fiber_shield(true);
        db->drained = &drained;
        while (!list_is_empty(&db->open)) {
            (void)!fiber_wait(&drained, clock_mono_ms() + LIMIT_DB_MS, &e);
            fiber_rearm(&drained);
        }
        db->drained = NULL;
        fiber_shield(false);
    }
    db_sqlite_writes_flush(db);
    pthread_mutex_lock(&s->lock);
    while (db->n_in_writer)
        pthread_cond_wait(&s->posted, &s->lock);
    pthread_mutex_unlock(&s->lock);
    LIST_FOR_SAFE(pos, tmp, &db->open)
    arena_end(CONTAINER_OF(pos, struct lite_write, open)->arena);
    for (int f = 0; f < LITE_FILES; f++)
        db_sqlite_conn_close(&db->reader[f]);
    free(db);
}

/* A list query on its way through an offload thread; lives in its own arena. */
struct lite_list {
    struct offload_job job; /* first */
    struct arena *arena;
    struct lite_store *store;
    const struct db_stmt *stmt;
    struct db_args args;
    int64_t deadline_ms;
    bool is_ok; /* results */
    struct db_rows rows;
    struct err err;
};

static void list_free(struct offload_job *j)
{
    arena_end(CONTAINER_OF(j, struct lite_list, job)->arena);
}

static struct lite_idle *idle_take(struct lite_store *s, enum lite_file f, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    struct lite_idle *i = s->idle[f];
    if (i)
        s->idle[f] = i->next;
    pthread_mutex_unlock(&s->lock);
    if (i)
        return i;
    i = calloc(1, sizeof *i);
    if (!i) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    if (!db_sqlite_conn_open(&i->conn, s->path[f], LITE_READER, LITE_BUSY_MS, e)) {
        free(i);
        return NULL;
    }
    return i;
}

static enum lite_file file_of(const struct db_stmt *s)
{
    return s->flags & DB_AUDIT ? LITE_AUDIT : LITE_MAIN;
}

static void list_run(struct offload_job *j)
{
    struct lite_list *q = CONTAINER_OF(j, struct lite_list, job);
    enum lite_file f = file_of(q->stmt);
    struct lite_idle *i = idle_take(q->store, f, &q->err);
    if (!i)
        return;
    i->conn.deadline_ms = q->deadline_ms;
    q->is_ok = db_sqlite_conn_run(&i->conn, q->arena, q->stmt, q->args, &q->rows, &q->err);
    pthread_mutex_lock(&q->store->lock);
    i->next = q->store->idle[f];
    q->store->idle[f] = i;
    pthread_mutex_unlock(&q->store->lock);
}

static bool lite_list(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                      struct db_rows *out, struct err *e)
{
    struct arena *own = arena_new(LIMIT_DB_BATCH_BYTES);
    struct lite_list *q = own ? arena_alloc(own, sizeof *q) : NULL;
    if (!q || !db_args_copy(own, args, &q->args)) {
        arena_end(own);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    q->arena = own;
    q->store = lite_store_of(db->store);
    q->stmt = s;
    q->deadline_ms = clock_mono_ms() + (s->use == DB_LIST ? LIMIT_DB_LIST_MS : LIMIT_DB_MS);
    q->job.run = list_run;
    q->job.free = list_free;
    if (!db->store->offload) /* the command line: nobody else waits */
        list_run(&q->job);
    else if (!offload_run(db->store->offload, &q->job, q->deadline_ms, e))
        return false;
    bool is_ok = q->is_ok;
    if (!is_ok && e)
        *e = q->err;
    if (is_ok && out && !db_rows_copy(a, &q->rows, out))
        is_ok = err_set(e, ERR_UNAVAILABLE, "the store's answer is too large");
    arena_end(own);
    return is_ok;
}

bool db_sqlite_read(struct db *base, struct arena *a, const struct db_stmt *s, struct db_args args,
                    struct db_rows *out, struct err *e)
{
    if (s->use == DB_LIST)
        return lite_list(base, a, s, args, out, e);
    struct lite_db *db = CONTAINER_OF(base, struct lite_db, base);
    enum lite_file f = file_of(s);
    struct lite_conn *c = &db->reader[f];
    if (db->read_epoch != db_epoch(base->store))
        reads_end(db);
    if (!c->handle &&
        !db_sqlite_conn_open(c, lite_store_of(base->store)->path[f], LITE_READER, 0, e))
        return false;
    c->deadline_ms = clock_mono_ms() + LIMIT_DB_MS;
    if (f == LITE_MAIN)
        reads_begin(db);
    if (db_sqlite_conn_run(c, a, s, args, out, e))
        return true;
    /* A lock lasts moments only, but a loop never waits for one. */
    return c->is_busy && lite_list(base, a, s, args, out, e);
}

const struct db_adapter db_sqlite_adapter = {
    .scheme = "sqlite:",
    .dialect = "sqlite",
    .open = lite_open,
    .close = lite_close,
    .attach = lite_attach,
    .detach = lite_detach,
    .read = db_sqlite_read,
    .write = db_sqlite_write,
    .script_open = db_sqlite_script_open,
    .script_close = db_sqlite_script_close,
    .script_exec = db_sqlite_script_exec,
    .script_run = db_sqlite_script_run,
    .script_begin = "BEGIN IMMEDIATE",
    .table_exists = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1",
};
