/* What an authorization can be for: the organizations of the person, and what they may use in each.
 */
#include "auth/login/signin_policy.h"
#include "auth/oauth/authorize.h"
#include "auth/oauth/client_policy.h"
#include "auth/oauth/resource_find.h"
#include "auth/token_check.h"
#include "base/ids.h"
#include "base/limits.h"
#include "core/policy.h"
#include "store/connections.h"
#include "store/orgs.h"
#include "store/virtual_servers.h"

struct search {
    const struct authorization *z;
    struct resource_ref ref;
    const struct org *org;
    const struct caller *caller; /* the person in that organization */
    struct targets *out;
    bool has_others;   /* those of a session that another organization's provider proved: noted */
    size_t n_refusing; /* organizations that do not allow the client */
};

static void add(struct search *s, struct str resource, struct str name)
{
    if (s->out->n == LIMIT_TARGETS)
        return;
    s->out->items[s->out->n++] = (struct target){
        .org_id = s->org->id, .org_name = s->org->name, .resource = resource, .name = name};
}

static bool may_use(const struct search *s, const struct connection *conn)
{
    struct policy_target target = {.connection_id = conn->id};
    return policy_decide(s->caller, POLICY_CONNECT, &target).is_allowed;
}

/* A virtual server of which the person may use something. */
static bool virtual_add(struct search *s, struct str id, struct err *e)
{
    struct virtual_server v;
    struct policy_target target = {.connection_id = id};
    if (!virtual_servers_get(s->z->sv->db, s->z->a, s->org->id, id, &v, e))
        return e->code == ERR_NOT_FOUND;
    bool may = policy_decide(s->caller, POLICY_CONNECT, &target).is_allowed;
    target.virtual_id = id;
    for (size_t i = 0; i < v.n_members && !may; i++) {
        target.connection_id = v.members[i].connection_id;
        may = policy_decide(s->caller, POLICY_CONNECT, &target).is_allowed;
    }
    if (v.enabled && may)
        add(s, v.id, v.name);
    return true;
}

/* The one thing that the request names, if this organization has it. */
static bool named_add(struct search *s, struct err *e)
{
    struct str resource;
    struct connection conn;
    if (!resource_find(s->z->sv, s->z->a, s->org->id, &s->ref, &resource, e))
        return e->code == ERR_INVALID_TARGET;
    if (s->ref.kind == RESOURCE_MANAGEMENT) {
        add(s, resource, STR("Management"));
        return true;
    }
    if (s->ref.kind == RESOURCE_HUB) {
        add(s, resource, STR("Everything you may use"));
        return true;
    }
    if (id_is(resource, "vs"))
        return virtual_add(s, resource, e);
    if (!connections_get(s->z->sv->db, s->z->a, s->org->id, resource, &conn, e))
        return e->code == ERR_NOT_FOUND;
    if (may_use(s, &conn))
        add(s, conn.id, conn.name);
    return true;
}

static bool connections_add(struct search *s, struct err *e)
{
    struct connection *list;
    size_t n;
    struct db_page page = {.limit = LIMIT_LIST};
    if (!connections_list(s->z->sv->db, s->z->a, s->org->id, &page, &list, &n, e))
        return false;
    /* What does not answer now is the last that one would choose. */
    for (int is_down = 0; is_down <= 1; is_down++)
        for (size_t i = 0; i < n; i++)
            if (str_eq(list[i].status, STR("down")) == (is_down == 1) && list[i].enabled &&
                may_use(s, &list[i]))
                add(s, list[i].id, list[i].name);
    return true;
}

static bool virtuals_add(struct search *s, struct err *e)
{
    struct virtual_server *list;
    size_t n;
    struct db_page page = {.limit = LIMIT_LIST};
    if (!virtual_servers_list(s->z->sv->db, s->z->a, s->org->id, &page, &list, &n, e))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!virtual_add(s, list[i].id, e))
            return false;
    return true;
}

/* An organization that wants another sign-in: noted, with the way there. To somebody whom another
 * organization's provider proved, all others are one, without their names. */
