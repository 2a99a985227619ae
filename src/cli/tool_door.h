/*
 * Calling management tools from a command: over HTTP as the holder of TULLE_API_KEY, or, without a
 * key, on the machine's own store as its operator does with the administrative commands (--org
 * names the organization). Either way the tools check, decide and record.
 */
#pragma once

#include "cli/options.h"
#include "core/services.h"
#include "json/jread.h"
#include "json/jout.h"

struct caller;
struct tool_door {
    struct arena *a;
    struct str org_id; /* goes with every call; absent: the key's */
    const char *url, *key;
    struct http_client *client; /* over HTTP, else NULL */
    struct services *sv;        /* on the store, else NULL */
    struct caller *caller;
};
/* The answer's tree, which lives as long as the arena. False with the tool's own failure. */
bool tool_door_call(struct tool_door *d, const char *tool, struct str arguments,
                    const struct jvalue **out, struct err *e) must_use;
/* Writes organization_id where one was named. */
void tool_door_org(const struct tool_door *d, struct jout *j);

struct tool_door_use {
    bool (*read)(struct options *o, void *arg, struct err *e); /* takes the command's own options */
    bool (*fn)(struct tool_door *d, void *arg, struct err *e);
    void *arg;
};
/* Opens the door that the environment says, runs fn in a fiber, closes. argv: after the command's
 * name. */
bool tool_door_run(int argc, char **argv, const struct tool_door_use *use, struct err *e) must_use;
