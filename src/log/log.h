/*
 * Events as JSON lines on stderr or a file: {"time","level","event","request_id"?,...fields}.
 * Modules below the request do not log; they fill an err. Values that could be secrets have no
 * field type. One write(2) per line, safe from any thread.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* log.def: X(id, text, level, sentence) */
enum log_event {
#define X(id, text, level, sentence) id,
#include "log/log.def"
#undef X
    LOG_EVENT_COUNT
};

struct log_field {
    const char *key;
    enum { LOG_F_STR, LOG_F_INT } type;
    struct str s;
    int64_t i;
};
#define LF_STR(k, v) ((struct log_field){.key = (k), .type = LOG_F_STR, .s = (v)})
#define LF_INT(k, v) ((struct log_field){.key = (k), .type = LOG_F_INT, .i = (v)})

/* level: least level written. path: file to append to, or NULL for stderr. */
bool log_start(enum log_level level, const char *path, struct err *e) must_use;
bool log_level_parse(struct str s, enum log_level *out) must_use;
void log_emit(enum log_event event, const struct log_field *fields, size_t n);
#define LOG(event, ...)                                                                            \
    log_emit((event), (const struct log_field[]){__VA_ARGS__},                                     \
             sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
/* True when events of this level are written: to skip the work of making fields. */
bool log_wants(enum log_level level);
