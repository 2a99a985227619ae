#include "core/vault.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "base/rand.h"
#include "core/signing_key.h"
#include "core/totp_seed.h"
#include "io/loop.h"
#include "log/metrics.h"
#include "store/installation.h"
#include "store/orgs.h"

/* A sealed value is "v1.<base64url of nonce, ciphertext and tag>"; a wrapped data key is
 * keyring_seal's text. */
#define SEALED_PREFIX "v1."
#define WRAP_PURPOSE  STR("data-key")
#define CHECK_PURPOSE STR("check")
#define CHECK_NAME    STR("encryption_check")
#define CHECK_TEXT    STR("tulle")

enum { ROTATE_PAGE = 100, TEXT_MAX = 4 * LIMIT_CREDENTIAL, WRAPPED_MAX = 512 };

struct data_key {
    uint8_t b[AEAD_KEY_SIZE];
};
struct vault {
    const struct keyring *keys;
    struct db *db;
    struct map *opened; /* org_id to struct data_key */
    uint64_t epoch;     /* of the store, when opened was filled */
    /* What was opened a moment ago, by its place and its sealed text, to struct secret: calls that
     * follow each other closely open the same one. NULL: nothing. */
    struct map *warm;
    struct loop *loop; /* which fires: */
    struct loop_timer cool;
};

static void data_key_free(void *value)
{
    secret_wipe(value, sizeof(struct data_key));
    free(value);
}

/* buf_end for buffers that held a secret. */
static void buf_wipe_end(struct buf *b)
{
    if (b->p)
        secret_wipe(b->p, b->n);
    buf_end(b);
}

static void warm_free(void *value)
{
    secret_end(value);
    free(value);
}

/* Wipes what is warm. */
static void warm_drop(struct vault *v)
{
    if (!v->warm)
        return;
    metric_add(M_SECRETS_WARM, -(int64_t)map_count(v->warm));
    loop_timer_stop(v->loop, &v->cool);
    map_free(v->warm, warm_free);
    v->warm = NULL;
}

static void on_cool(struct loop_timer *t)
{
    warm_drop(CONTAINER_OF(t, struct vault, cool));
}

/* Without memory, or a loop that would wipe it, each opening is the first. */
static void warm_keep(struct vault *v, struct str key, const struct secret *plain)
{
    struct loop *loop = loop_self();
    if (!loop || (v->warm && map_count(v->warm) >= LIMIT_SECRETS_WARM))
        return;
    if (!v->warm && (v->warm = map_new()) != NULL) {
        v->loop = loop;
        loop_timer_set(loop, &v->cool, clock_mono_ms() + LIMIT_SECRET_WARM_MS);
    }
    struct secret *kept = v->warm ? calloc(1, sizeof *kept) : NULL;
    if (!kept)
        return;
    struct str bytes = secret_reveal(plain);
    void *old = NULL;
    if (!secret_set(kept, bytes.p, bytes.n) || !map_set(v->warm, key, kept, &old))
        old = kept;
    else if (!old)
        metric_add(M_SECRETS_WARM, 1);
    if (old)
        warm_free(old);
}

