/* The embedded migrations/NNNN_name.sql, in order. The definitions are made by
 * cmake/embed_migrations.cmake. */
#pragma once

#include <stddef.h>

struct migration {
    const char *name; /* "0001_base.sql" */
    const char *sql;  /* the file's bytes, NUL-ended */
};
extern const struct migration migrations[];
extern const size_t n_migrations;
