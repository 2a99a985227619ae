/* How often documents of strangers are fetched: one fetch at a time for each URL, few for each
 * host. One table for the process. */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum document_turn {
    DOCUMENT_FETCH,  /* it is the caller's turn: end with document_turn_end */
    DOCUMENT_WAIT,   /* somebody fetches it just now */
    DOCUMENT_FAILED, /* somebody just failed: *e says why */
    DOCUMENT_BUSY,   /* too many: ERR_RATE_LIMITED */
};
enum document_turn document_turn_take(struct str url, struct str host, int64_t now_mono_ms,
                                      struct err *e);
/* e NULL: it was fetched. */
void document_turn_end(struct str url, const struct err *e, int64_t now_mono_ms);
/* Did the last fetches of several hosts all fail to reach them? */
bool document_network_seems_shut(int64_t now_mono_ms);
