/* A server's JSON that is too large to hold, on its way to the client through the filter. */
#include "base/limits.h"
#include "json/jfilter.h"
#include "mcp/hop_id.h"
#include "mcp/m2s_parts.h"
#include "mcp/proxied.h"

struct large {
    struct proxied *p;
    struct exchange *x;
    struct jfilter filter;
    struct buf out;  /* filtered, not yet passed on */
    int64_t length;  /* of the client's answer; -1: not known before its end */
    int64_t n_given; /* bytes passed on */
};

/* What the server sends with another id in it: then the client is told the length, and the answer
 * leaves in larger pieces than chunks can be. A server may write the id with escapes, where it got
 * none, but not shorter: white space makes up for that. */
static int64_t length_of(const struct proxied *p, const struct http_answer_head *head)
{
    struct str length = http_header_get(head->headers, head->n_headers, STR("Content-Length"));
    struct str coding = http_header_get(head->headers, head->n_headers, STR("Content-Encoding"));
    struct str transfer = http_header_get(head->headers, head->n_headers, STR("Transfer-Encoding"));
    int64_t n;
    if (p->is_m2s || coding.n > 0 || transfer.n > 0 || str_find_char(p->hop_id, '\\') != SIZE_MAX ||
        !str_to_i64(length, 0, LIMIT_ANSWER_BYTES, &n))
        return -1;
    return n - (int64_t)p->hop_id.n + (int64_t)p->in.msg.id.n;
}

static bool give(struct large *l, struct err *e)
{
    if (!http_stream_write(l->p->rq, buf_str(&l->out), e))
        return false;
    l->n_given += (int64_t)l->out.n;
    buf_reset(&l->out);
    return true;
}

static bool is_of_another(struct err *e)
{
    return err_set(e, ERR_UPSTREAM,
                   "the server answered a request that was not asked (id does not match)");
}

/* As far as its id is known. */
static bool id_check(const struct proxied *p, const struct jfilter *f, struct err *e)
{
    struct str id = jfilter_id(f);
    return str_is_absent(id) || hop_id_same(p->a, id, p->hop_id) || is_of_another(e);
}

bool proxied_large_check(const struct proxied *p, const struct jfilter *f, struct err *e)
{
    if (!jfilter_is_complete(f))
        return err_set(e, ERR_UPSTREAM, "the server's answer was cut off");
    if (f->saw_result == f->saw_error)
        return err_set(e, ERR_UPSTREAM,
                       "the server's answer must have either a result or an error");
    return str_is_absent(jfilter_id(f)) ? is_of_another(e) : id_check(p, f, e);
}

static bool take(struct large *l, struct str chunk, struct err *e)
{
    struct err why;
    if (!jfilter_feed(&l->filter, chunk, &l->out, &why))
        return err_set(e, ERR_UPSTREAM, "the server's answer is not valid JSON-RPC: %.200s",
                       why.msg);
    return l->length < 0 || l->n_given + (int64_t)l->out.n <= l->length || is_of_another(e);
}

/* Until the server's end; what completes the answer stays in l->out. */
static bool pass_all(struct large *l, struct err *e)
{
    struct str chunk;
    do {
        if (!jfilter_is_complete(&l->filter) && !give(l, e))
            return false;
        if (!exchange_read(l->x, &chunk, 0, e) || !take(l, chunk, e))
            return false;
    } while (chunk.n > 0);
    return proxied_large_check(l->p, &l->filter, e);
}

/* White space may follow a JSON text (RFC 8259, section 2): as much as the escapes of the id at
 * most, which has been compared. */
static bool end(struct large *l, struct err *e)
{
    int64_t n = l->n_given + (int64_t)l->out.n;
    for (; n < l->length; n++)
        buf_add_char(&l->out, ' ');
    if (!buf_ok(&l->out))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!proxied_record(l->p, "ok", NULL, (size_t)n, e) || !give(l, e))
        return false;
    http_stream_end(l->p->rq);
    return true;
}

static bool pass(struct large *l, struct str held, struct err *e)
{
    if (!take(l, held, e) || !id_check(l->p, &l->filter, e) ||
        !http_stream_begin(l->p->rq, 200, STR("application/json"), l->length, e))
        return false; /* nothing has begun that were to be cut */
    if (pass_all(l, e) && end(l, e))
        return true;
    http_stream_cut(l->p->rq); /* the client must not take half an answer for a whole one */
    return false;
}

bool proxied_pass_large(struct proxied *p, struct exchange *x, const struct http_answer_head *head,
                        struct str held, struct err *e)
{
    struct large l = {.p = p, .x = x, .length = length_of(p, head)};
    struct jfilter_stamp stamp;
    jfilter_init(&l.filter, p->in.msg.id);
    if (p->is_m2s) {
        m2s_stamp_of(p, &stamp);
        jfilter_stamp_with(&l.filter, &stamp);
    }
    buf_init(&l.out, LIMIT_BODY_MCP);
    bool is_passed = pass(&l, held, e);
    jfilter_end(&l.filter);
    buf_end(&l.out);
    return is_passed;
}
