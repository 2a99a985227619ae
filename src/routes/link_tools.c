#include "routes/link_tools.h"

#include "auth/mail/browser_name.h"
#include "auth/secret_text.h"
#include "auth/session/browser_cookie.h"
#include "base/clock.h"
#include "core/services.h"

bool link_find(struct http_request *rq, const char *purpose, struct mail_link *out, struct err *e)
{
    struct services *sv = rq->context;
    struct str hash = secret_text_hash(rq->arena, rq->params[0]);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (mail_links_find(sv->db, rq->arena, hash, str_c(purpose), clock_wall_ms(), out, e))
        return true;
    return e->code == ERR_NOT_FOUND
               ? err_set(e, ERR_NOT_FOUND,
                         "this link was used already, replaced by a newer one, or is too old: ask "
                         "for a new one where you asked for this")
               : false;
}

bool link_origin_of(struct http_request *rq, const struct mail_link *l, struct link_origin *out,
                    struct err *e)
{
    char at[CLOCK_RFC3339_SIZE];
    clock_rfc3339(l->created_at, at);
    *out = (struct link_origin){.is_here = !str_is_absent(l->browser_hash) &&
                                           str_eq(browser_cookie_hash(rq), l->browser_hash),
                                .browser = browser_name(rq->arena, l->user_agent),
                                .peer = l->peer,
                                .asked_at = arena_printf(rq->arena, "%.10s %.5s UTC", at, at + 11)};
    return (!str_is_absent(out->browser) && !str_is_absent(out->asked_at)) ||
           err_set(e, ERR_UNAVAILABLE, "out of memory");
}
