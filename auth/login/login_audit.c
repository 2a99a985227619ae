#include "auth/login/login_audit.h"

#include "base/clock.h"
#include "store/audit.h"

bool login_audit(struct services *sv, const struct http_request *rq,
                 const struct login_event *event, struct err *e)
{
    struct audit_row row = {.at = clock_wall_ms(),
                            .org_id = str_is_absent(event->org_id) ? STR("") : event->org_id,
                            .kind = STR("auth"),
                            .user_id = event->user_id,
                            .method = str_c(event->method),
                            .name = event->name,
                            .outcome = str_c(event->outcome),
                            .error = str_c(event->error),
                            .request_id = rq ? str_c(rq->request_id) : STR_NONE};
    return audit_reserve(sv->audit, e) && audit_submit(sv->audit, &row, e);
}
