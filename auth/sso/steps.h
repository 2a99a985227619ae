/* What happened in a sign-in through a provider, step by step: for dry runs and for the log. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "json/jout.h"

enum { SSO_STEPS_MAX = 32 };
struct sso_steps {
    struct arena *arena;
    struct {
        const char *name; /* "discovery", "token request", "signature" ... */
        bool is_ok;
        struct str detail; /* one sentence, no secrets; absent: none */
    } items[SSO_STEPS_MAX];
    size_t n;
};
/* Remembers one; steps NULL: nobody wants to know. The detail is copied; what does not fit is left
 * out. */
void sso_step(struct sso_steps *steps, const char *name, bool is_ok, struct str detail);
/* The same, with the message of e when it is not. Gives is_ok back. */
bool sso_step_end(struct sso_steps *steps, const char *name, bool is_ok, const struct err *e);
/* Appends [{"name", "ok", "detail"?}]. */
void sso_steps_write(const struct sso_steps *steps, struct jout *j);
