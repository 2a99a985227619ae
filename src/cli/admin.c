/* user create, org create, key create: the first principals, from the machine itself. They go
   through the same rules as the tools and stand in the same audit. */
#include <stdio.h>

#include "auth/login/accounts.h"
#include "auth/session/password_work.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/install.h"
#include "cli/options.h"
#include "core/org_policy.h"
#include "core/policy.h"
#include "core/signing_key.h"
#include "core/principal_rules.h"
#include "core/vault.h"
#include "crypto/password.h"
#include "store/api_keys.h"
#include "store/deactivation.h"
#include "store/members.h"
#include "store/org_domains.h"
#include "store/org_policies.h"
#include "store/orgs.h"
#include "store/passwords.h"
#include "store/totp.h"
#include "store/users.h"

enum { SCOPES_MAX = 8 };

struct admin {
    const char *email, *name, *slug, *owner, *org, *expires;
    const char *scopes[SCOPES_MAX];
    size_t n_scopes;
    bool is_operator, password_stdin, is_signing, is_enabling, is_resetting;
};

static bool admin_audit(struct services *sv, struct str org_id, const char *method,
                        struct str object, struct err *e)
{
    struct audit_row row = {.at = clock_wall_ms(),
                            .org_id = org_id,
                            .kind = STR("admin"),
                            .user_id = STR("cli"),
                            .method = str_c(method),
                            .name = object,
                            .outcome = STR("ok")};
    return audit_reserve(sv->audit, e) && audit_submit(sv->audit, &row, e);
}

static struct str email_lower(struct arena *a, const char *email)
{
    char *copy = arena_cstr(a, str_c(email));
    if (!copy)
        return STR_NONE;
    text_lower(copy, str_c(email).n);
    return str_c(copy);
}

/* ---- user create ---- */

/* The first line of stdin, hashed. */
static bool password_read(struct services *sv, struct arena *a, struct str *hash, struct err *e)
{
    char line[LIMIT_PASSWORD_MAX + 3];
    if (!fgets(line, sizeof(line), stdin))
        return err_set(e, ERR_INVALID, "--password-stdin: there is no line on stdin");
    size_t n = strcspn(line, "\r\n");
    const struct str password = {line, n};
    bool is_good = password_check(password, e) && password_work_hash(sv, a, password, hash, e);
    secret_wipe(line, sizeof(line));
    return is_good;
}

/* The id, and without a password the link by which the person chooses one. */
static bool user_print(struct services *sv, struct arena *a, const struct user *user,
                       struct str password_hash, struct err *e)
{
    struct str url;
    if (!str_is_absent(password_hash)) {
        if (!passwords_put(sv->db, a, user->id, password_hash, STR_NONE, user->created_at, e))
            return false;
        (void)printf("%.*s\n", STR_FMT(user->id));
        return true;
    }
    if (!accounts_password_link(sv, a, user->id, &url, e))
        return false;
    (void)printf("%.*s\n%.*s\n", STR_FMT(user->id), STR_FMT(url));
    return true;
}

static bool user_insert(struct services *sv, struct arena *a, const struct user *user,
                        struct err *e)
{
    if (users_insert(sv->db, a, user, e))
        return true;
    return e->code == ERR_CONFLICT
               ? err_set(e, ERR_CONFLICT, "there is a user with the e-mail address %.*s already",
                         STR_FMT(user->email))
               : false;
}

static bool user_create(struct services *sv, struct arena *a, void *arg, struct err *e)
{
    const struct admin *o = arg;
    struct id id = id_new("usr");
    struct str email = email_lower(a, o->email), hash = STR_NONE;
    if (!principal_email_check(email, e))
        return false;
    struct str name = o->name ? str_c(o->name) : str_slice(email, 0, str_find_char(email, '@'));
    if (!principal_name_check(name, "--name", e) ||
        (o->password_stdin && !password_read(sv, a, &hash, e)))
        return false;
    int64_t now = clock_wall_ms();
    struct user user = {.id = id_str(&id),
                        .email = email,
                        .name = name,
                        .is_operator = o->is_operator,
                        .created_at = now,
                        .updated_at = now};
    return user_insert(sv, a, &user, e) && admin_audit(sv, STR(""), "user create", user.id, e) &&
           user_print(sv, a, &user, hash, e);
}

/* ---- setup-link, recover ---- */

static bool setup_link(struct services *sv, struct arena *a, void *arg unused_arg, struct err *e)
{
    struct str url;
    if (!accounts_setup_link(sv, a, &url, e) ||
        !admin_audit(sv, STR(""), "setup-link", STR_NONE, e))
        return false;
    (void)printf("%.*s\n", STR_FMT(url));
    return true;
}

