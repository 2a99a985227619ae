/* One failure, said once: a code from err.def, a message for the caller, a detail for the log. */
#pragma once

#include <stdbool.h>

#include "base/attrs.h"
#include "base/str.h"

enum err_code {
#define X(name, text, http, rpc, oauth) name,
#include "base/err.def"
#undef X
    ERR_CODE_COUNT
};

struct err {
    enum err_code code;
    char msg[400]; /* may be shown to the caller; no secrets, nothing of another tenant; cut at the
                      end */
    char detail[256]; /* for the log only */
};

/* Sets code and public message, clears the detail, and returns false so that callers can `return
 * err_set(...)`. e may be NULL. */
seldom bool err_set(struct err *e, enum err_code code, const char *fmt, ...) printf_like(3, 4);
/* Adds what only the log may see. Returns false. */
seldom bool err_detail(struct err *e, const char *fmt, ...) printf_like(2, 3);
/* The text code, e.g. "not_found". */
const char *err_text(enum err_code code);
int err_http(enum err_code code);
int err_rpc(enum err_code code);
const char *err_oauth(enum err_code code);

/* Our own mistake: prints file, line and message to stderr and aborts, in every build. */
seldom no_return void bug_at(const char *file, int line, const char *msg);
#define bug(msg)     bug_at(__FILE__, __LINE__, (msg))
#define ensure(cond) ((cond) ? (void)0 : bug("ensure failed: " #cond))
