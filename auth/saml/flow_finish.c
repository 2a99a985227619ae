/* And here: the browser that began, with the ticket. */
#include "auth/saml/flow_parts.h"

#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/keyring.h"
#include "json/jread.h"
#include "store/saml.h"
#include "store/sso_states.h"

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* What was sealed; the document lives as long as the request. */
static bool sealed_read(struct http_request *rq, const struct saml_ticket *t,
                        const struct jvalue **out, struct err *e)
{
    const struct services *sv = rq->context;
    struct buf plain;
    buf_init(&plain, (size_t)4 * LIMIT_SAML_GROUPS * LIMIT_SAML_VALUE);
    bool is_open = keyring_open(sv->keys, SAML_TICKET, t->hash, t->sealed, &plain);
    struct jdoc *doc = is_open ? jdoc_parse(buf_str(&plain), e) : NULL;
    buf_end(&plain);
    if (!is_open)
        return err_set(e, ERR_NOT_FOUND, "This sign-in is not valid any more: begin again.");
    if (!doc)
        return false;
    if (!arena_on_end(rq->arena, doc_free, doc)) {
        jdoc_free(doc);
        return no_memory(e);
    }
    *out = jdoc_root(doc);
    return true;
}

static bool groups_read(struct arena *a, const struct jvalue *list, struct identity *out)
{
    size_t n = jv_count(list);
    struct str *groups = arena_alloc(a, (n + 1) * sizeof(*groups));
    if (!groups)
        return false;
    for (size_t i = 0; i < n; i++)
        groups[i] = jv_str(jv_at(list, i));
    out->groups = groups;
    out->n_groups = n;
    return true;
}

static bool identity_read(struct http_request *rq, const struct saml_settings *s,
                          const struct jvalue *v, struct saml_return *out, struct err *e)
{
    out->identity = (struct identity){.provider_id = s->provider_id,
                                      .org_id = s->org_id,
                                      .issuer = s->idp_entity_id,
                                      .subject = jv_get_str(v, "subject"),
                                      .email = jv_get_str(v, "email"),
                                      /* as far as its organization has proven the domain:
                                       * auth/sso/identity.h */
                                      .is_email_verified = true,
                                      .name = jv_get_str(v, "name"),
                                      .has_groups = jv_get_bool(v, "has_groups", false),
                                      .provider_session = jv_get_str(v, "session"),
                                      .session_ends_at = jv_get_i64(v, "ends", 0)};
    return groups_read(rq->arena, jv_get(v, "groups"), &out->identity) || no_memory(e);
}

static struct str context_open(struct http_request *rq, const struct sso_state *state)
{
    const struct services *sv = rq->context;
    struct buf plain;
    buf_init(&plain, LIMIT_URL);
    struct str context =
        keyring_open(sv->keys, SAML_STATE, state->hash, state->sealed, &plain) && plain.n > 0
            ? arena_dup(rq->arena, buf_str(&plain))
            : STR_NONE;
    buf_end(&plain);
    return context;
}

/* The request behind it: ours, of this browser, not answered before. */
static bool state_take(struct http_request *rq, struct str provider_id, struct str handle,
                       struct saml_return *out, struct err *e)
{
    struct services *sv = rq->context;
    struct sso_state state;
    struct str hash = secret_text_hash(rq->arena, handle), browser = saml_browser_hash(rq);
    if (str_is_absent(hash) || str_is_absent(browser))
        return no_memory(e);
    if (!sso_states_take(sv->db, rq->arena, hash, provider_id, browser, clock_wall_ms(), &state, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_FORBIDDEN,
                             "This sign-in was not begun in this browser, or too long ago: begin "
                             "again.")
                   : false;
    out->purpose = state.purpose;
    out->return_to = state.return_to;
    out->user_id = state.user_id;
    out->context = context_open(rq, &state);
    return true;
}

bool saml_finish(struct http_request *rq, struct str provider_id, struct str ticket, bool take,
                 struct saml_return *out, struct err *e)
{
    struct services *sv = rq->context;
    struct saml_settings s;
    struct saml_ticket t;
    const struct jvalue *v = NULL;
    int64_t now = clock_wall_ms();
    struct str hash = secret_text_hash(rq->arena, ticket);
    *out = (struct saml_return){.purpose = STR("signin")};
    if (str_is_absent(hash))
        return no_memory(e);
    if (!saml_settings_load(sv, rq->arena, provider_id, &s, e) ||
        !saml_tickets_get(sv->db, rq->arena, hash, provider_id, now, &t, e) ||
        !sealed_read(rq, &t, &v, e))
        return false;
    struct str handle = jv_get_str(v, "handle");
    out->org_id = s.org_id;
    out->provider_name = s.name;
    out->refused = jv_get_str(v, "refused");
    out->why = jv_get_str(v, "why");
    out->return_to = jv_get_str(v, "return_to");
    out->is_unsolicited = str_is_absent(handle) && str_is_absent(out->refused);
    if (str_is_absent(out->refused) && !identity_read(rq, &s, v, out, e))
        return false;
    if (out->is_unsolicited && !take)
        return true;
    /* A refusal without a request of this browser is one all the same. */
    if (!str_is_absent(handle) && !state_take(rq, provider_id, handle, out, e) &&
        str_is_absent(out->refused))
        return false;
    return saml_tickets_take(sv->db, rq->arena, hash, provider_id, now, e);
}
