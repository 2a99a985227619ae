/* Who is calling: digest of the bearer -> cached caller, rebuilt from the store when authorization
 * data changed. */
#include "auth/token_check.h"

#include <stdlib.h>

#include "auth/caller_build.h"
#include "auth/login/signin_policy.h"
#include "auth/foreign/foreign_check.h"
#include "auth/oauth/issue.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/row_cache.h"
#include "crypto/hash.h"
#include "io/fiber.h"
#include "log/metrics.h"
#include "store/api_keys.h"
#include "store/oauth_tokens.h"

enum { TOUCH_EVERY_MS = 60 * 1000 };

/* One known token. */
struct token_entry {
    struct arena *keep; /* holds the caller's strings */
    struct caller caller;
    int64_t touched_at;
    int64_t good_until; /* of a foreign one: to be looked at again then, ms; 0: whenever the store's
                           truth changes */
};

/* How a foreign token was shown, so that a stream's can be looked at again. */
struct token_shown {
    struct foreign_shown shown; /* address absent */
    int64_t used_at;
    char *memory; /* holds the texts */
    size_t n;
};

struct token_cache {
    struct row_cache *entries; /* by digest */
    struct map *shown;         /* digest -> struct token_shown; outlives what entries forgets */
};

static void shown_free(void *arg)
{
    struct token_shown *t = arg;
    secret_wipe(t->memory, t->n);
    free(t->memory);
    free(t);
}

struct token_cache *token_cache_new(void)
{
    struct token_cache *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->entries = row_cache_new();
    c->shown = map_new();
    if (c->entries && c->shown)
        return c;
    token_cache_free(c);
    return NULL;
}

void token_cache_free(struct token_cache *c)
{
    if (!c)
        return;
    row_cache_free(c->entries);
    map_free(c->shown, shown_free);
    free(c);
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
    if (!caller_scope_apply(keep, token.scope, out, e))
        return e->code == ERR_INSUFFICIENT_SCOPE ? refused(e, "the access token has no scope")
                                                 : false;
    if (!signin_policy_check(sv, keep, token.org_id, token.user_id, &token.proof, e))
        return e->code == ERR_FORBIDDEN
                   ? refused(e, "the organization requires another sign-in than the grant's")
                   : false;
    /* The installation is beyond what an organization's provider can prove. */
    out->is_operator = out->is_operator && str_is_absent(token.proof.org_id);
    out->proof = token.proof;
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
    out->proof.by = key.proof;
    out->proof.org_id = key.proof_org_id;
    out->is_operator = out->is_operator && str_is_absent(key.proof_org_id);
    if (str_is_absent(key.proof_org_id) ||
        signin_policy_owner_check(sv, keep, key.user_id, &out->proof, e))
        return true;
    return e->code == ERR_FORBIDDEN
               ? refused(e, "made in a sign-in by a provider that proves no owners")
               : false;
}

/* Which rows a credential's caller is built from. */
enum token_kind { TOKEN_KEY, TOKEN_ACCESS, TOKEN_FOREIGN };
struct token_asked {
    enum token_kind kind;
    struct str digest;
    const struct foreign_shown *shown; /* of TOKEN_FOREIGN; NULL: as it was shown before */
    int64_t now;                       /* ms */
    bool was_unknown;                  /* result */
};

static bool entry_build(struct services *sv, const struct token_asked *asked,
                        struct token_entry *entry, int64_t now, struct err *e)
{
    char hash_hex[65];
    text_hex(hash_hex, asked->digest.p, asked->digest.n);
    if (asked->kind == TOKEN_FOREIGN)
        return foreign_check(sv, entry->keep, asked->shown, now, &entry->caller, &entry->good_until,
                             e);
    return asked->kind == TOKEN_ACCESS
               ? access_build(sv, entry->keep, str_c(hash_hex), now, &entry->caller, e)
               : key_build(sv, entry->keep, str_c(hash_hex), now, &entry->caller, e);
}

static void *entry_load(struct services *sv, struct row *row, void *arg, struct err *e)
{
    struct token_asked *asked = arg;
    struct token_entry *entry = arena_alloc(row->keep, sizeof(*entry));
    uint64_t epoch = db_epoch(db_store_of(sv->db));
    asked->was_unknown = true;
    if (!entry) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    entry->keep = row->keep;
    if (!entry_build(sv, asked, entry, asked->now, e))
        return NULL;
    memcpy(entry->caller.token_digest, asked->digest.p, sizeof(entry->caller.token_digest));
    entry->caller.epoch = epoch;
    return entry;
}

/* Held until the arena ends. */
static struct token_entry *entry_find(struct services *sv, struct arena *a,
                                      struct token_asked *asked, struct err *e)
{
    struct row_cache *c = sv->tokens->entries;
    const struct row_ask ask = {STR_NONE, asked->digest, entry_load, asked};
    struct token_entry *entry = row_cache_get(c, sv, a, &ask, e);
    if (entry && !asked->was_unknown && entry->good_until && entry->good_until <= asked->now) {
        row_cache_drop(c, asked->digest);
        entry = row_cache_get(c, sv, a, &ask, e);
    }
    metric_add(asked->was_unknown ? M_CACHE_MISSES : M_CACHE_HITS, 1);
    return entry;
}

