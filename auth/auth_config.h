/* The file of AUTH_CONFIG: read here, its members are other modules' business. */
#pragma once

#include "base/err.h"
#include "json/jread.h"

/* The JSON object that the file at `path` holds, for jdoc_free; what was read is wiped.
 * NULL with ERR_INVALID: it cannot be read, holds no object, or a member that nobody knows; the
 * file is named. */
struct jdoc *auth_config_read(const char *path, struct err *e) must_use;
