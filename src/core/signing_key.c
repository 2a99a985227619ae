#include "core/signing_key.h"

#include <stdlib.h>

#include "base/clock.h"
#include "crypto/jws.h"
#include "crypto/sign.h"
#include "store/signing_keys.h"

#define PURPOSE STR("signing-key")

enum {
    SEALED_MAX = 8192,
    DER_MAX = 4096,
    SET_MAX = 64 * 1024,
    MAKE_MS = 30 * 1000,
    AHEAD_MS = 10 * 60 * 1000,        /* longer than a key set is cached */
    OVERLAP_MS = 24 * 60 * 60 * 1000, /* longer than a token that was signed lives */
};

static const char *const kinds[] = {"ES256", "RS256"};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static struct str place_of(struct arena *a, struct str kid)
{
    return arena_printf(a, "installation|signing_keys|%.*s", STR_FMT(kid));
}

/* ---- sealing ---- */

static bool seal(const struct keyring *keys, struct arena *a, struct str kid, struct str der,
                 struct str *out, struct err *e)
{
    struct buf text;
    buf_init(&text, SEALED_MAX);
    bool is_good = keyring_seal(keys, PURPOSE, place_of(a, kid), der, &text);
    *out = is_good ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || err_set(e, ERR_INTERNAL, "a signing key cannot be sealed");
}

/* der is wiped by der_end. */
static bool unseal(const struct keyring *keys, struct arena *a, const struct signing_key *k,
                   struct buf *der, struct err *e)
{
    buf_init(der, DER_MAX);
    if (keyring_open(keys, PURPOSE, place_of(a, k->kid), k->sealed, der))
        return true;
    buf_end(der);
    return err_set(e, ERR_INTERNAL, "a signing key does not open");
}

static void der_end(struct buf *der)
{
    if (der->p)
        secret_wipe(der->p, der->cap);
    buf_end(der);
}

/* ---- making ---- */

struct make_job {
    struct offload_job job;
    struct secret der;
    bool is_good;
};

static void make_run(struct offload_job *j)
{
    struct make_job *m = (struct make_job *)j;
    m->is_good = sign_key_make_rsa(&m->der);
}

static void make_free(struct offload_job *j)
{
    struct make_job *m = (struct make_job *)j;
    secret_end(&m->der);
    free(m);
}

static bool rsa_make(const struct signing *s, struct secret *der, struct err *e)
{
    if (!s->offload)
        return sign_key_make_rsa(der) || err_set(e, ERR_INTERNAL, "a signing key cannot be made");
    struct make_job *m = calloc(1, sizeof(*m));
    if (!m)
        return no_memory(e);
    m->job.run = make_run;
    m->job.free = make_free;
    if (!offload_run(s->offload, &m->job, clock_mono_ms() + MAKE_MS, e))
        return false;
    bool is_good = m->is_good && secret_set(der, m->der.bytes, m->der.n);
    make_free(&m->job);
    return is_good || err_set(e, ERR_INTERNAL, "a signing key cannot be made");
}

static bool make(const struct signing *s, const char *alg, int64_t active_at,
                 struct signing_key *out, struct err *e)
{
    struct secret der = {0};
    struct buf jwk;
    char kid[SIGN_B64_SIZE];
    bool is_rsa = str_eq(str_c(alg), STR("RS256"));
    if (is_rsa ? !rsa_make(s, &der, e) : !sign_key_make(&der))
        return is_rsa ? false : err_set(e, ERR_INTERNAL, "a signing key cannot be made");
    buf_init(&jwk, SEALED_MAX);
    bool is_good = sign_key_jwk(secret_reveal(&der), kid, &jwk);
    buf_end(&jwk);
    *out = (struct signing_key){.kid = is_good ? arena_dup(s->arena, str_c(kid)) : STR_NONE,
                                .alg = str_c(alg),
                                .created_at = clock_wall_ms(),
                                .active_at = active_at};
    is_good = (!str_is_absent(out->kid) || no_memory(e)) &&
              seal(s->keys, s->arena, out->kid, secret_reveal(&der), &out->sealed, e);
    secret_end(&der);
    return is_good;
}

struct found {
    struct signing_key *items;
    size_t n;
};

static bool has_kind(const struct found *f, const char *alg)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->items[i].alg, str_c(alg)))
            return true;
    return false;
}

