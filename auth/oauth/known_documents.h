/*
 * What the metadata documents of clients say whose servers are known to refuse requests from data
 * centres: served only while the document itself cannot be had.
 */
#pragma once

#include "base/str.h"

/* STR_NONE: not known. */
struct str known_document(struct str url);
