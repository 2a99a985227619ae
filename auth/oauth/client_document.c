#include "auth/oauth/client_document.h"

#include "auth/oauth/client_rules.h"
#include "auth/oauth/document_budget.h"
#include "auth/oauth/known_documents.h"
#include "auth/oauth/register.h"
#include "auth/oauth/wire.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/uri.h"
#include "io/fiber.h"
#include "io/http_client.h"

enum {
    CONNECT_MS = 3000,
    FETCH_MS = 5000,
    WAIT_MS = 10 * 1000,
    WAIT_STEP_MS = 20,
    FRESH_MIN_MS = 60 * 1000,
    FRESH_MAX_MS = 24 * 60 * 60 * 1000,
    FRESH_USUAL_MS = 60 * 60 * 1000,
    RETRY_MS = 60 * 1000, /* a document that could not be fetched again */
    KEPT_MS = 7 * 24 * 60 * 60 * 1000,
};

bool client_document_is_id(struct str client_id)
{
    return str_starts(client_id, STR("https://"));
}

/* ---- the URL ---- */

/* "." and "..", also as %2e. */
static bool is_dots(struct str segment)
{
    size_t n = 0;
    for (size_t i = 0; i < segment.n; n++) {
        if (segment.p[i] == '.')
            i++;
        else if (str_ieq(str_slice(segment, i, 3), STR("%2e")))
            i += 3;
        else
            return false;
    }
    return n == 1 || n == 2;
}

static bool has_dots(struct str path)
{
    struct str rest = path, segment;
    while (str_next(&rest, '/', &segment))
        if (is_dots(segment))
            return true;
    return false;
}

bool client_document_check_id(struct str client_id, struct err *e)
{
    struct uri u;
    const char *why = NULL;
    if (client_id.n > LIMIT_URL || !uri_parse(client_id, &u) ||
        str_find_char(client_id, '\\') != SIZE_MAX || u.host.n == 0)
        why = "is no URL";
    else if (!str_eq(u.scheme, STR("https")))
        why = "must be an https URL";
    else if (u.path.n < 2)
        why = "must have a path";
    else if (!str_is_absent(u.fragment) || !str_is_absent(u.userinfo))
        why = "must have neither a fragment nor user information";
    else if (has_dots(u.path))
        why = "must not have . or .. in its path";
    return !why || err_set(e, ERR_CLIENT_METADATA, "client_id %s", why);
}

/* ---- fetching ---- */

static bool is_json_type(struct str type)
{
    struct str name = str_trim(str_slice(type, 0, str_find_char(type, ';')));
    return str_ieq(name, STR("application/json")) ||
           (str_ieq(str_slice(name, 0, 12), STR("application/")) && str_ends(name, STR("+json")));
}

/* max-age within our bounds; no-store, no-cache: the shortest (RFC 9111 section 5.2.2). */
static int64_t fresh_ms(struct str cache_control)
{
    struct str rest = cache_control, part;
    int64_t seconds, ms = FRESH_USUAL_MS;
    while (!str_is_absent(cache_control) && str_next(&rest, ',', &part)) {
        part = str_trim(part);
        if (str_ieq(part, STR("no-store")) || str_ieq(part, STR("no-cache")))
            return FRESH_MIN_MS;
        if (str_ieq(str_slice(part, 0, 8), STR("max-age=")) &&
            str_to_i64(str_slice(part, 8, SIZE_MAX), 0, FRESH_MAX_MS / 1000, &seconds))
            ms = seconds * 1000;
        else if (str_ieq(str_slice(part, 0, 8), STR("max-age=")))
            ms = FRESH_MAX_MS;
    }
    return ms < FRESH_MIN_MS ? FRESH_MIN_MS : ms;
}

