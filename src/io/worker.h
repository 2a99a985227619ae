/* N threads with one loop each. What else a worker holds is the composition root's business. */
#pragma once

#include "io/loop.h"

struct worker {
    int index;
    struct loop *loop;
    void *context; /* set by start() */
};
struct workers;

/* Starts n threads; each calls start(w, arg) on its own thread before its loop runs and stop(w)
   after it ended. False (and all stopped again) when a loop or start() failed. */
struct workers *workers_start(int n, bool (*start)(struct worker *w, void *arg, struct err *e),
                              void (*stop)(struct worker *w), void *arg, struct err *e) must_use;
/* Runs fn(w, arg) on every worker's thread and waits until all have returned. Called from outside
   the workers, and only while none of their loops has been stopped. */
void workers_each(struct workers *ws, void (*fn)(struct worker *w, void *arg), void *arg);
void workers_join(struct workers *ws); /* stops the loops, joins, frees */
