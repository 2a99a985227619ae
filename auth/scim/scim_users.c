/* /scim/v2/Users: members of the token's organization. */
#include "auth/downstream/disconnect.h"
#include "auth/scim/scim.h"
#include "auth/scim/scim_patch.h"
#include "auth/scim/scim_user_render.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/deactivation.h"
#include "store/members.h"
#include "store/users.h"

static bool user_find(struct scim_request *x, struct str id, struct scim_user *out)
{
    x->object = id;
    return scim_users_get(x->sv->db, x->arena, x->org_id, id, out, &x->fault.e) ||
           scim_not_found(x, "user");
}

static bool user_show(struct scim_request *x, struct str id, struct scim_node **out)
{
    struct scim_user u;
    if (!user_find(x, id, &u))
        return false;
    *out = scim_user_render(x, x->arena, &u, true);
    return *out != NULL;
}

/* ---- list ---- */

static bool row_take(struct scim_request *x, struct arena *a, struct scim_page *p,
                     const struct scim_user *u)
{
    struct scim_node *n = scim_user_render(x, a, u, !p->filter);
    return n && scim_page_take(x, a, p, n);
}

/* Everybody, in batches whose memory ends with each. */
static bool all_take(struct scim_request *x, struct scim_page *p)
{
    struct scim_users_query q = {.after_id = STR(""), .limit = LIMIT_SCIM_PAGE};
    int64_t n_seen = 0;
    for (size_t n = LIMIT_SCIM_PAGE; n == LIMIT_SCIM_PAGE;) {
        auto_free(arena_endp) struct arena *a = arena_new(LIMIT_REQUEST_ARENA);
        struct scim_user *rows;
        if (!a)
            return scim_no_memory(x);
        if (!scim_users_list(x->sv->db, a, x->org_id, &q, &rows, &n, &x->fault.e))
            return scim_store_failed(x);
        for (size_t i = 0; i < n; i++) {
            /* Without a filter nobody before the page needs to be looked at. */
            if (!p->filter && p->total + 1 < p->start)
                p->total++;
            else if (!row_take(x, a, p, &rows[i]))
                return false;
        }
        n_seen += (int64_t)n;
        if (n == 0 || (!p->filter && scim_page_is_full(p)))
            return true;
        if (n_seen > LIMIT_SCIM_SCAN)
            return scim_fault_set(&x->fault, ERR_INVALID, "tooMany",
                                  "more than %d users: ask by userName, externalId or id",
                                  LIMIT_SCIM_SCAN);
        q.after_at = rows[n - 1].created_at;
        q.after_id = arena_dup(x->arena, rows[n - 1].id);
    }
    return true;
}

/* By a filter that an index serves. */
static bool few_take(struct scim_request *x, struct scim_page *p, const struct scim_users_query *q)
{
    struct scim_user *rows;
    size_t n;
    if (!scim_users_list(x->sv->db, x->arena, x->org_id, q, &rows, &n, &x->fault.e))
        return scim_store_failed(x);
    for (size_t i = 0; i < n; i++)
        if (!row_take(x, x->arena, p, &rows[i]))
            return false;
    return true;
}

static bool users_list(struct scim_request *x, struct scim_page *p)
{
    struct str id = scim_page_wants(p, STR("id")), name = scim_page_wants(p, STR("userName"));
    struct scim_users_query q = {.external_id = scim_page_wants(p, STR("externalId"))};
    struct scim_user u;
    if (!str_is_absent(id)) {
        if (scim_users_get(x->sv->db, x->arena, x->org_id, id, &u, &x->fault.e))
            return row_take(x, x->arena, p, &u);
        return x->fault.e.code == ERR_NOT_FOUND || scim_store_failed(x);
    }
    if (!str_is_absent(name)) {
        char *lower = arena_cstr(x->arena, name);
        if (!lower)
            return true; /* a NUL is in no name */
        text_lower(lower, name.n);
        q.user_name = (struct str){lower, name.n};
    }
    if (!str_is_absent(q.user_name) || !str_is_absent(q.external_id))
        return few_take(x, p, &q);
    if (!all_take(x, p))
        return false;
    return p->filter || scim_users_count(x->sv->db, x->arena, x->org_id, &p->total, &x->fault.e) ||
           scim_store_failed(x);
}

/* ---- what changes ---- */

