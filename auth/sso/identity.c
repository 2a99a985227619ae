#include "auth/sso/identity.h"

#include "auth/caller_build.h"
#include "auth/login/accounts.h"
#include "auth/login/login_audit.h"
#include "auth/login/signin.h"
#include "auth/login/signin_policy.h"
#include "auth/sso/groups_apply.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/principal_rules.h"
#include "json/jread.h"
#include "store/identities.h"
#include "store/members.h"
#include "store/passwords.h"
#include "store/sso_providers.h"
#include "store/users.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- judging ---- */

/* What is known before the rules are asked. */
struct judging {
    struct services *sv;
    struct arena *arena;
    const struct identity *identity;
    struct str email; /* lower case; absent: none that can be used */
    struct sso_provider provider;
    bool has_domain;        /* the organization has proven the address's domain ... */
    struct str domain_role; /* ... and who has such an address joins with this; absent: no */
    bool has_invitation;
    struct str invitation, invitation_role;
    bool has_user; /* there is an account with this address */
    struct user user;
    int64_t now;
};

static bool email_read(struct judging *j, struct err *e)
{
    struct str email = j->identity->email;
    struct err ignored;
    if (str_is_absent(email) || !principal_email_check(email, &ignored))
        return true;
    for (size_t k = 0; k < email.n; k++)
        if ((unsigned char)email.p[k] >= 0x80) /* look-alikes are nobody's address here */
            return true;
    char *copy = arena_cstr(j->arena, email);
    if (!copy)
        return no_memory(e);
    text_lower(copy, email.n);
    j->email = (struct str){copy, email.n};
    return true;
}

/* A look-up that may find nothing. */
static bool found(bool is_found, bool *has, struct err *e)
{
    *has = is_found;
    return is_found || e->code == ERR_NOT_FOUND;
}

static bool judging_begin(struct judging *j, struct err *e)
{
    const struct identity *i = j->identity;
    struct db *db = j->sv->db;
    j->now = clock_wall_ms();
    if (!sso_providers_get(db, j->arena, i->provider_id, &j->provider, e) || !email_read(j, e))
        return false;
    if (str_is_absent(j->email))
        return true;
    struct str domain = str_slice(j->email, str_find_char(j->email, '@') + 1, SIZE_MAX);
    if (!str_is_absent(i->org_id) &&
        !found(identities_domain(db, j->arena, i->org_id, domain, &j->domain_role, e),
               &j->has_domain, e))
        return false;
    return found(identities_invitation(db, j->arena, i->org_id, j->email, j->now, &j->invitation,
                                       &j->invitation_role, e),
                 &j->has_invitation, e) &&
           found(users_by_email(db, j->arena, j->email, &j->user, e), &j->has_user, e);
}

static void refuse(struct identity_verdict *v, const char *why)
{
    *v = (struct identity_verdict){.way = IDENTITY_REFUSED, .why = why};
}

/* The address is certain, as far as this provider may say so. */
static bool is_certain(const struct judging *j)
{
    return !str_is_absent(j->email) && j->identity->is_email_verified;
}

/*
 * With which role a person becomes a member: an open invitation says so, the domain's rule, or the
 * provider's. False: not at all.
 */
static bool join_as(const struct judging *j, struct identity_verdict *v)
{
    if (j->has_invitation && (is_certain(j) || j->has_domain)) {
        v->join_role = j->invitation_role;
        v->invitation = j->invitation;
        return true;
    }
    if (j->has_domain && !str_is_absent(j->domain_role))
        v->join_role = j->domain_role;
    else if (j->provider.is_jit && j->has_domain)
        v->join_role = j->provider.default_role;
    return !str_is_absent(v->join_role);
}

static bool member_judge(const struct judging *j, struct identity_verdict *v, struct err *e)
{
    struct member member;
    bool is_member;
    if (str_is_absent(j->identity->org_id))
        return true;
    if (!found(members_get(j->sv->db, j->arena, j->identity->org_id, v->user_id, &member, e),
               &is_member, e))
        return false;
    if (is_member)
        return true;
    /* Who signed in before and is no member was removed: the provider alone does not undo that. */
    if (v->way == IDENTITY_KNOWN ? j->has_invitation && join_as(j, v) : join_as(j, v))
        return true;
    refuse(v, v->way == IDENTITY_KNOWN
                  ? "You are not a member of this organization any more: ask its administrator "
                    "to invite you again."
                  : "You are not a member of this organization: ask its administrator to invite "
                    "you.");
    return true;
}

/*
 * Has somebody a way into the account although they never showed that its address is theirs? Who
 * made it in advance would share it with its owner. Members of the provider's own organization are
 * known to it.
 */
