#include "auth/downstream/fetch.h"

#include "base/limits.h"
#include "io/http_client.h"

enum { HEADERS = 6 };

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

/* What is no JSON is kept as none: the status says more. */
static bool json_read(struct arena *a, struct str body, struct downstream_answer *out,
                      struct err *e)
{
    struct err ignored;
    struct jdoc *doc = jdoc_parse(body, &ignored);
    out->json = out->value = NULL;
    if (!doc)
        return true;
    if (!arena_on_end(a, doc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    out->value = jdoc_root(doc);
    if (jv_is_object(out->value))
        out->json = out->value;
    return true;
}

bool downstream_fetch(struct services *sv, struct arena *a, struct str url,
                      const struct downstream_post *post, struct downstream_answer *out,
                      struct err *e)
{
    bool has_body = post && !str_is_absent(post->body);
    struct http_header headers[HEADERS] = {{STR("Accept"), STR("application/json")},
                                           {STR("User-Agent"), STR("tulle/" TULLE_VERSION)},
                                           {STR("MCP-Protocol-Version"), STR("2025-11-25")}};
    size_t n = 3;
    if (has_body)
        headers[n++] = (struct http_header){STR("Content-Type"), post->type};
    if (post && !str_is_absent(post->authorization))
        headers[n++] = (struct http_header){STR("Authorization"), post->authorization};
    if (post && !str_is_absent(post->dpop))
        headers[n++] = (struct http_header){STR("DPoP"), post->dpop};
    int64_t total_ms = post && post->total_ms ? post->total_ms : LIMIT_OAUTH_MS;
    struct http_call call = {.method = has_body ? STR("POST") : STR("GET"),
                             .url = url,
                             .headers = headers,
                             .n_headers = n,
                             .body = has_body ? post->body : STR_NONE,
                             .first_byte_ms = LIMIT_OAUTH_MS,
                             .idle_ms = LIMIT_OAUTH_MS,
                             .total_ms = total_ms,
                             .max_bytes = LIMIT_OAUTH_DOCUMENT};
    struct http_fetched got;
    if (url.n > LIMIT_URL)
        return err_set(e, ERR_UPSTREAM, "an address of the authorization server is too long");
    if (!http_guard_url(sv->guard, url, e) ||
        !http_fetch(sv->http, a, &call, LIMIT_OAUTH_DOCUMENT, &got, e))
        return false;
    out->status = got.head.status;
    out->dpop_nonce = http_header_get(got.head.headers, got.head.n_headers, STR("DPoP-Nonce"));
    return json_read(a, got.body, out, e);
}
