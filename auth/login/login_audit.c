#include "auth/login/login_audit.h"

#include "auth/audit_origin.h"
#include "base/clock.h"
#include "base/limits.h"
#include "store/audit.h"
#include "store/orgs.h"

static bool submit(struct services *sv, const struct audit_row *row, struct err *e)
{
    return audit_reserve(sv->audit, e) && audit_submit(sv->audit, row, e);
}

/* What happens to an account concerns every organization that lets it in: each has a copy. The
 * look-up is made for nobody, too: an attempt does not take longer where there is an account. */
static bool copies_submit(struct services *sv, const struct http_request *rq, struct audit_row row,
                          struct err *e)
{
    struct db_page page = {.limit = LIMIT_LIST};
    struct org_of_user *orgs;
    size_t n;
    struct str user_id = str_is_absent(row.user_id) ? STR("") : row.user_id;
    if (!orgs_list_of_user(sv->db, rq->arena, user_id, &page, &orgs, &n, e))
        return false;
    for (size_t i = 0; i < n && i < LIMIT_LIST; i++) {
        row.org_id = orgs[i].org.id;
        if (!submit(sv, &row, e))
            return false;
    }
    return true;
}

bool login_audit(struct services *sv, const struct http_request *rq,
                 const struct login_event *event, struct err *e)
{
    bool is_of_org = !str_is_absent(event->org_id);
    struct audit_row row = {.at = clock_wall_ms(),
                            .org_id = is_of_org ? event->org_id : STR(""),
                            .kind = STR("auth"),
                            .user_id = event->user_id,
                            .method = str_c(event->method),
                            .name = event->name,
                            .outcome = str_c(event->outcome),
                            .error = str_c(event->error),
                            .arguments = audit_origin(rq),
                            .request_id = rq ? str_c(rq->request_id) : STR_NONE};
    return submit(sv, &row, e) && (is_of_org || !rq || copies_submit(sv, rq, row, e));
}
