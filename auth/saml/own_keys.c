#include "auth/saml/own_keys.h"

#include "auth/saml/work.h"
#include "auth/sso/provider_secret.h"
#include "base/clock.h"
#include "base/text.h"
#include "crypto/certificate.h"
#include "crypto/sign.h"

enum { SECRET_MAX = 24 * 1024 }; /* two pairs in base64, twice over */

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- opening ---- */

struct wiped {
    struct str bytes;
};

static void wipe(void *arg)
{
    const struct wiped *w = arg;
    secret_wipe((void *)(uintptr_t)w->bytes.p, w->bytes.n);
}

bool saml_key_wipe_later(struct arena *a, struct str key)
{
    struct wiped *w = arena_alloc(a, sizeof(*w));
    if (!w)
        return false;
    w->bytes = key;
    return arena_on_end(a, wipe, w);
}

static struct str decoded(struct arena *a, struct str base64)
{
    struct buf bytes;
    buf_init(&bytes, SECRET_MAX);
    struct str copy = !str_is_absent(base64) && text_b64_decode(base64, &bytes)
                          ? arena_dup(a, buf_str(&bytes))
                          : STR_NONE;
    if (bytes.p)
        secret_wipe(bytes.p, bytes.cap);
    buf_end(&bytes);
    return copy;
}

static bool keys_read(struct arena *a, const struct jvalue *root, struct saml_settings *out)
{
    const struct jvalue *list = jv_get(root, "keys");
    out->n_keys = 0;
    for (size_t i = 0; i < jv_count(list) && i < SAML_KEYS; i++) {
        struct saml_key *k = &out->keys[out->n_keys++];
        k->key = decoded(a, jv_get_str(jv_at(list, i), "key"));
        k->certificate = decoded(a, jv_get_str(jv_at(list, i), "certificate"));
        k->made_at = jv_get_i64(jv_at(list, i), "made_at", 0);
        if (str_is_absent(k->key) || str_is_absent(k->certificate) ||
            !saml_key_wipe_later(a, k->key))
            return false;
    }
    return out->n_keys > 0;
}

bool saml_keys_open(struct services *sv, struct arena *a, const struct sso_provider *p,
                    struct saml_settings *out, struct err *e)
{
    struct secret plain = {NULL, 0};
    if (!provider_secret_open(sv, a, p->org_id, p->id, p->sealed_secret, &plain, e))
        return false;
    struct jdoc *doc = jdoc_parse(secret_reveal(&plain), e);
    bool is_good = doc && (keys_read(a, jdoc_root(doc), out) ||
                           err_set(e, ERR_INTERNAL, "a provider's keys cannot be read"));
    jdoc_free(doc);
    secret_end(&plain);
    return is_good;
}

/* ---- making ---- */

struct pair {
    struct str name;
    struct saml_key made; /* out */
};

static bool pair_work(struct arena *a, void *arg, struct err *e)
{
    struct pair *p = arg;
    struct secret key = {NULL, 0};
    bool is_good = sign_key_make_rsa(&key);
    p->made.certificate = is_good ? certificate_make(a, secret_reveal(&key), p->name) : STR_NONE;
    p->made.key = is_good ? arena_dup(a, secret_reveal(&key)) : STR_NONE;
    p->made.made_at = clock_wall_ms();
    secret_end(&key);
    is_good = !str_is_absent(p->made.certificate) && !str_is_absent(p->made.key) &&
              saml_key_wipe_later(a, p->made.key);
    return is_good || err_set(e, ERR_INTERNAL, "a key could not be made");
}

static bool pair_make(struct services *sv, struct arena *a, struct str provider_id,
                      struct saml_key *out, struct err *e)
{
    struct arena *own;
    struct saml_work *w = saml_work_new(&own, e);
    if (!w)
        return false;
    struct pair *p = arena_alloc(own, sizeof(*p));
    if (!p) {
        saml_work_free(w);
        return no_memory(e);
    }
    p->name = arena_dup(own, provider_id);
    if (!saml_work_run(sv, a, w, pair_work, p, e))
        return false;
    *out = p->made;
    return true;
}

static void key_write(const struct saml_key *k, struct buf *out)
{
    buf_add(out, STR("{\"key\":\""));
    text_b64(out, k->key.p, k->key.n);
    buf_add(out, STR("\",\"certificate\":\""));
    text_b64(out, k->certificate.p, k->certificate.n);
    buf_addf(out, "\",\"made_at\":%lld}", (long long)k->made_at);
}

static bool keys_seal(struct services *sv, struct arena *a, const struct sso_provider *p,
                      const struct saml_settings *s, struct str *sealed, struct err *e)
{
    struct buf out;
    buf_init(&out, SECRET_MAX);
    buf_add(&out, STR("{\"keys\":["));
    for (size_t i = 0; i < s->n_keys; i++) {
        if (i > 0)
            buf_add(&out, STR(","));
        key_write(&s->keys[i], &out);
    }
    buf_add(&out, STR("]}"));
    bool is_good = (buf_ok(&out) || no_memory(e)) &&
                   provider_secret_seal(sv, a, p->org_id, p->id, buf_str(&out), sealed, e);
    if (out.p)
        secret_wipe(out.p, out.cap);
    buf_end(&out);
    return is_good;
}

bool saml_keys_make(struct services *sv, struct arena *a, struct str org_id, struct str provider_id,
                    struct str *sealed, struct err *e)
{
    const struct sso_provider p = {.id = provider_id, .org_id = org_id};
    struct saml_settings s = {.n_keys = 1};
    return pair_make(sv, a, provider_id, &s.keys[0], e) && keys_seal(sv, a, &p, &s, sealed, e);
}

/* ---- turning ---- */

static void exchange(struct saml_settings *s)
{
    struct saml_key first = s->keys[0];
    s->keys[0] = s->keys[1];
    s->keys[1] = first;
}

bool saml_keys_turn(struct services *sv, struct arena *a, const struct sso_provider *p,
                    struct str step, struct str *sealed, struct err *e)
{
    struct saml_settings s = {.n_keys = 0};
    if (!saml_keys_open(sv, a, p, &s, e))
        return false;
    if (str_eq(step, STR("publish"))) {
        if (s.n_keys == SAML_KEYS)
            return err_set(e, ERR_CONFLICT,
                           "there are two keys already: switch to the other, or retire it, first");
        if (!pair_make(sv, a, p->id, &s.keys[s.n_keys], e))
            return false;
        s.n_keys++;
        return keys_seal(sv, a, p, &s, sealed, e);
    }
    if (s.n_keys < SAML_KEYS)
        return err_set(e, ERR_CONFLICT, "there is one key only: publish another first");
    if (str_eq(step, STR("switch")))
        exchange(&s);
    else
        s.n_keys = 1;
    return keys_seal(sv, a, p, &s, sealed, e);
}
