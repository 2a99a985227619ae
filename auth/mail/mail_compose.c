#include "auth/mail/mail_compose.h"

#include "auth/login/signin_domains.h"
#include "auth/mail/mail_text.h"
#include "auth/secret_text.h"
#include "base/limits.h"
#include "base/secret.h"

struct link_kind {
    const char *purpose, *path; /* NULL: this kind has no link of ours */
    int64_t life_ms;
};
static const struct link_kind link_kinds[MAIL_KINDS] = {
    [MAIL_MAGIC] = {"magic", "/login/magic/", LIMIT_MAIL_LINK_MS},
    [MAIL_RESET] = {"reset", "/login/reset/", LIMIT_MAIL_LINK_MS},
    [MAIL_SIGNUP] = {"signup", "/signup/", LIMIT_MAIL_CONFIRM_MS},
    [MAIL_EMAIL_CHANGE] = {"email_change", "/account/email/", LIMIT_MAIL_CONFIRM_MS},
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Would the link be of any use? */
static bool admit(struct services *sv, struct arena *a, const struct mail_request *r,
                  struct str user_id, enum mail_fate *fate, struct err *e)
{
    const struct proof proof = {.by = r->kind == MAIL_MAGIC ? STR("magic") : STR("password")};
    if (signin_domains_admit(sv, a, user_id, &proof, e))
        return true;
    *fate = MAIL_USE_SSO;
    return e->code == ERR_FORBIDDEN;
}

/* Whose address it is decides what the mail says, and whether there is one. */
static bool fate_find(struct services *sv, struct arena *a, const struct mail_request *r,
                      struct mail_composed *out, enum mail_fate *fate, struct str *user_id,
                      struct err *e)
{
    struct user user = {0};
    bool is_there = users_by_email(sv->db, a, r->email, &user, e);
    if (!is_there && e->code != ERR_NOT_FOUND)
        return false;
    *fate = MAIL_WITH_LINK;
    *user_id = user.id;
    if (r->kind == MAIL_MAGIC || r->kind == MAIL_RESET) {
        out->is_void = !is_there || user.disabled_at;
        return out->is_void || admit(sv, a, r, user.id, fate, e);
    } else if (r->kind == MAIL_SIGNUP) {
        *fate = is_there ? MAIL_HAS_ACCOUNT : MAIL_WITH_LINK;
        *user_id = STR_NONE;
    } else if (r->kind == MAIL_EMAIL_CHANGE) {
        *fate = is_there ? MAIL_HAS_ACCOUNT : MAIL_WITH_LINK;
        *user_id = r->user_id;
    }
    return true;
}

static bool link_make(const struct services *sv, struct arena *a, const struct mail_request *r,
                      int64_t now, struct mail_composed *out, struct str *url, struct err *e)
{
    const struct link_kind *k = &link_kinds[r->kind];
    struct secret_text token;
    secret_text_make(&token, "");
    out->has_link = true;
    out->link = (struct mail_link){.hash = arena_dup(a, str_c(token.hash_hex)),
                                   .purpose = str_c(k->purpose),
                                   .email = r->email,
                                   .user_id = out->link.user_id,
                                   .browser_hash = r->browser_hash,
                                   .peer = r->peer,
                                   .user_agent = r->user_agent,
                                   .return_to = r->return_to,
                                   .created_at = now,
                                   .expires_at = now + k->life_ms};
    out->expires_at = out->link.expires_at;
    *url = arena_printf(a, "%s%s%s", sv->config->origin, k->path, token.text);
    secret_wipe(&token, sizeof(token));
    return (!str_is_absent(out->link.hash) && !str_is_absent(*url)) || no_memory(e);
}

static bool bodies_write(const struct services *sv, struct arena *a, const struct mail_request *r,
                         enum mail_fate fate, struct str url, struct mail *out, struct err *e)
{
    struct mail_text text;
    struct buf plain, html;
    if (!mail_text_make(sv, a, r, fate, url, &text, e))
        return false;
    buf_init(&plain, LIMIT_MAIL_BYTES);
    buf_init(&html, LIMIT_MAIL_BYTES);
    mail_text_plain(&plain, &text);
    mail_text_html(&html, &text);
    bool is_good = buf_ok(&plain) && buf_ok(&html);
    *out = (struct mail){.to = r->email,
                         .subject = text.subject,
                         .text = arena_dup(a, buf_str(&plain)),
                         .html = arena_dup(a, buf_str(&html))};
    buf_end(&plain);
    buf_end(&html);
    return (is_good && !str_is_absent(out->text) && !str_is_absent(out->html)) || no_memory(e);
}

bool mail_compose(struct services *sv, struct arena *a, const struct mail_request *r, int64_t now,
                  struct mail_composed *out, struct err *e)
{
    enum mail_fate fate = MAIL_WITH_LINK;
    struct str url = r->url, user_id;
    *out = (struct mail_composed){0};
    if (link_kinds[r->kind].path) {
        if (!fate_find(sv, a, r, out, &fate, &user_id, e))
            return false;
        if (out->is_void)
            return true;
        out->link.user_id = user_id;
        if (fate == MAIL_WITH_LINK && !link_make(sv, a, r, now, out, &url, e))
            return false;
    }
    if (r->kind == MAIL_NEW_BROWSER)
        url = arena_printf(a, "%s/account", sv->config->origin);
    return bodies_write(sv, a, r, fate, url, &out->message, e);
}
