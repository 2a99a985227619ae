#include "auth/oauth/wire.h"

#include "auth/audit_origin.h"
#include "base/clock.h"
#include "base/limits.h"
#include "json/jout.h"
#include "store/audit.h"

bool wire_params_read(struct arena *a, struct str text, struct form *out, struct err *e)
{
    if (!form_parse(a, text, out, e))
        return false;
    for (size_t i = 0; i < out->n; i++) {
        struct str ignored;
        if (!str_eq(out->pairs[i].name, STR("resource")) &&
            form_get(out, out->pairs[i].name, &ignored) == FORM_REPEATED)
            return err_set(e, ERR_BAD_REQUEST, "the parameter \"%.*s\" occurs twice",
                           STR_FMT(str_slice(out->pairs[i].name, 0, 60)));
    }
    return true;
}

bool wire_form_read(struct http_request *rq, struct form *out, struct err *e)
{
    struct str type = http_request_header(rq, STR("Content-Type"));
    struct str name = str_trim(str_slice(type, 0, str_find_char(type, ';')));
    if (!str_ieq(name, STR("application/x-www-form-urlencoded")))
        return err_set(e, ERR_BAD_REQUEST,
                       "Content-Type must be application/x-www-form-urlencoded");
    if (!str_is_absent(rq->query) && rq->query.n)
        return err_set(e, ERR_BAD_REQUEST, "parameters belong into the body, not the query");
    return wire_params_read(rq->arena, rq->body, out, e);
}

struct str wire_param(const struct form *form, const char *name)
{
    struct str value;
    if (form_get(form, str_c(name), &value) == FORM_ABSENT || value.n == 0)
        return STR_NONE;
    return value;
}

bool wire_resource(const struct form *form, struct str *out, struct err *e)
{
    *out = STR_NONE;
    for (size_t i = 0; i < form->n; i++) {
        const struct form_pair *p = &form->pairs[i];
        if (!str_eq(p->name, STR("resource")) || p->value.n == 0)
            continue;
        if (!str_is_absent(*out) && !str_eq(*out, p->value))
            return err_set(e, ERR_INVALID_TARGET, "a token is for one resource");
        *out = p->value;
    }
    return true;
}

struct str wire_description(struct arena *a, struct str text)
{
    struct str copy = arena_dup(a, text);
    char *to = (char *)(uintptr_t)copy.p;
    for (size_t i = 0; i < copy.n; i++) {
        unsigned char c = (unsigned char)copy.p[i];
        if (c == '"')
            to[i] = '\'';
        else if (c < 0x20 || c > 0x7E || c == '\\')
            to[i] = ' ';
    }
    return copy;
}

void wire_answer(struct http_request *rq, int status, const struct buf *json)
{
    struct str body = buf_ok(json) ? arena_dup(rq->arena, buf_str(json)) : STR_NONE;
    http_set_header(rq, STR("Cache-Control"), STR("no-store"));
    http_set_header(rq, STR("Pragma"), STR("no-cache"));
    if (str_is_absent(body))
        http_answer(rq, 503, STR_NONE, STR_NONE);
    else
        http_answer(rq, status, STR("application/json"), body);
}

void wire_answer_error(struct http_request *rq, const struct err *e)
{
    struct buf out;
    struct jout j;
    bool is_bearer = e->code == ERR_UNAUTHENTICATED;
    bool used_basic =
        str_ieq(str_slice(http_request_header(rq, STR("Authorization")), 0, 6), STR("Basic "));
    http_note_failure(rq, e);
    if (is_bearer)
        http_set_header(rq, STR("WWW-Authenticate"), STR("Bearer error=\"invalid_token\""));
    else if (e->code == ERR_INVALID_CLIENT && used_basic)
        http_set_header(rq, STR("WWW-Authenticate"), STR("Basic realm=\"tulle\""));
    if (e->code == ERR_RATE_LIMITED)
        http_set_header(rq, STR("Retry-After"), STR("60"));
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "error", str_c(err_oauth(e->code)));
    jout_kstr(&j, "error_description", wire_description(rq->arena, str_c(e->msg)));
    jout_object_end(&j);
    wire_answer(rq, err_http(e->code), &out);
    buf_end(&out);
}

struct str wire_origin(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct str host = http_request_header(rq, STR("Host"));
    if (!sv->config->base_is_loopback || host.n == 0)
        return str_c(sv->config->origin);
    return arena_printf(rq->arena, "%s://%.*s", sv->config->base_is_https ? "https" : "http",
                        STR_FMT(host));
}

bool wire_audit(struct http_request *rq, const struct wire_event *event, struct err *e)
{
    const struct services *sv = rq->context;
    struct audit_row row = {.at = clock_wall_ms(),
                            .org_id = str_is_absent(event->org_id) ? STR("") : event->org_id,
                            .kind = STR("auth"),
                            .user_id = event->user_id,
                            .client_id = event->client_id,
                            .method = str_c(event->method),
                            .name = event->name,
                            .outcome = str_c(event->outcome),
                            .error = str_c(event->error),
                            .arguments = audit_origin(rq),
                            .request_id = str_c(rq->request_id)};
    return audit_reserve(sv->audit, e) && audit_submit(sv->audit, &row, e);
}
