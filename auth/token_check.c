/* Who is calling: digest of the bearer -> cached caller, rebuilt from the store when authorization
 * data changed. */
#include "auth/token_check.h"

#include <stdlib.h>

#include "auth/caller_build.h"
#include "auth/oauth/issue.h"
#include "auth/oauth/scope.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "core/policy.h"
#include "crypto/hash.h"
#include "io/fiber.h"
#include "log/metrics.h"
#include "store/api_keys.h"
#include "store/oauth_tokens.h"

enum { TOUCH_EVERY_MS = 60 * 1000 };

/* One known token. The map holds one reference and each running request another; all on one thread.
 */
struct token_entry {
    struct arena *keep; /* holds the caller's strings */
    struct caller caller;
    int refs;
    int64_t touched_at;
};

struct token_cache {
    struct map *by_digest;
    uint64_t epoch;
};

static void entry_release(void *arg)
{
    struct token_entry *entry = arg;
    if (--entry->refs == 0) {
        arena_end(entry->keep);
        free(entry);
    }
}

struct token_cache *token_cache_new(void)
{
    struct token_cache *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->by_digest = map_new();
    if (!c->by_digest) {
        free(c);
        return NULL;
    }
    return c;
}

void token_cache_free(struct token_cache *c)
{
    if (!c)
        return;
    map_free(c->by_digest, entry_release);
    free(c);
}

static bool release_each(struct str key unused_arg, void *value, void *arg unused_arg)
{
    entry_release(value);
    return true;
}

static void cache_refresh(struct token_cache *c, uint64_t epoch)
{
    if (c->epoch == epoch && map_count(c->by_digest) < LIMIT_CACHE_ENTRIES)
        return;
    map_each(c->by_digest, release_each, NULL);
    c->epoch = epoch;
}

/* last_used_at is worth one write a minute; nobody waits for it. */
struct touch {
    struct services *sv;
    struct str org_id, key_id;
    struct arena *arena;
};

static void touch_run(void *arg)
{
    struct touch *t = arg;
    struct arena *arena = t->arena;
    struct err ignored; /* the key works without it */
    (void)!api_keys_touch(t->sv->db, arena, t->org_id, t->key_id, clock_wall_ms(), &ignored);
    arena_end(arena);
}

static void entry_touch(struct services *sv, struct token_entry *entry, int64_t now)
{
    if (now - entry->touched_at < TOUCH_EVERY_MS)
        return;
    entry->touched_at = now;
    struct arena *a = arena_new((size_t)64 * 1024);
    struct touch *t = a ? arena_alloc(a, sizeof(*t)) : NULL;
    if (!t) {
        arena_end(a);
        return;
    }
    *t = (struct touch){sv, arena_dup(a, entry->caller.org_id), arena_dup(a, entry->caller.key_id),
                        a};
    if (!fiber_start(sv->loop, touch_run, t, NULL, NULL))
        arena_end(a);
}

/* What the caller hears about any failure of the token itself; why is for the log (RFC 6750
 * section 3.1). */
static bool refused(struct err *e, const char *why)
{
    err_set(e, ERR_UNAUTHENTICATED, "the access token or API key is not valid");
    return err_detail(e, "%s", why);
}

/* The scopes that the policy knows; none of them is no restriction there, so it must not happen. */
static bool scopes_read(struct str scope, unsigned *out)
{
    unsigned bits;
    struct str rest = scope, word;
    *out = 0;
    while (str_next(&rest, ' ', &word))
        if (policy_scopes_read(word, &bits))
            *out |= bits;
    return *out != 0;
}

/* The connections that the scope names; none named is no narrowing. */
static bool connections_read(struct arena *keep, struct str scope, struct caller *out,
                             struct err *e)
{
    size_t n = 0;
    struct str rest = scope, word, *ids;
    while (str_next(&rest, ' ', &word))
        n += scope_is_connection(word);
    if (n == 0)
        return true;
    ids = arena_alloc(keep, n * sizeof(*ids));
    if (!ids)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    out->connection_ids = ids;
    rest = scope;
    while (str_next(&rest, ' ', &word))
        if (scope_is_connection(word))
            ids[out->n_connection_ids++] = str_slice(word, 5, SIZE_MAX);
    return true;
}

/* Where an access token works: at the resource it was granted for, and nowhere else. */
static void audience_apply(struct str resource, struct caller *c)
{
    c->is_management_audience = str_eq(resource, STR("management"));
    c->is_proxy_audience =
        id_is(resource, "conn") || id_is(resource, "vs") || str_eq(resource, STR("hub"));
    c->audience_connection_id = c->is_proxy_audience ? resource : STR_NONE;
}

