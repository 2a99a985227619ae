#include "auth/session/browser_cookie.h"

#include "auth/secret_text.h"
#include "auth/session/csrf.h"
#include "base/limits.h"
#include "base/secret.h"
#include "core/services.h"

static struct str name_of(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    return sv->config->base_is_https ? STR("__Host-tulle-browser") : STR("tulle-dev-browser");
}

struct str browser_cookie_hash(struct http_request *rq)
{
    struct str value = session_cookie_value(rq, name_of(rq));
    return str_is_absent(value) ? STR_NONE : secret_text_hash(rq->arena, value);
}

bool browser_cookie_have(struct http_request *rq, struct str *hash, struct err *e)
{
    char made[COOKIE_VALUE_SIZE];
    *hash = browser_cookie_hash(rq);
    if (!str_is_absent(*hash))
        return true;
    session_cookie_make(made);
    *hash = secret_text_hash(rq->arena, str_c(made));
    bool is_good = session_cookie_set(rq, name_of(rq), str_c(made),
                                      (int64_t)LIMIT_MAIL_BROWSER_DAYS * 24 * 60 * 60, e);
    secret_wipe(made, sizeof(made));
    return is_good && (!str_is_absent(*hash) || err_set(e, ERR_UNAVAILABLE, "out of memory"));
}
