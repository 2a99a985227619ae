/* The first frame of a fiber's stack as fiber_switch_*.S expects it; or all of it with ucontext. */
#include "io/fiber_switch.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && !defined(FIBER_UCONTEXT)

void fiber_switch_entry(void); /* in fiber_switch_x86_64.S; not called from C */

/* What fiber_switch pops, lowest address first. The padding leaves the stack pointer at 0 modulo 16
   in fiber_switch_entry, so at 8 modulo 16 in entry, as after any call (System V AMD64 ABI 3.2.2).
 */
struct first_frame {
    uint32_t mxcsr;
    uint32_t x87_control;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    void (*return_to)(void);
    uint64_t padding[2];
};

static void frame_fill(struct first_frame *frame, void (*entry)(void *arg), void *arg)
{
    frame->mxcsr =
        0x1f80; /* the ABI's values at process start: all exceptions masked, round to nearest */
    frame->x87_control = 0x37f;
    frame->r12 = (uint64_t)(uintptr_t)entry;
    frame->r13 = (uint64_t)(uintptr_t)arg;
    frame->return_to = fiber_switch_entry;
}

#elif defined(__aarch64__) && !defined(FIBER_UCONTEXT)

void fiber_switch_entry(void); /* in fiber_switch_aarch64.S; not called from C */

/* What fiber_switch loads, lowest address first. A multiple of 16 bytes. */
struct first_frame {
    uint64_t x19, x20, x21_to_x28[8], x29;
    void (*x30)(void);
    uint64_t d8_to_d15[8];
};

static void frame_fill(struct first_frame *frame, void (*entry)(void *arg), void *arg)
{
    frame->x19 = (uint64_t)(uintptr_t)entry;
    frame->x20 = (uint64_t)(uintptr_t)arg;
    frame->x30 = fiber_switch_entry;
}

#else
#define FIBER_USES_UCONTEXT 1
#endif

#ifndef FIBER_USES_UCONTEXT

void *fiber_switch_prepare(char *low, size_t size, void (*entry)(void *arg), void *arg)
{
    struct first_frame *frame = (void *)(low + size - sizeof *frame);
    memset(frame, 0, sizeof *frame);
    frame_fill(frame, entry, arg);
    return frame;
}

#else
#include <ucontext.h>

/* makecontext passes ints: pointers travel in halves. */
static void start(unsigned entry_high, unsigned entry_low, unsigned arg_high, unsigned arg_low)
{
    uintptr_t entry = (uintptr_t)((uint64_t)entry_high << 32 | entry_low);
    uintptr_t arg = (uintptr_t)((uint64_t)arg_high << 32 | arg_low);
    ((void (*)(void *))entry)((void *)arg);
}

/* Apart, because compilers take getcontext for a function that returns twice. Here it never does.
 */
static __attribute__((noinline)) bool context_read(ucontext_t *context)
{
    return getcontext(context) == 0;
}

void *fiber_switch_prepare(char *low, size_t size, void (*entry)(void *arg), void *arg)
{
    size_t place = (sizeof(ucontext_t) + 63) & ~(size_t)63;
    ucontext_t *context = (void *)(low + size - place);
    uint64_t entry_bits = (uintptr_t)entry;
    uint64_t arg_bits = (uintptr_t)arg;
    if (!context_read(context))
        return NULL;
    context->uc_stack.ss_sp = low;
    context->uc_stack.ss_size = size - place;
    context->uc_link = NULL;
    makecontext(context, (void (*)(void))start, 4, (unsigned)(entry_bits >> 32),
                (unsigned)entry_bits, (unsigned)(arg_bits >> 32), (unsigned)arg_bits);
    return context;
}

void fiber_switch(void **save, void *to)
{
    ucontext_t here;
    *save = &here;
    swapcontext(&here, to);
}
#endif
