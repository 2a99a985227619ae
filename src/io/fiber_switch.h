/* Private to fiber.c: leaving one stack for another. Assembly on x86-64 and aarch64, ucontext
 * elsewhere. */
#pragma once

#include <stddef.h>

/*
 * Saves what the calling convention says a call keeps (registers and floating point control) on the
 * present stack, its place in *save, and goes on where `to` was saved. Returns when somebody
 * switches back to *save.
 */
void fiber_switch(void **save, void *to);
/*
 * Makes a stack whose first switch calls entry(arg), which never returns. low..low+size is the
 * memory, size a multiple of
 * 16. Returns the `to` for that switch.
 */
void *fiber_switch_prepare(char *low, size_t size, void (*entry)(void *arg), void *arg);
