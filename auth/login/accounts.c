#include "auth/login/accounts.h"

#include "auth/secret_text.h"
#include "auth/session/password_work.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/principal_rules.h"
#include "crypto/password.h"
#include "store/passwords.h"

static const int64_t day_ms = 24 * 60 * 60 * 1000;

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

struct str accounts_new_id(struct arena *a)
{
    struct id id = id_new("usr");
    return arena_dup(a, id_str(&id));
}

/* ---- links ---- */

static bool link_make(struct services *sv, struct arena *a, struct one_time_token *row,
                      const char *path, struct str *url, struct err *e)
{
    struct secret_text token;
    secret_text_make(&token, "");
    row->hash = arena_dup(a, str_c(token.hash_hex));
    bool is_good =
        !str_is_absent(row->hash) ? one_time_tokens_insert(sv->db, a, row, e) : no_memory(e);
    *url = arena_printf(a, "%s%s%s", sv->config->origin, path, token.text);
    secret_wipe(&token, sizeof(token));
    return is_good && (!str_is_absent(*url) || no_memory(e));
}

bool accounts_setup_link(struct services *sv, struct arena *a, struct str *url, struct err *e)
{
    bool has_operator;
    int64_t now = clock_wall_ms();
    struct one_time_token row = {.purpose = STR("setup"),
                                 .created_at = now,
                                 .expires_at = now + LIMIT_SETUP_LINK_DAYS * day_ms};
    if (!one_time_tokens_has_operator(sv->db, a, &has_operator, e))
        return false;
    if (has_operator)
        return err_set(e, ERR_CONFLICT, "there is an operator already; sign in at %s/login",
                       sv->config->origin);
    return link_make(sv, a, &row, "/setup?token=", url, e);
}

bool accounts_password_link(struct services *sv, struct arena *a, struct str user_id,
                            struct str *url, struct err *e)
{
    int64_t now = clock_wall_ms();
    struct one_time_token row = {.purpose = STR("password"),
                                 .user_id = user_id,
                                 .created_at = now,
                                 .expires_at = now + LIMIT_INVITATION_DAYS * day_ms};
    return link_make(sv, a, &row, "/invite/", url, e);
}

/* ---- accounts ---- */

bool accounts_form_check(struct arena *a, struct account_form *f, struct err *e)
{
    struct str trimmed = str_trim(f->email);
    char *email = arena_cstr(a, trimmed);
    if (!email)
        return err_set(e, ERR_INVALID, "the e-mail address is not valid");
    text_lower(email, trimmed.n);
    f->email = (struct str){email, trimmed.n};
    f->name = str_trim(f->name);
    if (f->name.n == 0)
        f->name = str_slice(f->email, 0, str_find_char(f->email, '@'));
    return principal_email_check(f->email, e) && principal_name_check(f->name, "the name", e) &&
           password_check(f->password, e);
}

static bool operator_make(struct services *sv, struct arena *a, struct account_form *f,
                          struct user *user, struct str *hash, struct err *e)
{
    int64_t now = clock_wall_ms();
    if (!accounts_form_check(a, f, e) || !password_work_hash(sv, a, f->password, hash, e))
        return false;
    *user = (struct user){.id = accounts_new_id(a),
                          .email = f->email,
                          .name = f->name,
                          .is_operator = true,
                          .created_at = now,
                          .updated_at = now};
    return !str_is_absent(user->id) || no_memory(e);
}

bool accounts_setup_redeem(struct services *sv, struct arena *a, struct str token,
                           struct account_form *f, struct str *user_id, struct err *e)
{
    struct user user;
    struct str password, hash = secret_text_hash(a, token);
    if (str_is_absent(hash))
        return no_memory(e);
    if (!operator_make(sv, a, f, &user, &password, e) ||
        !one_time_tokens_take_setup(sv->db, a, hash, &user, password, e))
        return false;
    *user_id = user.id;
    return true;
}

/* ADMIN_EMAIL names an account that exists, or one that is made. */
static bool operator_from_settings(struct services *sv, struct arena *a, struct err *e)
{
    struct account_form form = {.email = str_c(sv->config->admin_email),
                                .password = str_c(sv->config->admin_password)};
    struct user user, known;
    struct str hash;
    if (!operator_make(sv, a, &form, &user, &hash, e)) {
        const struct err why = *e;
        return why.code == ERR_INVALID
                   ? err_set(e, ERR_INVALID, "ADMIN_EMAIL and ADMIN_PASSWORD: %s", why.msg)
                   : false;
    }
    if (!users_insert(sv->db, a, &user, e)) {
        if (e->code != ERR_CONFLICT || !users_by_email(sv->db, a, form.email, &known, e) ||
            !users_set_operator(sv->db, a, known.id, true, user.created_at, e))
            return false;
        user.id = known.id;
    }
    return passwords_put(sv->db, a, user.id, hash, STR_NONE, user.created_at, e);
}

bool accounts_first_operator(struct services *sv, struct arena *a, struct str *url, struct err *e)
{
    bool has_operator;
    *url = STR_NONE;
    if (!sv->config->admin_email != !sv->config->admin_password)
        return err_set(e, ERR_INVALID,
                       "ADMIN_EMAIL and ADMIN_PASSWORD are set together or not at "
                       "all");
    if (!one_time_tokens_has_operator(sv->db, a, &has_operator, e))
        return false;
    if (has_operator)
        return true;
    return sv->config->admin_email ? operator_from_settings(sv, a, e)
                                   : accounts_setup_link(sv, a, url, e);
}