static bool squat_judge(const struct judging *j, bool *is_squat, struct err *e)
{
    struct identity_row *known;
    struct str hash, org_id = j->identity->org_id;
    struct member member;
    size_t n;
    bool has_password, is_member = false;
    *is_squat = false;
    if (j->user.email_verified_at)
        return true;
    if (!str_is_absent(org_id) &&
        !found(members_get(j->sv->db, j->arena, org_id, j->user.id, &member, e), &is_member, e))
        return false;
    if (!found(passwords_get(j->sv->db, j->arena, j->user.id, &hash, e), &has_password, e) ||
        !identities_list_of_user(j->sv->db, j->arena, j->user.id, &known, &n, e))
        return false;
    *is_squat = !is_member && (has_password || n > 0);
    return true;
}

/* An owner's account, and a provider that no owner configured: what an administrator makes it say
 * must not leave a link behind, which would hold when an owner confirms the provider later. */
static bool owner_judge(const struct judging *j, bool *is_refused, struct err *e)
{
    *is_refused = false;
    return str_is_absent(j->identity->org_id) || j->provider.is_owners ||
           caller_is_owner(j->sv, j->arena, j->identity->org_id, j->user.id, is_refused, e);
}

/* There is an account with this address: is the provider's word enough? */
static bool link_judge(const struct judging *j, struct identity_verdict *v, struct err *e)
{
    bool is_of_org = !str_is_absent(j->identity->org_id), has_other, is_squat, is_owners;
    if (!squat_judge(j, &is_squat, e) || !owner_judge(j, &is_owners, e))
        return false;
    if (!is_certain(j) || (is_of_org && !j->has_domain) || is_squat) {
        refuse(v, "There is an account with this e-mail address already. Sign in to it in another "
                  "way, then link this provider on your account page.");
        return true;
    }
    if (is_owners) {
        refuse(v, signin_policy_text(SIGNIN_OWNERS));
        return true;
    }
    if (!identities_has(j->sv->db, j->arena, j->user.id, j->provider.id, &has_other, e))
        return false;
    if (has_other) {
        refuse(v, "The account with this e-mail address belongs to somebody else at this provider: "
                  "ask an administrator.");
        return true;
    }
    *v = (struct identity_verdict){.way = IDENTITY_LINK,
                                   .user_id = j->user.id,
                                   .why = "an account has this verified e-mail address"};
    return member_judge(j, v, e);
}

static void create_judge(const struct judging *j, struct identity_verdict *v)
{
    bool is_of_org = !str_is_absent(j->identity->org_id);
    *v = (struct identity_verdict){.way = IDENTITY_CREATE,
                                   .is_verified = is_certain(j) && (!is_of_org || j->has_domain),
                                   .why = "a new account"};
    if (str_is_absent(j->email))
        refuse(v, "The provider gave no usable e-mail address, and nobody is known by this "
                  "identity: ask an administrator.");
    else if (is_of_org && !join_as(j, v))
        refuse(v, "Nobody is known by this identity: ask an administrator of the organization to "
                  "invite you.");
    else if (!is_of_org && !is_certain(j))
        refuse(v, "The provider has not verified your e-mail address: verify it there first.");
    else if (!is_of_org && !j->sv->config->allow_registration && !j->has_invitation)
        refuse(v, "Nobody has invited this e-mail address: ask an administrator to invite you.");
}

bool identity_judge(struct services *sv, struct arena *a, const struct identity *i,
                    struct identity_verdict *out, struct err *e)
{
    struct judging j = {.sv = sv, .arena = a, .identity = i};
    struct identity_row row;
    struct err own;
    bool is_known;
    e = e ? e : &own;
    if (!judging_begin(&j, e) ||
        !found(identities_find(sv->db, a, i->provider_id, i->issuer, i->subject, &row, e),
               &is_known, e))
        return false;
    if (is_known) {
        *out = (struct identity_verdict){.way = IDENTITY_KNOWN,
                                         .user_id = row.user_id,
                                         .row_id = row.id,
                                         .why = "this identity signed in before"};
        return member_judge(&j, out, e);
    }
    if (j.has_user)
        return link_judge(&j, out, e);
    create_judge(&j, out);
    return true;
}

/* ---- acting ---- */

static struct str display_name(const struct identity *i, struct str email)
{
    struct err ignored;
    struct str name = str_trim(i->name);
    if (!str_is_absent(i->name) && principal_name_check(name, "the name", &ignored))
        return name;
    return str_slice(email, 0, str_find_char(email, '@'));
}

/* What is kept of an address for display; absent when it is none. */
static struct str email_shown(const struct identity *i)
{
    struct err ignored;
    return !str_is_absent(i->email) && principal_email_check(i->email, &ignored) ? i->email
                                                                                 : STR_NONE;
}

static struct identity_row row_of(const struct identity *i, const struct id *id, struct str user_id,
                                  int64_t now)
{
    return (struct identity_row){.id = id_str(id),
                                 .provider_id = i->provider_id,
                                 .issuer = i->issuer,
                                 .subject = i->subject,
                                 .org_id = i->org_id,
                                 .user_id = user_id,
                                 .email = email_shown(i),
                                 .created_at = now};
}

