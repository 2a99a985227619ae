/* One server of somebody's configuration (Claude, Cursor, VS Code, mcp-hub) as the arguments of
 * CONNECTION_CREATE. Pure but for the environment that --with-env allows. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "json/jread.h"

struct import_entry {
    struct arena *a;
    struct str name;
    const struct jvalue *value;
    bool with_env;     /* ${env:X} and ${X} are looked up in this command's environment */
    struct str org_id; /* absent: none is named */
    /* what comes out */
    struct str arguments; /* JSON object */
    struct str skipped;   /* why there are none; absent: there are */
    struct str
        needs; /* "headers Authorization", "env TOKEN": a credential that is still to be set */
    struct str ignored; /* names of members that Tulle has no use for, comma separated */
};
/* False only without memory. `arguments` may hold secrets. */
bool import_entry_read(struct import_entry *x, struct err *e) must_use;
