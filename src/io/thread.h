/* Threads. */
#pragma once

#include <pthread.h>

#include "base/err.h"

/*
 * Starts fn(arg) on a thread called `name` (copied, cut to 15 bytes) that takes no signals: those
 * are the main thread's. ERR_UNAVAILABLE when the system has no room for it.
 */
bool thread_start(pthread_t *out, const char *name, void *(*fn)(void *arg), void *arg,
                  struct err *e) must_use;
/*
 * The calling thread works in bulk: threads that wake go first, and its share of the processors
 * stays what it was. Threads that it starts from then on inherit this. Nothing changes before
 * Linux 6.12 or where the system forbids it.
 */
void thread_in_background(void);
