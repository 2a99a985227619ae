/* Published documents of other authorization servers. The lock is held for memory operations only.
 */
#include "auth/jwks_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "auth/downstream/fetch.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/uri.h"
#include "io/fiber.h"

enum {
    KEYS_MAX = 100,
    POLL_MS = 20,
    FAILED_MS = 10 * 1000, /* where nothing was ever read, a failure is remembered this long */
};

struct published {
    char *text; /* NULL: never read */
    size_t n;
    int64_t fetched_at, tried_at, used_at; /* 0: never */
    bool is_running;
    struct err failure; /* of the last try; ERR_NONE: it was good */
};
static struct map *documents;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void published_free(struct published *p)
{
    if (p)
        free(p->text);
    free(p);
}

struct search {
    struct str key;
    int64_t used_at;
};

static bool oldest_visit(struct str key, void *value, void *arg)
{
    const struct published *p = value;
    struct search *s = arg;
    if (!p->is_running && (str_is_absent(s->key) || p->used_at < s->used_at))
        *s = (struct search){key, p->used_at};
    return false;
}

/* The entry of url; the least used one makes room. NULL: no memory, or all are being fetched. */
static struct published *entry_of(struct str url)
{
    if (!documents)
        documents = map_new();
    struct published *p = documents ? map_get(documents, url) : NULL;
    if (p || !documents)
        return p;
    if (map_count(documents) >= LIMIT_PUBLISHED) {
        struct search oldest = {STR_NONE, 0};
        map_each(documents, oldest_visit, &oldest);
        if (str_is_absent(oldest.key))
            return NULL;
        published_free(map_take(documents, oldest.key));
    }
    p = calloc(1, sizeof(*p));
    if (p && !map_set(documents, url, p, NULL)) {
        free(p);
        p = NULL;
    }
    return p;
}

enum turn { TURN_TAKE, TURN_FETCH, TURN_WAIT, TURN_FAILED };

static bool is_wanted(const struct published *p, int64_t newer_than, int64_t now)
{
    bool is_good =
        p->text && now - p->fetched_at < LIMIT_PUBLISHED_FRESH_MS && p->fetched_at >= newer_than;
    int64_t pause = p->text ? LIMIT_PUBLISHED_PAUSE_MS : FAILED_MS;
    bool was_just_tried = p->tried_at && now - p->tried_at < pause;
    return !is_good && !was_just_tried;
}

/* Under the lock: what this caller may do. Text comes as a copy. */
static enum turn turn_take(struct arena *a, struct str url, int64_t newer_than, struct str *text,
                           struct err *e)
{
    int64_t now = clock_mono_ms();
    struct published *p = entry_of(url);
    if (!p) {
        err_set(e, ERR_UNAVAILABLE, "too many authorization servers are read just now");
        return TURN_FAILED;
    }
    bool is_kept = p->text && now - p->fetched_at < LIMIT_PUBLISHED_STALE_MS;
    p->used_at = now;
    if (!p->is_running && is_wanted(p, newer_than, now)) {
        p->is_running = true;
        p->tried_at = now;
        return TURN_FETCH;
    }
    if (p->is_running && (!is_kept || p->fetched_at < newer_than))
        return TURN_WAIT;
    if (is_kept) {
        *text = arena_dup(a, (struct str){p->text, p->n});
        return TURN_TAKE;
    }
    *e = p->failure;
    if (e->code == ERR_NONE)
        err_set(e, ERR_UPSTREAM, "the authorization server could not be read");
    return TURN_FAILED;
}

/* text absent: it failed with e. */
static void turn_end(struct str url, struct str text, const struct err *e)
{
    char *copy = str_is_absent(text) ? NULL : malloc(text.n + 1);
    pthread_mutex_lock(&lock);
    struct published *p = map_get(documents, url);
    if (p) {
        p->is_running = false;
        p->failure = *e;
        if (copy) {
            memcpy(copy, text.p, text.n);
            free(p->text);
            p->text = copy;
            p->n = text.n;
            p->fetched_at = clock_mono_ms();
            copy = NULL;
        } else if (e->code == ERR_CANCELLED) {
            p->tried_at = 0; /* whoever asked left: nothing is known */
        }
    }
    pthread_mutex_unlock(&lock);
    free(copy);
}

static bool fetch(struct services *sv, struct arena *a, struct str url, struct err *e)
{
    struct downstream_answer got;
    struct buf text;
    *e = (struct err){.code = ERR_NONE};
    buf_init(&text, LIMIT_OAUTH_DOCUMENT);
    bool is_good = downstream_fetch(sv, a, url, NULL, &got, e);
    if (is_good && (got.status != 200 || !got.json))
        is_good = err_set(e, ERR_UPSTREAM, "the authorization server answered %d%s at %.*s",
                          got.status, got.status == 200 ? " without a JSON object" : "",
                          STR_FMT(str_slice(url, 0, 200)));
    if (is_good)
        jv_write(got.json, &text);
    if (is_good && !buf_ok(&text))
        is_good = err_set(e, ERR_TOO_LARGE, "the document is too large");
    turn_end(url, is_good ? buf_str(&text) : STR_NONE, e);
    buf_end(&text);
    return is_good;
}

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

