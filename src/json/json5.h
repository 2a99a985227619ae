/*
 * JSON5 (json5.org, version 1.0.0) to JSON: comments, trailing commas, unquoted names, single
 * quotes, line continuations, hexadecimal and bare-dot numbers, a byte order mark. For
 * configuration files that people write; requests are JSON. The structure is left to the JSON
 * parser that reads the answer.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* ERR_PARSE with the line: an open comment or string, a bad escape or number, a word that is no
 * value (NaN and Infinity have no JSON either). Plain JSON comes out as the same value. */
bool json5_to_json(struct str text, struct buf *out, struct err *e) must_use;
