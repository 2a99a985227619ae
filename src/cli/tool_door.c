/* The two doors to the management tools. */
#include "cli/tool_door.h"

#include <stdlib.h>

#include "base/limits.h"
#include "cli/install.h"
#include "core/caller.h"
#include "io/fiber.h"
#include "io/http_client.h"
#include "management-tools/registry.h"
#include "store/orgs.h"

struct run {
    const struct tool_door_use *use;
    struct tool_door door;
    const char *org;
    struct err *e;
    bool is_good;
};

/* ---- calls ---- */

static bool answer_keep(struct tool_door *d, struct str text, const struct jvalue **out,
                        struct err *e)
{
    struct jdoc *doc = jdoc_parse(text, e);
    if (!doc)
        return false;
    if (!arena_on_end(d->a, (void (*)(void *))jdoc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    *out = jdoc_root(doc);
    return true;
}

/* The code of the error envelope, so that "conflict" stays one. */
static enum err_code code_of(struct str text)
{
    for (int i = 1; i < ERR_CODE_COUNT; i++)
        if (str_eq(text, str_c(err_text((enum err_code)i))))
            return (enum err_code)i;
    return ERR_UPSTREAM;
}

static bool door_answer(struct tool_door *d, const struct http_fetched *got,
                        const struct jvalue **out, struct err *e)
{
    if (!answer_keep(d, got->body, out, e))
        return err_set(e, ERR_UNAVAILABLE, "%s answered HTTP %d, and no JSON: is this Tulle?",
                       d->url, got->head.status);
    const struct jvalue *error = jv_get(*out, "error");
    if (got->head.status == 200 && !error)
        return true;
    enum err_code code =
        got->head.status == 401 ? ERR_UNAUTHENTICATED : code_of(jv_get_str(error, "code"));
    struct str message = str_slice(jv_get_str(error, "message"), 0, 300);
    return err_set(e, code, "%.*s", STR_FMT(message.n ? message : STR("refused")));
}

static bool door_http(struct tool_door *d, const char *tool, struct str arguments,
                      const struct jvalue **out, struct err *e)
{
    struct http_header headers[] = {
        {STR("Authorization"), arena_printf(d->a, "Bearer %s", d->key)},
        {STR("Content-Type"), STR("application/json")},
        {STR("Accept"), STR("application/json")},
    };
    struct http_call call = {.method = STR("POST"),
                             .url = arena_printf(d->a, "%s/api/tools/%s", d->url, tool),
                             .headers = headers,
                             .n_headers = ARRAY_LEN(headers),
                             .body = arguments,
                             .is_operator_destination = true};
    struct http_fetched got;
    if (str_is_absent(headers[0].value) || str_is_absent(call.url))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (http_fetch(d->client, d->a, &call, LIMIT_ANSWER_HELD, &got, e))
        return door_answer(d, &got, out, e);
    const struct err why = *e;
    return err_set(e, ERR_UNAVAILABLE, "%s: %s", d->url, why.msg);
}

bool tool_door_call(struct tool_door *d, const char *tool, struct str arguments,
                    const struct jvalue **out, struct err *e)
{
    if (d->client)
        return door_http(d, tool, arguments, out, e);
    struct tool_use use = {
        .arena = d->a, .sv = d->sv, .caller = d->caller, .request_id = STR("cli")};
    struct tool_outcome outcome;
    bool is_unknown;
    return registry_source.call(&use, str_c(tool), arguments, &outcome, &is_unknown, e) &&
           answer_keep(d, outcome.structured, out, e);
}

void tool_door_org(const struct tool_door *d, struct jout *j)
{
    if (!str_is_absent(d->org_id))
        jout_kstr(j, "organization_id", d->org_id);
}

/* ---- over HTTP ---- */

/* The id of the organization that --org names, if this key is of it. */
static bool org_find(struct tool_door *d, const char *org, struct err *e)
{
    const struct jvalue *list = NULL;
    if (!org)
        return true;
    if (!tool_door_call(d, "ORGANIZATION_LIST", STR("{\"limit\":100}"), &list, e))
        return false;
    const struct jvalue *items = jv_get(list, "items");
    for (size_t i = 0; i < jv_count(items); i++)
        if (str_eq(jv_get_str(jv_at(items, i), "slug"), str_c(org)))
            d->org_id = jv_get_str(jv_at(items, i), "id");
    return !str_is_absent(d->org_id) ||
           err_set(e, ERR_NOT_FOUND, "TULLE_API_KEY is no key of an organization \"%.60s\"", org);
}

static void http_run(void *arg)
{
    struct run *r = arg;
    struct http_guard_config guard_config = {.allow_loopback = true};
    struct http_guard *guard = http_guard_new(&guard_config, r->e);
    struct http_client_config config = {.guard = guard};
    r->door.a = arena_new(LIMIT_REQUEST_ARENA);
    if (guard && r->door.a)
        r->door.client = http_client_new(loop_self(), &config, r->e);
    if (r->door.client) {
        r->is_good = org_find(&r->door, r->org, r->e) && r->use->fn(&r->door, r->use->arg, r->e);
        http_client_free(r->door.client);
    }
    http_guard_free(guard);
    arena_end(r->door.a);
}

static bool by_http(int argc, char **argv, struct run *r, struct err *e)
{
    struct options options = {argc, argv};
    r->org = options_take(&options, "org");
    return r->use->read(&options, r->use->arg, e) && options_done(&options, e) &&
           fiber_main(http_run, r, e) && r->is_good;
}

/* ---- on the store ---- */

static bool store_run(struct services *sv, struct arena *a, void *arg, struct err *e)
{
    struct run *r = arg;
    struct org org;
    if (!registry_start(e))
        return false;
    if (!orgs_by_slug(sv->db, a, str_c(r->org), &org, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND, "there is no organization \"%.60s\"", r->org)
                   : false;
    /* Whoever may run this may make any key: an owner without a name, as in the rest of the audit.
     */
    struct caller caller = {.org_id = org.id,
                            .user_id = STR("cli"),
                            .builtin_roles = ROLE_OWNER,
                            .is_management_audience = true,
                            .principal = arena_printf(a, "%.*s|cli|", STR_FMT(org.id))};
    r->door.a = a;
    r->door.sv = sv;
    r->door.caller = &caller;
    return r->use->fn(&r->door, r->use->arg, e);
}

static bool by_store(int argc, char **argv, struct run *r, struct err *e)
{
    struct install in = {0};
    bool is_good = install_configure(&in, argc, argv, e);
    if (is_good) {
        struct options options = {in.n_rest, in.rest};
        r->org = options_take(&options, "org");
        is_good = r->use->read(&options, r->use->arg, e) && options_done(&options, e) &&
                  (r->org || err_set(e, ERR_INVALID,
                                     "--org is missing, expected for example --org acme; or set "
                                     "TULLE_URL and TULLE_API_KEY")) &&
                  install_open(&in, e) && install_run(&in, store_run, r, e);
    }
    install_close(&in);
    return is_good;
}

bool tool_door_run(int argc, char **argv, const struct tool_door_use *use, struct err *e)
{
    struct run r = {.use = use, .e = e};
    /* NOLINTBEGIN(concurrency-mt-unsafe): the only thread, and nobody changes the environment */
    const char *url = getenv("TULLE_URL");
    r.door.key = getenv("TULLE_API_KEY");
    /* NOLINTEND(concurrency-mt-unsafe) */
    r.door.url = url ? url : "http://localhost:3000";
    return r.door.key && r.door.key[0] ? by_http(argc, argv, &r, e) : by_store(argc, argv, &r, e);
}
