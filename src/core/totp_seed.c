#include "core/totp_seed.h"

#include "store/totp.h"

#define PURPOSE STR("totp-seed")

enum { SEALED_MAX = 1024, SEED_MAX = 64, ROTATE_PAGE = 100 };

static struct str place_of(struct arena *a, struct str user_id)
{
    return arena_printf(a, "installation|user_totp|%.*s", STR_FMT(user_id));
}

bool totp_seed_seal(const struct keyring *keys, struct arena *a, struct str user_id,
                    struct str seed, struct str *sealed, struct err *e)
{
    struct buf text;
    buf_init(&text, SEALED_MAX);
    bool is_good = keyring_seal(keys, PURPOSE, place_of(a, user_id), seed, &text);
    *sealed = is_good ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*sealed) || err_set(e, ERR_INTERNAL, "a seed cannot be sealed");
}

bool totp_seed_open(const struct keyring *keys, struct arena *a, struct str user_id,
                    struct str sealed, struct secret *out, struct err *e)
{
    struct buf seed;
    buf_init(&seed, SEED_MAX);
    bool is_good = keyring_open(keys, PURPOSE, place_of(a, user_id), sealed, &seed) &&
                   secret_set(out, seed.p, seed.n);
    if (seed.p)
        secret_wipe(seed.p, seed.cap);
    buf_end(&seed);
    return is_good || err_set(e, ERR_INTERNAL, "the seed of an authenticator app does not open");
}

static bool is_newest(const struct keyring *keys, struct str sealed)
{
    struct str rest = sealed, version, id;
    return str_next(&rest, '.', &version) && str_next(&rest, '.', &id) &&
           str_eq(id, str_c(keys->keys[0].id));
}

static bool rotate_one(const struct keyring *keys, struct db *db, struct arena *a,
                       const struct totp_sealed *old, struct err *e)
{
    struct secret seed = {0};
    struct str fresh;
    bool is_good = totp_seed_open(keys, a, old->user_id, old->sealed, &seed, e) &&
                   totp_seed_seal(keys, a, old->user_id, secret_reveal(&seed), &fresh, e) &&
                   totp_reseal(db, a, old, fresh, e);
    secret_end(&seed);
    return is_good;
}

bool totp_seed_rotate(const struct keyring *keys, struct db *db, struct arena *a,
                      int64_t *n_changed, struct err *e)
{
    struct str after = STR("");
    struct totp_sealed *rows;
    for (size_t n = ROTATE_PAGE; n == ROTATE_PAGE;) {
        if (!totp_list_sealed(db, a, after, ROTATE_PAGE, &rows, &n, e))
            return false;
        for (size_t i = 0; i < n; i++) {
            if (is_newest(keys, rows[i].sealed))
                continue;
            if (!rotate_one(keys, db, a, &rows[i], e))
                return false;
            (*n_changed)++;
        }
        if (n > 0)
            after = rows[n - 1].user_id;
    }
    return true;
}
