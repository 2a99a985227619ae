#include "auth/mail/mail_settings.h"

#include <stdlib.h>

#include "auth/auth_config.h"
#include "base/limits.h"
#include "base/uri.h"
#include "io/mime.h"

enum { PROVIDERS = 8 };
#define RESEND_URL "https://api.resend.com/emails"

struct mail_settings {
    struct jdoc *file; /* NULL: there is none */
    struct mail_transport transports[PROVIDERS + 1];
    size_t n;
    const struct mail_transport *of[MAIL_ROLES];
    bool has_magic_links, has_passwords;
};

/* ---- AUTH_CONFIG ---- */

static bool url_is_fine(struct str url)
{
    struct uri u;
    return uri_parse(url, &u) && uri_is_http(&u) && u.host.n > 0 && url.n <= LIMIT_URL &&
           (str_ieq(u.scheme, STR("https")) || uri_host_is_loopback(u.host));
}

static bool provider_read(const struct jvalue *v, struct mail_transport *out, struct err *e)
{
    const struct jvalue *config = jv_get(v, "config");
    struct mailbox from;
    struct str url = jv_get_str(config, "url"), kind = jv_get_str(v, "provider");
    *out = (struct mail_transport){.id = jv_get_str(v, "id"),
                                   .url = str_is_absent(url) ? STR(RESEND_URL) : url,
                                   .api_key = jv_get_str(config, "apiKey"),
                                   .from = jv_get_str(config, "fromEmail")};
    if (out->id.n == 0)
        return err_set(e, ERR_INVALID, "AUTH_CONFIG: an entry of emailProviders has no id");
    if (!str_eq(kind, STR("resend")))
        return err_set(e, ERR_INVALID,
                       "AUTH_CONFIG: provider of e-mail provider \"%.*s\" is \"%.*s\", expected "
                       "\"resend\" (others by SMTP_URL)",
                       STR_FMT(str_slice(out->id, 0, 60)), STR_FMT(str_slice(kind, 0, 60)));
    if (out->api_key.n == 0 || !mime_mailbox_parse(out->from, &from) || !url_is_fine(out->url))
        return err_set(e, ERR_INVALID,
                       "AUTH_CONFIG: config of e-mail provider \"%.*s\" needs apiKey, fromEmail "
                       "(an address, or Name <address>) and, if url is given, https",
                       STR_FMT(str_slice(out->id, 0, 60)));
    return true;
}

static bool providers_read(struct mail_settings *m, const struct jvalue *root, struct err *e)
{
    const struct jvalue *list = jv_get(root, "emailProviders");
    if (list && (!jv_is_array(list) || jv_count(list) > PROVIDERS))
        return err_set(e, ERR_INVALID, "AUTH_CONFIG: emailProviders is no list of at most %d",
                       PROVIDERS);
    for (size_t i = 0; i < jv_count(list); i++)
        if (!provider_read(jv_at(list, i), &m->transports[m->n++], e))
            return false;
    return true;
}

/* The provider that the file names for a role, else the first there is. */
static bool role_read(struct mail_settings *m, enum mail_role role, struct str id, struct err *e)
{
    m->of[role] = m->n > 0 ? &m->transports[0] : NULL;
    if (str_is_absent(id))
        return true;
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->transports[i].id, id)) {
            m->of[role] = &m->transports[i];
            return true;
        }
    return err_set(e, ERR_INVALID, "AUTH_CONFIG: there is no e-mail provider \"%.*s\"",
                   STR_FMT(str_slice(id, 0, 60)));
}

static bool roles_read(struct mail_settings *m, const struct jvalue *root, struct err *e)
{
    const struct jvalue *magic = jv_get(root, "magicLinkConfig");
    if (!role_read(m, MAIL_ROLE_MAGIC, jv_get_str(magic, "emailProviderId"), e) ||
        !role_read(m, MAIL_ROLE_RESET, jv_get_str(root, "resetPasswordEmailProviderId"), e) ||
        !role_read(m, MAIL_ROLE_INVITE, jv_get_str(root, "inviteEmailProviderId"), e) ||
        !role_read(m, MAIL_ROLE_OTHER, STR_NONE, e))
        return false;
    m->has_magic_links = m->of[MAIL_ROLE_MAGIC] && jv_get_bool(magic, "enabled", true);
    m->has_passwords = jv_get_bool(jv_get(root, "emailAndPassword"), "enabled", true);
    return true;
}

/* ---- all of it ---- */

static bool smtp_read(struct mail_settings *m, const struct config *c, struct err *e)
{
    struct mailbox from;
    if (!c->smtp_url)
        return true;
    if (!c->mail_from)
        return err_set(e, ERR_INVALID, "SMTP_URL needs MAIL_FROM, the sender of e-mail");
    if (!mime_mailbox_parse(str_c(c->mail_from), &from))
        return err_set(e, ERR_INVALID,
                       "MAIL_FROM is \"%.100s\", expected an e-mail address, or Name <address>",
                       c->mail_from);
    m->transports[m->n++] = (struct mail_transport){
        .id = STR("smtp"), .is_smtp = true, .url = str_c(c->smtp_url), .from = str_c(c->mail_from)};
    return true;
}

struct mail_settings *mail_settings_load(const struct config *c, struct err *e)
{
    struct mail_settings *m = calloc(1, sizeof(*m));
    if (!m) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    bool is_good = smtp_read(m, c, e);
    if (is_good && c->auth_config) {
        m->file = auth_config_read(c->auth_config, e);
        is_good = m->file != NULL;
    }
    const struct jvalue *root = m->file ? jdoc_root(m->file) : NULL;
    if (is_good && providers_read(m, root, e) && roles_read(m, root, e))
        return m;
    mail_settings_free(m);
    return NULL;
}

void mail_settings_free(struct mail_settings *m)
{
    if (m && m->file)
        jdoc_free(m->file);
    free(m);
}

const struct mail_transport *mail_settings_transport(const struct mail_settings *m,
                                                     enum mail_role role)
{
    return m ? m->of[role] : NULL;
}

bool mail_settings_has_magic_links(const struct mail_settings *m)
{
    return m && m->has_magic_links;
}

bool mail_settings_has_passwords(const struct mail_settings *m)
{
    return !m || m->has_passwords;
}
