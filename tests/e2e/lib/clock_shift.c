/*
 * Preloaded into the program under test (lib/clock.mjs): the wall clock goes ahead by as many
 * seconds as the file TULLE_TEST_CLOCK holds, 8 bytes in the machine's order, read at every look at
 * the clock. Deadlines go by the monotonic clock, which 8 further bytes move.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_s; /* of the wall clock, of the monotonic one */

__attribute__((constructor)) static void map_shift(void)
{
    const char *path = getenv("TULLE_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped =
        fd >= 0 ? mmap(NULL, 2 * sizeof(*shift_s), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (mapped == MAP_FAILED)
        abort();
    shift_s = mapped;
    close(fd);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    long failed = syscall(SYS_clock_gettime, id, t);
    if (!failed && shift_s && (id == CLOCK_REALTIME || id == CLOCK_MONOTONIC))
        t->tv_sec += shift_s[id == CLOCK_MONOTONIC];
    return (int)failed;
}