static bool active_set(struct scim_request *x, const struct scim_user *u, bool is_active)
{
    int64_t now = clock_wall_ms();
    if (u->is_active == is_active)
        return true;
    if (!scim_may_touch(x, u))
        return false;
    bool is_done =
        is_active ? members_activate(x->sv->db, x->arena, x->org_id, u->id, &x->fault.e)
                  : members_deactivate(x->sv->db, x->arena, x->org_id, u->id, now, &x->fault.e);
    return is_done || scim_store_failed(x);
}

static bool taken(struct scim_request *x)
{
    return x->fault.e.code == ERR_CONFLICT
               ? scim_fault_set(&x->fault, ERR_CONFLICT, "uniqueness",
                                "there is a user with this userName already")
               : scim_store_failed(x);
}

/* A member gets what the directory says now. Who may be touched is judged before anything is
 * written. */
static bool user_put(struct scim_request *x, const struct scim_user *there,
                     const struct scim_node *clean)
{
    struct scim_user u = *there;
    const struct scim_node *active = scim_tree_get(clean, STR("active"));
    bool is_active = active ? active->is_true : there->is_active;
    if (!scim_user_fill(x, clean, &u))
        return false;
    if (is_active != there->is_active && !scim_may_touch(x, there))
        return false;
    if (!scim_users_put(x->sv->db, x->arena, x->org_id, &u, clock_wall_ms(), &x->fault.e))
        return x->fault.e.code == ERR_NOT_FOUND ? scim_not_found(x, "user") : taken(x);
    return active_set(x, there, is_active);
}

/* A name in the directory is one member's, be it by what the directory or by what the account says.
 */
static bool name_is_free(struct scim_request *x, struct str user_name, struct str but,
                         struct scim_user *other, bool *is_free)
{
    const struct scim_users_query q = {.user_name = user_name};
    struct scim_user *rows;
    size_t n;
    if (!scim_users_list(x->sv->db, x->arena, x->org_id, &q, &rows, &n, &x->fault.e))
        return scim_store_failed(x);
    *is_free = true;
    for (size_t i = 0; i < n; i++)
        if (!str_eq(rows[i].id, but)) {
            *is_free = false;
            *other = rows[i];
        }
    return true;
}

/* An account of somebody who is no member: let in only by what the organization has proven. */
static bool may_join(struct scim_request *x, const struct user *account)
{
    bool is_proven = false, is_empty = false;
    struct str domain = str_slice(account->email, str_find_char(account->email, '@') + 1, SIZE_MAX);
    if (id_is(account->id, "sa"))
        return scim_fault_set(&x->fault, ERR_CONFLICT, "uniqueness", "the address is taken");
    if (!scim_users_domain_is_proven(x->sv->db, x->arena, x->org_id, domain, &is_proven,
                                     &x->fault.e) ||
        (!is_proven &&
         !scim_users_is_empty(x->sv->db, x->arena, account->id, &is_empty, &x->fault.e)))
        return scim_store_failed(x);
    return is_proven || is_empty ||
           scim_fault_set(&x->fault, ERR_FORBIDDEN, NULL,
                          "the address has an account: prove %.*s by ORGANIZATION_DOMAIN_ADD, or "
                          "invite the person",
                          STR_FMT(str_slice(domain, 0, 100)));
}

/* Who the new user is: *there a member whom no directory knows yet (id absent: none), else an
 * account (id absent: none either). */
static bool person_find(struct scim_request *x, struct str user_name, struct str email,
                        struct scim_user *there, struct user *account)
{
    bool is_free = false;
    if (!name_is_free(x, user_name, STR_NONE, there, &is_free))
        return false;
    if (is_free) {
        if (!users_by_email(x->sv->db, x->arena, email, account, &x->fault.e))
            return x->fault.e.code == ERR_NOT_FOUND || scim_store_failed(x);
        if (!scim_users_get(x->sv->db, x->arena, x->org_id, account->id, there, &x->fault.e))
            return x->fault.e.code == ERR_NOT_FOUND ? may_join(x, account) : scim_store_failed(x);
    }
    if (str_is_absent(there->attributes))
        return true;
    x->object = there->id;
    return scim_fault_set(&x->fault, ERR_CONFLICT, "uniqueness",
                          "there is a user with this userName or address already");
}

static bool user_make(struct scim_request *x, const struct scim_node *clean, struct scim_user *u,
                      const struct user *account, struct str email)
{
    const struct scim_node *active = scim_tree_get(clean, STR("active"));
    struct scim_account made = {0};
    struct id id = id_new("usr");
    u->id = account->id;
    u->is_active = !active || active->is_true;
    u->created_at = clock_wall_ms();
    if (str_is_absent(account->id)) {
        u->id = arena_dup(x->arena, id_str(&id));
        made = (struct scim_account){.email = email, .name = scim_user_name(x, clean, email)};
    }
    x->object = u->id;
    return scim_users_insert(x->sv->db, x->arena, x->org_id, u, &made, &x->fault.e) || taken(x);
}

