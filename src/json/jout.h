/* Writes JSON into a buffer: commas and escapes are never the caller's business. */
#pragma once

#include "base/buf.h"

struct jout {
    struct buf *out;
    uint8_t depth;
    uint64_t has_item; /* one bit a level: a comma is due */
    bool after_key;
};

void jout_init(struct jout *j, struct buf *out);
void jout_object(struct jout *j);     /* { */
void jout_object_end(struct jout *j); /* } */
void jout_array(struct jout *j);
void jout_array_end(struct jout *j);
void jout_key(struct jout *j, struct str key);
void jout_raw_key(struct jout *j,
                  struct str raw); /* a member's name as another text has it, with quotes */
void jout_str(struct jout *j,
              struct str s); /* absent writes null; invalid UTF-8 bytes become U+FFFD */
void jout_i64(struct jout *j, int64_t v);
void jout_double(struct jout *j, double v); /* 15 to 17 digits, the fewest that read back the same;
                                               never looks like an integer; NaN, infinity: null */
void jout_bool(struct jout *j, bool v);
void jout_null(struct jout *j);
void jout_raw(struct jout *j, struct str json); /* already valid JSON, e.g. a span from jscan */
/* key and value in one call */
void jout_kstr(struct jout *j, const char *key, struct str s);
void jout_ki64(struct jout *j, const char *key, int64_t v);
void jout_kbool(struct jout *j, const char *key, bool v);
void jout_kraw(struct jout *j, const char *key, struct str json);  /* absent writes null */
void jout_ktime(struct jout *j, const char *key, int64_t wall_ms); /* RFC 3339; 0 writes null */
