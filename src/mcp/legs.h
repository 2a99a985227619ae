/*
 * A session client and a session server negotiate with Tulle, each for itself: the client's leg and
 * the server's leg may be of different revisions. What one revision has and the other has not is
 * projected here (spec/mcp.md "Two legs").
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

/* What one client leg settled. */
struct leg_hello {
    struct str version; /* of the client's leg: what it asked for, or the latest session revision */
    struct str params;  /* of initialize towards the server: that revision, the capabilities that
                           client and revision have */
    int caps;           /* what the client can be asked: set of enum m2s_cap */
};
/* From the params of a client's initialize (a JSON object, or absent). ERR_INVALID. */
bool leg_hello_read(struct arena *a, struct str params, struct leg_hello *out,
                    struct err *e) must_use;

/* The server's whole response to initialize as the client's leg has it: the client's revision, and
 * no capability of a revision that one leg does not know. STR_NONE: out of memory. */
struct str leg_welcome(struct arena *a, struct str response, struct str client_version,
                       struct str server_version) must_use;

/* Does a client of this revision know every type of content? */
bool leg_knows_all_content(struct str client_version);
/* The whole response to tools/call or prompts/get: blocks of a type that the client's revision does
 * not know become text. STR_NONE: out of memory. */
struct str leg_content(struct arena *a, struct str response, struct str client_version) must_use;