/* What is published; of two makers of a first key one wins, and both get the winner's. */
static bool load(const struct signing *s, struct found *f, struct err *e)
{
    bool is_made = false;
    if (!signing_keys_list(s->db, s->arena, clock_wall_ms(), &f->items, &f->n, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct signing_key k;
        if (has_kind(f, kinds[i]))
            continue;
        if (!make(s, kinds[i], clock_wall_ms(), &k, e) ||
            !signing_keys_insert_first(s->db, s->arena, &k, e))
            return false;
        is_made = true;
    }
    return !is_made || signing_keys_list(s->db, s->arena, clock_wall_ms(), &f->items, &f->n, e);
}

/* ---- use ---- */

bool signing_key_set(const struct signing *s, struct str *jwks, struct err *e)
{
    struct found f;
    struct buf text, der;
    char kid[SIGN_B64_SIZE];
    bool is_good = true;
    if (!load(s, &f, e))
        return false;
    buf_init(&text, SET_MAX);
    buf_add(&text, STR("{\"keys\":["));
    for (size_t i = 0; i < f.n && is_good; i++) {
        if (i)
            buf_add_char(&text, ',');
        is_good = unseal(s->keys, s->arena, &f.items[i], &der, e);
        if (!is_good)
            break;
        is_good = sign_key_jwk(buf_str(&der), kid, &text) ||
                  err_set(e, ERR_INTERNAL, "a signing key is damaged");
        der_end(&der);
    }
    buf_add(&text, STR("]}"));
    *jwks = is_good && buf_ok(&text) ? arena_dup(s->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return is_good && (!str_is_absent(*jwks) || no_memory(e));
}

/* The one that began to sign last; they stand in that order. */
static const struct signing_key *active(const struct found *f, const char *alg)
{
    int64_t now = clock_wall_ms();
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->items[i].alg, str_c(alg)) && f->items[i].active_at <= now)
            return &f->items[i];
    return NULL;
}

bool signing_key_sign(const struct signing *s, const char *alg, struct str claims, struct str *out,
                      struct err *e)
{
    struct found f;
    struct buf der, text;
    if (!load(s, &f, e))
        return false;
    const struct signing_key *k = active(&f, alg);
    if (!k)
        return err_set(e, ERR_INTERNAL, "no key signs at this time");
    if (!unseal(s->keys, s->arena, k, &der, e))
        return false;
    buf_init(&text, SET_MAX);
    bool is_good = jws_sign(buf_str(&der), alg, k->kid, claims, &text);
    der_end(&der);
    *out = is_good ? arena_dup(s->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || err_set(e, ERR_INTERNAL, "the token cannot be signed");
}

bool signing_key_renew(const struct signing *s, struct err *e)
{
    struct found f;
    int64_t active_at = clock_wall_ms() + AHEAD_MS;
    if (!load(s, &f, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct signing_key k;
        if (!make(s, kinds[i], active_at, &k, e) ||
            !signing_keys_follow(s->db, s->arena, &k, active_at + OVERLAP_MS, e))
            return false;
    }
    return true;
}

bool signing_key_renew_old(const struct signing *s, int64_t max_age_ms, struct err *e)
{
    struct found f;
    int64_t now = clock_wall_ms(), active_at = now + AHEAD_MS;
    if (!signing_keys_list(s->db, s->arena, now, &f.items, &f.n, e))
        return false;
    for (size_t i = 0; i < f.n; i++) {
        const struct signing_key *old = &f.items[i];
        struct signing_key k;
        const char *alg = str_eq(old->alg, str_c(kinds[0])) ? kinds[0] : kinds[1];
        if (old->expires_at || old->created_at > now - max_age_ms)
            continue;
        if (!make(s, alg, active_at, &k, e) ||
            (!signing_keys_succeed(s->db, s->arena, &k, old->kid, active_at + OVERLAP_MS, e) &&
             e->code != ERR_NOT_FOUND))
            return false;
    }
    return true;
}

static bool is_newest(const struct keyring *keys, struct str sealed)
{
    struct str rest = sealed, version, id;
    return str_next(&rest, '.', &version) && str_next(&rest, '.', &id) &&
           str_eq(id, str_c(keys->keys[0].id));
}

bool signing_key_rotate(const struct keyring *keys, struct db *db, struct arena *a,
                        int64_t *n_changed, struct err *e)
{
    struct found f;
    if (!signing_keys_list(db, a, clock_wall_ms(), &f.items, &f.n, e))
        return false;
    for (size_t i = 0; i < f.n; i++) {
        struct str fresh;
        struct buf der;
        if (is_newest(keys, f.items[i].sealed))
            continue;
        if (!unseal(keys, a, &f.items[i], &der, e))
            return false;
        bool is_good = seal(keys, a, f.items[i].kid, buf_str(&der), &fresh, e) &&
                       signing_keys_reseal(db, a, f.items[i].kid, fresh, e);
        der_end(&der);
        if (!is_good)
            return false;
        (*n_changed)++;
    }
    return true;
}
