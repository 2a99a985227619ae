/*
 * Members that other readers would take for one that was judged: names that differ only in case, or
 * by the two letters that fold to ASCII ones (U+017F to s, U+212A to k), match without case in Go's
 * encoding/json, the last one winning. What is forwarded must be what was judged, so a message with
 * such a member is refused.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

/* object: a validated JSON object. ERR_BAD_REQUEST names the member; where: "params", "" for the
 * top. */
bool lookalike_check(struct arena *a, struct str object, const struct str *names, size_t n,
                     const char *where, struct err *e) must_use;
