/* CONNECTION_TEST: what was tried, step by step, with the time of each. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/uri.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/channel.h"
#include "mcp/upstream.h"
#include "mcp/upstream_era.h"
#include "mcp/upstream_health.h"
#include "mcp/upstream_send.h"

struct test_run {
    struct services *sv;
    struct arena *arena;
    struct jout *steps;
    bool is_ok;
    const char *status;
    int64_t began_us;
};

static void step_took(struct test_run *t, const char *name, bool ok, int64_t ms, struct str detail)
{
    struct jout *j = t->steps;
    jout_object(j);
    jout_kstr(j, "name", str_c(name));
    jout_kbool(j, "ok", ok);
    jout_ki64(j, "ms", ms);
    jout_kstr(j, "detail", detail);
    jout_object_end(j);
    t->is_ok = t->is_ok && ok;
}

static void step_write(struct test_run *t, const char *name, bool ok, int64_t since_us,
                       struct str detail)
{
    step_took(t, name, ok, (clock_mono_us() - since_us) / 1000, detail);
}

static bool step_failed(struct test_run *t, const char *name, int64_t since_us, const struct err *e)
{
    t->status = e->code == ERR_UPSTREAM_AUTH ? "needs_authorization" : "down";
    step_write(t, name, false, since_us, str_c(e->msg));
    return false;
}

static bool test_address(struct test_run *t, const struct connection *conn)
{
    struct err e;
    int64_t began = clock_mono_us();
    if (str_eq(conn->transport, STR("stdio"))) {
        if (!t->sv->config->allow_stdio_effective) {
            err_set(&e, ERR_UNPROCESSABLE, "stdio servers are not allowed on this installation");
            return step_failed(t, "program", began, &e);
        }
        step_write(t, "program", true, began, conn->command);
        return true;
    }
    if (!http_guard_url(t->sv->guard, conn->url, &e))
        return step_failed(t, "address", began, &e);
    step_write(t, "address", true, began, conn->url);
    return true;
}

static bool test_credential(struct test_run *t, struct registry_entry *entry,
                            const struct caller *caller, struct credential *cred)
{
    struct err e;
    int64_t began = clock_mono_us();
    if (!credential_load(t->sv, t->arena, entry, caller ? caller->user_id : STR(""), cred, &e))
        return step_failed(t, "credential", began, &e);
    step_write(t, "credential", true, began, entry->conn.auth);
    return true;
}

/* Where an OAuth client would begin (RFC 9728 5.1), if the server says so. */
static struct str challenge_text(struct test_run *t, const struct http_answer_head *head)
{
    struct str given = http_header_get(head->headers, head->n_headers, STR("WWW-Authenticate"));
    size_t at = str_find(given, STR("resource_metadata=\""));
    struct str url = str_slice(given, at == SIZE_MAX ? given.n : at + 19, SIZE_MAX);
    url = str_slice(url, 0, str_find_char(url, '"'));
    struct uri parts;
    if (url.n == 0 || !uri_parse(url, &parts))
        return arena_printf(t->arena, "the server refused our credential (HTTP %d)", head->status);
    return arena_printf(t->arena,
                        "the server refused our credential (HTTP %d) and names its OAuth metadata: "
                        "%.*s",
                        head->status, STR_FMT(url));
}

static void test_phases(struct test_run *t, const struct http_timing *timing)
{
    if (timing->was_reused)
        step_took(t, "connect", true, 0, STR("a kept connection was used"));
    if (timing->dns_ms >= 0)
        step_took(t, "dns", true, timing->dns_ms, STR(""));
    if (timing->connect_ms >= 0)
        step_took(t, "connect", true, timing->connect_ms, STR(""));
    if (timing->tls_ms >= 0)
        step_took(t, "tls", true, timing->tls_ms, STR(""));
}

/* One question over HTTP, whatever the breaker says: its phases, and whether the credential is
 * taken. */
static bool test_reach(struct test_run *t, struct registry_entry *entry,
                       const struct credential *cred)
{
    struct err e;
    int64_t began = clock_mono_us();
    struct upstream_message m;
    upstream_discover_message(t->arena, entry, cred, STR("\"test\""), LIMIT_PROBE_MS, &m);
    struct http_call call;
    struct http_answer_head head;
    if (channel_is_used(entry))
        return true;
    if (!upstream_call_build(t->arena, &m, entry->conn.url, &call, &e))
        return step_failed(t, "http", began, &e);
    auto_free(http_closep) struct http_exchange *x = http_open(t->sv->http, &call, &head, &e);
    if (x && upstream_proof_refused(t->arena, &m, entry->conn.url, &head)) {
        http_close(x);
        x = upstream_call_build(t->arena, &m, entry->conn.url, &call, &e)
                ? http_open(t->sv->http, &call, &head, &e)
                : NULL;
    }
    upstream_health_note(t->sv, entry, x ? head.status : 0, &e, (clock_mono_us() - began) / 1000);
    if (!x)
        return step_failed(t, "http", began, &e);
    struct http_timing timing;
    http_exchange_timing(x, &timing);
    test_phases(t, &timing);
    /* A status of 400 is what a server of the session era says to this question. */
    step_took(t, "http", true, timing.first_byte_ms,
              head.status < 500
                  ? STR("the server answers")
                  : arena_printf(t->arena, "the server answers HTTP %d", head.status));
    if (head.status != 401 && head.status != 403)
        return true;
    t->status = "needs_authorization";
    step_took(t, "authorization", false, 0, challenge_text(t, &head));
    return false;
}

