/* A thread with a name and without signals. */
#include "io/thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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
