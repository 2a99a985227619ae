/* Servers: adding one, testing it, its address and recipes, and the key for clients without a
 * browser. */
#include "routes/pages_server.h"

#include "base/clock.h"
#include "base/uri.h"
#include "routes/page_tools.h"
#include "store/orgs.h"

static struct str org_of(const struct http_request *rq)
{
    return page_person(rq)->caller.org_id;
}

/* Connections belong to the organization that is shown. */
static bool org_need(struct http_request *rq, struct org *org, struct err *e)
{
    struct services *sv = rq->context;
    if (str_is_absent(org_of(rq)))
        return err_set(e, ERR_NOT_FOUND, "you are in no organization yet");
    return orgs_get(sv->db, rq->arena, org_of(rq), org, e);
}

static void call_begin(struct http_request *rq, struct page_call *c)
{
    page_call_begin(c);
    jout_kstr(&c->j, "organization_id", org_of(rq));
}

static bool call_about(struct http_request *rq, const char *tool, struct str connection_id,
                       const struct jvalue **out, struct err *e)
{
    struct page_call c;
    call_begin(rq, &c);
    jout_kstr(&c.j, "connection_id", connection_id);
    return page_tool(rq, tool, &c, out, e);
}

static struct str address_of(struct http_request *rq, const struct org *org,
                             const struct jvalue *item)
{
    const struct services *sv = rq->context;
    return arena_printf(rq->arena, "%s/mcp/%.*s/%.*s", sv->config->origin, STR_FMT(org->slug),
                        STR_FMT(jv_get_str(item, "slug")));
}

/* ---- showing one ---- */

/* The steps of CONNECTION_TEST as rows of values. */
static bool steps_read(struct arena *a, const struct jvalue *test, struct page_row **out, size_t *n)
{
    const struct jvalue *steps = jv_get(test, "steps");
    *n = jv_count(steps);
    *out = arena_alloc(a, (*n + 1) * sizeof(**out));
    for (size_t i = 0; *out && i < *n; i++) {
        const struct jvalue *step = jv_at(steps, i);
        const struct page_value values[] = {
            PV("step_name", jv_get_str(step, "name")),
            PV_FLAG("step_ok", jv_get_bool(step, "ok", false)),
            PV("step_ms", arena_printf(a, "%lld", (long long)jv_get_i64(step, "ms", 0))),
            PV("step_detail", jv_get_str(step, "detail")), PV_END};
        struct page_value *copy = arena_alloc(a, sizeof(values));
        if (!copy)
            return false;
        memcpy(copy, values, sizeof(values));
        (*out)[i].values = copy;
    }
    return *out != NULL;
}

/* test NULL: not tested now. */
static bool server_show(struct http_request *rq, struct str connection_id,
                        const struct jvalue *test, struct err *e)
{
    const struct services *sv = rq->context;
    const struct jvalue *got;
    struct org org = {0};
    struct page_row *steps;
    size_t n_steps;
    if (!org_need(rq, &org, e) || !call_about(rq, "CONNECTION_GET", connection_id, &got, e))
        return false;
    const struct jvalue *item = jv_get(got, "item");
    if (!steps_read(rq->arena, test, &steps, &n_steps))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    int64_t n_tools = jv_get_i64(test, "tool_count", -1);
    struct str tool_count =
        n_tools < 0 ? STR_NONE : arena_printf(rq->arena, "%lld", (long long)n_tools);
    const struct page_value values[] = {PV("name", jv_get_str(item, "name")),
                                        PV("slug", jv_get_str(item, "slug")),
                                        PV("address", address_of(rq, &org, item)),
                                        PV("base", str_c(sv->config->origin)),
                                        PV_FLAG("tested", test != NULL),
                                        PV_FLAG("ok", jv_get_bool(test, "ok", false)),
                                        PV("tool_count", tool_count),
                                        PV_ROWS("steps", steps, n_steps),
                                        PV("connection_id", jv_get_str(item, "id")),
                                        PV_FLAG("can_test", page_is_admin(rq)),
                                        PV("csrf_token", page_person(rq)->session.csrf_token),
                                        PV_END};
    page_answer(rq, 200, "server", values, STR_NONE);
    return true;
}

void page_server_get(struct http_request *rq)
{
    struct err e;
    if (!server_show(rq, rq->params[0], NULL, &e))
        page_error(rq, &e);
}

static bool test_and_show(struct http_request *rq, struct str connection_id, struct err *e)
{
    const struct jvalue *test;
    return call_about(rq, "CONNECTION_TEST", connection_id, &test, e) &&
           server_show(rq, connection_id, test, e);
}

