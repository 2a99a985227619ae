/*
 * migrations/NNNN_name.sql, embedded: run in order under one lock, each in one transaction,
 * remembered with a SHA-256. A changed, missing or unknown past is refused. First line "-- store:
 * audit" sends a file to the audit database; blocks between "-- only: sqlite" or "-- only:
 * postgres" and "-- end" are dialect-only.
 */
#pragma once

#include "store/db.h"

/* applied: how many ran. ERR_CONFLICT for a past that does not match, naming the file. Not from a
 * fiber; blocks. */
bool migrate_run(struct db_store *s, int *applied, struct err *e) must_use;
/* Like it, changing nothing: ERR_UNAVAILABLE names the first migration that is due. */
bool migrate_check(struct db_store *s, struct err *e) must_use;
