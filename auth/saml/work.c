#include "auth/saml/work.h"

#include <stdlib.h>

#include "auth/saml/own_keys.h"
#include "base/clock.h"
#include "base/limits.h"
#include "io/offload.h"

enum { ARENA_MAX = 32 * 1024 * 1024 };

struct saml_work {
    struct offload_job job; /* first */
    struct arena *arena;
    saml_work_fn *fn;
    void *arg;
    bool is_good;
    struct err e;
};

void saml_work_free(struct saml_work *w)
{
    arena_end(w->arena);
    free(w);
}

static void work_free(struct offload_job *job)
{
    saml_work_free(CONTAINER_OF(job, struct saml_work, job));
}

static void end_with_request(void *arg)
{
    saml_work_free(arg);
}

static void work_do(struct offload_job *job)
{
    struct saml_work *w = CONTAINER_OF(job, struct saml_work, job);
    w->is_good = w->fn(w->arena, w->arg, &w->e);
}

struct saml_work *saml_work_new(struct arena **arena, struct err *e)
{
    struct saml_work *w = calloc(1, sizeof(*w));
    struct arena *a = w ? arena_new(ARENA_MAX) : NULL;
    if (!a) {
        free(w);
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    w->arena = *arena = a;
    w->job.run = work_do;
    w->job.free = work_free;
    return w;
}

bool saml_work_run(struct services *sv, struct arena *request, struct saml_work *w,
                   saml_work_fn *fn, void *arg, struct err *e)
{
    w->fn = fn;
    w->arg = arg;
    if (!offload_run(sv->offload, &w->job, clock_mono_ms() + LIMIT_SAML_MS, e))
        return false;
    if (!arena_on_end(request, end_with_request, w)) {
        saml_work_free(w);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (!w->is_good && e)
        *e = w->e;
    return w->is_good;
}

static bool copy(struct arena *a, struct str *s)
{
    bool is_absent = str_is_absent(*s);
    *s = arena_dup(a, *s);
    return is_absent || !str_is_absent(*s);
}

bool saml_settings_copy(struct arena *a, const struct saml_settings *from, struct saml_settings *to)
{
    *to = *from;
    struct str *const texts[] = {
        &to->provider_id,   &to->org_id,      &to->name,         &to->entity_id,
        &to->acs_url,       &to->slo_url,     &to->metadata_url, &to->start_url,
        &to->idp_entity_id, &to->idp_sso_url, &to->idp_slo_url,  &to->name_id_format,
        &to->email_name,    &to->name_name,   &to->groups_name,  &to->idp_metadata_url};
    bool is_good = true;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        is_good = copy(a, texts[i]) && is_good;
    to->certificates = arena_alloc(a, from->n_certificates * sizeof(struct str) + 1);
    for (size_t i = 0; to->certificates && i < from->n_certificates; i++) {
        to->certificates[i] = from->certificates[i];
        is_good = copy(a, &to->certificates[i]) && is_good;
    }
    for (size_t i = 0; i < from->n_keys; i++)
        is_good = copy(a, &to->keys[i].key) && copy(a, &to->keys[i].certificate) && is_good &&
                  saml_key_wipe_later(a, to->keys[i].key);
    return is_good && to->certificates;
}
