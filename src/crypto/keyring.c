#include "crypto/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

enum {
    KEY_SIZE = AEAD_KEY_SIZE,
    CACHED_KEYS = 32,    /* derived keys per thread; the oldest goes first */
    CACHED_PURPOSE = 48, /* bytes; a longer purpose is derived each time */
    KEY_FILE_MAX = 1024, /* bytes: KEYRING_MAX keys in hex and their commas */
};

/* --- derived keys, cached per thread: HKDF costs four HMACs, a look-up a few comparisons --- */

struct derived {
    uint64_t serial; /* 0: unused */
    size_t purpose_n;
    char purpose[CACHED_PURPOSE];
    uint8_t key[KEY_SIZE];
};
struct cache {
    struct derived rows[CACHED_KEYS];
    size_t next;
};

static _Thread_local struct cache *cache;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t last_serial;

static void cache_free(void *p)
{
    secret_wipe(p, sizeof(struct cache));
    free(p);
    cache = NULL;
}

static void cache_key_make(void)
{
    ensure(pthread_key_create(&cache_key, cache_free) == 0);
}

/* NULL when out of memory: then nothing is cached. */
static struct cache *cache_of_thread(void)
{
    if (cache)
        return cache;
    pthread_once(&cache_once, cache_key_make);
    cache = calloc(1, sizeof(*cache));
    if (cache)
        pthread_setspecific(cache_key, cache);
    return cache;
}

static const struct derived *cache_find(const struct cache *c, uint64_t serial, struct str purpose)
{
    for (size_t i = 0; c && i < CACHED_KEYS; i++) {
        const struct derived *d = &c->rows[i];
        if (d->serial == serial && str_eq((struct str){d->purpose, d->purpose_n}, purpose))
            return d;
    }
    return NULL;
}

static void cache_add(struct cache *c, uint64_t serial, struct str purpose, const uint8_t *key)
{
    if (!c || purpose.n > CACHED_PURPOSE)
        return;
    struct derived *d = &c->rows[c->next++ % CACHED_KEYS];
    d->serial = serial;
    d->purpose_n = purpose.n;
    if (purpose.n > 0)
        memcpy(d->purpose, purpose.p, purpose.n);
    memcpy(d->key, key, KEY_SIZE);
}

/* --- reading --- */

/* One key in any of its spellings. `out` has room for them all. */
static bool key_decode(struct str text, struct buf *out)
{
    uint8_t bytes[KEY_SIZE];
    bool is_good = text_hex_decode(text, bytes, sizeof(bytes));
    if (is_good)
        buf_add(out, (struct str){(const char *)bytes, sizeof(bytes)});
    secret_wipe(bytes, sizeof(bytes));
    if (is_good)
        return buf_ok(out);
    if (text.n > 44) /* base64 of 32 bytes; more would fill `out` */
        return false;
    if (text_b64_decode(text, out))
        return out->n == KEY_SIZE;
    if (str_ends(text, STR("=")))
        text.n--;
    return text_b64url_decode(text, out) && out->n == KEY_SIZE;
}

static bool key_add(struct keyring *k, struct str bytes, struct err *e)
{
    struct str parts[] = {STR("tulle key id\n"), bytes};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    char hex[65];
    hash_hex(&digest, hex);
    if (keyring_find(k, str_slice(str_c(hex), 0, KEY_ID_SIZE - 1)))
        return err_set(e, ERR_INVALID, "ENCRYPTION_KEY: key %zu is given twice", k->n + 1);
    if (!secret_set(&k->keys[k->n].key, bytes.p, bytes.n))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    memcpy(k->keys[k->n].id, hex, KEY_ID_SIZE - 1);
    k->keys[k->n].id[KEY_ID_SIZE - 1] = '\0';
    k->keys[k->n].serial = atomic_fetch_add(&last_serial, 1) + 1;
    k->n++;
    return true;
}

static bool key_read(struct keyring *k, struct str text, struct err *e)
{
    if (k->n == KEYRING_MAX)
        return err_set(e, ERR_INVALID, "ENCRYPTION_KEY: more than %d keys given", KEYRING_MAX);
    struct buf bytes;
    buf_init(&bytes, 64);
    bool is_good = key_decode(text, &bytes);
    if (!is_good)
        err_set(e, ERR_INVALID,
                "ENCRYPTION_KEY: key %zu is ill-formed: given %zu characters, expected 32 bytes as "
                "base64 (44 characters) or hex (64)",
                k->n + 1, text.n);
    else
        is_good = key_add(k, buf_str(&bytes), e);
    if (bytes.p)
        secret_wipe(bytes.p, bytes.cap);
    buf_end(&bytes);
    return is_good;
}

bool keyring_parse(struct keyring *k, struct str setting, struct err *e)
{
    struct keyring read = {0};
    struct str piece;
    while (str_next(&setting, ',', &piece)) {
        if (!key_read(&read, str_trim(piece), e)) {
            keyring_end(&read);
            return false;
        }
    }
    if (read.n == 0)
        return err_set(e, ERR_INVALID, "ENCRYPTION_KEY: no key given");
    *k = read;
    return true;
}

/* --- the key file --- */

static bool write_all(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        s = str_slice(s, (size_t)n, SIZE_MAX);
    }
    return true;
}

