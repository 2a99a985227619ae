#include "log/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum kind { COUNTER, GAUGE, HISTOGRAM };

struct metric_row {
    const char *name;
    enum kind kind;
    const char *help;
};

static const struct metric_row rows[] = {
#define X(id, name, kind, help) [id] = {(name), (kind), (help)},
#include "log/metrics.def"
#undef X
};

/* Upper bounds; the text is what Prometheus shows. The last bucket of a histogram has no bound. */
static const struct {
    int64_t us;
    const char *seconds;
} bounds[] = {
    {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},
    {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},
    {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"},
    {5000000, "5"},   {10000000, "10"}, {30000000, "30"}, {60000000, "60"},
};
enum { BUCKETS = ARRAY_LEN(bounds) + 1 };

/* One thread's figures. Only that thread writes; readers may see a moment's disagreement between
 * two figures. */
struct block {
    struct block *next;
    _Atomic int64_t values[METRIC_COUNT]; /* histograms: sum in microseconds */
    _Atomic int64_t buckets[METRIC_COUNT][BUCKETS];
};

static _Atomic(struct block *)
    blocks; /* of every thread that ever counted; never removed: totals must not fall */
static _Thread_local struct block *own;

static struct block *block_of_thread(void)
{
    if (own)
        return own;
    struct block *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->next = atomic_load(&blocks);
    while (!atomic_compare_exchange_weak(&blocks, &b->next, b))
        ;
    own = b;
    return b;
}

/* No other thread writes here, so a load and a store will do; a locked instruction would cost ten
 * times as much. */
static void bump(_Atomic int64_t *v, int64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void metric_add(enum metric m, int64_t n)
{
    struct block *b = block_of_thread();
    if (b)
        bump(&b->values[m], n);
}

void metric_observe_us(enum metric m, int64_t us)
{
    struct block *b = block_of_thread();
    if (!b)
        return;
    size_t i = 0;
    while (i < ARRAY_LEN(bounds) && us > bounds[i].us)
        i++;
    bump(&b->buckets[m][i], 1);
    bump(&b->values[m], us < 0 ? 0 : us);
}

static int64_t sum_of(enum metric m)
{
    int64_t sum = 0;
    for (struct block *b = atomic_load(&blocks); b; b = b->next)
        sum += atomic_load_explicit(&b->values[m], memory_order_relaxed);
    return sum;
}

static int64_t bucket_of(enum metric m, size_t i)
{
    int64_t sum = 0;
    for (struct block *b = atomic_load(&blocks); b; b = b->next)
        sum += atomic_load_explicit(&b->buckets[m][i], memory_order_relaxed);
    return sum;
}

int64_t metric_value(enum metric m)
{
    if (rows[m].kind != HISTOGRAM)
        return sum_of(m);
    int64_t count = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        count += bucket_of(m, i);
    return count;
}

/* --- text --- */

static void write_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_histogram(struct buf *out, enum metric m)
{
    int64_t count = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        count += bucket_of(m, i);
        buf_addf(out, "%s_bucket{le=\"%s\"} %lld\n", rows[m].name,
                 i < ARRAY_LEN(bounds) ? bounds[i].seconds : "+Inf", (long long)count);
    }
    int64_t us = sum_of(m);
    buf_addf(out, "%s_sum %lld.%06lld\n", rows[m].name, (long long)(us / 1000000),
             (long long)(us % 1000000));
    buf_addf(out, "%s_count %lld\n", rows[m].name, (long long)count);
}

static void write_gauge(struct buf *out, const char *name, const char *help, int64_t v)
{
    write_head(out, name, "gauge", help);
    buf_addf(out, "%s %lld\n", name, (long long)v);
}

/* The first `size` bytes of a file of /proc. */
static struct str read_proc(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STR("");
    ssize_t n = read(fd, text, size);
    close(fd);
    return (struct str){text, n > 0 ? (size_t)n : 0};
}

/* "RssAnon:	    3364 kB" in bytes; 0 when it is not there. */
static int64_t status_bytes(struct str status, struct str key)
{
    struct str line;
    while (str_next(&status, '\n', &line)) {
        if (!str_starts(line, key))
            continue;
        struct str number = str_trim(str_slice(line, key.n, SIZE_MAX));
        int64_t kib = 0;
        if (str_ends(number, STR(" kB")) &&
            str_to_i64(str_slice(number, 0, number.n - 3), 0, INT64_MAX / 1024, &kib))
            return kib * 1024;
    }
    return 0;
}

static int64_t open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    int64_t n = -1; /* the folder's own */
    struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this DIR belongs to this thread */
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            n++;
    closedir(dir);
    return n;
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Field 22 of /proc/self/stat counts ticks from boot to the start; field 2 may hold spaces but ends
 * with the last ')'. */
static double start_time(void)
{
    char text[1024];
    struct str stat = read_proc("/proc/self/stat", text, sizeof(text));
    struct str field = STR_NONE;
    while (stat.n > 0 && str_find_char(stat, ')') != SIZE_MAX)
        stat = str_slice(stat, str_find_char(stat, ')') + 1, SIZE_MAX);
    stat = str_trim(stat);
    for (int i = 3; i <= 22; i++)
        if (!str_next(&stat, ' ', &field))
            return 0;
    int64_t ticks;
    if (!str_to_i64(field, 0, INT64_MAX, &ticks))
        return 0;
    double since_boot = (double)ticks / (double)sysconf(_SC_CLK_TCK);
    return seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) + since_boot;
}

static void write_process(struct buf *out)
{
    char text[4096];
    struct str status = read_proc("/proc/self/status", text, sizeof(text));
    write_gauge(out, "process_resident_memory_bytes", "resident memory",
                status_bytes(status, STR("VmRSS:")));
    write_gauge(out, "process_resident_anonymous_bytes", "resident memory that no file backs",
                status_bytes(status, STR("RssAnon:")));
    write_gauge(out, "process_open_fds", "open file descriptors", open_descriptors());
    write_head(out, "process_start_time_seconds", "gauge", "start of the process, Unix time");
    buf_addf(out, "process_start_time_seconds %.2f\n", start_time());
    write_head(out, "process_cpu_seconds_total", "counter", "processor time used");
    buf_addf(out, "process_cpu_seconds_total %.3f\n", seconds_of(CLOCK_PROCESS_CPUTIME_ID));
    write_head(out, "tulle_build_info", "gauge", "1, labelled with the version");
    buf_addf(out, "tulle_build_info{version=\"%s\"} 1\n", TULLE_VERSION);
}

void metrics_write(struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        enum metric m = (enum metric)i;
        write_head(out, rows[m].name, types[rows[m].kind], rows[m].help);
        if (rows[m].kind == HISTOGRAM)
            write_histogram(out, m);
        else
            buf_addf(out, "%s %lld\n", rows[m].name, (long long)sum_of(m));
    }
    write_process(out);
}
