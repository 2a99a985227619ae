/*
 * A program that is run under supervision, its pipes on the loop: lines in, lines out, stderr
 * apart. Its guard (io/process_guard.h) sees to it that nothing of it survives Tulle. One thread:
 * the loop's.
 */
#pragma once

#include "base/str.h"
#include "io/loop.h"

struct process;

struct process_spec {
    char *const *argv; /* NULL-ended; looked up in the PATH of envp */
    char *const *envp; /* NULL-ended: all of its environment */
    const char *folder;
};

struct process_end {
    bool was_started; /* else the program could not be run at all: see start_errno */
    int start_errno;
    int exit_code;    /* -1: by a signal, or unknown */
    int signal;       /* 0: none */
    bool has_overrun; /* it wrote a line longer than the maximum: it was ended for that */
};

struct process_events {
    void (*on_line)(void *arg, struct str line);
    void (*on_stderr)(void *arg, struct str line); /* cut at LIMIT_STDERR_LINE */
    void (*on_drain)(void *arg);                   /* nothing is unsent any more */
    /* Everything it had written has been read, and it is no more. Afterwards the process is freed.
     */
    void (*on_end)(void *arg, const struct process_end *end);
};

/* Starts it; what becomes of it is told by events, never from within this call. ERR_UNAVAILABLE:
 * no descriptors, no memory, no processes. */
struct process *process_start(struct loop *l, const struct process_spec *spec,
                              const struct process_events *events, void *arg,
                              struct err *e) must_use;
/* Queues bytes for its stdin. False when more than twice LIMIT_STDIO_QUEUE would wait there. */
bool process_write(struct process *p, struct str bytes) must_use;
/* Bytes that wait for it to read. */
size_t process_unsent(const struct process *p);
/* Stops or goes on reading its stdout: back-pressure. */
void process_pause(struct process *p, bool is_paused);
/* Asks it to end: stdin closes; after LIMIT_STDIO_CLOSE_MS SIGTERM; after LIMIT_STDIO_TERM_MS
 * SIGKILL to all that it started. on_end follows. Again is harmless. */
void process_stop(struct process *p);
/* Forgets it without waiting: its guard ends it. No more events. For when the loop ends. */
void process_abandon(struct process *p);
