/* AUDIT_STREAM: each row as one JSON line, the hashed text with the two hashes added. No log.h
 * here: it and syslog.h share names. */
#include <errno.h>
#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#include "base/limits.h"
#include "store/audit_queue.h"

enum { LINES_MAX = 64 * 1024 * 1024 };

bool audit_stream_open(struct audit_stream *s, const char *setting, struct err *e)
{
    struct str text = str_c(setting);
    *s = (struct audit_stream){.type = STREAM_NONE, .fd = -1};
    buf_init(&s->lines, LINES_MAX);
    if (text.n == 0)
        return true;
    if (str_eq(text, STR("stdout"))) {
        s->type = STREAM_FD;
        s->fd = STDOUT_FILENO;
    } else if (str_eq(text, STR("syslog"))) {
        s->type = STREAM_SYSLOG;
        openlog("tulle", LOG_PID, LOG_AUTHPRIV);
    } else if (str_starts(text, STR("file:")) && text.n > 5) {
        s->type = STREAM_FD;
        s->is_own_fd = true;
        s->fd = open(setting + 5, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (s->fd < 0)
            return err_set(e, ERR_UNAVAILABLE, "AUDIT_STREAM: cannot open %s: %m", setting + 5);
    } else {
        return err_set(e, ERR_INVALID,
                       "AUDIT_STREAM is \"%s\", expected stdout, file:PATH or syslog", setting);
    }
    return true;
}

void audit_stream_close(struct audit_stream *s)
{
    if (s->is_own_fd && s->fd >= 0)
        close(s->fd);
    if (s->type == STREAM_SYSLOG)
        closelog();
    buf_end(&s->lines);
    *s = (struct audit_stream){.fd = -1};
}

void audit_stream_add(struct audit_stream *s, const struct audit_row *row)
{
    if (s->type == STREAM_NONE)
        return;
    size_t from = s->lines.n;
    audit_canonical(row, &s->lines);
    if (!buf_ok(&s->lines) || s->lines.n == from)
        return;
    s->lines.n--; /* the closing brace */
    buf_addf(&s->lines, ",\"prev_hash\":\"%.*s\",\"hash\":\"%.*s\"}", STR_FMT(row->prev_hash),
             STR_FMT(row->hash));
    if (s->type == STREAM_SYSLOG && buf_ok(&s->lines)) {
        syslog(LOG_INFO, "%s", s->lines.p + from);
        s->lines.n = from;
        return;
    }
    buf_add_char(&s->lines, '\n');
}

bool audit_stream_flush(struct audit_stream *s)
{
    bool is_ok = buf_ok(&s->lines);
    struct str rest = buf_str(&s->lines);
    while (is_ok && s->type == STREAM_FD && rest.n) {
        ssize_t n = write(s->fd, rest.p, rest.n);
        if (n < 0 && errno == EINTR)
            continue;
        is_ok = n >= 0;
        if (is_ok)
            rest = str_slice(rest, (size_t)n, rest.n);
    }
    buf_reset(&s->lines);
    return is_ok;
}
