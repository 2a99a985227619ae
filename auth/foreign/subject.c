#include "auth/foreign/subject.h"

#include "base/limits.h"
#include "base/text.h"
#include "store/identities.h"
#include "store/users.h"

static bool by_email(struct services *sv, struct arena *a, const struct org_issuer *issuer,
                     const struct foreign_claims *c, struct str *user_id, struct err *e)
{
    struct str given = jv_get_str(c->all, "email"), role;
    const struct jvalue *verified = jv_get(c->all, "email_verified");
    char *lower = given.n <= LIMIT_EMAIL ? arena_cstr(a, given) : NULL;
    struct user user;
    if (!lower || given.n == 0 || text_has_control(given))
        return foreign_refused(e, "no good email");
    /* The word "true" is not true: some servers take it from what people typed. */
    if (!jv_is_bool(verified) || !jv_bool(verified, false))
        return foreign_refused(e, "email is not verified");
    text_lower(lower, given.n);
    struct str email = {lower, given.n};
    size_t at = str_find_char(email, '@');
    struct str domain = at == SIZE_MAX ? STR("") : str_slice(email, at + 1, SIZE_MAX);
    if (!identities_domain(sv->db, a, issuer->org_id, domain, &role, e))
        return e->code == ERR_NOT_FOUND
                   ? foreign_refused(e, "the organization has not proven the address's domain")
                   : false;
    if (!users_by_email(sv->db, a, email, &user, e))
        return e->code == ERR_NOT_FOUND ? foreign_refused(e, "nobody has the address") : false;
    *user_id = user.id;
    return true;
}

bool foreign_subject(struct services *sv, struct arena *a, const struct org_issuer *issuer,
                     const struct foreign_claims *c, struct str *user_id, struct err *e)
{
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(issuer->subject, e);
    if (!doc)
        return err_set(e, ERR_INTERNAL, "a stored subject is damaged");
    struct str by = jv_get_str(jdoc_root(doc), "by"), wanted;
    if (str_eq(by, STR("email")))
        return by_email(sv, a, issuer, c, user_id, e);
    if (str_eq(by, STR("service_account"))) {
        *user_id = arena_dup(a, jv_get_str(jdoc_root(doc), "service_account_id"));
        return !str_is_absent(*user_id) || err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    struct str given = jv_get_str(jdoc_root(doc), "claim");
    char *claim = arena_cstr(a, str_is_absent(given) ? STR("sub") : given);
    if (!claim)
        return foreign_refused(e, "its claim has no good name");
    wanted = jv_get_str(c->all, claim);
    char *name = wanted.n > 0 ? arena_cstr(a, wanted) : NULL;
    struct str found = name ? jv_get_str(jv_get(jdoc_root(doc), "users"), name) : STR_NONE;
    if (str_is_absent(found))
        return foreign_refused(e, "its subject is nobody here");
    *user_id = arena_dup(a, found);
    return !str_is_absent(*user_id) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}
