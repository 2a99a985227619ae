/* A migrated store in a folder of its own, and a body that runs in a fiber with a handle and an
 * arena. With TULLE_TEST_POSTGRES=postgresql://... it is a schema of its own in that database. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <ftw.h>
#include <libpq-fe.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "io/fiber.h"
#include "store/db.h"
#include "store/migrate.h"

struct fixture {
    char dir[64];
    char url[512];
    char schema[32]; /* in PostgreSQL */
    struct offload *offload;
    struct db_store *store;
    struct db *db;
    struct arena *a;
    struct err e;
    void (*body)(struct fixture *f);
};

/* The server to test with, or NULL. TULLE_TEST_STORE=postgres: without one, nothing was tested. */
static inline const char *fixture_postgres(void)
{
    const char *url = getenv("TULLE_TEST_POSTGRES");
    if (!url && getenv("TULLE_TEST_STORE"))
        fail_msg("TULLE_TEST_POSTGRES is not set");
    return url;
}

/* For what holds for one adapter only. */
#define ONLY_SQLITE()                                                                              \
    do {                                                                                           \
        if (fixture_postgres())                                                                    \
            skip();                                                                                \
    } while (0)
#define ONLY_POSTGRES()                                                                            \
    do {                                                                                           \
        if (!fixture_postgres())                                                                   \
            skip();                                                                                \
    } while (0)

/* On a connection that has nothing to do with the program's. */
static inline void fixture_sql(const char *verb, const char *schema, const char *how)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SET client_min_messages = error; %s SCHEMA %s %s", verb, schema,
             how);
    PGconn *pg = PQconnectdb(fixture_postgres());
    PGresult *r = PQexec(pg, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(pg));
    PQclear(r);
    PQfinish(pg);
}

static inline int fixture_unlink(const char *path, unused_arg const struct stat *s,
                                 unused_arg int type, unused_arg struct FTW *walk)
{
    return remove(path);
}

static inline struct db_store *fixture_open(const struct fixture *f)
{
    struct err e = {0};
    struct db_store *s = db_open(&(struct db_config){.url = f->url, .offload = f->offload}, &e);
    if (!s)
        fail_msg("%s", e.msg);
    return s;
}

static inline void fixture_fiber(void *arg)
{
    struct fixture *f = arg;
    f->a = arena_new(64 * 1024 * 1024);
    f->db = db_attach(f->store, loop_self(), &f->e);
    assert_non_null(f->db);
    f->body(f);
    db_detach(f->db);
    arena_end(f->a);
}

/* Once more on the same files, with a fresh store handle. */
static inline void fixture_run(struct fixture *f, void (*body)(struct fixture *f))
{
    f->body = body;
    f->store = fixture_open(f);
    assert_true(fiber_main(fixture_fiber, f, &f->e));
    db_close(f->store);
}

static inline void fixture_begin(struct fixture *f)
{
    *f = (struct fixture){0};
    snprintf(f->dir, sizeof f->dir, "%s/tulle-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(f->dir));
    const char *server = fixture_postgres();
    if (server) {
        snprintf(f->schema, sizeof f->schema, "t_%016llx", (unsigned long long)rand_u64());
        snprintf(f->url, sizeof f->url, "%s%coptions=-csearch_path%%3D%s", server,
                 strchr(server, '?') ? '&' : '?', f->schema);
        fixture_sql("CREATE", f->schema, "");
    } else {
        snprintf(f->url, sizeof f->url, "sqlite:%s/t.db", f->dir);
    }
    f->offload = offload_new(2, &f->e);
    assert_non_null(f->offload);
}

static inline void fixture_end(struct fixture *f)
{
    offload_free(f->offload);
    if (f->schema[0])
        fixture_sql("DROP", f->schema, "CASCADE");
    nftw(f->dir, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void fixture_migrate(struct fixture *f)
{
    struct db_store *s = fixture_open(f);
    int applied = 0;
    if (!migrate_run(s, &applied, &f->e))
        fail_msg("%s: %s", f->e.msg, f->e.detail);
    db_close(s);
}

static inline void with_store(void (*body)(struct fixture *f))
{
    struct fixture f;
    fixture_begin(&f);
    fixture_migrate(&f);
    fixture_run(&f, body);
    fixture_end(&f);
}

static inline void expect_ok(const struct fixture *f, bool is_ok, const char *call,
                             const char *file, int line)
{
    if (is_ok)
        return;
    print_error("%s: %s (%s)\n", call, f->e.msg, f->e.detail);
    _fail(file, line);
}

static inline void expect_err(const struct fixture *f, bool is_ok, enum err_code want,
                              const char *call, const char *file, int line)
{
    if (!is_ok && f->e.code == want)
        return;
    print_error("%s: %s, expected %s\n", call, is_ok ? "ok" : err_text(f->e.code), err_text(want));
    _fail(file, line);
}

/* must succeed */
#define OK(f, call) expect_ok((f), (call), #call, __FILE__, __LINE__)
/* must fail with this code */
#define FAILS(f, want, call) expect_err((f), (call), (want), #call, __FILE__, __LINE__)
#define assert_str(s, text)  assert_true(str_eq((s), STR(text)))
