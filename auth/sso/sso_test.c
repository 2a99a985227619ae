#include "auth/sso/sso_test.h"

#include "auth/login/signin_policy.h"
#include "base/clock.h"
#include "base/limits.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool sso_test_start(struct services *sv, struct arena *a, const struct sso_test *t, struct str *url,
                    struct err *e)
{
    *url = arena_printf(a, "%s/auth/sso/test/%.*s", sv->config->origin, STR_FMT(t->id));
    return (!str_is_absent(*url) || no_memory(e)) && sso_tests_insert(sv->db, a, t, e);
}

static const char *way_text(enum identity_way way)
{
    switch (way) {
    case IDENTITY_KNOWN:
        return "known";
    case IDENTITY_LINK:
        return "link";
    case IDENTITY_CREATE:
        return "create";
    case IDENTITY_REFUSED:
        break;
    }
    return "refused";
}

static void identity_write(struct jout *j, const struct identity *i,
                           const struct identity_verdict *v)
{
    jout_key(j, STR("identity"));
    jout_object(j);
    jout_kstr(j, "issuer", i->issuer);
    jout_kstr(j, "subject", i->subject);
    jout_kstr(j, "email", i->email);
    jout_kbool(j, "email_verified", i->is_email_verified);
    jout_kstr(j, "name", i->name);
    jout_key(j, STR("groups"));
    jout_array(j);
    for (size_t k = 0; k < i->n_groups; k++)
        jout_str(j, i->groups[k]);
    jout_array_end(j);
    jout_kbool(j, "two_factor", i->is_two_factor);
    jout_object_end(j);
    jout_key(j, STR("mapping"));
    jout_object(j);
    jout_kstr(j, "way", str_c(way_text(v->way)));
    jout_kstr(j, "user_id", v->user_id);
    jout_kstr(j, "join_role", v->join_role);
    jout_kstr(j, "why", str_c(v->why));
    jout_object_end(j);
}

/* What would become of the identity: its account, and whether the organization takes the proof. */
static bool identity_try(struct services *sv, struct arena *a, const struct sso_test_end *end,
                         struct identity_verdict *v, struct err *e)
{
    const struct identity *i = end->identity;
    const struct proof proof = {i->provider_id, i->org_id, i->is_two_factor};
    enum signin_need need = SIGNIN_ENOUGH;
    if (!identity_judge(sv, a, i, v, e))
        return false;
    sso_step(end->steps, "account", v->way != IDENTITY_REFUSED, str_c(v->why));
    if (v->way == IDENTITY_REFUSED || str_is_absent(i->org_id))
        return true;
    if (!signin_policy_judge(sv, a, i->org_id, v->user_id, &proof, &need, e))
        return false;
    /* A second factor may be proved here, after the provider. */
    bool is_enough = need == SIGNIN_ENOUGH || need == SIGNIN_SECOND;
    sso_step(end->steps, "policy", is_enough, str_c(signin_policy_text(need)));
    if (!is_enough)
        v->way = IDENTITY_REFUSED;
    return true;
}

bool sso_test_finish(struct services *sv, struct arena *a, const struct sso_test_end *end,
                     struct str *next, struct err *e)
{
    struct identity_verdict verdict = {.way = IDENTITY_REFUSED};
    struct buf report;
    struct jout j;
    struct str outcome = STR("failed");
    if (end->identity) {
        if (!identity_try(sv, a, end, &verdict, e))
            return false;
        outcome = verdict.way == IDENTITY_REFUSED ? STR("would_not_sign_in") : STR("would_sign_in");
    }
    buf_init(&report, LIMIT_ORG_POLICY);
    jout_init(&j, &report);
    jout_object(&j);
    jout_key(&j, STR("steps"));
    sso_steps_write(end->steps, &j);
    if (end->why)
        jout_kstr(&j, "error", str_c(end->why->msg));
    if (end->identity)
        identity_write(&j, end->identity, &verdict);
    jout_object_end(&j);
    struct str text = buf_ok(&report) ? arena_dup(a, buf_str(&report)) : STR_NONE;
    buf_end(&report);
    *next = arena_printf(a, "/auth/sso/test/%.*s", STR_FMT(end->test_id));
    if (str_is_absent(text) || str_is_absent(*next))
        return no_memory(e);
    return sso_tests_finish(sv->db, a, end->test_id, end->provider_id, text, outcome,
                            clock_wall_ms(), e);
}