static bool digest_check(struct services *sv, struct arena *a, struct token_asked *asked,
                         const struct caller **out, struct err *e)
{
    struct token_entry *entry = entry_find(sv, a, asked, e);
    if (!entry)
        return false;
    if (entry->caller.expires_at && entry->caller.expires_at <= asked->now)
        return refused(e, "expired access token or API key");
    if (!str_is_absent(entry->caller.key_id))
        entry_touch(sv, entry, asked->now);
    *out = &entry->caller;
    return true;
}

static struct str digest_text(const struct sha256 *digest)
{
    return (struct str){(const char *)digest->b, sizeof(digest->b)};
}

bool token_check(struct services *sv, struct arena *a, struct str bearer, int64_t now,
                 const struct caller **out, struct err *e)
{
    if (bearer.n == 0 || bearer.n > LIMIT_TOKEN || foreign_looks_so(bearer))
        return refused(e, "no token of ours");
    struct sha256 digest = hash_sha256(bearer);
    struct token_asked asked = {.kind = str_starts(bearer, STR(ACCESS_PREFIX)) ? TOKEN_ACCESS
                                                                               : TOKEN_KEY,
                                .digest = digest_text(&digest),
                                .now = now};
    return digest_check(sv, a, &asked, out, e);
}

/* ---- tokens of other authorization servers ---- */

struct oldest {
    struct str digest;
    int64_t used_at;
};

static bool oldest_visit(struct str digest, void *value, void *arg)
{
    const struct token_shown *t = value;
    struct oldest *o = arg;
    if (str_is_absent(o->digest) || t->used_at < o->used_at)
        *o = (struct oldest){digest, t->used_at};
    return false;
}

/* Keeps how a good token was shown. Without memory its streams end at the next change. */
static void shown_keep(struct token_cache *c, struct str digest, const struct foreign_shown *shown,
                       int64_t now)
{
    struct token_shown *t = map_get(c->shown, digest);
    if (t) {
        t->used_at = now;
        return;
    }
    if (map_count(c->shown) >= LIMIT_FOREIGN_SHOWN) {
        struct oldest oldest = {STR_NONE, 0};
        map_each(c->shown, oldest_visit, &oldest);
        shown_free(map_take(c->shown, oldest.digest));
    }
    t = calloc(1, sizeof(*t));
    size_t n = shown->token.n + shown->path.n;
    char *memory = malloc(n);
    if (!t || !memory) {
        free(t);
        free(memory);
        return;
    }
    memcpy(memory, shown->token.p, shown->token.n);
    memcpy(memory + shown->token.n, shown->path.p, shown->path.n);
    *t = (struct token_shown){.shown = {.token = {memory, shown->token.n},
                                        .path = {memory + shown->token.n, shown->path.n}},
                              .used_at = now,
                              .memory = memory,
                              .n = n};
    if (!map_set(c->shown, digest, t, NULL))
        shown_free(t);
}

bool token_check_at(struct services *sv, struct arena *a, const struct foreign_shown *shown,
                    int64_t now, const struct caller **out, struct err *e)
{
    if (shown->token.n == 0 || !foreign_looks_so(shown->token))
        return token_check(sv, a, shown->token, now, out, e);
    struct str parts[] = {STR("foreign "), shown->path, STR(" "), shown->token};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    struct token_asked asked = {
        .kind = TOKEN_FOREIGN, .digest = digest_text(&digest), .shown = shown, .now = now};
    if (!digest_check(sv, a, &asked, out, e))
        return false;
    shown_keep(sv->tokens, asked.digest, shown, now);
    return true;
}

bool token_check_again(struct services *sv, struct arena *a, const struct caller *before,
                       int64_t now, const struct caller **out, struct err *e)
{
    struct token_asked asked = {
        .kind = str_is_absent(before->client_id) ? TOKEN_KEY : TOKEN_ACCESS,
        .digest = {(const char *)before->token_digest, sizeof(before->token_digest)},
        .now = now};
    if (!id_is(before->client_id, "iss"))
        return digest_check(sv, a, &asked, out, e);
    const struct token_shown *t = map_get(sv->tokens->shown, asked.digest);
    if (!t)
        return refused(e, "how the foreign token was shown is not known any more");
    /* The map's may go while others are asked. */
    struct foreign_shown shown = {.token = arena_dup(a, t->shown.token),
                                  .path = arena_dup(a, t->shown.path)};
    if (str_is_absent(shown.token) || str_is_absent(shown.path))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    asked.kind = TOKEN_FOREIGN;
    asked.shown = &shown;
    if (digest_check(sv, a, &asked, out, e))
        return true;
    /* What its scope stood for is gone: nothing holds any more, as with a token that is. */
    return e->code == ERR_INSUFFICIENT_SCOPE ? refused(e, "its scope is not enough any more")
                                             : false;
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
