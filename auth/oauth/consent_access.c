#include "auth/oauth/consent_access.h"

#include "auth/oauth/scope.h"
#include "auth/oauth/wire.h"
#include "auth/token_check.h"
#include "base/ids.h"
#include "base/limits.h"
#include "core/policy.h"
#include "store/connections.h"

enum { PER_ROW = 4 };

struct servers {
    struct connection *items;
    size_t n;
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Those that a request with this scope could reach in the organization. */
static bool servers_find(const struct authorization *z, struct str org_id, struct str user_id,
                         struct servers *out, struct err *e)
{
    const struct caller *caller;
    struct connection *list;
    struct db_page page = {.limit = LIMIT_LIST};
    size_t n;
    *out = (struct servers){0};
    if (!caller_of_member(z->sv, z->a, org_id, user_id, &caller, e))
        return e->code == ERR_NOT_FOUND;
    if (!connections_list(z->sv->db, z->a, org_id, &page, &list, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct policy_target target = {.connection_id = list[i].id};
        if (list[i].enabled && policy_decide(caller, POLICY_CONNECT, &target).is_allowed)
            list[out->n++] = list[i];
    }
    out->items = list;
    return true;
}

static bool names_connections(struct str scope)
{
    struct str rest = scope, word;
    while (str_next(&rest, ' ', &word))
        if (scope_is_connection(word))
            return true;
    return false;
}

bool consent_access_rows(const struct authorization *z, const struct targets *targets,
                         struct page_row **rows, size_t *n, struct err *e)
{
    struct servers found;
    *n = 0;
    *rows = arena_alloc(z->a, LIMIT_AGGREGATE * sizeof(**rows));
    if (!*rows)
        return no_memory(e);
    for (size_t i = 0; i < targets->n; i++) {
        const struct target *t = &targets->items[i];
        /* What the program itself has narrowed is shown as it is. */
        if (!str_eq(t->resource, STR("hub")) || names_connections(z->scope))
            continue;
        if (!servers_find(z, t->org_id, targets->user_id, &found, e))
            return false;
        for (size_t k = 0; k < found.n && *n < LIMIT_AGGREGATE; k++) {
            struct page_value *v = arena_alloc(z->a, PER_ROW * sizeof(*v));
            if (!v)
                return no_memory(e);
            v[0] = (struct page_value){.name = "field", .text = found.items[k].id};
            v[1] = (struct page_value){.name = "label", .text = found.items[k].name};
            v[2] = (struct page_value){.name = "org_name", .text = t->org_name};
            v[3] = (struct page_value){.name = NULL};
            (*rows)[(*n)++].values = v;
        }
    }
    return true;
}

enum choice { CHOICE_ALL, CHOICE_READ, CHOICE_NONE, CHOICE_BAD };

static enum choice choice_read(const struct form *form, struct str field)
{
    struct str value;
    if (form_get(form, field, &value) == FORM_ABSENT || str_eq(value, STR("all")))
        return CHOICE_ALL;
    return str_eq(value, STR("read"))   ? CHOICE_READ
           : str_eq(value, STR("none")) ? CHOICE_NONE
                                        : CHOICE_BAD;
}

/* "conn:..." words of what is left; absent: all is left. */
static bool words_make(const struct authorization *z, const struct servers *servers,
                       const struct form *form, struct str *out, struct err *e)
{
    struct buf text;
    size_t n_all = 0, n_bad = 0;
    buf_init(&text, LIMIT_SCOPE_GRANTED);
    for (size_t i = 0; i < servers->n; i++) {
        struct str id = servers->items[i].id;
        enum choice choice = choice_read(form, id);
        n_all += choice == CHOICE_ALL;
        n_bad += choice == CHOICE_BAD;
        if (choice == CHOICE_NONE || choice == CHOICE_BAD)
            continue;
        buf_addf(&text, "%sconn:%.*s%s", text.n ? " " : "", STR_FMT(id),
                 choice == CHOICE_READ ? ":read" : "");
    }
    bool is_empty = text.n == 0 && servers->n > 0;
    *out = buf_ok(&text) && text.n ? arena_dup(z->a, buf_str(&text)) : STR_NONE;
    bool is_good = buf_ok(&text);
    buf_end(&text);
    if (n_bad || is_empty)
        return err_set(e, ERR_BAD_REQUEST, "Choose at least one server for the program, or deny.");
    if (n_all == servers->n)
        *out = STR_NONE;
    return is_good || no_memory(e);
}

bool consent_access_read(struct authorization *z, const struct targets *targets,
                         const struct target *target, const struct form *form, struct err *e)
{
    struct servers servers;
    struct str words = STR_NONE;
    enum choice access = choice_read(form, STR("access"));
    bool is_hub = str_eq(target->resource, STR("hub")) && !names_connections(z->scope);
    if (str_eq(target->resource, STR("management")))
        return true;
    if (access == CHOICE_BAD || access == CHOICE_NONE)
        return err_set(e, ERR_BAD_REQUEST, "Choose what the program may use.");
    if (is_hub && (!servers_find(z, target->org_id, targets->user_id, &servers, e) ||
                   !words_make(z, &servers, form, &words, e)))
        return false;
    if (access == CHOICE_ALL && str_is_absent(words))
        return true;
    z->scope = is_hub && !str_is_absent(words)
                   ? scope_narrow(z->a, z->scope, words, access == CHOICE_READ)
                   : scope_narrow(z->a, z->scope, z->scope, access == CHOICE_READ);
    return !str_is_absent(z->scope) || no_memory(e);
}
