#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "json/jout.h"

struct event_row {
    const char *text;
    enum log_level level;
};

static const struct event_row events[] = {
#define X(id, text, level, sentence) [id] = {(text), (level)},
#include "log/log.def"
#undef X
};

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

static _Atomic int least_level = LOG_INFO;
static _Atomic int log_fd = STDERR_FILENO;

bool log_start(enum log_level level, const char *path, struct err *e)
{
    int fd = STDERR_FILENO;
    if (path) {
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0)
            return err_set(e, ERR_INVALID, "LOG_FILE: cannot open \"%s\": %m", path);
    }
    int old = atomic_exchange(&log_fd, fd);
    atomic_store(&least_level, (int)level);
    if (old != STDERR_FILENO)
        close(old);
    return true;
}

bool log_level_parse(struct str s, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (str_eq(s, str_c(level_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_wants(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

static void write_line(struct buf *line, enum log_event event, const struct log_field *fields,
                       size_t n)
{
    char time[CLOCK_RFC3339_SIZE];
    struct jout j;
    clock_rfc3339(clock_wall_ms(), time);
    jout_init(&j, line);
    jout_object(&j);
    jout_kstr(&j, "time", str_c(time));
    jout_kstr(&j, "level", str_c(level_names[events[event].level]));
    jout_kstr(&j, "event", str_c(events[event].text));
    for (size_t i = 0; i < n; i++) {
        if (fields[i].type == LOG_F_INT)
            jout_ki64(&j, fields[i].key, fields[i].i);
        else
            jout_kstr(&j, fields[i].key, str_slice(fields[i].s, 0, LIMIT_LOG_VALUE));
    }
    jout_object_end(&j);
    buf_add_char(line, '\n');
}

void log_emit(enum log_event event, const struct log_field *fields, size_t n)
{
    if ((size_t)event >= ARRAY_LEN(events) || !log_wants(events[event].level))
        return;
    struct buf line;
    buf_init(&line, LIMIT_LOG_LINE);
    (void)buf_reserve(&line, 512); /* an ordinary line in one allocation */
    write_line(&line, event, fields, n);
    if (!buf_ok(&line)) {
        buf_reset(&line);
        write_line(&line, event, NULL, 0);
    }
    /* One write, so that lines of several threads or processes do not mix. A full disk must not
     * stop the service. */
    ssize_t written = -1;
    if (buf_ok(&line))
        do
            written = write(atomic_load_explicit(&log_fd, memory_order_relaxed), line.p, line.n);
        while (written < 0 && errno == EINTR);
    (void)written;
    buf_end(&line);
}