static bool text_read(struct arena *a, struct str text, const struct jvalue **out, struct err *e)
{
    struct jdoc *doc = str_is_absent(text) ? NULL : jdoc_parse(text, e);
    if (!doc || !arena_on_end(a, doc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    *out = jdoc_root(doc);
    return true;
}

bool jwks_cache_get(struct services *sv, struct arena *a, struct str url, int64_t newer_than,
                    const struct jvalue **out, struct err *e)
{
    int64_t until = clock_mono_ms() + LIMIT_OAUTH_MS;
    for (;;) {
        struct str text = STR_NONE;
        pthread_mutex_lock(&lock);
        enum turn turn = turn_take(a, url, newer_than, &text, e);
        pthread_mutex_unlock(&lock);
        if (turn == TURN_TAKE)
            return text_read(a, text, out, e);
        if (turn == TURN_FAILED)
            return false;
        if (turn == TURN_FETCH) {
            /* Whoever left cannot wait any more: another turn would fail at once, for ever. */
            if (!fetch(sv, a, url, e) && e->code == ERR_CANCELLED)
                return false;
            newer_than = 0; /* it is as new as it will be */
        } else if (clock_mono_ms() >= until) {
            return err_set(e, ERR_TIMEOUT, "the authorization server does not answer");
        } else if (!fiber_sleep_until(clock_mono_ms() + POLL_MS, e)) {
            return false;
        }
    }
}

bool jwks_key_fits(const struct jvalue *key, struct str alg)
{
    static const struct {
        struct str alg, kty;
    } kinds[] = {{STR("RS"), STR("RSA")},
                 {STR("PS"), STR("RSA")},
                 {STR("ES"), STR("EC")},
                 {STR("EdDSA"), STR("OKP")}};
    struct str own = jv_get_str(key, "alg"), use = jv_get_str(key, "use");
    if ((!str_is_absent(own) && !str_eq(own, alg)) ||
        (!str_is_absent(use) && !str_eq(use, STR("sig"))))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_starts(alg, kinds[i].alg))
            return str_eq(jv_get_str(key, "kty"), kinds[i].kty);
    return false;
}

/* *has_kid: a key of that name was there. */
static bool set_verifies(const struct jvalue *set, const struct jws *t, bool *has_kid)
{
    const struct jvalue *keys = jv_get(set, "keys");
    size_t n = jv_count(keys), tried = 0;
    *has_kid = false;
    for (size_t i = 0; jv_is_array(keys) && i < n && i < KEYS_MAX && tried < LIMIT_KEYS_TRIED;
         i++) {
        const struct jvalue *key = jv_at(keys, i);
        struct str kid = jv_get_str(key, "kid");
        bool is_named = !str_is_absent(t->kid) && str_eq(kid, t->kid);
        /* A named key must be there by its name; a token without a name may be by any. */
        if (!str_is_absent(t->kid) && !is_named)
            continue;
        *has_kid = *has_kid || is_named;
        if (!jwks_key_fits(key, t->alg))
            continue;
        tried++;
        if (jws_verify(t, key))
            return true;
    }
    return false;
}

bool jwks_cache_verify(struct services *sv, struct arena *a, struct str url, const struct jws *t,
                       struct err *e)
{
    const struct jvalue *set;
    bool has_kid;
    int64_t begun = clock_mono_ms();
    if (!jwks_cache_get(sv, a, url, 0, &set, e))
        return false;
    if (set_verifies(set, t, &has_kid))
        return true;
    if (!has_kid) {
        if (!jwks_cache_get(sv, a, url, begun, &set, e))
            return false;
        if (set_verifies(set, t, &has_kid))
            return true;
    }
    return err_set(e, ERR_UNAUTHENTICATED, "the token is signed by none of the issuer's keys");
}

static bool no_issuer(struct str issuer, struct err *e)
{
    return err_set(e, ERR_UPSTREAM, "the authorization server %.*s publishes no metadata",
                   STR_FMT(str_slice(issuer, 0, 200)));
}

bool jwks_cache_metadata(struct services *sv, struct arena *a, struct str issuer,
                         const struct jvalue **out, struct err *e)
{
    struct uri u;
    if (issuer.n > LIMIT_URL || !uri_parse(issuer, &u) || !uri_is_http(&u) || u.host.n == 0 ||
        !str_is_absent(u.query) || !str_is_absent(u.fragment) || !str_is_absent(u.userinfo))
        return err_set(e, ERR_UPSTREAM, "the issuer is no good address");
    struct str origin = uri_origin(a, &u), path = u.path;
    while (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    const struct str forms[] = {
        arena_printf(a, "%.*s%.*s/.well-known/openid-configuration", STR_FMT(origin),
                     STR_FMT(path)),
        arena_printf(a, "%.*s/.well-known/oauth-authorization-server%.*s", STR_FMT(origin),
                     STR_FMT(path)),
        arena_printf(a, "%.*s/.well-known/openid-configuration%.*s", STR_FMT(origin),
                     STR_FMT(path)),
    };
    for (size_t i = 0; i < (path.n > 0 ? 3U : 2U); i++) {
        if (str_is_absent(forms[i]))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        if (jwks_cache_get(sv, a, forms[i], 0, out, e)) {
            if (str_eq(jv_get_str(*out, "issuer"), issuer))
                return true;
            return err_set(e, ERR_UPSTREAM, "the metadata of %.*s is of another issuer",
                           STR_FMT(str_slice(issuer, 0, 200)));
        }
        if (e->code != ERR_UPSTREAM)
            return false;
    }
    return no_issuer(issuer, e);
}
