/* Facts of the installation: its id, the row that proves the encryption key. */
#pragma once

#include "store/db.h"

/* ERR_NOT_FOUND when the fact is not there. */
bool installation_get(struct db *db, struct arena *a, struct str name, struct str *value,
                      struct err *e) must_use;
/* Writes it only when it is not there, and gives what is there now. */
bool installation_put_once(struct db *db, struct arena *a, struct str name, struct str value,
                           struct str *now_there, struct err *e) must_use;
bool installation_put(struct db *db, struct arena *a, struct str name, struct str value,
                      struct err *e) must_use;
