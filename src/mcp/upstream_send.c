/* Outgoing calls to MCP servers. */
#include "mcp/upstream_send.h"

#include "auth/downstream/access.h"
#include "auth/downstream/discover.h"
#include "auth/downstream/dpop.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "json/jscan.h"
#include "mcp/channel.h"
#include "mcp/upstream_health.h"

enum { HEADERS_OWN = 13, HEADERS_PARAM = LIMIT_PARAM_HEADERS };

struct header_list {
    struct http_header v[HEADERS_OWN + HEADERS_PARAM + LIMIT_HEADERS_INJECTED];
    size_t n;
};

static void put(struct header_list *list, struct str name, struct str value)
{
    if (list->n < ARRAY_LEN(list->v) && !str_is_absent(value))
        list->v[list->n++] = (struct http_header){name, value};
}

/* Mcp-Name values outside of visible ASCII travel as =?base64?...?= (MCP 2026-07-28, header
 * encoding). */
struct str upstream_header_encode(struct arena *a, struct str name)
{
    bool is_plain = name.n > 0 && name.p[0] != ' ' && name.p[0] != '\t' &&
                    name.p[name.n - 1] != ' ' && name.p[name.n - 1] != '\t' &&
                    !str_starts(name, STR("=?base64?"));
    for (size_t i = 0; is_plain && i < name.n; i++)
        is_plain = name.p[i] >= 0x20 && name.p[i] <= 0x7E;
    if (is_plain)
        return name;
    struct buf out;
    buf_init(&out, LIMIT_HEADER_BYTES);
    buf_add(&out, STR("=?base64?"));
    text_b64(&out, name.p, name.n);
    buf_add(&out, STR("?="));
    struct str encoded = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return encoded;
}

/* The server checks Mcp-Param-* against the body; we pass on what the client sent and never read
 * them. */
static void param_headers_copy(struct header_list *list, const struct http_request *rq)
{
    size_t copied = 0;
    for (size_t i = 0; i < rq->n_headers && copied < HEADERS_PARAM; i++) {
        if (!str_ieq(str_slice(rq->headers[i].name, 0, 10), STR("Mcp-Param-")))
            continue;
        put(list, rq->headers[i].name, rq->headers[i].value);
        copied++;
    }
}

static void headers_build(struct header_list *list, struct arena *a,
                          const struct upstream_message *m)
{
    bool is_post = !str_is_absent(m->body);
    if (is_post)
        put(list, STR("Content-Type"), STR("application/json"));
    put(list, STR("Accept"),
        is_post ? STR("application/json, text/event-stream") : STR("text/event-stream"));
    put(list, STR("User-Agent"), STR("tulle/" TULLE_VERSION));
    put(list, STR("MCP-Protocol-Version"), m->version);
    put(list, STR("Mcp-Session-Id"), m->session_id);
    put(list, STR("Last-Event-ID"), m->last_event_id);
    if (m->era == ERA_STATELESS) {
        put(list, STR("Mcp-Method"), m->method);
        if (!str_is_absent(m->name))
            put(list, STR("Mcp-Name"), upstream_header_encode(a, m->name));
        for (size_t i = 0; i < m->n_params; i++)
            put(list, m->params[i].name, m->params[i].value);
        if (m->rq && !m->params)
            param_headers_copy(list, m->rq);
    }
    if (m->rq) {
        struct trace child;
        char text[TRACEPARENT_SIZE];
        trace_child(&m->rq->trace, &child);
        trace_format(&child, text);
        put(list, STR("traceparent"), arena_dup(a, str_c(text)));
        put(list, STR("tracestate"), http_request_header(m->rq, STR("tracestate")));
    }
    for (size_t i = 0; i < m->credential->n_headers; i++)
        put(list, m->credential->headers[i].name, m->credential->headers[i].value);
}

static struct str address_build(struct arena *a, const struct upstream_message *m, struct str url)
{
    if (str_is_absent(m->credential->query))
        return url;
    const char *joint = str_find_char(url, '?') == SIZE_MAX ? "?" : "&";
    return arena_printf(a, "%.*s%s%.*s", STR_FMT(url), joint, STR_FMT(m->credential->query));
}

/* What a proof at this address is about. */
static struct dpop_request proof_about(const struct upstream_message *m, struct str url)
{
    struct str text = secret_reveal(&m->credential->header_text);
    size_t scheme = CREDENTIAL_DPOP.n;
    return (struct dpop_request){m->http_method, url, str_slice(text, scheme, text.n - scheme)};
}

static bool is_bound(const struct upstream_message *m)
{
    return m->credential->dpop_key.n > 0;
}

static bool proof_put(struct header_list *list, struct arena *a, const struct upstream_message *m,
                      struct str url)
{
    const struct dpop_request about = proof_about(m, url);
    struct str proof = dpop_proof_make(a, secret_reveal(&m->credential->dpop_key), &about);
    put(list, STR("DPoP"), proof);
    return !str_is_absent(proof);
}

bool upstream_proof_refused(struct arena *a, const struct upstream_message *m, struct str url,
                            const struct http_answer_head *head)
{
    struct downstream_challenge says;
    if (!is_bound(m))
        return false;
    const struct dpop_request about = proof_about(m, url);
    dpop_nonce_keep(a, &about, http_header_get(head->headers, head->n_headers, STR("DPoP-Nonce")));
    return head->status == 401 && downstream_challenge_of(a, head, &says) &&
           (str_eq(says.dpop_error, STR("use_dpop_nonce")) ||
            str_eq(says.dpop_error, STR("invalid_dpop_proof")));
}

