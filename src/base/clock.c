#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

enum { DAY_S = 24 * 60 * 60 };

static const int64_t YEAR_0_MS = -62167219200000;    /* 0000-01-01T00:00:00.000Z */
static const int64_t YEAR_9999_MS = 253402300799999; /* 9999-12-31T23:59:59.999Z */

static _Atomic int64_t shift_ms;

int64_t clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 +
           atomic_load_explicit(&shift_ms, memory_order_relaxed);
}

int64_t clock_mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

void clock_shift_for_test(int64_t ms)
{
    atomic_fetch_add_explicit(&shift_ms, ms, memory_order_relaxed);
}

struct date {
    int64_t year;
    int month, day; /* from 1 */
};

/*
 * Gregorian arithmetic over eras of 400 years = 146,097 days, in years that begin on 1 March, so
 * that the leap day is a year's last day.
 */
static struct date date_of_day(int64_t day)
{
    int64_t from_era_0 = day + 719468; /* days from 0000-03-01 to 1970-01-01 */
    int64_t era = (from_era_0 >= 0 ? from_era_0 : from_era_0 - 146096) / 146097;
    int64_t in_era = from_era_0 - era * 146097;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * in_year + 2) / 153; /* 0 is March */
    struct date d = {
        .day = (int)(in_year - (153 * month + 2) / 5 + 1),
        .month = (int)(month < 10 ? month + 3 : month - 9),
    };
    d.year = year + era * 400 + (d.month <= 2 ? 1 : 0);
    return d;
}

static int64_t day_of_date(struct date d)
{
    int64_t year = d.year - (d.month <= 2 ? 1 : 0);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t in_era = year - era * 400;
    int64_t month = d.month > 2 ? d.month - 3 : d.month + 9;
    int64_t in_year = (153 * month + 2) / 5 + d.day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static void put(char *out, int n, int64_t v)
{
    for (int i = n - 1; i >= 0; i--) {
        out[i] = (char)('0' + v % 10);
        v /= 10;
    }
}

void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_SIZE])
{
    if (wall_ms < YEAR_0_MS)
        wall_ms = YEAR_0_MS;
    if (wall_ms > YEAR_9999_MS)
        wall_ms = YEAR_9999_MS;
    int64_t day = wall_ms / (DAY_S * 1000LL);
    int64_t ms = wall_ms % (DAY_S * 1000LL);
    if (ms < 0) {
        ms += DAY_S * 1000LL;
        day--;
    }
    struct date d = date_of_day(day);
    memcpy(out, "0000-00-00T00:00:00.000Z", CLOCK_RFC3339_SIZE);
    put(out, 4, d.year);
    put(out + 5, 2, d.month);
    put(out + 8, 2, d.day);
    put(out + 11, 2, ms / 3600000);
    put(out + 14, 2, ms / 60000 % 60);
    put(out + 17, 2, ms / 1000 % 60);
    put(out + 20, 3, ms % 1000);
}

/* Takes exactly n digits off the front. */
static bool take_number(struct str *s, size_t n, int64_t max, int64_t *out)
{
    struct str digits = str_slice(*s, 0, n);
    if (digits.n != n || digits.p[0] == '-' || !str_to_i64(digits, 0, max, out))
        return false;
    *s = str_slice(*s, n, SIZE_MAX);
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || (s->p[0] | 0x20) != (c | 0x20))
        return false;
    *s = str_slice(*s, 1, SIZE_MAX);
    return true;
}

static bool take_fraction_ms(struct str *s, int64_t *ms)
{
    *ms = 0;
    if (!take_char(s, '.'))
        return true;
    int64_t weight = 100;
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
        *ms += (s->p[n++] - '0') * weight;
        weight /= 10;
    }
    *s = str_slice(*s, n, SIZE_MAX);
    return n >= 1 && n <= 9;
}

static bool take_offset_min(struct str *s, int64_t *minutes)
{
    *minutes = 0;
    if (take_char(s, 'Z'))
        return true;
    bool is_west = s->n > 0 && s->p[0] == '-';
    if (s->n == 0 || (s->p[0] != '+' && !is_west))
        return false;
    *s = str_slice(*s, 1, SIZE_MAX);
    int64_t h, m;
    if (!take_number(s, 2, 23, &h) || !take_char(s, ':') || !take_number(s, 2, 59, &m))
        return false;
    *minutes = (h * 60 + m) * (is_west ? -1 : 1);
    return true;
}

static bool take_date(struct str *s, int64_t *day)
{
    int64_t year, month, dom;
    if (!take_number(s, 4, 9999, &year) || !take_char(s, '-') || !take_number(s, 2, 12, &month) ||
        !take_char(s, '-') || !take_number(s, 2, 31, &dom))
        return false;
    struct date d = {.year = year, .month = (int)month, .day = (int)dom};
    if (month < 1 || dom < 1)
        return false;
    *day = day_of_date(d);
    struct date back = date_of_day(*day);
    return back.month == d.month && back.day == d.day; /* else there is no 31 April */
}

bool clock_parse_rfc3339(struct str s, int64_t *wall_ms)
{
    int64_t day, h, m, sec, ms, offset_min;
    /* 60 is a leap second (RFC 3339 section 5.7). */
    if (!take_date(&s, &day) || !take_char(&s, 'T') || !take_number(&s, 2, 23, &h) ||
        !take_char(&s, ':') || !take_number(&s, 2, 59, &m) || !take_char(&s, ':') ||
        !take_number(&s, 2, 60, &sec) || !take_fraction_ms(&s, &ms) ||
        !take_offset_min(&s, &offset_min) || s.n != 0)
        return false;
    *wall_ms = ((day * DAY_S) + h * 3600 + (m - offset_min) * 60 + sec) * 1000 + ms;
    return true;
}
