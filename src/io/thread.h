/* Private to worker.c and offload.c: starting a thread. */
#pragma once

#include <pthread.h>

#include "base/err.h"

/*
 * Starts fn(arg) on a thread called `name` (copied, cut to 15 bytes) that takes no signals: those
 * are the main thread's. ERR_UNAVAILABLE when the system has no room for it.
 */
bool thread_start(pthread_t *out, const char *name, void *(*fn)(void *arg), void *arg,
                  struct err *e) must_use;
