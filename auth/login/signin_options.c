#include "auth/login/signin_options.h"

#include "auth/login/signin_domains.h"
#include "auth/factors/passkeys.h"
#include "auth/mail/mailer.h"
#include "auth/sso/provider_buttons.h"

bool signin_options_get(struct http_request *rq, struct str email, struct signin_options *out,
                        struct err *e)
{
    const struct services *sv = rq->context;
    bool has_passwords = mail_settings_has_passwords(sv->mail);
    *out = (struct signin_options){
        .has_password = has_passwords,
        .has_magic_link = mail_settings_has_magic_links(sv->mail),
        .has_passkey = passkeys_are_possible(rq),
        .has_reset = has_passwords && mailer_can(sv, MAIL_RESET),
        .has_signup =
            has_passwords && sv->config->allow_registration && mailer_can(sv, MAIL_SIGNUP),
    };
    return provider_buttons_add(rq, out, e) && signin_domains_apply(rq, email, out, e);
}
