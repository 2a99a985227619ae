/*
 * JSON-RPC 2.0 messages as MCP uses them: read without building a tree, every value a span of the
 * client's own bytes; changed by replacing spans; written.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE };

/* Spans are raw JSON (strings with their quotes) inside `raw`, or absent. What is "unescaped" is
 * text in the arena. */
struct rpc_message {
    enum rpc_kind kind;
    struct str raw; /* the whole text */
    struct str id;  /* absent for notifications, and for an error that answers no known request */
    struct str method; /* unescaped; absent for responses */
    struct str params; /* an object */
    struct str result;
    struct str error; /* an object */

    /* members of params, of any type unless said */
    struct str name, uri, arguments, cursor, level, ref, task_id;
    struct str meta;                  /* `_meta`, an object */
    struct str params_progress_token; /* params.progressToken of notifications/progress: a string or
                                         number */
    struct str request_id; /* params.requestId of notifications/cancelled: a string or number */
    struct str name_text, uri_text; /* unescaped; absent when the member is no string */

    /* members of params._meta */
    struct str progress_token;   /* a string or number */
    struct str protocol_version; /* unescaped */
    struct str client_capabilities, client_info, log_level;
};

/* True when the text begins like an array: a batch, which rpc_parse refuses. */
bool rpc_is_batch(struct str body);

/*
 * Reads and validates one message.
 *   ERR_PARSE        not one JSON text in valid UTF-8, or deeper than LIMIT_JSON_DEPTH
 *   ERR_BAD_REQUEST  no message: a batch or other type, jsonrpc not "2.0", an id that is neither
 * string nor integer or is longer than LIMIT_RPC_ID, no method and no result or error, both of
 * them, a repeated member at the top, in params, in params._meta or in params.ref ERR_INVALID
 * params, _meta or a member of them has the wrong type ERR_UNAVAILABLE  out of memory The message
 * says what was given and what is expected. After ERR_INVALID, and wherever else it could be read,
 * out->id is set: the error can be answered. An error response may have a null id or none
 * (JSON-RPC 2.0 section 5).
 */
bool rpc_parse(struct arena *a, struct str body, struct rpc_message *out, struct err *e) must_use;

/* A text as a raw JSON string in the arena. STR_NONE: out of memory, or over LIMIT_BODY_MCP bytes.
 */
struct str rpc_quote(struct arena *a, struct str text) must_use;

void rpc_write_result(struct buf *out, struct str id_raw, struct str result_raw);
/* id_raw absent: `"id":null` with null_id (what session clients expect), else no id. data_raw may
 * be absent. */
void rpc_write_error(struct buf *out, struct str id_raw, bool null_id, int code, struct str message,
                     struct str data_raw);
/* Code and message from `e`, data {"reason": err_text}. */
void rpc_error_from(struct buf *out, struct str id_raw, bool null_id, const struct err *e);

/* One replacement: `span` lies inside the text (empty: insert there; absent: nothing is done). */
struct rpc_edit {
    struct str span;
    struct str with;
};
/* A copy of `text` in the arena with the edits made, which may come in any order and must not
 * overlap. STR_NONE: out of memory. */
struct str rpc_replace(struct arena *a, struct str text, const struct rpc_edit *edits,
                       size_t n) must_use;