/* One JSON document of a stranger. *fresh_until_ms is added to, not set, when it is younger. */
static bool document_fetch(const struct services *sv, struct arena *a, struct str url,
                           struct str *body, int64_t *fresh, struct err *e)
{
    static const struct http_header headers[] = {{STR("Accept"), STR("application/json")}};
    const struct http_call call = {.method = STR("GET"),
                                   .url = url,
                                   .headers = headers,
                                   .n_headers = ARRAY_LEN(headers),
                                   .connect_ms = CONNECT_MS,
                                   .first_byte_ms = FETCH_MS,
                                   .idle_ms = FETCH_MS,
                                   .total_ms = FETCH_MS,
                                   .max_bytes = LIMIT_CLIENT_DOCUMENT};
    struct http_fetched got;
    if (!http_fetch(sv->http, a, &call, LIMIT_CLIENT_DOCUMENT, &got, e))
        return false;
    if (got.head.status != 200)
        return err_set(e, ERR_CLIENT_METADATA, "the program's document was answered with status %d",
                       got.head.status);
    struct str type = http_header_get(got.head.headers, got.head.n_headers, STR("Content-Type"));
    if (!is_json_type(type))
        return err_set(e, ERR_CLIENT_METADATA, "the program's document is no JSON (Content-Type)");
    *body = got.body;
    *fresh = fresh_ms(http_header_get(got.head.headers, got.head.n_headers, STR("Cache-Control")));
    return true;
}

/* Keys that the document keeps elsewhere are read with it. */
static bool keys_fetch(const struct services *sv, struct arena *a, struct client_metadata *m,
                       struct err *e)
{
    struct str body = STR_NONE;
    int64_t ignored;
    struct err parse;
    if (str_is_absent(m->jwks_uri))
        return true;
    if (!document_fetch(sv, a, m->jwks_uri, &body, &ignored, e))
        return false;
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(body, &parse);
    return doc ? client_keys_read(a, jdoc_root(doc), &m->jwks, e)
               : err_set(e, ERR_CLIENT_METADATA, "what jwks_uri names is no JSON");
}

static bool document_read(struct arena *a, struct str url, struct str body,
                          struct client_metadata *out, struct err *e)
{
    struct err parse;
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(body, &parse);
    if (!doc)
        return err_set(e, ERR_CLIENT_METADATA, "the program's document is no JSON: %.200s",
                       parse.msg);
    if (!str_eq(jv_get_str(jdoc_root(doc), "client_id"), url))
        return err_set(e, ERR_CLIENT_METADATA, "the document names another client_id");
    return client_document_metadata_read(a, jdoc_root(doc), out, e);
}

static bool document_keep(struct http_request *rq, struct str url, const struct client_metadata *m,
                          int64_t fresh, const struct oauth_client *old, struct oauth_client *out,
                          struct err *e)
{
    const struct services *sv = rq->context;
    int64_t now = clock_wall_ms();
    struct oauth_client c = {.id = url,
                             .name = m->name,
                             .redirect_uris = m->redirect_uris,
                             .auth_method = m->auth_method,
                             .metadata = m->json,
                             .source = STR("document"),
                             .jwks = m->jwks,
                             .created_at = old ? old->created_at : now,
                             .consented_at = old ? old->consented_at : 0,
                             .updated_at = now,
                             .fetched_at = now,
                             .fresh_until = now + fresh};
    bool is_changed =
        old && (!str_eq(old->redirect_uris, c.redirect_uris) || !str_eq(old->jwks, c.jwks));
    struct wire_event event = {.method = "oauth_client_update",
                               .client_id = c.id,
                               .name = c.name,
                               .outcome = "ok",
                               .error = "its document changed redirect_uris or keys: consents end"};
    if (!old)
        event = (struct wire_event){
            .method = "oauth_register", .client_id = c.id, .name = c.name, .outcome = "ok"};
    if ((!old && !register_make_room(sv, rq->arena, now, e)) ||
        !oauth_clients_put_document(sv->db, rq->arena, &c, e) ||
        ((is_changed || !old) && !wire_audit(rq, &event, e)))
        return false;
    *out = c;
    return true;
}

static bool document_load(struct http_request *rq, struct str url, const struct oauth_client *old,
                          struct oauth_client *out, struct err *e)
{
    const struct services *sv = rq->context;
    struct client_metadata m = {0};
    struct str body = STR_NONE;
    int64_t fresh = 0;
    return document_fetch(sv, rq->arena, url, &body, &fresh, e) &&
           document_read(rq->arena, url, body, &m, e) && keys_fetch(sv, rq->arena, &m, e) &&
           document_keep(rq, url, &m, fresh, old, out, e);
}

/* The server of a client that many people use answers no data centre: what it is known to say. */
static bool known_load(struct http_request *rq, struct str url, const struct oauth_client *old,
                       struct oauth_client *out, struct err *e)
{
    struct client_metadata m = {0};
    struct err ignored;
    struct str body = known_document(url);
    return !str_is_absent(body) && document_read(rq->arena, url, body, &m, &ignored) &&
           document_keep(rq, url, &m, FRESH_USUAL_MS, old, out, e);
}