bool upstream_call_build(struct arena *a, const struct upstream_message *m, struct str url,
                         struct http_call *out, struct err *e)
{
    struct header_list *list = arena_alloc(a, sizeof(*list));
    struct str address = address_build(a, m, url);
    if (!list || str_is_absent(address))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    headers_build(list, a, m);
    if (is_bound(m) && !proof_put(list, a, m, address))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    *out = (struct http_call){.method = m->http_method,
                              .url = address,
                              .headers = list->v,
                              .n_headers = list->n,
                              .body = m->body,
                              .is_repeatable = m->is_repeatable,
                              .first_byte_ms = m->first_byte_ms,
                              .idle_ms = m->idle_ms,
                              .total_ms = m->total_ms};
    return true;
}

static struct http_exchange *send_once(struct services *sv, struct arena *a,
                                       const struct upstream_message *m,
                                       struct http_answer_head *head, struct err *e)
{
    struct http_call call;
    if (!upstream_call_build(a, m, m->entry->conn.url, &call, e))
        return NULL;
    if (!upstream_health_admit(sv, m->entry, e))
        return NULL;
    int64_t began_ms = clock_mono_ms();
    struct http_exchange *x = http_open(sv->http, &call, head, e);
    upstream_health_note(sv, m->entry, x ? head->status : 0, e, clock_mono_ms() - began_ms);
    return x;
}

/* A server that refuses the proof has not taken the message (RFC 9449 sections 7.1 and 9): it gets
 * another once, with its nonce. */
static struct http_exchange *send_proven(struct services *sv, struct arena *a,
                                         const struct upstream_message *m,
                                         struct http_answer_head *head, bool *is_refused,
                                         struct err *e)
{
    struct http_exchange *x = send_once(sv, a, m, head, e);
    *is_refused = x && upstream_proof_refused(a, m, m->entry->conn.url, head);
    if (!*is_refused)
        return x;
    http_close(x);
    x = send_once(sv, a, m, head, e);
    *is_refused = x && upstream_proof_refused(a, m, m->entry->conn.url, head);
    return x;
}

/* A 401 says that the message was not taken: with another token it may be sent once more. A 403 may
 * say what is missing. */
static struct exchange *send_by_http(struct services *sv, struct arena *a,
                                     const struct upstream_message *m,
                                     struct http_answer_head *head, struct err *e)
{
    auto_free(credential_end) struct credential fresh = {0};
    struct upstream_message again = *m;
    struct downstream_challenge says;
    struct err ignored;
    bool is_proof_refused;
    struct http_exchange *x = send_proven(sv, a, m, head, &is_proof_refused, e);
    if (!x || m->credential->generation == 0)
        return exchange_of_http(x, e);
    if (head->status == 403 && downstream_challenge_of(a, head, &says) &&
        str_eq(says.error, STR("insufficient_scope")) &&
        !downstream_access_want(sv, a, &m->entry->conn, m->credential->owner,
                                m->credential->generation, says.scope)) {
        http_close(x);
        err_set(e, ERR_UPSTREAM,
                "the server says that the token lacks the scope %.*s, which was granted: to "
                "authorize again would change nothing",
                STR_FMT(str_slice(says.scope, 0, 200)));
        return NULL;
    }
    if (head->status != 401 || is_proof_refused ||
        !credential_renew(sv, a, m->entry, m->credential, &fresh, &ignored))
        return exchange_of_http(x, e);
    http_close(x);
    again.credential = &fresh;
    x = send_proven(sv, a, &again, head, &is_proof_refused, e);
    if (x && head->status == 401 && !is_proof_refused)
        downstream_access_refused(sv, a, &m->entry->conn, fresh.owner, fresh.generation);
    return exchange_of_http(x, e);
}

/* A server that refuses a POST of initialize may be one of the first revision, with HTTP+SSE (MCP
 * 2025-11-25, Transports, Backwards compatibility). */
static bool may_be_sse(const struct upstream_message *m, const struct http_answer_head *head)
{
    struct jwant wants[] = {{.name = STR("method")}};
    struct err ignored;
    bool is_refused = head->status == 400 || head->status == 404 || head->status == 405;
    return is_refused && m->era == ERA_SESSION && str_is_absent(m->session_id) &&
           !str_is_absent(m->body) && str_eq(m->entry->conn.transport, STR("auto")) &&
           jscan_object(m->body, wants, 1, &ignored) &&
           str_eq(wants[0].value, STR("\"initialize\""));
}

/* Tries HTTP+SSE in the place of the refused x, which is given back when that does not work. */
static struct exchange *fall_back(struct services *sv, struct arena *a,
                                  const struct upstream_message *m, struct exchange *x,
                                  struct http_answer_head *head)
{
    struct http_answer_head sse_head;
    struct err ignored;
    struct exchange *sse = channel_send(sv, a, m, &sse_head, &ignored);
    if (!sse)
        return x;
    m->entry->is_sse = true; /* not before: others are under way with this entry */
    exchange_close(x);
    *head = sse_head;
    return sse;
}

struct exchange *upstream_send(struct services *sv, struct arena *a,
                               const struct upstream_message *m, struct http_answer_head *head,
                               struct err *e)
{
    if (channel_carries(m))
        return channel_send(sv, a, m, head, e);
    struct exchange *x = send_by_http(sv, a, m, head, e);
    return x && may_be_sse(m, head) ? fall_back(sv, a, m, x, head) : x;
}
