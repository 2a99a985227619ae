#include "auth/sso/provider_buttons.h"

#include "core/services.h"
#include "json/jread.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

struct str provider_start_path(struct arena *a, const struct sso_provider *p)
{
    return arena_printf(a, "/auth/%s/%.*s/start", str_eq(p->kind, STR("saml")) ? "saml" : "oidc",
                        STR_FMT(p->id));
}

bool provider_button(struct arena *a, const struct sso_provider *p, struct signin_button *out,
                     struct err *e)
{
    struct err ignored;
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(p->config, &ignored);
    struct str style = doc ? arena_dup(a, jv_get_str(jdoc_root(doc), "style")) : STR_NONE;
    *out = (struct signin_button){.label = arena_printf(a, "Continue with %.*s", STR_FMT(p->name)),
                                  .path = provider_start_path(a, p),
                                  .kind = str_is_absent(style) ? p->kind : style};
    return (!str_is_absent(out->label) && !str_is_absent(out->path)) || no_memory(e);
}

bool provider_buttons_add(struct http_request *rq, struct signin_options *out, struct err *e)
{
    const struct services *sv = rq->context;
    struct sso_provider *list;
    size_t n;
    if (!sso_providers_list_installation(sv->db, rq->arena, &list, &n, e))
        return false;
    struct signin_button *buttons =
        arena_alloc(rq->arena, (out->n_buttons + n + 1) * sizeof(*buttons));
    if (!buttons)
        return no_memory(e);
    if (out->n_buttons > 0)
        memcpy(buttons, out->buttons, out->n_buttons * sizeof(*buttons));
    out->buttons = buttons;
    for (size_t i = 0; i < n; i++) {
        if (!list[i].is_enabled)
            continue;
        if (!provider_button(rq->arena, &list[i], &buttons[out->n_buttons++], e))
            return false;
    }
    return true;
}
