#include "json/jscan_keys.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/rand.h"
#include "json/jchars.h"
#include "json/jscan.h"

/* Reads a validated string in quotes byte by byte, unescaped. */
struct unescape {
    const unsigned char *p, *end;
    uint32_t pending; /* bytes of an escaped character still to deliver, the next one lowest */
    int n_pending;
};

static struct unescape unescape_begin(struct str raw)
{
    const unsigned char *p = (const unsigned char *)raw.p;
    return (struct unescape){p + 1, p + raw.n - 1, 0, 0};
}

static unsigned hex4(const unsigned char *p)
{
    unsigned unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (unsigned)jchars_hex(p[i]);
    return unit;
}

/* Queues the UTF-8 form of a code point. */
static void queue_utf8(struct unescape *u, uint32_t c)
{
    if (c < 0x80) {
        u->pending = c;
        u->n_pending = 1;
    } else if (c < 0x800) {
        u->pending = (0xC0 | c >> 6) | (0x80 | (c & 0x3F)) << 8;
        u->n_pending = 2;
    } else if (c < 0x10000) {
        u->pending = (0xE0 | c >> 12) | (0x80 | (c >> 6 & 0x3F)) << 8 | (0x80 | (c & 0x3F)) << 16;
        u->n_pending = 3;
    } else {
        u->pending = (0xF0 | c >> 18) | (0x80 | (c >> 12 & 0x3F)) << 8 |
                     (0x80 | (c >> 6 & 0x3F)) << 16 | (0x80 | (c & 0x3F)) << 24;
        u->n_pending = 4;
    }
}

