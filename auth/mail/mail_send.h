/* Handing one written mail over. Private to auth/mail. */
#pragma once

#include "auth/mail/mail_settings.h"
#include "base/arena.h"
#include "core/services.h"
#include "io/mime.h"

/*
 * Waits. *is_refused: this mail will never be taken. ERR_UPSTREAM, ERR_TIMEOUT, ERR_CANCELLED,
 * ERR_UNAVAILABLE; messages without addresses and secrets. is_given_up: smtp_mail.
 */
bool mail_send(struct services *sv, struct arena *a, const struct mail_transport *t,
               const struct mail *m, const bool *is_given_up, bool *is_refused,
               struct err *e) must_use;