static bool act(struct services *sv, struct arena *a, const struct identity *i,
                const struct identity_verdict *v, struct str *user_id, struct err *e)
{
    struct judging j = {.arena = a, .identity = i};
    struct id id = id_new("idn");
    bool is_new = v->way == IDENTITY_CREATE;
    *user_id = is_new ? accounts_new_id(a) : v->user_id;
    if (str_is_absent(*user_id))
        return no_memory(e);
    if (!email_read(&j, e))
        return false;
    const struct identity_row row = row_of(i, &id, *user_id, clock_wall_ms());
    const struct identity_new n = {.row = &row,
                                   .email = is_new ? j.email : STR_NONE,
                                   .is_email_verified = v->is_verified,
                                   .name = is_new ? display_name(i, j.email) : STR_NONE,
                                   .join_role = v->join_role,
                                   .invitation = v->invitation,
                                   .is_known = v->way == IDENTITY_KNOWN};
    if (v->way == IDENTITY_KNOWN && str_is_absent(v->join_role))
        return identities_touch(sv->db, a, v->row_id, row.email, row.created_at, e);
    return identities_make(sv->db, a, &n, e);
}

bool identity_resolve(struct services *sv, struct arena *a, const struct identity *i,
                      struct str *user_id, struct err *e)
{
    struct identity_verdict v;
    struct err own;
    e = e ? e : &own;
    /* Twice: two first sign-ins of one person at the same moment, and the second finds the first's
     * work. */
    for (int tries = 0; tries < 2; tries++) {
        if (!identity_judge(sv, a, i, &v, e))
            return false;
        if (v.way == IDENTITY_REFUSED)
            return err_set(e, ERR_FORBIDDEN, "%s", v.why);
        if (act(sv, a, i, &v, user_id, e))
            return true;
        if (e->code != ERR_CONFLICT)
            return false;
    }
    return false;
}

bool identity_link(struct services *sv, struct arena *a, const struct identity *i,
                   struct str user_id, struct err *e)
{
    struct judging j = {.sv = sv, .arena = a, .identity = i, .user.id = user_id};
    struct identity_row known;
    struct id id = id_new("idn");
    struct err own;
    bool is_owners;
    e = e ? e : &own;
    if (identities_find(sv->db, a, i->provider_id, i->issuer, i->subject, &known, e))
        return str_eq(known.user_id, user_id) ||
               err_set(e, ERR_CONFLICT, "this identity belongs to another account");
    if (e->code != ERR_NOT_FOUND || !sso_providers_get(sv->db, a, i->provider_id, &j.provider, e) ||
        !owner_judge(&j, &is_owners, e))
        return false;
    if (is_owners)
        return err_set(e, ERR_FORBIDDEN, "%s", signin_policy_text(SIGNIN_OWNERS));
    const struct identity_row row = row_of(i, &id, user_id, clock_wall_ms());
    const struct identity_new n = {.row = &row};
    return identities_make(sv->db, a, &n, e);
}

/* The provider's own rule of which of its groups has which role; absent: none. */
static bool group_roles_read(struct arena *a, struct str config, struct str *out, struct err *e)
{
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(config, e);
    const struct jvalue *rule = doc ? jv_get(jdoc_root(doc), "group_roles") : NULL;
    struct buf text;
    *out = STR_NONE;
    if (!doc)
        return false;
    if (!jv_is_object(rule))
        return true;
    buf_init(&text, LIMIT_BODY_FORM);
    jv_write(rule, &text);
    *out = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || no_memory(e);
}

/* What the provider says of groups counts in its own organization. */
static bool groups_take(struct http_request *rq, const struct identity *i, struct str user_id,
                        struct err *e)
{
    struct services *sv = rq->context;
    struct sso_provider provider;
    struct groups_said said = {.org_id = i->org_id,
                               .user_id = user_id,
                               .provider_id = i->provider_id,
                               .groups = i->groups,
                               .n_groups = i->n_groups};
    if (!i->has_groups || str_is_absent(i->org_id))
        return true;
    if (!sso_providers_get(sv->db, rq->arena, i->provider_id, &provider, e))
        return false;
    said.is_owners = provider.is_owners;
    return group_roles_read(rq->arena, provider.config, &said.group_roles, e) &&
           groups_apply(sv, &said, e);
}

bool identity_signin(struct http_request *rq, const struct identity *i, const char *method,
                     struct str return_to, struct str *next, struct err *e)
{
    struct services *sv = rq->context;
    struct str user_id;
    if (!identity_resolve(sv, rq->arena, i, &user_id, e)) {
        const struct login_event event = {.method = "signin",
                                          .org_id = i->org_id,
                                          .name = str_c(method),
                                          .outcome = "denied",
                                          .error = e->msg};
        struct err ignored; /* *e says what happened */
        (void)!login_audit(sv, rq, &event, &ignored);
        return false;
    }
    const struct signin s = {.user_id = user_id,
                             .method = method,
                             .provider_id = i->provider_id,
                             .org_id = i->org_id,
                             .provider_session = i->provider_session,
                             .is_two_factor = i->is_two_factor,
                             .session_ends_at = i->session_ends_at};
    return groups_take(rq, i, user_id, e) && signin_complete(rq, &s, return_to, next, e);
}
