/* The record of a proxied call. */
#include "base/clock.h"
#include "core/redact.h"
#include "log/metrics.h"
#include "mcp/proxied.h"

bool proxied_reserve(struct proxied *p, struct err *e)
{
    if (p->is_reserved || p->in.msg.kind != RPC_REQUEST || str_eq(p->in.msg.method, STR("ping")))
        return true;
    p->is_reserved = audit_reserve(p->sv->audit, e);
    return p->is_reserved;
}

static void outcome_count(const char *outcome, int64_t us)
{
    metric_add(M_CALLS, 1);
    metric_observe_us(M_CALL_SECONDS, us);
    if (str_eq(str_c(outcome), STR("denied")))
        metric_add(M_CALLS_DENIED, 1);
    else if (str_eq(str_c(outcome), STR("failed")))
        metric_add(M_CALLS_FAILED, 1);
}

bool proxied_record(struct proxied *p, const char *outcome, const struct err *why, size_t bytes_out,
                    struct err *e)
{
    if (!p->is_reserved)
        return true;
    p->is_reserved = false;
    const struct rpc_message *m = &p->in.msg;
    int64_t us = clock_mono_us() - p->rq->started_us;
    outcome_count(outcome, us);
    struct audit_row row = {.at = clock_wall_ms(),
                            .org_id = p->caller->org_id,
                            .kind = STR("call"),
                            .user_id = p->caller->user_id,
                            .client_id = p->caller->client_id,
                            .key_id = p->caller->key_id,
                            .connection_id = p->entry ? p->entry->conn.id : STR_NONE,
                            .method = m->method,
                            .name = !str_is_absent(m->name_text) ? m->name_text : m->uri_text,
                            .outcome = str_c(outcome),
                            .request_id = str_c(p->rq->request_id),
                            .duration_us = us,
                            .bytes_in = (int64_t)p->rq->body.n,
                            .bytes_out = (int64_t)bytes_out};
    if (p->tool)
        row.name = p->tool->name;
    if (why)
        row.error = arena_printf(p->a, "%s: %s", err_text(why->code), why->msg);
    if (p->entry && p->entry->audit_arguments && !str_is_absent(m->arguments))
        row.arguments = redact_json(p->a, m->arguments);
    return audit_submit(p->sv->audit, &row, e);
}
