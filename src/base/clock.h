/* Time. Milliseconds everywhere inside; RFC 3339 at the edge. Tests may set the wall clock. */
#pragma once

#include <stdint.h>

#include "base/str.h"

int64_t clock_wall_ms(void); /* Unix time, UTC, milliseconds */
int64_t clock_mono_ms(void); /* never goes back; for deadlines */
int64_t clock_mono_us(void); /* for durations */
/* Tests: shift the wall clock by this many milliseconds. */
void clock_shift_for_test(int64_t ms);

enum { CLOCK_RFC3339_SIZE = 25 };
/* "2026-11-21T03:58:13.123Z", NUL-ended. */
void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_SIZE]);
/* Accepts what clock_rfc3339 writes, with 0-9 fraction digits and offset Z or +-hh:mm. */
bool clock_parse_rfc3339(struct str s, int64_t *wall_ms) must_use;