struct vault *vault_new(const struct keyring *keys, struct db *db, struct err *e)
{
    struct vault *v = calloc(1, sizeof *v);
    if (v)
        v->opened = map_new();
    if (!v || !v->opened) {
        free(v);
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    v->keys = keys;
    v->db = db;
    v->epoch = db_epoch(db_store_of(db));
    v->cool.on_fire = on_cool;
    return v;
}

void vault_free(struct vault *v)
{
    if (!v)
        return;
    warm_drop(v);
    map_free(v->opened, data_key_free);
    free(v);
}

static bool wrap(const struct keyring *keys, struct str org_id, const struct data_key *k,
                 struct arena *a, struct str *wrapped, struct err *e)
{
    struct buf out;
    buf_init(&out, WRAPPED_MAX);
    struct str plain = {(const char *)k->b, sizeof k->b};
    bool is_ok = keyring_seal(keys, WRAP_PURPOSE, org_id, plain, &out) && buf_ok(&out);
    if (is_ok) {
        *wrapped = arena_dup(a, buf_str(&out));
        is_ok = !str_is_absent(*wrapped);
    }
    buf_end(&out);
    return is_ok || err_set(e, ERR_INTERNAL, "a data key could not be wrapped");
}

static bool unwrap(const struct keyring *keys, struct str org_id, struct str wrapped,
                   struct data_key *k, struct err *e)
{
    struct buf plain;
    buf_init(&plain, WRAPPED_MAX);
    bool is_ok =
        keyring_open(keys, WRAP_PURPOSE, org_id, wrapped, &plain) && plain.n == sizeof k->b;
    if (is_ok)
        memcpy(k->b, plain.p, sizeof k->b);
    buf_wipe_end(&plain);
    return is_ok || err_set(e, ERR_INTERNAL, "the organization's data key does not open");
}

bool vault_make_data_key(const struct keyring *keys, struct str org_id, struct arena *a,
                         struct str *wrapped, struct err *e)
{
    struct data_key k;
    rand_bytes(k.b, sizeof k.b);
    bool is_ok = wrap(keys, org_id, &k, a, wrapped, e);
    secret_wipe(&k, sizeof k);
    return is_ok;
}

static void cache_drop(struct vault *v)
{
    struct map *fresh = map_new();
    if (!fresh)
        return; /* what is there stays valid: a data key never changes */
    map_free(v->opened, data_key_free);
    v->opened = fresh;
}

static void cache_keep(struct vault *v, struct str org_id, const struct data_key *k)
{
    if (map_count(v->opened) >= LIMIT_CACHE_ENTRIES)
        cache_drop(v);
    struct data_key *kept = malloc(sizeof *kept);
    void *old = NULL;
    if (!kept)
        return;
    *kept = *k;
    if (!map_set(v->opened, org_id, kept, &old))
        old = kept;
    if (old)
        data_key_free(old);
}

/* Forgets what may have changed. */
static uint64_t epoch_follow(struct vault *v)
{
    uint64_t epoch = db_epoch(db_store_of(v->db));
    if (epoch != v->epoch) {
        warm_drop(v);
        cache_drop(v);
        v->epoch = epoch;
    }
    return epoch;
}

/* The opened data key, copied: the cache may change while the fiber waits. The caller wipes it. */
static bool data_key_get(struct vault *v, struct arena *a, struct str org_id, struct data_key *k,
                         struct err *e)
{
    uint64_t epoch = epoch_follow(v);
    const struct data_key *known = map_get(v->opened, org_id);
    if (known) {
        *k = *known;
        return true;
    }
    struct str wrapped;
    if (!orgs_data_key(v->db, a, org_id, &wrapped, e) || !unwrap(v->keys, org_id, wrapped, k, e))
        return false;
    if (epoch == db_epoch(db_store_of(v->db)))
        cache_keep(v, org_id, k);
    return true;
}

static struct str aad_make(struct arena *a, const struct vault_place *place)
{
    return ARENA_JOIN(a, place->table, STR("|"), place->column, STR("|"), place->row, STR("|"),
                      place->org_id);
}

bool vault_seal(struct vault *v, struct arena *a, const struct vault_place *place, struct str plain,
                struct str *sealed, struct err *e)
{
    struct data_key k;
    if (!data_key_get(v, a, place->org_id, &k, e))
        return false;
    struct buf box, text;
    struct str aad = aad_make(a, place);
    buf_init(&box, TEXT_MAX);
    buf_init(&text, TEXT_MAX);
    bool is_ok = !str_is_absent(aad) && aead_seal(k.b, aad, plain, &box) && buf_ok(&box);
    secret_wipe(&k, sizeof k);
    if (is_ok) {
        buf_add(&text, STR(SEALED_PREFIX));
        text_b64url(&text, box.p, box.n);
        struct str copy = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
        is_ok = !str_is_absent(copy);
        if (is_ok)
            *sealed = copy;
    }
    buf_end(&box);
    buf_end(&text);
    return is_ok || err_set(e, ERR_UNAVAILABLE, "the secret is too large to seal");
}

static bool open_cold(struct vault *v, struct arena *a, struct str org_id, struct str aad,
                      struct str sealed, struct secret *out, struct err *e)
{
    struct data_key k;
    if (!data_key_get(v, a, org_id, &k, e))
        return false;
    struct buf box, plain;
    buf_init(&box, TEXT_MAX);
    buf_init(&plain, TEXT_MAX);
    size_t skip = sizeof SEALED_PREFIX - 1;
    bool is_ok = str_starts(sealed, STR(SEALED_PREFIX)) &&
                 text_b64url_decode(str_slice(sealed, skip, sealed.n), &box) &&
                 aead_open(k.b, aad, buf_str(&box), &plain);
    secret_wipe(&k, sizeof k);
    if (!is_ok)
        err_set(e, ERR_INTERNAL, "a stored secret does not open");
    else if (!secret_set(out, plain.p ? plain.p : "", plain.n))
        is_ok = err_set(e, ERR_UNAVAILABLE, "out of memory");
    buf_end(&box);
    buf_wipe_end(&plain);
    return is_ok;
}

bool vault_open(struct vault *v, struct arena *a, const struct vault_place *place,
                struct str sealed, struct secret *out, struct err *e)
{
    struct str aad = aad_make(a, place), key = ARENA_JOIN(a, aad, STR("|"), sealed);
    if (str_is_absent(aad) || str_is_absent(key))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    uint64_t epoch = epoch_follow(v);
    const struct secret *warm = v->warm ? map_get(v->warm, key) : NULL;
    if (warm) {
        struct str bytes = secret_reveal(warm);
        return secret_set(out, bytes.p, bytes.n) || err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (!open_cold(v, a, place->org_id, aad, sealed, out, e))
        return false;
    if (epoch == v->epoch) /* else it may be no secret any more */
        warm_keep(v, key, out);
    return true;
}

/* The key id in keyring_seal's "v1.<id>.<...>"; absent when the text has another shape. */
static struct str key_id_of(struct str sealed)
{
    struct str version, id;
    if (!str_next(&sealed, '.', &version) || !str_next(&sealed, '.', &id))
        return STR_NONE;
    return id;
}

static bool is_newest(const struct keyring *keys, struct str sealed)
{
    return str_eq(key_id_of(sealed), str_c(keys->keys[0].id));
}

static bool rotate_one(struct vault *v, struct arena *a, struct str org_id, struct str wrapped,
                       int64_t *n_changed, struct err *e)
{
    if (is_newest(v->keys, wrapped))
        return true;
    struct data_key k;
    struct str fresh = STR_NONE;
    if (!unwrap(v->keys, org_id, wrapped, &k, e)) {
        err_detail(e, "organization %.*s", STR_FMT(org_id));
        return false;
    }
    bool is_ok = wrap(v->keys, org_id, &k, a, &fresh, e);
    secret_wipe(&k, sizeof k);
    if (!is_ok)
        return false;
    struct err own = {0};
    if (orgs_data_key_replace(v->db, a, org_id, wrapped, fresh, clock_wall_ms(), &own)) {
        ++*n_changed;
        return true;
    }
    if (own.code == ERR_NOT_FOUND) /* deleted, or re-wrapped by another rotation, meanwhile */
        return true;
    if (e)
        *e = own;
    return false;
}

static bool check_make(const struct keyring *keys, struct arena *a, struct str *sealed,
                       struct err *e)
{
    struct buf out;
    buf_init(&out, WRAPPED_MAX);
    bool is_ok = keyring_seal(keys, CHECK_PURPOSE, STR(""), CHECK_TEXT, &out) && buf_ok(&out);
    *sealed = is_ok ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return !str_is_absent(*sealed) || err_set(e, ERR_INTERNAL, "the check row could not be made");
}

bool vault_rotate(struct vault *v, struct arena *a, int64_t *n_changed, struct err *e)
{
    int64_t n_done = 0;
    struct str after = STR("");
    for (size_t n = ROTATE_PAGE; n == ROTATE_PAGE;) {
        struct str *ids, *wrapped;
        if (!orgs_data_keys_list(v->db, a, after, ROTATE_PAGE, &ids, &wrapped, &n, e))
            return false;
        for (size_t i = 0; i < n; i++)
            if (!rotate_one(v, a, ids[i], wrapped[i], &n_done, e))
                return false;
        if (n)
            after = ids[n - 1];
    }
    if (!signing_key_rotate(v->keys, v->db, a, &n_done, e) ||
        !totp_seed_rotate(v->keys, v->db, a, &n_done, e))
        return false;
    /* Last, so that the check row names the old key until every organization has left it. */
    struct str check, fresh;
    if (!installation_get(v->db, a, CHECK_NAME, &check, e))
        return false;
    if (!is_newest(v->keys, check)) {
        if (!check_make(v->keys, a, &fresh, e) || !installation_put(v->db, a, CHECK_NAME, fresh, e))
            return false;
        n_done++;
    }
    *n_changed = n_done;
    return true;
}

static bool wrong_key(const struct keyring *keys, struct str check, struct err *e)
{
    struct buf ids;
    buf_init(&ids, (size_t)KEYRING_MAX * (KEY_ID_SIZE + 2));
    for (size_t i = 0; i < keys->n; i++)
        buf_addf(&ids, "%s%s", i ? ", " : "", keys->keys[i].id);
    err_set(e, ERR_INVALID,
            "ENCRYPTION_KEY is not the key of this database: it was sealed with key %.*s, given "
            "%.*s",
            STR_FMT(key_id_of(check)), STR_FMT(buf_str(&ids)));
    buf_end(&ids);
    return false;
}

bool vault_check(const struct keyring *keys, struct db *db, struct arena *a, struct err *e)
{
    struct str fresh, check;
    if (!check_make(keys, a, &fresh, e) ||
        !installation_put_once(db, a, CHECK_NAME, fresh, &check, e))
        return false;
    struct buf plain;
    buf_init(&plain, WRAPPED_MAX);
    bool is_ours = keyring_open(keys, CHECK_PURPOSE, STR(""), check, &plain) &&
                   str_eq(buf_str(&plain), CHECK_TEXT);
    buf_end(&plain);
    return is_ours || wrong_key(keys, check, e);
}
