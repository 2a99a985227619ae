#include "routes/page_tools.h"

#include "base/limits.h"
#include "base/secret.h"
#include "routes/tools_http.h"

const struct session_person *page_person(const struct http_request *rq)
{
    const struct caller *caller = rq->user;
    ensure(caller);
    return (const struct session_person *)(const void *)caller; /* its first member */
}

static bool is_repeated(const struct form *form)
{
    struct str value;
    for (size_t i = 0; i < form->n; i++)
        if (form_get(form, form->pairs[i].name, &value) == FORM_REPEATED)
            return true;
    return false;
}

bool page_form_read(struct http_request *rq, struct form *out, struct err *e)
{
    struct str type = http_request_header(rq, STR("Content-Type"));
    type = str_trim(str_slice(type, 0, str_find_char(type, ';')));
    if (!str_ieq(type, STR("application/x-www-form-urlencoded")))
        return err_set(e, ERR_UNSUPPORTED_MEDIA, "expected a form");
    if (!form_parse(rq->arena, rq->body, out, e))
        return false;
    if (is_repeated(out))
        return err_set(e, ERR_BAD_REQUEST, "a field of the form occurs twice");
    return csrf_check(rq, page_field(out, "csrf_token"), e);
}

struct str page_field(const struct form *form, const char *name)
{
    struct str value;
    return form_get(form, str_c(name), &value) == FORM_ONCE ? value : STR("");
}

struct str page_query(struct http_request *rq, const char *name)
{
    struct form query;
    struct str value;
    if (str_is_absent(rq->query) || !form_parse(rq->arena, rq->query, &query, NULL) ||
        form_get(&query, str_c(name), &value) != FORM_ONCE)
        return STR_NONE;
    return value;
}

void page_call_begin(struct page_call *c)
{
    buf_init(&c->text, LIMIT_BODY_FORM);
    jout_init(&c->j, &c->text);
    jout_object(&c->j);
}

static void doc_free(void *arg)
{
    jdoc_free(arg);
}

static bool result_read(struct http_request *rq, struct str text, const struct jvalue **out,
                        struct err *e)
{
    struct jdoc *doc = jdoc_parse(text, e);
    if (!doc)
        return false;
    if (!arena_on_end(rq->arena, doc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    *out = jdoc_root(doc);
    return true;
}

bool page_tool(struct http_request *rq, const char *tool, struct page_call *c,
               const struct jvalue **out, struct err *e)
{
    struct str structured = STR_NONE;
    bool is_unknown = false;
    jout_object_end(&c->j);
    bool is_good = buf_ok(&c->text) || err_set(e, ERR_TOO_LARGE, "the form is too large");
    is_good =
        is_good && tools_http_run(rq, str_c(tool), buf_str(&c->text), &structured, &is_unknown, e);
    if (c->text.p)
        secret_wipe(c->text.p, c->text.n); /* it may hold a credential */
    buf_end(&c->text);
    if (!is_good && is_unknown)
        return err_set(e, ERR_FORBIDDEN, "your role does not allow this");
    return is_good && (!out || result_read(rq, structured, out, e));
}

struct str page_time(struct arena *a, struct str rfc3339)
{
    if (rfc3339.n < 16)
        return STR("");
    return arena_printf(a, "%.10s %.5s UTC", rfc3339.p, rfc3339.p + 11);
}

bool page_may_create_org(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    return page_person(rq)->caller.is_operator ||
           str_eq(str_c(sv->config->allow_org_creation), STR("everyone"));
}

bool page_is_admin(const struct http_request *rq)
{
    return (page_person(rq)->caller.builtin_roles & (ROLE_OWNER | ROLE_ADMIN)) != 0;
}
