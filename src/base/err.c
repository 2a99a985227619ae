#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct err_row {
    const char *text;
    int http;
    int rpc;
    const char *oauth;
};

static const struct err_row rows[] = {
#define X(name, text, http, rpc, oauth) [name] = {(text), (http), (rpc), (oauth)},
#include "base/err.def"
#undef X
};

/* Formats into `out`; a text that is too long is cut, never within a UTF-8 sequence. */
printf_like(3, 0) static void format(char *out, size_t size, const char *fmt, va_list args)
{
    int n = vsnprintf(out, size, fmt, args);
    if (n < 0) {
        out[0] = '\0';
        return;
    }
    if ((size_t)n < size)
        return;
    size_t end = size - 1;
    size_t lead = end;
    while (lead > 0 && ((unsigned char)out[lead - 1] & 0xC0) == 0x80)
        lead--;
    if (lead == 0 || ((unsigned char)out[lead - 1] & 0xC0) != 0xC0)
        return;
    unsigned char first = (unsigned char)out[lead - 1];
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (lead - 1 + length > end)
        out[lead - 1] = '\0';
}

bool err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (!e)
        return false;
    /* The arguments may be the error's own old message: format aside first. */
    char msg[sizeof(e->msg)];
    va_list args;
    va_start(args, fmt);
    format(msg, sizeof(msg), fmt, args);
    va_end(args);
    e->code = code;
    memcpy(e->msg, msg, sizeof(msg));
    e->detail[0] = '\0';
    return false;
}

bool err_detail(struct err *e, const char *fmt, ...)
{
    if (!e)
        return false;
    char detail[sizeof(e->detail)];
    va_list args;
    va_start(args, fmt);
    format(detail, sizeof(detail), fmt, args);
    va_end(args);
    memcpy(e->detail, detail, sizeof(detail));
    return false;
}

static const struct err_row *row_of(enum err_code code)
{
    return (size_t)code < ARRAY_LEN(rows) ? &rows[code] : &rows[ERR_INTERNAL];
}

const char *err_text(enum err_code code)
{
    return row_of(code)->text;
}

int err_http(enum err_code code)
{
    return row_of(code)->http;
}

int err_rpc(enum err_code code)
{
    return row_of(code)->rpc;
}

const char *err_oauth(enum err_code code)
{
    return row_of(code)->oauth;
}

void bug_at(const char *file, int line, const char *msg)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, msg);
    abort();
}
