/*
 * Who carries mail, read once at the start: SMTP_URL and MAIL_FROM, and the members emailProviders,
 * inviteEmailProviderId, resetPasswordEmailProviderId, magicLinkConfig {enabled, emailProviderId}
 * and emailAndPassword {enabled} of AUTH_CONFIG. Others of its members are other modules' business.
 */
#pragma once

#include "base/err.h"
#include "config.h"

enum mail_role { MAIL_ROLE_MAGIC, MAIL_ROLE_RESET, MAIL_ROLE_INVITE, MAIL_ROLE_OTHER, MAIL_ROLES };

struct mail_transport {
    struct str id;      /* of the provider; "smtp" for SMTP_URL */
    bool is_smtp;       /* else an HTTP interface of Resend's shape */
    struct str url;     /* smtp[s]://..., or the address that takes POSTs */
    struct str api_key; /* absent for SMTP */
    struct str from;    /* "Name <address>" or an address */
};
struct mail_settings;

/* NULL with ERR_INVALID: says what is wrong with the settings; the file is named. */
struct mail_settings *mail_settings_load(const struct config *c, struct err *e) must_use;
void mail_settings_free(struct mail_settings *m); /* NULL is fine */
/* What carries mail of this role. NULL: no mail can be sent. m NULL: the same. */
const struct mail_transport *mail_settings_transport(const struct mail_settings *m,
                                                     enum mail_role role);
/* May people sign in by links in mails, by passwords? */
bool mail_settings_has_magic_links(const struct mail_settings *m);
bool mail_settings_has_passwords(const struct mail_settings *m);