/* "tools, resources": the names in the capabilities of an initialize or discover result. */
static struct str capabilities_text(struct test_run *t, struct str result)
{
    struct jwant wants[] = {{.name = STR("capabilities")}};
    struct err ignored;
    struct jiter it;
    struct str text = STR("");
    if (!jscan_object(result, wants, 1, &ignored) || str_is_absent(wants[0].value))
        return STR("none");
    for (jscan_iter(&it, wants[0].value); jscan_next(&it) && text.n < 300;) {
        struct str name;
        if (jscan_string(t->arena, it.key, &name))
            text = arena_printf(t->arena, "%.*s%s%.*s", STR_FMT(text), text.n ? ", " : "",
                                STR_FMT(str_slice(name, 0, 64)));
    }
    return text.n ? text : STR("none");
}

static bool test_era(struct test_run *t, struct registry_entry *entry,
                     const struct credential *cred, enum era *era)
{
    struct err e;
    struct str discover;
    int64_t began = clock_mono_us();
    if (!upstream_era_find(t->sv, t->arena, entry, cred, era, &discover, &e))
        return step_failed(t, "era", began, &e);
    step_write(t, "era", true, began, era_name(*era));
    if (!str_is_absent(discover))
        step_took(t, "capabilities", true, 0, capabilities_text(t, discover));
    return true;
}

static bool test_handshake(struct test_run *t, struct registry_entry *entry,
                           const struct credential *cred, enum era era)
{
    if (era == ERA_STATELESS)
        return true;
    struct err e;
    struct upstream_session s;
    int64_t began = clock_mono_us();
    if (!upstream_session_start(t->sv, t->arena, entry, cred, &s, &e))
        return step_failed(t, "initialize", began, &e);
    step_write(t, "initialize", true, began, s.version);
    step_took(t, "capabilities", true, 0, capabilities_text(t, s.initialize));
    if (!str_is_absent(s.id))
        upstream_session_end(t->sv, t->arena, entry, cred, s.id, s.version);
    return true;
}

static int64_t test_tools(struct test_run *t, const struct connection *conn,
                          const struct caller *caller)
{
    struct err e;
    struct str tools;
    int64_t began = clock_mono_us();
    if (!upstream_tools(t->sv, t->arena, conn, caller, &tools, &e)) {
        step_failed(t, "tools", began, &e);
        return -1;
    }
    int64_t n = 0;
    struct jiter it;
    for (jscan_iter(&it, tools); jscan_next(&it);)
        n++;
    step_write(t, "tools", true, began, arena_printf(t->arena, "%lld tools", (long long)n));
    return n;
}

static void result_write(struct test_run *t, struct str era, int64_t tool_count, struct str steps,
                         struct buf *out)
{
    struct jout j;
    jout_init(&j, out);
    jout_object(&j);
    jout_kbool(&j, "ok", t->is_ok);
    jout_kstr(&j, "status", str_c(t->status));
    jout_kstr(&j, "era", era);
    jout_ki64(&j, "latency_ms", (clock_mono_us() - t->began_us) / 1000);
    jout_key(&j, STR("tool_count"));
    if (tool_count >= 0)
        jout_i64(&j, tool_count);
    else
        jout_null(&j);
    jout_kraw(&j, "steps", steps);
    jout_object_end(&j);
}

bool upstream_test(struct services *sv, struct arena *a, const struct connection *conn,
                   const struct caller *caller, struct buf *out, struct err *e)
{
    struct registry_entry *entry;
    if (!registry_get(sv, a, conn->org_id, conn->id, &entry, e))
        return false;
    struct buf steps;
    struct jout j;
    buf_init(&steps, (size_t)64 * 1024);
    jout_init(&j, &steps);
    jout_array(&j);
    struct test_run t = {.sv = sv,
                         .arena = a,
                         .steps = &j,
                         .is_ok = true,
                         .status = "healthy",
                         .began_us = clock_mono_us()};
    auto_free(credential_end) struct credential cred = {0};
    enum era era = ERA_UNKNOWN;
    int64_t n_tools = -1;
    if (test_address(&t, &entry->conn) && test_credential(&t, entry, caller, &cred) &&
        test_reach(&t, entry, &cred) && test_era(&t, entry, &cred, &era) &&
        test_handshake(&t, entry, &cred, era))
        n_tools = test_tools(&t, &entry->conn, caller);
    jout_array_end(&j);
    result_write(&t, era_name(era), n_tools, buf_str(&steps), out);
    buf_end(&steps);
    struct connection_note note = {.status = str_c(t.status), .tool_count = -1};
    return connections_note(sv->db, a, conn->org_id, conn->id, &note, clock_wall_ms(), e);
}
