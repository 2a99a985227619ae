#include "auth/saml/logout.h"

#include "auth/login/login_audit.h"
#include "auth/oauth/wire.h"
#include "auth/saml/flow_parts.h"
#include "auth/saml/logout_read.h"
#include "auth/saml/work.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "store/browser_sessions.h"
#include "store/identities.h"
#include "store/rows.h"
#include "store/saml.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- what came ---- */

struct arrival {
    struct str message;     /* the bytes */
    struct str relay_state; /* absent: none */
    struct str query;       /* of a redirect, as it was sent; absent: it came by POST */
};

/* *is_answer: the provider's answer to our own request. */
static bool arrival_read(struct http_request *rq, struct arrival *out, bool *is_answer,
                         struct err *e)
{
    struct form form;
    bool is_get = rq->method == HTTP_GET;
    if (is_get ? !wire_params_read(rq->arena, rq->query, &form, e) : !wire_form_read(rq, &form, e))
        return false;
    struct str request = wire_param(&form, "SAMLRequest");
    *is_answer = str_is_absent(request) && !str_is_absent(wire_param(&form, "SAMLResponse"));
    *out = (struct arrival){.relay_state = wire_param(&form, "RelayState"),
                            .query = is_get ? rq->query : STR_NONE};
    if (*is_answer)
        return true;
    out->message = saml_base64(rq->arena, request);
    if (str_is_absent(out->message) || out->relay_state.n > LIMIT_SAML_ID)
        return err_set(e, ERR_BAD_REQUEST, "There is no SAMLRequest that can be read.");
    return true;
}

/* ---- judging, on an offload thread ---- */

struct judging {
    struct saml_settings settings;
    struct arrival arrival;
    int64_t now;
    struct saml_logout_request request;
    struct saml_reject why;
};

static bool judge_work(struct arena *a, void *arg, struct err *e)
{
    struct judging *j = arg;
    bool is_good = saml_logout_read(a, &j->settings, j->arrival.message, j->arrival.query, j->now,
                                    &j->request, &j->why);
    return is_good || err_set(e, ERR_FORBIDDEN, "This log-out cannot be trusted (%s).",
                              j->why.code ? j->why.code : "saml_memory");
}

static bool judge(struct http_request *rq, const struct saml_settings *s, const struct arrival *in,
                  struct judging **out, struct err *e)
{
    struct arena *own;
    struct saml_work *w = saml_work_new(&own, e);
    if (!w)
        return false;
    struct judging *j = arena_alloc(own, sizeof(*j));
    if (j) {
        j->arrival = *in;
        j->arrival.message = arena_dup(own, in->message);
        j->arrival.query = arena_dup(own, in->query);
        j->now = clock_wall_ms();
    }
    if (!j || str_is_absent(j->arrival.message) || !saml_settings_copy(own, s, &j->settings)) {
        saml_work_free(w);
        return no_memory(e);
    }
    *out = j;
    return saml_work_run(rq->context, rq->arena, w, judge_work, j, e);
}

/* ---- ending sessions ---- */

static bool request_use(struct http_request *rq, const struct saml_settings *s,
                        const struct judging *j, struct err *e)
{
    struct services *sv = rq->context;
    struct str id = arena_printf(rq->arena, "logout|%.*s", STR_FMT(j->request.id));
    struct str hash = str_is_absent(id) ? id : secret_text_hash(rq->arena, id);
    if (str_is_absent(hash))
        return no_memory(e);
    return saml_seen_insert(sv->db, rq->arena, s->provider_id, hash, j->request.good_until, j->now,
                            e) ||
           (rows_is_duplicate(e) && err_set(e, ERR_FORBIDDEN, "This log-out was used before."));
}

static bool sessions_end(struct http_request *rq, const struct saml_settings *s,
                         const struct saml_logout_request *r, struct err *e)
{
    struct services *sv = rq->context;
    struct identity_row who;
    int64_t n = 0, ended = 0;
    if (!identities_find(sv->db, rq->arena, s->provider_id, s->idp_entity_id, r->subject, &who, e))
        return e->code == ERR_NOT_FOUND; /* nobody: there is nothing to end */
    for (size_t i = 0; i < (r->n_sessions ? r->n_sessions : 1); i++) {
        if (!browser_sessions_end_proved(sv->db, rq->arena, s->provider_id, who.user_id,
                                         r->n_sessions ? r->sessions[i] : STR_NONE, &n, e))
            return false;
        ended += n;
    }
    const struct login_event event = {.method = "signout",
                                      .user_id = who.user_id,
                                      .org_id = s->org_id,
                                      .name = STR("saml"),
                                      .outcome = "ok"};
    return ended == 0 || login_audit(sv, rq, &event, e);
}

bool saml_logout_receive(struct http_request *rq, struct str provider_id,
                         struct saml_departure *answer, bool *has_answer, struct err *e)
{
    struct services *sv = rq->context;
    struct saml_settings s;
    struct arrival in;
    struct judging *j = NULL;
    bool is_answer;
    *has_answer = false;
    if (!saml_settings_load(sv, rq->arena, provider_id, &s, e) ||
        !arrival_read(rq, &in, &is_answer, e))
        return false;
    if (is_answer)
        return true;
    if (!judge(rq, &s, &in, &j, e))
        return false;
    ensure(j != NULL);
    if (!request_use(rq, &s, j, e) || !sessions_end(rq, &s, &j->request, e))
        return false;
    *has_answer = !str_is_absent(s.idp_slo_url);
    const struct saml_outgoing m = {.kind = SAML_LOGOUT_RESPONSE,
                                    .id = saml_message_id(rq->arena),
                                    .destination = s.idp_slo_url,
                                    .is_post = s.idp_slo_is_post,
                                    .is_signed = true,
                                    .relay_state = in.relay_state,
                                    .in_response_to = j->request.id,
                                    .is_success = true};
    return !*has_answer || saml_depart(sv, rq->arena, &s, &m, answer, e);
}

/* ---- from here ---- */

/* "format|qualifier|NameID", as flow_receive.c wrote it: the first two hold no '|'. */
static bool subject_split(struct str subject, struct saml_outgoing *m)
{
    struct str rest = subject;
    if (!str_next(&rest, '|', &m->name_id_format) || !str_next(&rest, '|', &m->name_id_qualifier) ||
        str_is_absent(rest))
        return false;
    m->name_id = rest;
    m->name_id_format = m->name_id_format.n ? m->name_id_format : STR_NONE;
    m->name_id_qualifier = m->name_id_qualifier.n ? m->name_id_qualifier : STR_NONE;
    return true;
}

bool saml_logout_begin(struct http_request *rq, const struct browser_session *session,
                       struct saml_departure *out, bool *has_it, struct err *e)
{
    struct services *sv = rq->context;
    struct saml_settings s;
    struct str subject;
    *has_it = false;
    if (!id_is(session->proof, "idp"))
        return true;
    if (!saml_settings_load(sv, rq->arena, session->proof, &s, e) ||
        !saml_subject_of(sv->db, rq->arena, session->proof, session->user_id, &subject, e))
        return e->code == ERR_NOT_FOUND;
    struct saml_outgoing m = {.kind = SAML_LOGOUT_REQUEST,
                              .id = saml_message_id(rq->arena),
                              .destination = s.idp_slo_url,
                              .is_post = s.idp_slo_is_post,
                              .is_signed = true,
                              .session_index = session->provider_session};
    *has_it = !str_is_absent(s.idp_slo_url) && subject_split(subject, &m);
    return !*has_it || saml_depart(sv, rq->arena, &s, &m, out, e);
}
