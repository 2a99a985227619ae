#include "auth/sso/steps.h"

#include "base/limits.h"

void sso_step(struct sso_steps *steps, const char *name, bool is_ok, struct str detail)
{
    if (!steps || steps->n == SSO_STEPS_MAX)
        return;
    steps->items[steps->n].name = name;
    steps->items[steps->n].is_ok = is_ok;
    steps->items[steps->n++].detail =
        arena_dup(steps->arena, str_slice(detail, 0, LIMIT_DESCRIPTION));
}

bool sso_step_end(struct sso_steps *steps, const char *name, bool is_ok, const struct err *e)
{
    sso_step(steps, name, is_ok, is_ok ? STR_NONE : str_c(e->msg));
    return is_ok;
}

void sso_steps_write(const struct sso_steps *steps, struct jout *j)
{
    jout_array(j);
    for (size_t i = 0; i < steps->n; i++) {
        jout_object(j);
        jout_kstr(j, "name", str_c(steps->items[i].name));
        jout_kbool(j, "ok", steps->items[i].is_ok);
        if (!str_is_absent(steps->items[i].detail))
            jout_kstr(j, "detail", steps->items[i].detail);
        jout_object_end(j);
    }
    jout_array_end(j);
}