static bool user_create(struct scim_request *x, struct scim_node **out)
{
    struct scim_node *body, *clean;
    struct scim_user u = {0}, there = {0};
    struct user account = {0};
    struct str email;
    if (!scim_body(x, &body))
        return false;
    clean = scim_schema_clean(x->arena, &scim_schema_user, body, &x->fault);
    if (!clean || !scim_user_fill(x, clean, &u) || !scim_user_email(x, clean, &email) ||
        !person_find(x, u.user_name, email, &there, &account))
        return false;
    bool is_member = !str_is_absent(there.id);
    x->object = there.id;
    if (is_member ? !user_put(x, &there, clean) : !user_make(x, clean, &u, &account, email))
        return false;
    return user_show(x, x->object, out);
}

static bool user_change(struct scim_request *x, struct str id, bool is_patch,
                        struct scim_node **out)
{
    struct scim_user there, other;
    struct scim_node *body, *present, *clean;
    struct str name;
    bool is_free = false;
    if (!user_find(x, id, &there) || !scim_body(x, &body))
        return false;
    present = scim_user_render(x, x->arena, &there, true);
    if (!present || !scim_may_change(x, present))
        return false;
    if (is_patch && !scim_patch_apply(x->arena, &scim_schema_user, present, body, &x->fault))
        return false;
    clean = scim_schema_clean(x->arena, &scim_schema_user, is_patch ? present : body, &x->fault);
    if (!clean)
        return false;
    name = scim_tree_get_str(clean, STR("userName"));
    char *lower = arena_cstr(x->arena, name);
    if (!lower)
        return scim_no_memory(x);
    text_lower(lower, name.n);
    if (!name_is_free(x, (struct str){lower, name.n}, there.id, &other, &is_free))
        return false;
    if (!is_free)
        return scim_fault_set(&x->fault, ERR_CONFLICT, "uniqueness",
                              "there is a user with this userName already");
    return user_put(x, &there, clean) && user_show(x, id, out);
}

/* As ORGANIZATION_MEMBER_REMOVE does it. */
static bool user_remove(struct scim_request *x, struct str id)
{
    struct scim_user there;
    struct downstream_grants grants;
    struct scim_node *present;
    int64_t now = clock_wall_ms();
    if (!user_find(x, id, &there) || !scim_may_touch(x, &there))
        return false;
    present = scim_user_render(x, x->arena, &there, true);
    if (!present || !scim_may_change(x, present))
        return false;
    /* First what deactivation ends: browser sessions are not part of the membership. */
    if (!downstream_grants_of(x->sv, x->arena, x->org_id, id, &grants, &x->fault.e) ||
        !members_deactivate(x->sv->db, x->arena, x->org_id, id, now, &x->fault.e) ||
        !members_remove(x->sv->db, x->arena, x->org_id, id, now, &x->fault.e))
        return scim_store_failed(x);
    downstream_grants_revoke(x->sv, x->arena, &grants);
    return true;
}

/* ---- handlers ---- */

void scim_users(struct http_request *rq)
{
    struct scim_request x;
    struct scim_page page;
    struct scim_outcome o = {.act = "scim_user_create", .status = 201};
    if (rq->method == HTTP_POST) {
        if (!scim_begin(&x, rq, o.act))
            return;
        o.is_good = user_create(&x, &o.resource);
        scim_end(&x, &o);
    } else if (scim_begin(&x, rq, NULL)) {
        bool is_good = scim_page_begin(&x, &page) && users_list(&x, &page);
        scim_page_end(&x, &page, is_good);
    }
}

void scim_user(struct http_request *rq)
{
    struct scim_request x;
    struct scim_outcome o = {.status = 200};
    struct str id = rq->params[0];
    o.act = rq->method == HTTP_PUT      ? "scim_user_replace"
            : rq->method == HTTP_PATCH  ? "scim_user_change"
            : rq->method == HTTP_DELETE ? "scim_user_delete"
                                        : NULL;
    if (!scim_begin(&x, rq, o.act))
        return;
    if (rq->method == HTTP_DELETE) {
        o.status = 204;
        o.is_good = user_remove(&x, id);
    } else if (o.act) {
        o.is_good = user_change(&x, id, rq->method == HTTP_PATCH, &o.resource);
    } else {
        o.is_good = user_show(&x, id, &o.resource);
    }
    scim_end(&x, &o);
}