/* What would keep the owner out of their own organization: its own demand of single sign-on. An
 * owner sets it again. */
static bool sso_suspend(struct services *sv, struct arena *a, struct str org_id, struct err *e)
{
    auto_free(jdoc_freep) struct jdoc *doc = NULL;
    struct org_policy policy = org_policy_default();
    struct str before;
    struct buf after;
    if (!org_policies_get(sv->db, a, org_id, &before, e))
        return e->code == ERR_NOT_FOUND; /* the defaults demand nothing */
    doc = jdoc_parse(before, e);
    if (!doc || !org_policy_apply(a, jdoc_root(doc), &policy, e))
        return false;
    if (!policy.require_sso)
        return true;
    policy.require_sso = false;
    buf_init(&after, LIMIT_ORG_POLICY);
    org_policy_write(&policy, &after);
    bool is_good = (buf_ok(&after) || err_set(e, ERR_UNAVAILABLE, "out of memory")) &&
                   org_policies_put(sv->db, a, org_id, before, buf_str(&after), clock_wall_ms(), e);
    buf_end(&after);
    return is_good && admin_audit(sv, org_id, "recover: require_sso suspended", org_id, e);
}

/* The same for the domain of the person's address. */
static bool domain_release(struct services *sv, struct arena *a, struct str org_id,
                           const struct user *user, struct err *e)
{
    struct org_domain domain;
    size_t at = str_find_char(user->email, '@');
    if (!org_domains_get(sv->db, a, org_id, str_slice(user->email, at + 1, SIZE_MAX), &domain, e))
        return e->code == ERR_NOT_FOUND;
    if (!domain.is_forced)
        return true;
    domain.is_forced = false;
    return org_domains_put(sv->db, a, &domain, e) &&
           admin_audit(sv, org_id, "recover: domain not forced", domain.id, e);
}

static bool owner_make(struct services *sv, struct arena *a, struct str org_id, struct str user_id,
                       struct err *e)
{
    int64_t now = clock_wall_ms();
    if (members_add(sv->db, a, org_id, user_id, STR("owner"), now, e))
        return true;
    return e->code == ERR_CONFLICT &&
           members_set_roles(sv->db, a, org_id, user_id, STR("owner"), now, e) &&
           members_activate(sv->db, a, org_id, user_id, e);
}

/* Whose account is disabled comes back only where that is said: an operator had a reason. */
static bool account_enable(struct services *sv, struct arena *a, const struct admin *o,
                           struct str org_id, const struct user *user, struct err *e)
{
    if (!user->disabled_at)
        return true;
    if (!o->is_enabling)
        return err_set(e, ERR_CONFLICT,
                       "the account %.100s is disabled, nothing is changed: add --enable to enable "
                       "it, or choose another owner with --email",
                       o->email);
    return users_set_disabled(sv->db, a, user->id, 0, clock_wall_ms(), e) &&
           admin_audit(sv, org_id, "recover: account enabled", user->id, e);
}

/* Who lost phone and recovery codes could not sign in with the new password either. */
static bool factors_reset(struct services *sv, struct arena *a, const struct admin *o,
                          struct str org_id, struct str user_id, struct err *e)
{
    return !o->is_resetting || (factors_delete(sv->db, a, user_id, e) &&
                                admin_audit(sv, org_id, "recover: factors reset", user_id, e));
}

/* Makes the person an owner again, whatever the organization demands of sign-ins, and a link to a
 * new password. */
