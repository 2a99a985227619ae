/*
 * Functions that do not compile here. Included by the compiler flag -include, after the C library's
 * own headers. rand, setjmp and longjmp are banned too, but openssl and cmocka use the words in
 * their headers: tests/checks/banned.sh searches for those three.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Macros cannot be poisoned; with _FORTIFY_SOURCE clang's headers make some of these macros. */
#undef alloca
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atof atoll
#pragma GCC poison gmtime localtime ctime asctime system popen srand random alloca tmpnam mktemp
