/* Private to fiber.c: guarded stacks, pooled per thread. */
#pragma once

#include <stddef.h>

/* Sanitizers that fiber.c and fiber_stack.c must tell about stacks; gcc and clang announce them
 * differently. */
#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

/* Usable bytes of every stack: LIMIT_FIBER_STACK, twice that under ASan, whose frames are larger.
 */
size_t fiber_stack_bytes(void);
/* The lowest byte of a stack, an inaccessible page below it; NULL when out of memory. */
char *fiber_stack_take(void);
/* Keeps it for this thread's next fiber, or unmaps it when enough are kept. Nothing may run on it
 * any more. */
void fiber_stack_give(char *low);
