/* Management tools over plain HTTP. */
#include "routes/tools_http.h"

#include "core/services.h"
#include "mcp/tool_source.h"
#include "routes/answers.h"
#include "store/orgs.h"

static bool body_is_json(struct http_request *rq, struct err *e)
{
    struct str type = http_request_header(rq, STR("Content-Type"));
    struct str name = str_trim(str_slice(type, 0, str_find_char(type, ';')));
    return rq->body.n == 0 || str_ieq(name, STR("application/json")) ||
           err_set(e, ERR_UNSUPPORTED_MEDIA, "Content-Type is \"%.*s\", expected application/json",
                   STR_FMT(str_slice(name, 0, 80)));
}

bool tools_http_run(struct http_request *rq, struct str tool, struct str arguments,
                    struct str *structured, bool *is_unknown, struct err *e)
{
    struct services *sv = rq->context;
    struct tool_use use = {.rq = rq,
                           .arena = rq->arena,
                           .sv = sv,
                           .caller = rq->user,
                           .request_id = str_c(rq->request_id)};
    struct tool_outcome outcome = {0};
    *is_unknown = false;
    bool is_good = sv->tools->call(&use, tool, arguments, &outcome, is_unknown, e);
    *structured = outcome.structured;
    return is_good;
}

void tools_http_call(struct http_request *rq)
{
    struct err e = {.code = ERR_NONE};
    struct str structured, arguments = rq->body.n ? rq->body : STR("{}");
    bool is_unknown;
    if (body_is_json(rq, &e) &&
        tools_http_run(rq, rq->params[0], arguments, &structured, &is_unknown, &e))
        http_answer(rq, 200, STR("application/json"), structured);
    else
        answer_error(rq, &e);
}

void tools_http_connection_by_slugs(struct http_request *rq, void (*next)(struct http_request *rq))
{
    struct services *sv = rq->context;
    const struct caller *caller = rq->user;
    struct org org;
    struct err e = {.code = ERR_NONE};
    bool is_own = str_eq(rq->params[0], caller->org_id);
    if (!is_own && !orgs_by_slug(sv->db, rq->arena, rq->params[0], &org, &e) &&
        e.code != ERR_NOT_FOUND) {
        answer_error(rq, &e);
        return;
    }
    if (!is_own && (e.code == ERR_NOT_FOUND || !str_eq(org.id, caller->org_id))) {
        err_set(&e, ERR_NOT_FOUND, "there is no such connection here");
        answer_error(rq, &e);
        return;
    }
    rq->params[0] = rq->params[1];
    next(rq);
}
