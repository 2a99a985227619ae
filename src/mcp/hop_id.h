/*
 * JSON-RPC ids are rewritten at each hop. Within a session of one client the rewriting is a
 * one-to-one function (5 -> "i5", "a" -> "sa"), so that answers and cancellations find their way
 * back without a table; where one downstream session serves several requests of many clients, each
 * request gets a fresh id. (CVE-2026-25536: colliding ids gave answers to strangers.)
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

/* Raw JSON id -> raw JSON id of the next hop. STR_NONE when out of memory. */
struct str hop_id_forth(struct arena *a, struct str raw) must_use;
/* The inverse; STR_NONE when it is no id of ours. */
struct str hop_id_back(struct arena *a, struct str raw) must_use;
/* A fresh id, unique in this process: "c<worker>-<n>". */
struct str hop_id_fresh(struct arena *a, int worker) must_use;
/* True when both raw JSON ids mean the same value, however escaped. */
bool hop_id_same(struct arena *a, struct str x, struct str y);
