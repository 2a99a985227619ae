/* Randomness from the kernel (getrandom), buffered per thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fills out with n random bytes; aborts if the kernel has none (never seen after boot). */
void rand_bytes(void *out, size_t n);
uint64_t rand_u64(void);
