/* input_required: what a stateless server wants to know, asked as real requests (spec/mcp.md
 * "Session clients at modern servers"). */
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"
#include "io/fiber.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/m2s_caps.h"
#include "mcp/s2m.h"

enum { QUESTIONS_MAX = 16, PAUSE_MS = 250, ELICITATION_ID_BYTES = 16 };

struct round {
    struct proxied *p;
    struct str keys[QUESTIONS_MAX]; /* raw, with quotes */
    struct client_question questions[QUESTIONS_MAX];
    size_t n;
};

/* ---- from the server's words to the client's ---- */

static bool is_url(struct str params)
{
    struct jwant want = {.name = STR("mode")};
    struct err ignored;
    return !str_is_absent(params) && jscan_object(params, &want, 1, &ignored) &&
           !str_is_absent(want.value) && jscan_string_eq(want.value, STR("url"));
}

/* Elicitation by URL has an id in 2025-11-25; the mode is named from that revision on. */
static struct str elicitation_params(struct proxied *p, struct str params)
{
    bool is_old = str_cmp(client_session_hello(p->client)->version, STR("2025-11-25")) < 0;
    struct jiter it;
    struct buf out;
    struct jout j;
    bool has_id = false;
    buf_init(&out, (size_t)2 * LIMIT_SSE_EVENT);
    jout_init(&j, &out);
    jout_object(&j);
    for (jscan_iter(&it, params); jscan_next(&it);) {
        if (is_old && jscan_string_eq(it.key, STR("mode")))
            continue;
        has_id = has_id || jscan_string_eq(it.key, STR("elicitationId"));
        jout_raw_key(&j, it.key);
        jout_raw(&j, it.value);
    }
    if (is_url(params) && !has_id) {
        unsigned char fresh[ELICITATION_ID_BYTES];
        char hex[2 * ELICITATION_ID_BYTES + 1];
        rand_bytes(fresh, sizeof(fresh));
        text_hex(hex, fresh, sizeof(fresh));
        jout_kstr(&j, "elicitationId", str_c(hex));
    }
    jout_object_end(&j);
    struct str text = buf_ok(&out) ? arena_dup(p->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

static bool question_read(struct round *r, const struct jiter *it, struct str *refusal)
{
    struct arena *a = r->p->a;
    struct jwant wants[] = {{.name = STR("method")}, {.name = STR("params")}};
    struct rpc_message m = {.kind = RPC_REQUEST};
    struct err why;
    if (r->n == QUESTIONS_MAX) {
        *refusal = STR("the server asks more at once than can be passed on");
        return false;
    }
    if (!jscan_object(it->value, wants, ARRAY_LEN(wants), &why) || str_is_absent(wants[0].value) ||
        !jscan_string(a, wants[0].value, &m.method)) {
        *refusal = STR("the server asks something that is no request");
        return false;
    }
    m.params = wants[1].value;
    if (!m2s_caps_allow(s2m_caps(r->p->client), &m, &why)) {
        *refusal = arena_dup(a, str_c(why.msg));
        return false;
    }
    struct client_question *q = &r->questions[r->n];
    *q = (struct client_question){.method = m.method, .params = m.params};
    if (str_eq(m.method, STR("elicitation/create")) && !str_is_absent(m.params))
        q->params = elicitation_params(r->p, m.params);
    r->keys[r->n++] = it->key;
    return true;
}

/* ---- and back ---- */

static struct str refusal_of(struct arena *a, const struct client_question *q)
{
    struct jwant wants[] = {{.name = STR("code")}, {.name = STR("message")}};
    struct err ignored;
    struct str message = STR("");
    if (str_is_absent(q->error))
        return arena_printf(a, "the client answered %.*s with neither result nor error",
                            STR_FMT(q->method));
    if (jscan_object(q->error, wants, ARRAY_LEN(wants), &ignored) &&
        !str_is_absent(wants[1].value) && !jscan_string(a, wants[1].value, &message))
        message = STR("");
    return arena_printf(a, "the client refused %.*s: %.*s", STR_FMT(q->method),
                        STR_FMT(str_slice(message, 0, 400)));
}

static bool responses_write(struct round *r, struct s2m_round *next, struct str *refusal,
                            struct err *e)
{
    struct arena *a = r->p->a;
    struct buf out;
    struct jout j;
    for (size_t i = 0; i < r->n; i++)
        if (str_is_absent(r->questions[i].result)) {
            *refusal = refusal_of(a, &r->questions[i]);
            return true;
        }
    buf_init(&out, (size_t)2 * LIMIT_BODY_MCP * QUESTIONS_MAX);
    jout_init(&j, &out);
    jout_object(&j);
    for (size_t i = 0; i < r->n; i++) {
        jout_raw_key(&j, r->keys[i]);
        jout_raw(&j, r->questions[i].result);
    }
    jout_object_end(&j);
    next->responses = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return !str_is_absent(next->responses) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- a round ---- */

static bool send_event(void *arg, struct str message, struct err *e)
{
    return proxied_event(arg, message, e);
}

static bool ask(struct round *r, struct s2m_round *next, struct str *refusal, struct err *e)
{
    struct proxied *p = r->p;
    if (!p->in.accepts_sse) {
        *refusal = STR("the server has to ask the client something, and the client's connection "
                       "cannot carry requests (its Accept lacks text/event-stream)");
        return true;
    }
    p->is_streaming = true;
    if (!p->is_stream_open && !proxied_stream_open(p, e))
        return false;
    if (client_session_ask(p->client, p->a, r->questions, r->n, clock_mono_ms() + LIMIT_ASK_MS,
                           send_event, p, e))
        return responses_write(r, next, refusal, e);
    if (e->code != ERR_TIMEOUT && e->code != ERR_RATE_LIMITED)
        return false;
    *refusal = arena_dup(p->a, str_c(e->msg));
    return true;
}

bool s2m_ask(struct proxied *p, struct str result, struct s2m_round *next, struct str *refusal,
             struct err *e)
{
    struct jwant wants[] = {{.name = STR("inputRequests")}, {.name = STR("requestState")}};
    struct round *r = arena_alloc(p->a, sizeof(*r));
    *next = (struct s2m_round){0};
    *refusal = STR_NONE;
    if (!r || !jscan_object(result, wants, ARRAY_LEN(wants), e))
        return r ? false : err_set(e, ERR_UNAVAILABLE, "out of memory");
    r->p = p;
    next->state = wants[1].value;
    bool has_questions =
        !str_is_absent(wants[0].value) && jscan_type(wants[0].value) == JTYPE_OBJECT;
    struct jiter it;
    if (has_questions)
        for (jscan_iter(&it, wants[0].value); jscan_next(&it);)
            if (!question_read(r, &it, refusal))
                return true;
    if (r->n > 0)
        return ask(r, next, refusal, e);
    if (str_is_absent(next->state)) {
        *refusal = STR("the server wants input and does not say which");
        return true;
    }
    return fiber_sleep_until(clock_mono_ms() + PAUSE_MS, e); /* "later" is all it says */
}