/* Writes a random key and waits until the disk has it. */
static bool write_new_key(int fd)
{
    uint8_t key[KEY_SIZE];
    struct buf text;
    buf_init(&text, 64);
    rand_bytes(key, sizeof(key));
    text_b64(&text, key, sizeof(key));
    buf_add_char(&text, '\n');
    bool is_good = buf_ok(&text) && write_all(fd, buf_str(&text)) && fsync(fd) == 0;
    secret_wipe(key, sizeof(key));
    if (text.p)
        secret_wipe(text.p, text.cap);
    buf_end(&text);
    return is_good;
}

/* The new name must survive a power loss as well: everything sealed is lost with the key. */
static void sync_folder_of(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) + 1 : 1;
    if (snprintf(folder, sizeof(folder), "%.*s", n, slash ? path : ".") >= (int)sizeof(folder))
        return;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

/* Makes the file whole under a name of its own, then links it: of two makers one wins and both read
 * the winner's key. */
static bool key_file_make(const char *path, struct err *e)
{
    char aside[4096];
    if (snprintf(aside, sizeof(aside), "%s.%016llx", path, (unsigned long long)rand_u64()) >=
        (int)sizeof(aside))
        return err_set(e, ERR_INVALID, "the path of the key file is too long");
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "cannot make the key file %s: %m", path);
    bool is_good = write_new_key(fd);
    if (close(fd) != 0)
        is_good = false;
    if (is_good && link(aside, path) != 0 && errno != EEXIST)
        is_good = false;
    if (!is_good)
        err_set(e, ERR_UNAVAILABLE, "cannot write the key file %s: %m", path);
    (void)unlink(aside);
    sync_folder_of(path);
    return is_good;
}

static bool key_file_read(int fd, const char *path, struct keyring *k, struct err *e)
{
    char text[KEY_FILE_MAX];
    size_t n = 0;
    ssize_t got;
    do {
        got = read(fd, text + n, sizeof(text) - n);
        if (got > 0)
            n += (size_t)got;
    } while ((got > 0 && n < sizeof(text)) || (got < 0 && errno == EINTR));

    bool is_good = false;
    struct err why;
    if (got < 0)
        err_set(e, ERR_UNAVAILABLE, "cannot read the key file %s: %m", path);
    else if (n == sizeof(text))
        err_set(e, ERR_INVALID, "the key file %s is longer than %d bytes", path, KEY_FILE_MAX);
    else if (!keyring_parse(k, str_trim((struct str){text, n}), &why))
        err_set(e, why.code, "the key file %s: %s", path, why.msg);
    else
        is_good = true;
    secret_wipe(text, sizeof(text));
    return is_good;
}

bool keyring_load_or_make(struct keyring *k, const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        if (!key_file_make(path, e))
            return false;
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "cannot read the key file %s: %m", path);
    bool is_good = key_file_read(fd, path, k, e);
    close(fd);
    return is_good;
}

void keyring_end(struct keyring *k)
{
    for (size_t i = 0; i < k->n; i++)
        secret_end(&k->keys[i].key);
    *k = (struct keyring){0};
    if (cache)
        secret_wipe(cache, sizeof(*cache));
}

/* --- using --- */

static size_t index_of(const struct keyring *k, struct str id)
{
    size_t i = 0;
    while (i < k->n && !str_eq(str_c(k->keys[i].id), id))
        i++;
    return i;
}

const struct secret *keyring_find(const struct keyring *k, struct str id)
{
    size_t i = index_of(k, id);
    return i < k->n ? &k->keys[i].key : NULL;
}

bool keyring_derive(const struct keyring *k, struct str id_or_none, struct str purpose,
                    uint8_t out[32])
{
    size_t i = str_is_absent(id_or_none) ? 0 : index_of(k, id_or_none);
    if (i >= k->n)
        return false;
    struct cache *c = cache_of_thread();
    const struct derived *known = cache_find(c, k->keys[i].serial, purpose);
    if (known) {
        memcpy(out, known->key, KEY_SIZE);
        return true;
    }
    hash_hkdf(secret_reveal(&k->keys[i].key), purpose, out, KEY_SIZE);
    cache_add(c, k->keys[i].serial, purpose, out);
    return true;
}

bool keyring_seal(const struct keyring *k, struct str purpose, struct str aad, struct str plain,
                  struct buf *out)
{
    uint8_t key[KEY_SIZE];
    if (!keyring_derive(k, STR_NONE, purpose, key))
        return false;
    struct buf sealed;
    buf_init(&sealed, out->max);
    bool is_good = aead_seal(key, aad, plain, &sealed);
    secret_wipe(key, sizeof(key));
    size_t before = out->n;
    if (is_good) {
        buf_addf(out, "v1.%s.", k->keys[0].id);
        text_b64url(out, sealed.p, sealed.n);
        is_good = buf_ok(out);
    }
    if (!is_good && out->n > before)
        out->n = before;
    buf_end(&sealed);
    return is_good;
}

bool keyring_open(const struct keyring *k, struct str purpose, struct str aad, struct str sealed,
                  struct buf *out)
{
    struct str version, id;
    if (!str_next(&sealed, '.', &version) || !str_eq(version, STR("v1")) ||
        !str_next(&sealed, '.', &id) || str_is_absent(sealed))
        return false;
    uint8_t key[KEY_SIZE];
    if (!keyring_derive(k, id, purpose, key))
        return false;
    struct buf bytes;
    buf_init(&bytes, sealed.n);
    bool is_good = text_b64url_decode(sealed, &bytes) && aead_open(key, aad, buf_str(&bytes), out);
    secret_wipe(key, sizeof(key));
    buf_end(&bytes);
    return is_good;
}