static bool recover(struct services *sv, struct arena *a, void *arg, struct err *e)
{
    const struct admin *o = arg;
    struct org org;
    struct user user;
    struct str url;
    if (!orgs_by_slug(sv->db, a, str_c(o->org), &org, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND, "there is no organization \"%.60s\"", o->org)
                   : false;
    if (!users_by_email(sv->db, a, email_lower(a, o->email), &user, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND,
                             "there is no user %.100s; tulle user create makes one", o->email)
                   : false;
    if (!account_enable(sv, a, o, org.id, &user, e) || !owner_make(sv, a, org.id, user.id, e) ||
        !factors_reset(sv, a, o, org.id, user.id, e) || !sso_suspend(sv, a, org.id, e) ||
        !domain_release(sv, a, org.id, &user, e) ||
        !accounts_password_link(sv, a, user.id, &url, e) ||
        !admin_audit(sv, org.id, "recover", user.id, e))
        return false;
    (void)printf("%.*s\n", STR_FMT(url));
    return true;
}

/* ---- org create ---- */

static bool slug_choose(const struct admin *o, char out[51], struct err *e)
{
    if (!o->slug)
        text_slug(str_c(o->name), out);
    else if (snprintf(out, 51, "%s", o->slug) > 50)
        return err_set(e, ERR_INVALID, "--slug is longer than 50 characters");
    return principal_slug_check(str_c(out), "--slug", e);
}

static bool org_create(struct services *sv, struct arena *a, void *arg, struct err *e)
{
    const struct admin *o = arg;
    struct user owner;
    struct str wrapped;
    char slug[51];
    if (!principal_name_check(str_c(o->name), "--name", e) || !slug_choose(o, slug, e))
        return false;
    if (!users_by_email(sv->db, a, email_lower(a, o->owner), &owner, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND,
                             "there is no user %.100s; tulle user create makes one", o->owner)
                   : false;
    struct id id = id_new("org");
    int64_t now = clock_wall_ms();
    struct org org = {.id = id_str(&id),
                      .slug = str_c(slug),
                      .name = str_c(o->name),
                      .description = STR(""),
                      .created_by = owner.id,
                      .created_at = now,
                      .updated_at = now};
    if (!vault_make_data_key(sv->keys, org.id, a, &wrapped, e))
        return false;
    if (!orgs_insert(sv->db, a, &org, wrapped, owner.id, e)) {
        if (e->code == ERR_CONFLICT)
            err_set(e, ERR_CONFLICT, "the slug \"%s\" is taken; choose another with --slug", slug);
        return false;
    }
    if (!admin_audit(sv, org.id, "org create", org.id, e))
        return false;
    (void)printf("%s\n", id.s);
    return true;
}

/* ---- key create ---- */

static bool scopes_join(struct arena *a, const struct admin *o, struct str *out, struct err *e)
{
    unsigned bits;
    *out = STR_NONE;
    for (size_t i = 0; i < o->n_scopes; i++)
        *out =
            i == 0 ? str_c(o->scopes[i]) : arena_printf(a, "%.*s %s", STR_FMT(*out), o->scopes[i]);
    if (o->n_scopes > 0 && !policy_scopes_read(*out, &bits))
        return err_set(e, ERR_INVALID, "--scope is \"%.*s\", expected mcp, mcp:read or mcp:manage",
                       STR_FMT(*out));
    return true;
}

static bool key_fill(struct services *sv, struct arena *a, const struct admin *o,
                     struct api_key *key, struct err *e)
{
    struct org org;
    struct user user;
    struct member member;
    int64_t days = 0;
    if (!orgs_by_slug(sv->db, a, str_c(o->org), &org, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND, "there is no organization \"%.60s\"", o->org)
                   : false;
    if (!users_by_email(sv->db, a, email_lower(a, o->email), &user, e) ||
        !members_get(sv->db, a, org.id, user.id, &member, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND, "%.100s is no member of \"%.60s\"", o->email, o->org)
                   : false;
    if (o->expires && !str_to_i64(str_c(o->expires), 1, 3650, &days))
        return err_set(e, ERR_INVALID,
                       "--expires is \"%.40s\", expected a number of days from 1 to 3650",
                       o->expires);
    key->org_id = org.id;
    key->user_id = user.id;
    key->expires_at = days ? key->created_at + days * 24 * 60 * 60 * 1000 : 0;
    return true;
}

static bool key_create(struct services *sv, struct arena *a, void *arg, struct err *e)
{
    const struct admin *o = arg;
    struct id id = id_new("key");
    struct api_key key = {.id = id_str(&id), .name = str_c(o->name), .created_at = clock_wall_ms()};
    struct key_text text;
    if (!principal_name_check(key.name, "--name", e) || !scopes_join(a, o, &key.scopes, e) ||
        !key_fill(sv, a, o, &key, e))
        return false;
    key_text_make(&text);
    key.prefix = str_c(text.prefix);
    key.hash = str_c(text.hash_hex);
    bool is_made =
        api_keys_insert(sv->db, a, &key, e) && admin_audit(sv, key.org_id, "key create", key.id, e);
    if (is_made)
        (void)printf("%s\n", text.key);
    key_text_end(&text);
    return is_made;
}

/* ---- keys rotate ---- */

static bool signing_rotate(struct services *sv, struct arena *a, struct err *e)
{
    const struct signing signing = {sv->keys, sv->db, sv->offload, a};
    if (!signing_key_renew(&signing, e) ||
        !admin_audit(sv, STR(""), "keys rotate --signing", STR(""), e))
        return false;
    (void)printf("New signing keys are published; they sign in 10 minutes\n");
    return true;
}

static bool keys_rotate(struct services *sv, struct arena *a, void *arg, struct err *e)
{
    const struct admin *o = arg;
    if (o->is_signing)
        return signing_rotate(sv, a, e);
    int64_t n = 0;
    struct str key_id = str_c(sv->keys->keys[0].id);
    if (!vault_rotate(sv->vault, a, &n, e) || !admin_audit(sv, STR(""), "keys rotate", key_id, e))
        return false;
    (void)printf("%lld data keys are wrapped under key %.*s now\n", (long long)n, STR_FMT(key_id));
    return true;
}

/* ---- commands ---- */

static int admin_run(int argc, char **argv, const char *verb,
                     bool (*fn)(struct services *, struct arena *, void *, struct err *),
                     bool (*read)(struct options *, struct admin *, struct err *),
                     const char *usage)
{
    struct install in = {0};
    struct admin admin = {0};
    struct err e = {.code = ERR_NONE};
    for (int i = 1; i < argc; i++)
        if (str_eq(str_c(argv[i]), STR("--help"))) {
            (void)printf("usage: tulle %s\n", usage);
            return 0;
        }
    if (verb && (argc < 2 || !str_eq(str_c(argv[1]), str_c(verb)))) {
        (void)fprintf(stderr, "tulle: expected: tulle %s\n", usage);
        return 2;
    }
    int n_words = verb ? 2 : 1; /* setup-link and recover have no verb */
    bool is_good = install_configure(&in, argc - n_words, argv + n_words, &e);
    if (is_good) {
        struct options options = {in.n_rest, in.rest};
        /* A misspelt option is named before what is missing because of it. */
        bool is_complete = read(&options, &admin, &e);
        is_good = options_done(&options, &e) && is_complete && install_open(&in, &e) &&
                  install_run(&in, fn, &admin, &e);
    }
    install_close(&in);
    return is_good ? 0 : command_failed(&e);
}

static bool user_read(struct options *o, struct admin *out, struct err *e)
{
    out->email = options_take(o, "email");
    out->name = options_take(o, "name");
    out->is_operator = options_take_switch(o, "operator");
    out->password_stdin = options_take_switch(o, "password-stdin");
    return options_need(out->email, "email", "ada@example.com", e);
}

int command_user(int argc, char **argv)
{
    return admin_run(argc, argv, "create", user_create, user_read,
                     "user create --email E [--name N] [--password-stdin] [--operator]");
}

static bool org_read(struct options *o, struct admin *out, struct err *e)
{
    out->name = options_take(o, "name");
    out->slug = options_take(o, "slug");
    out->owner = options_take(o, "owner");
    return options_need(out->name, "name", "\"Ada and friends\"", e) &&
           options_need(out->owner, "owner", "ada@example.com", e);
}

int command_org(int argc, char **argv)
{
    return admin_run(argc, argv, "create", org_create, org_read,
                     "org create --name N --owner EMAIL [--slug S]");
}

static bool key_read(struct options *o, struct admin *out, struct err *e)
{
    const char *scope;
    out->org = options_take(o, "org");
    out->email = options_take(o, "user");
    out->name = options_take(o, "name");
    out->expires = options_take(o, "expires");
    while ((scope = options_take(o, "scope")) != NULL) {
        if (out->n_scopes == SCOPES_MAX)
            return err_set(e, ERR_INVALID, "--scope is given more than %d times", SCOPES_MAX);
        out->scopes[out->n_scopes++] = scope;
    }
    return options_need(out->org, "org", "ada-and-friends", e) &&
           options_need(out->email, "user", "ada@example.com", e) &&
           options_need(out->name, "name", "laptop", e);
}

int command_key(int argc, char **argv)
{
    return admin_run(
        argc, argv, "create", key_create, key_read,
        "key create --org SLUG --user EMAIL --name N [--scope S ...] [--expires DAYS]");
}

static bool nothing_read(struct options *o unused_arg, struct admin *out unused_arg,
                         struct err *e unused_arg)
{
    return true;
}

static bool keys_read(struct options *o, struct admin *out, struct err *e unused_arg)
{
    out->is_signing = options_take_switch(o, "signing");
    return true;
}

int command_keys(int argc, char **argv)
{
    return admin_run(argc, argv, "rotate", keys_rotate, keys_read, "keys rotate [--signing]");
}

int command_setup_link(int argc, char **argv)
{
    return admin_run(argc, argv, NULL, setup_link, nothing_read, "setup-link");
}

static bool recover_read(struct options *o, struct admin *out, struct err *e)
{
    out->org = options_take(o, "org");
    out->email = options_take(o, "email");
    out->is_enabling = options_take_switch(o, "enable");
    out->is_resetting = options_take_switch(o, "reset-factors");
    return options_need(out->org, "org", "ada-and-friends", e) &&
           options_need(out->email, "email", "ada@example.com", e);
}

int command_recover(int argc, char **argv)
{
    return admin_run(argc, argv, NULL, recover, recover_read,
                     "recover --org SLUG --email E [--enable] [--reset-factors]");
}
