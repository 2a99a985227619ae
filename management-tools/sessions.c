/* SESSION_*: where a person is signed in by browser. */
#include "base/clock.h"
#include "management-tools/tool_io.h"
#include "store/browser_sessions.h"

tool_fn tool_session_list, tool_session_revoke;

static void session_write(struct jout *j, const struct browser_session_row *s)
{
    jout_object(j);
    jout_kstr(j, "id", s->id);
    jout_kstr(j, "user_agent", s->user_agent);
    jout_kstr(j, "address", s->peer);
    jout_kstr(j, "proof", s->proof);
    jout_ktime(j, "created_at", s->created_at);
    jout_ktime(j, "last_seen_at", s->last_seen_at);
    jout_ktime(j, "expires_at", s->expires_at);
    jout_object_end(j);
}

bool tool_session_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct browser_session_row *sessions;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    int64_t now = clock_wall_ms();
    if (!io_page_read(c, &page, e) ||
        !browser_sessions_list(c->sv->db, c->arena, c->caller->user_id, now, &page, &sessions, &n,
                               e) ||
        !browser_sessions_count(c->sv->db, c->arena, c->caller->user_id, now, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        session_write(&j, &sessions[i]);
        end.last_at = sessions[i].created_at;
        end.last_id = sessions[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_session_revoke(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "session_id");
    c->object = id;
    if (!browser_sessions_delete(c->sv->db, c->arena, c->caller->user_id, id, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such session") : false;
    io_deleted(c, id);
    return true;
}
