/* What a session server says, in the words of the stateless revision; and the other way. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

/* The `_meta` of a request without what only the stateless era has; progressToken replaced by
 * token. All raw JSON. STR_NONE: out of memory. */
struct str m2s_meta(struct arena *a, struct str meta, struct str token) must_use;

/* The members that every result receives: `"resultType":"complete"` and, for what may be cached,
 * ttlMs and cacheScope. */
struct str m2s_members(bool is_cacheable);
/* `"io.modelcontextprotocol/serverInfo":{...}` for `_meta`; server_info raw or absent. */
struct str m2s_meta_member(struct arena *a, struct str server_info) must_use;
/* A result (raw; anything but an object is ERR_UPSTREAM) with these. */
bool m2s_stamp(struct arena *a, struct str result, struct str members, struct str meta_member,
               struct str *out, struct err *e) must_use;

/* A JSON-RPC error object as a stateless client knows it: -32002 becomes -32602 (which, without
 * data, gets the uri), what the revision
 * reserves (-32020 to -32099) or forbids (-32042) becomes -32603 with the code in data. uri: of
 * resources/read, raw, for data.uri; or absent. */
struct str m2s_error(struct arena *a, struct str error, struct str uri) must_use;
/* The code of an error object; 0 when it has none. */
int64_t m2s_error_code(struct str error);

/* The result of server/discover from that of initialize: {"resultType",...}. */
bool m2s_discover(struct arena *a, struct str initialize, struct str *out, struct err *e) must_use;
/* Members of an initialize result: raw serverInfo, or absent. */
struct str m2s_server_info(struct str initialize);
/* Does the server say that it has capability (and within it flag, unless NULL: an object is enough,
 * true is true)? */
bool m2s_server_has(struct str initialize, const char *capability, const char *flag);

/* A level's rank, 0 debug to 7 emergency; -1: none. raw JSON string. */
int m2s_level(struct str raw);
const char *m2s_level_name(int rank);