void page_server_test_post(struct http_request *rq)
{
    struct form form;
    struct err e;
    if (!page_form_read(rq, &form, &e) ||
        !test_and_show(rq, page_field(&form, "connection_id"), &e))
        page_error(rq, &e);
}

/* ---- adding one ---- */

static bool add_show(struct http_request *rq, int status, struct str url, struct str name,
                     const struct err *why, struct err *e)
{
    struct org org = {0};
    if (!org_need(rq, &org, e))
        return false;
    bool is_first = rq->method == HTTP_GET && str_is_absent(page_query(rq, "more"));
    const struct page_value values[] = {PV_FLAG("is_first", is_first),
                                        PV("error", why ? str_c(why->msg) : STR_NONE),
                                        PV("url", url),
                                        PV("name", name),
                                        PV("org_name", org.name),
                                        PV("csrf_token", page_person(rq)->session.csrf_token),
                                        PV_END};
    page_answer(rq, status, "setup_server", values, STR_NONE);
    return true;
}

void page_setup_server_get(struct http_request *rq)
{
    struct err e;
    if (str_is_absent(org_of(rq)))
        page_redirect(rq, STR("/setup"));
    else if (!add_show(rq, 200, STR_NONE, STR_NONE, NULL, &e))
        page_error(rq, &e);
}

static struct str name_from(struct str name, struct str url)
{
    struct uri uri;
    if (str_trim(name).n > 0)
        return str_trim(name);
    return uri_parse(url, &uri) && uri.host.n > 0 ? uri.host : STR("Server");
}

static bool server_add(struct http_request *rq, const struct form *form, struct str *id,
                       struct err *e)
{
    struct page_call c;
    const struct jvalue *made;
    struct str url = str_trim(page_field(form, "url")), bearer = page_field(form, "bearer");
    call_begin(rq, &c);
    jout_kstr(&c.j, "url", url);
    jout_kstr(&c.j, "name", name_from(page_field(form, "name"), url));
    if (bearer.n > 0) {
        jout_key(&c.j, STR("credential"));
        jout_object(&c.j);
        jout_kstr(&c.j, "bearer", bearer);
        jout_object_end(&c.j);
    }
    if (!page_tool(rq, "CONNECTION_CREATE", &c, &made, e))
        return false;
    *id = jv_get_str(jv_get(made, "item"), "id");
    return true;
}

void page_setup_server_post(struct http_request *rq)
{
    struct form form;
    struct str id;
    struct err e, why;
    bool is_good = page_form_read(rq, &form, &e);
    if (is_good && !server_add(rq, &form, &id, &e)) {
        why = e;
        bool is_theirs =
            err_http(e.code) == 400 || err_http(e.code) == 422 || err_http(e.code) == 409;
        if (is_theirs && add_show(rq, err_http(e.code), page_field(&form, "url"),
                                  page_field(&form, "name"), &why, &e))
            return;
        is_good = false;
    }
    if (!is_good || !test_and_show(rq, id, &e))
        page_error(rq, &e);
}

/* ---- a key ---- */

static bool key_show(struct http_request *rq, const struct form *form, struct err *e)
{
    const struct services *sv = rq->context;
    const struct jvalue *made, *got = NULL;
    struct org org = {0};
    struct page_call c;
    char today[CLOCK_RFC3339_SIZE];
    struct str connection_id = page_field(form, "connection_id"), address = STR_NONE;
    if (!org_need(rq, &org, e) ||
        (connection_id.n > 0 && !call_about(rq, "CONNECTION_GET", connection_id, &got, e)))
        return false;
    clock_rfc3339(clock_wall_ms(), today);
    struct str name = arena_printf(rq->arena, "Made in the browser on %.10s", today);
    call_begin(rq, &c);
    jout_kstr(&c.j, "name", name);
    if (!page_tool(rq, "API_KEY_CREATE", &c, &made, e))
        return false;
    const struct jvalue *item = jv_get(got, "item");
    if (item)
        address = address_of(rq, &org, item);
    const struct page_value values[] = {PV("key", jv_get_str(made, "key")),
                                        PV("name", name),
                                        PV("address", address),
                                        PV("slug", jv_get_str(item, "slug")),
                                        PV("base", str_c(sv->config->origin)),
                                        PV_END};
    page_answer(rq, 200, "key", values, STR_NONE);
    return true;
}

void page_key_post(struct http_request *rq)
{
    struct form form;
    struct err e;
    if (!page_form_read(rq, &form, &e) || !key_show(rq, &form, &e))
        page_error(rq, &e);
}
