/* Audit rows of administrative acts. */
#include "management-tools/registry_audit.h"

#include "base/clock.h"
#include "base/limits.h"
#include "core/redact.h"
#include "io/fiber.h"
#include "store/audit.h"
#include "store/orgs.h"

bool registry_audit_open(struct tool_call *c, struct err *e)
{
    return audit_reserve(c->sv->audit, e);
}

static struct audit_row row_of(const struct tool_call *c, struct str outcome)
{
    struct str org_id = str_is_absent(c->org_id) ? STR("") : c->org_id;
    struct str object =
        str_is_absent(c->object) ? jv_get_str(c->arguments, "connection_id") : c->object;
    return (struct audit_row){.at = clock_wall_ms(),
                              .org_id = org_id,
                              .kind = STR("admin"),
                              .user_id = c->caller->user_id,
                              .client_id = c->caller->client_id,
                              .key_id = c->caller->key_id,
                              .connection_id = jv_get_str(c->arguments, "connection_id"),
                              .method = str_c(c->tool->name),
                              .name = object,
                              .outcome = outcome,
                              .request_id = c->use->request_id,
                              .bytes_out = c->out ? (int64_t)c->out->n : 0};
}

/* The redacted arguments, if the organization asks for them and the tool takes no secrets. */
static struct str arguments_of(const struct tool_call *c)
{
    struct org org;
    struct err ignored;
    if (c->tool->has_secrets || str_is_absent(c->org_id) || c->org_id.n == 0 ||
        !orgs_get(c->sv->db, c->arena, c->org_id, &org, &ignored) || !org.audit_arguments)
        return STR_NONE;
    struct buf text;
    buf_init(&text, LIMIT_BODY_MCP);
    jv_write(c->arguments, &text);
    struct str out = buf_ok(&text) ? redact_json(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return out;
}

static struct str outcome_of(enum err_code code)
{
    return code == ERR_CANCELLED   ? STR("cancelled")
           : code == ERR_FORBIDDEN ? STR("denied")
                                   : STR("failed");
}

bool registry_audit_close(struct tool_call *c, bool is_good, int64_t started_us, struct err *e)
{
    if (c->has_own_row)
        return true;
    struct audit_row row = row_of(c, is_good ? STR("ok") : outcome_of(e->code));
    row.duration_us = clock_mono_us() - started_us;
    if (!is_good && c->tool->has_secrets)
        row.error = str_c(err_text(e->code));
    else if (!is_good)
        row.error = arena_printf(c->arena, "%s: %s", err_text(e->code), e->msg);
    struct err why = {0};
    fiber_shield(true);
    row.arguments = arguments_of(c);
    bool is_recorded = audit_submit(c->sv->audit, &row, &why);
    fiber_shield(false);
    if (!is_recorded && is_good)
        *e = why;
    return is_recorded;
}

bool registry_audit_denial(struct tool_call *c, struct str why, struct err *e)
{
    if (!audit_reserve(c->sv->audit, e))
        return false;
    struct audit_row row = row_of(c, STR("denied"));
    row.error = why;
    return audit_submit(c->sv->audit, &row, e);
}
