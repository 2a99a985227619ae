/* Options of administrative commands: what config_load left over, as --name value pairs and words.
 */
#pragma once

#include "base/err.h"

struct options {
    int n;
    char **v;
};
/* Value of --name (given once), or NULL. Removes both words. */
const char *options_take(struct options *o, const char *name);
/* True when --name is there (a switch). Removes it. */
bool options_take_switch(struct options *o, const char *name);
/* The next word that is no option, or NULL. Removes it. */
const char *options_take_word(struct options *o);
/* ERR_INVALID naming whatever is left. */
bool options_done(const struct options *o, struct err *e) must_use;
/* ERR_INVALID when value is NULL or empty. */
bool options_need(const char *value, const char *name, const char *example, struct err *e) must_use;
