/* SESSION_*: where a person is signed in by browser. */
#include "base/clock.h"
#include "core/org_policy.h"
#include "management-tools/tool_io.h"
#include "store/browser_sessions.h"

tool_fn tool_session_list, tool_session_revoke;

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When it ends unless it is used: as the organizations say that it belongs to. */
static bool end_read(struct tool_call *c, const struct browser_session_row *s, int64_t *out,
                     struct err *e)
{
    struct session_lifetime l;
    if (!org_policy_lifetime(c->sv, c->arena, s->user_id, s->proof_org_id, &l, e))
        return false;
    *out = sooner(s->expires_at, sooner(s->last_seen_at + l.idle_ms, s->created_at + l.life_ms));
    return true;
}

static void session_write(struct jout *j, const struct browser_session_row *s, int64_t ends_at)
{
    jout_object(j);
    jout_kstr(j, "id", s->id);
    jout_kstr(j, "user_agent", s->user_agent);
    jout_kstr(j, "address", s->peer);
    jout_kstr(j, "proof", s->proof);
    jout_kstr(j, "proof_organization_id", s->proof_org_id);
    jout_kbool(j, "two_factor", s->is_two_factor);
    jout_ktime(j, "created_at", s->created_at);
    jout_ktime(j, "last_seen_at", s->last_seen_at);
    jout_ktime(j, "expires_at", ends_at);
    jout_object_end(j);
}

/* What an organization's provider proved has to do with its own sessions only: the others, and
 * where they are, are the person's. */
static struct session_owner owner_of(const struct tool_call *c)
{
    return (struct session_owner){c->caller->user_id, c->use->caller->proof.org_id};
}

bool tool_session_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct browser_session_row *sessions;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    int64_t now = clock_wall_ms();
    const struct session_owner who = owner_of(c);
    if (!io_page_read(c, &page, e) ||
        !browser_sessions_list(c->sv->db, c->arena, &who, now, &page, &sessions, &n, e) ||
        !browser_sessions_count(c->sv->db, c->arena, &who, now, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        int64_t ends_at;
        if (!end_read(c, &sessions[i], &ends_at, e))
            return false;
        session_write(&j, &sessions[i], ends_at);
        end.last_at = sessions[i].created_at;
        end.last_id = sessions[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_session_revoke(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "session_id");
    const struct session_owner who = owner_of(c);
    c->object = id;
    if (!browser_sessions_delete(c->sv->db, c->arena, &who, id, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such session") : false;
    io_deleted(c, id);
    return true;
}