static bool elsewhere_add(struct search *s, enum signin_need need, struct err *e)
{
    const struct authorization *z = s->z;
    struct targets *t = s->out;
    struct str here = str_is_absent(z->here) ? STR("/") : z->here;
    struct elsewhere *one = &t->elsewhere[t->n_elsewhere];
    *one = (struct elsewhere){.org_name = s->org->name, .why = signin_policy_text(need)};
    if (need == SIGNIN_OTHER_ORG && s->has_others)
        return true;
    if (need == SIGNIN_OTHER_ORG) {
        one->org_name = STR("your other organizations");
        s->has_others = true;
    }
    if (!signin_policy_path(z->sv, z->a, s->org->id, need, here, &one->path, e))
        return false;
    t->n_elsewhere++;
    return true;
}

static bool org_search(struct search *s, struct err *e)
{
    const struct authorization *z = s->z;
    enum client_policy client;
    enum signin_need need;
    if (!client_policy_of(z->sv, z->a, s->org->id, &z->client, &client, e))
        return false;
    if (client == CLIENT_REFUSED) {
        s->n_refusing++;
        return true;
    }
    if (!signin_policy_judge(z->sv, z->a, s->org->id, s->out->user_id, &s->out->proof, &need, e))
        return false;
    if (need != SIGNIN_ENOUGH)
        return elsewhere_add(s, need, e);
    if (!caller_of_member(z->sv, z->a, s->org->id, s->out->user_id, &s->caller, e))
        return e->code == ERR_NOT_FOUND; /* left meanwhile */
    if (s->ref.kind != RESOURCE_OPEN)
        return named_add(s, e);
    bool is_management = str_list_has(z->scope, STR("mcp:manage"));
    if (is_management)
        add(s, STR("management"), STR("Management"));
    size_t n_before = s->out->n;
    if (!connections_add(s, e) || !virtuals_add(s, e))
        return false;
    if (s->out->n > n_before)
        add(s, STR("hub"), STR("Everything you may use"));
    if (!is_management)
        add(s, STR("management"), STR("Management"));
    return true;
}

/* The first of the organization that the person chose last. */
static void prefer(struct targets *t, struct str org_id)
{
    for (size_t i = 0; i < t->n; i++) {
        if (!str_eq(t->items[i].org_id, org_id))
            continue;
        t->preferred = i;
        return;
    }
}

bool authorize_targets(const struct authorization *z, const struct browser_session *session,
                       struct targets *out, struct err *e)
{
    struct org_of_user *orgs;
    size_t n;
    struct db_page page = {.limit = LIMIT_LIST};
    struct search s = {.z = z, .out = out};
    *out = (struct targets){.user_id = session->user_id,
                            .proof = session_proves(session),
                            .items = arena_alloc(z->a, LIMIT_TARGETS * sizeof(*out->items)),
                            .elsewhere =
                                arena_alloc(z->a, (LIMIT_LIST + 1) * sizeof(*out->elsewhere))};
    if (!out->items || !out->elsewhere)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!resource_parse(z->sv->config, z->resource, &s.ref, e) ||
        !orgs_list_of_user(z->sv->db, z->a, session->user_id, &page, &orgs, &n, e))
        return false;
    if (n == 0)
        return err_set(e, ERR_ACCESS_DENIED, "you are a member of no organization");
    for (size_t i = 0; i < n; i++) {
        s.org = &orgs[i].org;
        /* A client of one organization acts for its people there. */
        if (!str_is_absent(z->client.org_id) && !str_eq(z->client.org_id, s.org->id))
            continue;
        if (!org_search(&s, e))
            return false;
    }
    prefer(out, session->org_id);
    if (out->n == 0 && out->n_elsewhere > 0)
        return err_set(e, ERR_FORBIDDEN, "%s", out->elsewhere[0].why);
    if (out->n == 0 && s.n_refusing > 0)
        return err_set(e, ERR_ACCESS_DENIED,
                       "the organization has not approved this program; an administrator can");
    return out->n > 0 ||
           err_set(e, ERR_INVALID_TARGET, "the resource is nothing that you may use here");
}