static bool access_build(struct services *sv, struct arena *keep, struct str hash_hex, int64_t now,
                         struct caller *out, struct err *e)
{
    struct oauth_access token;
    if (!oauth_tokens_access_get(sv->db, keep, hash_hex, now, &token, e))
        return e->code == ERR_NOT_FOUND ? refused(e, "unknown, expired or revoked access token")
                                        : false;
    if (!caller_build(sv, keep, token.org_id, token.user_id, NULL, out, e))
        return e->code == ERR_NOT_FOUND
                   ? refused(e, "the token's user is disabled or no member any more")
                   : false;
    if (!scopes_read(token.scope, &out->scopes))
        return refused(e, "the access token has no scope");
    if (!connections_read(keep, token.scope, out, e))
        return false;
    out->client_id = token.client_id;
    out->expires_at = token.expires_at;
    audience_apply(token.resource, out);
    out->principal = arena_printf(keep, "%.*s|%.*s|%.*s", STR_FMT(out->org_id),
                                  STR_FMT(out->user_id), STR_FMT(out->client_id));
    return !str_is_absent(out->principal) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool key_build(struct services *sv, struct arena *keep, struct str hash_hex, int64_t now,
                      struct caller *out, struct err *e)
{
    struct api_key key;
    if (!api_keys_by_hash(sv->db, keep, hash_hex, now, &key, e))
        return e->code == ERR_NOT_FOUND ? refused(e, "unknown or expired API key") : false;
    if (!caller_build(sv, keep, key.org_id, key.user_id, &key, out, e))
        return e->code == ERR_NOT_FOUND
                   ? refused(e, "the key's user is disabled or no member any more")
                   : false;
    return true;
}

static struct token_entry *entry_new(struct services *sv, struct str digest, bool is_access,
                                     int64_t now, struct err *e)
{
    char hash_hex[65];
    text_hex(hash_hex, digest.p, digest.n);
    struct token_entry *entry = calloc(1, sizeof(*entry));
    struct arena *keep = arena_new((size_t)1024 * 1024);
    if (!entry || !keep) {
        free(entry);
        arena_end(keep);
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    entry->keep = keep;
    entry->refs = 1;
    /* The epoch is read before the rows: a change in between makes this entry be dropped, never be
     * kept too long. */
    uint64_t epoch = sv->tokens->epoch;
    void *old = NULL;
    bool is_good = is_access ? access_build(sv, keep, str_c(hash_hex), now, &entry->caller, e)
                             : key_build(sv, keep, str_c(hash_hex), now, &entry->caller, e);
    if (!is_good) {
        entry_release(entry);
        return NULL;
    }
    memcpy(entry->caller.token_digest, digest.p, sizeof(entry->caller.token_digest));
    if (epoch == sv->tokens->epoch && epoch == db_epoch(db_store_of(sv->db)) &&
        map_set(sv->tokens->by_digest, digest, entry, &old)) {
        entry->refs++;
        if (old)
            entry_release(old);
    }
    return entry; /* the caller of this function holds one reference */
}

static bool digest_check(struct services *sv, struct arena *a, struct str key, bool is_access,
                         int64_t now, const struct caller **out, struct err *e)
{
    cache_refresh(sv->tokens, db_epoch(db_store_of(sv->db)));

    struct token_entry *entry = map_get(sv->tokens->by_digest, key);
    if (entry) {
        metric_add(M_CACHE_HITS, 1);
        entry->refs++;
    } else {
        metric_add(M_CACHE_MISSES, 1);
        entry = entry_new(sv, key, is_access, now, e);
        if (!entry)
            return false;
    }
    if (!arena_on_end(a, entry_release, entry)) {
        entry_release(entry);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (entry->caller.expires_at && entry->caller.expires_at <= now)
        return refused(e, "expired access token or API key");
    if (!str_is_absent(entry->caller.key_id))
        entry_touch(sv, entry, now);
    *out = &entry->caller;
    return true;
}

bool token_check(struct services *sv, struct arena *a, struct str bearer, int64_t now,
                 const struct caller **out, struct err *e)
{
    if (bearer.n == 0 || bearer.n > LIMIT_TOKEN)
        return refused(e, "empty or over-long token");
    struct sha256 digest = hash_sha256(bearer);
    return digest_check(sv, a, (struct str){(const char *)digest.b, sizeof(digest.b)},
                        str_starts(bearer, STR(ACCESS_PREFIX)), now, out, e);
}

bool token_check_again(struct services *sv, struct arena *a, const struct caller *before,
                       int64_t now, const struct caller **out, struct err *e)
{
    struct str digest = {(const char *)before->token_digest, sizeof(before->token_digest)};
    return digest_check(sv, a, digest, !str_is_absent(before->client_id), now, out, e);
}

bool caller_of_member(struct services *sv, struct arena *a, struct str org_id, struct str user_id,
                      const struct caller **out, struct err *e)
{
    struct caller *c = arena_alloc(a, sizeof(*c));
    if (!c)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!caller_build(sv, a, org_id, user_id, NULL, c, e))
        return false;
    *out = c;
    return true;
}