/* Fetches in its turn. old: what is kept, or NULL; it serves on when the fetch fails. */
static bool document_refresh(struct http_request *rq, struct str url,
                             const struct oauth_client *old, struct oauth_client *out,
                             struct err *e)
{
    const struct services *sv = rq->context;
    struct err why = {.code = ERR_NONE}, ignored;
    bool is_good = document_load(rq, url, old, out, &why);
    bool is_refused = why.code == ERR_CANCELLED || why.code == ERR_EGRESS;
    if (!is_good && !is_refused && known_load(rq, url, old, out, e))
        is_good = true;
    document_turn_end(url, is_good ? NULL : &why, clock_mono_ms());
    if (is_good)
        return true;
    int64_t now = clock_wall_ms();
    if (!old || old->fetched_at + KEPT_MS < now) {
        *e = why;
        return false;
    }
    *out = *old;
    (void)!oauth_clients_keep_document(sv->db, rq->arena, url, now + RETRY_MS, &ignored);
    return true;
}

static bool kept_get(struct http_request *rq, struct str url, struct oauth_client *out,
                     bool *is_kept, struct err *e)
{
    const struct services *sv = rq->context;
    *is_kept = oauth_clients_get(sv->db, rq->arena, url, out, e);
    return *is_kept || e->code == ERR_NOT_FOUND;
}

static bool is_recent(const struct oauth_client *kept, int64_t min_fetched_at)
{
    return kept->fresh_until > clock_wall_ms() && kept->fetched_at >= min_fetched_at;
}

/* In the caller's turn. Another's may have ended while the caller looked, so it looks once more. */
static bool turn_use(struct http_request *rq, struct str url, int64_t min_fetched_at,
                     struct oauth_client *out, struct err *e)
{
    struct oauth_client kept;
    bool is_kept;
    bool is_good = kept_get(rq, url, &kept, &is_kept, e);
    if (is_good && !(is_kept && is_recent(&kept, min_fetched_at)))
        return document_refresh(rq, url, is_kept ? &kept : NULL, out, e);
    document_turn_end(url, NULL, clock_mono_ms());
    if (is_good)
        *out = kept;
    return is_good;
}

/* min_fetched_at: what was fetched before that is not good enough, however fresh. */
static bool document_find(struct http_request *rq, struct str url, int64_t min_fetched_at,
                          struct oauth_client *out, struct err *e)
{
    struct uri u;
    struct oauth_client kept;
    bool is_kept;
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    if (!client_document_check_id(url, e) || !uri_parse(url, &u))
        return false;
    while (kept_get(rq, url, &kept, &is_kept, e)) {
        if (is_kept && is_recent(&kept, min_fetched_at)) {
            *out = kept;
            return true;
        }
        enum document_turn turn = document_turn_take(url, u.host, clock_mono_ms(), e);
        if (turn == DOCUMENT_FETCH)
            return turn_use(rq, url, min_fetched_at, out, e);
        if (turn != DOCUMENT_WAIT && is_kept && kept.fetched_at + KEPT_MS > clock_wall_ms()) {
            *out = kept;
            return true;
        }
        if (turn != DOCUMENT_WAIT)
            return false;
        if (clock_mono_ms() > deadline)
            return err_set(e, ERR_TIMEOUT, "the program's document takes too long");
        if (!fiber_sleep_until(clock_mono_ms() + WAIT_STEP_MS, e))
            return false;
    }
    return false;
}

bool client_document_get(struct http_request *rq, struct str client_id, struct oauth_client *out,
                         struct err *e)
{
    const struct services *sv = rq->context;
    if (str_eq(str_c(sv->config->cimd), STR("off")))
        return err_set(e, ERR_CLIENT_METADATA, "client metadata documents are switched off here");
    return document_find(rq, client_id, 0, out, e);
}

bool client_document_again(struct http_request *rq, struct oauth_client *client, struct err *e)
{
    int64_t minute_ago = clock_wall_ms() - RETRY_MS;
    if (client->fetched_at >= minute_ago)
        return true;
    return document_find(rq, client->id, minute_ago, client, e);
}

bool client_documents_are_on(const struct services *sv)
{
    struct str setting = str_c(sv->config->cimd);
    if (!str_eq(setting, STR("auto")))
        return str_eq(setting, STR("on"));
    return !document_network_seems_shut(clock_mono_ms());
}