static int escaped_byte(unsigned char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

/* The next byte, or -1 at the end. */
static int unescape_next(struct unescape *u)
{
    if (u->n_pending == 0) {
        if (u->p >= u->end)
            return -1;
        if (*u->p != '\\')
            return *u->p++;
        if (u->p[1] != 'u') {
            u->p += 2;
            return escaped_byte(u->p[-1]);
        }
        uint32_t c = hex4(u->p + 2);
        u->p += 6;
        if (c >= 0xD800 && c <= 0xDBFF) {
            c = 0x10000 + ((c - 0xD800) << 10) + (hex4(u->p + 2) - 0xDC00);
            u->p += 6;
        }
        queue_utf8(u, c);
    }
    int byte = (int)(u->pending & 0xFF);
    u->pending >>= 8;
    u->n_pending--;
    return byte;
}

bool jscan_string(struct arena *a, struct str raw, struct str *out)
{
    if (raw.n < 2 || raw.p[0] != '"')
        return false;
    struct str body = {raw.p + 1, raw.n - 2};
    if (!memchr(body.p, '\\', body.n)) {
        *out = body;
        return true;
    }
    char *to = arena_alloc(a, body.n + 1); /* an escape is never shorter than what it means */
    if (!to)
        return false;
    struct unescape u = unescape_begin(raw);
    size_t n = 0;
    for (int c = unescape_next(&u); c >= 0; c = unescape_next(&u)) {
        if (c == 0)
            return false;
        to[n++] = (char)c;
    }
    *out = (struct str){to, n};
    return true;
}

bool jscan_string_eq(struct str raw, struct str s)
{
    if (raw.n < 2 || raw.p[0] != '"')
        return false;
    struct str body = {raw.p + 1, raw.n - 2};
    if (body.n < s.n) /* an escape is never shorter than what it means */
        return false;
    if (!memchr(body.p, '\\', body.n))
        return str_eq(body, s);
    struct unescape u = unescape_begin(raw);
    for (size_t i = 0; i < s.n; i++)
        if (unescape_next(&u) != (unsigned char)s.p[i])
            return false;
    return unescape_next(&u) < 0;
}

static bool same_key(struct str a, struct str b)
{
    struct unescape ua = unescape_begin(a), ub = unescape_begin(b);
    int c;
    do {
        c = unescape_next(&ua);
        if (c != unescape_next(&ub))
            return false;
    } while (c >= 0);
    return true;
}

static uint64_t hash_key(uint64_t seed, struct str raw)
{
    uint64_t h = seed;
    struct unescape u = unescape_begin(raw);
    for (int c = unescape_next(&u); c >= 0; c = unescape_next(&u)) {
        h = (h ^ (uint64_t)(unsigned)c) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    return h;
}

void jscan_keys_end(struct jscan_keys *k)
{
    free(k->slots);
    k->slots = NULL;
}

enum { TABLE_SIZE = 2 * LIMIT_JSON_MEMBERS };
_Static_assert((TABLE_SIZE & (TABLE_SIZE - 1)) == 0, "slots are found by masking");

/* Where the key is, or would be. */
static struct jscan_key_slot *find_slot(struct jscan_keys *k, uint64_t hash, struct str raw)
{
    if (!k->slots) {
        for (size_t i = 0; i < k->n; i++)
            if (k->few[i].hash == hash && same_key(k->few[i].raw, raw))
                return &k->few[i];
        k->few[k->n].raw = STR_NONE;
        return &k->few[k->n];
    }
    for (size_t i = hash & (TABLE_SIZE - 1);; i = (i + 1) & (TABLE_SIZE - 1)) {
        struct jscan_key_slot *slot = &k->slots[i];
        if (str_is_absent(slot->raw) || (slot->hash == hash && same_key(slot->raw, raw)))
            return slot;
    }
}

static bool grow(struct jscan_keys *k)
{
    struct jscan_key_slot *table = calloc(TABLE_SIZE, sizeof *table);
    if (!table)
        return false;
    k->slots = table;
    for (size_t i = 0; i < k->n; i++)
        *find_slot(k, k->few[i].hash, k->few[i].raw) = k->few[i];
    return true;
}

static bool refuse_twice(struct str raw, struct err *e)
{
    struct str shown = str_slice(raw, 0, 80);
    while (shown.n < raw.n && ((unsigned char)raw.p[shown.n] & 0xC0) == 0x80)
        shown.n--;
    return err_set(e, ERR_BAD_REQUEST, "JSON: member %.*s occurs twice", STR_FMT(shown));
}

/* The names so far were compared as written; from now on all are known by their hashes. */
static void hash_few(struct jscan_keys *k)
{
    static _Thread_local uint64_t seed;
    if (seed == 0)
        seed = rand_u64() | 1;
    k->seed = seed;
    for (size_t i = 0; i < k->n; i++)
        k->few[i].hash = hash_key(seed, k->few[i].raw);
}

static bool add_hashed(struct jscan_keys *k, struct str raw, struct err *e)
{
    if (k->n >= LIMIT_JSON_MEMBERS)
        return err_set(e, ERR_BAD_REQUEST, "JSON: an object with more than %d members",
                       LIMIT_JSON_MEMBERS);
    if (k->seed == 0)
        hash_few(k);
    if (k->n == JSCAN_KEYS_FEW && !k->slots && !grow(k))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    uint64_t hash = hash_key(k->seed, raw);
    struct jscan_key_slot *slot = find_slot(k, hash, raw);
    if (!str_is_absent(slot->raw))
        return refuse_twice(raw, e);
    *slot = (struct jscan_key_slot){hash, raw};
    k->n++;
    return true;
}

bool jscan_keys_add(struct jscan_keys *k, struct str raw, bool is_plain, struct err *e)
{
    /* Long names are hashed: a stranger could make comparing each with each of them dear. */
    enum { SHORT_NAME = 64 };
    if (!is_plain || raw.n > SHORT_NAME || k->n >= JSCAN_KEYS_FEW || k->seed != 0)
        return add_hashed(k, raw, e);
    for (size_t i = 0; i < k->n; i++) {
        struct str seen = k->few[i].raw;
        if (seen.n == raw.n && seen.p[1] == raw.p[1] && memcmp(seen.p, raw.p, raw.n) == 0)
            return refuse_twice(raw, e);
    }
    k->few[k->n++].raw = raw;
    return true;
}
