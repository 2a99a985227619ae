/* Settings: environment, flags, tulle.conf and NAME_FILE, checked at start. One row each in
 * config.def. */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct config {
    /* X(field, NAME, type, default, flag-or-NULL, meaning): see config.def */
#define CONFIG_TEXT(field)                                    const char *field; /* NULL when unset and without default */
#define CONFIG_INT(field)                                     int64_t field;
#define CONFIG_BOOL(field)                                    bool field;
#define X(field, name, type, def, min, max, secret, sentence) CONFIG_##type(field)
#include "config.def"
#undef X
    /* derived by config_load */
    bool host_is_loopback; /* every listen address is loopback */
    bool base_is_loopback; /* BASE_URL's host is loopback */
    bool base_is_https;
    bool allow_stdio_effective;
    const char *origin; /* BASE_URL without trailing slash */
};

/* Reads flags (argv after the subcommand), environment, file; flags win over environment over file.
   ERR_INVALID is one line naming the setting, what was given and what is expected. Strings live
   until the process ends. allow_unknown_flags: positional and other flags are left in argv order in
   *rest (NULL-ended) for the subcommand. */
bool config_load(struct config *c, int argc, char **argv, int *n_rest, char ***rest,
                 struct err *e) must_use;
/* The help text of all settings, for --help and spec/config.md. markdown: as a table. */
struct buf;
void config_help(struct buf *out, bool markdown);
