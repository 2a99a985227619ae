/* Compiler attributes and two or three macros that the whole program uses. */
#pragma once

#include <stddef.h>

#define must_use          __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define auto_free(fn)     __attribute__((cleanup(fn)))
#define no_return         __attribute__((noreturn))
#define unused_arg        __attribute__((unused))
/* What leads here is seldom taken: the compiler keeps it apart from what is. */
#define seldom __attribute__((cold))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds `member` at address `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
