/*
 * The filter and the order of MCP Mesh's collections, over items as collection_item.c writes them.
 * Pure. where: {"field":[path],"operator","value"} or
 * {"operator":"and"|"or"|"not","conditions":[...]}.
 */
#pragma once

#include "base/err.h"
#include "json/jread.h"

/* ERR_INVALID naming what is wrong: an unknown field or operator, too many or too deep conditions,
 * a value that does not go with its operator. NULL and null pass. */
bool collection_where_check(const struct jvalue *where, struct err *e) must_use;
/* True when the item fits a checked `where`; NULL and null fit everything. `not` is true unless all
 * of its conditions are. What is absent equals null; texts are compared by bytes, for `like` and
 * `contains` without the case of a to z. */
bool collection_where_holds(const struct jvalue *where, const struct jvalue *item);

/* ERR_INVALID for an unknown field. The rest is the input schema's. */
bool collection_order_check(const struct jvalue *order, struct err *e) must_use;
/* <0, 0, >0 by [{"field","direction","nulls"}]. null comes last unless `nulls` says first. */
int collection_order_compare(const struct jvalue *order, const struct jvalue *a,
                             const struct jvalue *b);
