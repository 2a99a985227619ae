/* ORGANIZATION_INVITATION_*: people who are asked to join. */
#include "auth/login/accounts.h"
#include "auth/login/mailed_proof.h"
#include "auth/mail/mailer.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/principal_rules.h"
#include "management-tools/tool_io.h"
#include "store/invitations.h"
#include "store/orgs.h"
#include "store/roles.h"
#include "store/users.h"

tool_fn tool_organization_invitation_create, tool_organization_invitation_list,
    tool_organization_invitation_cancel;

static void invitation_write(struct jout *j, const struct invitation *i)
{
    jout_object(j);
    jout_kstr(j, "id", i->id);
    jout_kstr(j, "email", i->email);
    jout_kstr(j, "role", i->role);
    jout_kstr(j, "invited_by", i->invited_by);
    jout_ktime(j, "created_at", i->created_at);
    jout_ktime(j, "expires_at", i->expires_at);
    jout_object_end(j);
}

/* Nobody gives away more than they have. */
static bool role_check(struct tool_call *c, struct str role, struct err *e)
{
    struct role custom;
    bool is_builtin =
        str_eq(role, STR("owner")) || str_eq(role, STR("admin")) || str_eq(role, STR("member"));
    if (!is_builtin && !id_is(role, "role"))
        return err_set(e, ERR_INVALID,
                       "arguments.role: given \"%.*s\", expected owner, admin, member or role_...",
                       STR_FMT(str_slice(role, 0, 60)));
    if (!is_builtin && !roles_get(c->sv->db, c->arena, c->org_id, role, &custom, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such role") : false;
    if (str_eq(role, STR("owner")) && !(c->caller->builtin_roles & ROLE_OWNER))
        return err_set(e, ERR_FORBIDDEN, "only owners make owners");
    if (!str_eq(role, STR("member")) && !io_is_admin(c))
        return err_set(e, ERR_FORBIDDEN, "only administrators give other roles than member");
    return true;
}

/* Without mail whoever invites hands the link on. */
static bool invitation_mail(struct tool_call *c, const struct invitation *i, struct str token,
                            struct err *e)
{
    struct mail_request m = {.kind = MAIL_INVITATION, .email = i->email};
    struct user by;
    struct org org;
    if (!mailer_can(c->sv, m.kind))
        return true;
    struct str proof = mailed_proof_of(c->sv, c->arena, token);
    m.url = arena_printf(c->arena, "%s/invite/%.*s?proof=%.*s", c->sv->config->origin,
                         STR_FMT(token), STR_FMT(proof));
    if (str_is_absent(proof) || str_is_absent(m.url))
        return io_no_memory(e);
    if (!orgs_get(c->sv->db, c->arena, i->org_id, &org, e))
        return false;
    m.org_name = org.name;
    if (!str_is_absent(i->invited_by) && users_get(c->sv->db, c->arena, i->invited_by, &by, NULL))
        m.by = by.name;
    return mailer_add(c->sv, c->arena, &m, e);
}

bool tool_organization_invitation_create(struct tool_call *c, struct err *e)
{
    static const int64_t day_ms = 24 * 60 * 60 * 1000;
    struct id id = id_new("inv");
    struct secret_text token;
    struct jout j;
    int64_t now = clock_wall_ms();
    struct str given = str_trim(jv_get_str(c->arguments, "email"));
    char *email = arena_cstr(c->arena, given);
    struct invitation invitation = {.id = arena_dup(c->arena, id_str(&id)),
                                    .org_id = c->org_id,
                                    .role = jv_get_str(c->arguments, "role"),
                                    .invited_by = c->caller->user_id,
                                    .created_at = now,
                                    .expires_at = now + LIMIT_INVITATION_DAYS * day_ms};
    if (!email || str_is_absent(invitation.id))
        return io_no_memory(e);
    text_lower(email, given.n);
    invitation.email = (struct str){email, given.n};
    c->object = invitation.id;
    if (!principal_email_check(invitation.email, e) || !role_check(c, invitation.role, e))
        return false;
    secret_text_make(&token, "");
    invitation.hash = str_c(token.hash_hex);
    struct str url = arena_printf(c->arena, "%s/invite/%s", c->sv->config->origin, token.text);
    bool is_good = (!str_is_absent(url) || io_no_memory(e)) &&
                   invitations_insert(c->sv->db, c->arena, &invitation, e) &&
                   invitation_mail(c, &invitation, str_c(token.text), e);
    secret_wipe(&token, sizeof(token));
    if (!is_good)
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    invitation_write(&j, &invitation);
    jout_kstr(&j, "url", url);
    jout_object_end(&j);
    return true;
}

bool tool_organization_invitation_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct invitation *invitations;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    int64_t now = clock_wall_ms();
    if (!io_page_read(c, &page, e) ||
        !invitations_list(c->sv->db, c->arena, c->org_id, now, &page, &invitations, &n, e) ||
        !invitations_count(c->sv->db, c->arena, c->org_id, now, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        invitation_write(&j, &invitations[i]);
        end.last_at = invitations[i].created_at;
        end.last_id = invitations[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_invitation_cancel(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "invitation_id");
    c->object = id;
    if (!invitations_delete(c->sv->db, c->arena, c->org_id, id, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such invitation") : false;
    io_deleted(c, id);
    return true;
}
