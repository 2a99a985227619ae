/* A thread with a name and without signals, and how urgent it is. */
#include "io/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BACKGROUND_SLICE_NS = 30 * 1000 * 1000 };

struct beginning {
    void *(*fn)(void *arg);
    void *arg;
    char name[16]; /* what the kernel holds */
};

/* The thread names itself, so that fn never runs without its name. */
static void *thread_main(void *arg)
{
    struct beginning b = *(struct beginning *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), b.name);
    return b.fn(b.arg);
}

bool thread_start(pthread_t *out, const char *name, void *(*fn)(void *arg), void *arg,
                  struct err *e)
{
    struct beginning *b = malloc(sizeof *b);
    if (!b)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    b->fn = fn;
    b->arg = arg;
    snprintf(b->name, sizeof b->name, "%.15s", name);

    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    /* Inherited by the new thread, so that there is no moment in which it could take one. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(out, NULL, thread_main, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        free(b);
        err_set(e, ERR_UNAVAILABLE, "a thread cannot be started");
        return err_detail(e, "pthread_create of %s: error %d", name, rc);
    }
    return true;
}

/* What sched_setattr(2) takes, in its first version; glibc has it from 2.41 on. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

/* The longer the slice that a thread asks for, the later its deadline (the kernel's EEVDF), and the
 * more it gives away with a yield. */
void thread_in_background(void)
{
    struct scheduling now = {0};
    if (syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) != 0 || now.policy != SCHED_OTHER)
        return;
    now.size = sizeof now;
    now.runtime_ns = BACKGROUND_SLICE_NS;
    (void)syscall(SYS_sched_setattr, 0, &now, 0);
}
