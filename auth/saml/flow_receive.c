/* Back: the identity provider's form. */
#include "auth/saml/flow_parts.h"

#include "auth/login/login_audit.h"
#include "auth/oauth/wire.h"
#include "auth/saml/logout_read.h"
#include "auth/saml/work.h"
#include "auth/saml/xml.h"
#include "auth/secret_text.h"
#include "auth/session/return_to.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/rates.h"
#include "crypto/hash.h"
#include "crypto/keyring.h"
#include "store/rows.h"
#include "store/saml.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

struct str saml_base64(struct arena *a, struct str text)
{
    struct buf packed, bytes;
    if (text.n > LIMIT_SAML_ENCODED)
        return STR_NONE;
    buf_init(&packed, LIMIT_SAML_ENCODED);
    buf_init(&bytes, LIMIT_SAML_BYTES);
    for (size_t i = 0; i < text.n; i++)
        if (!strchr(" \t\r\n", text.p[i]))
            buf_add_char(&packed, text.p[i]);
    struct str decoded =
        buf_ok(&packed) && packed.n > 0 && text_b64_decode(buf_str(&packed), &bytes) && bytes.n > 0
            ? arena_dup(a, buf_str(&bytes))
            : STR_NONE;
    buf_end(&packed);
    buf_end(&bytes);
    return decoded;
}

/* ---- judging, on an offload thread ---- */

struct judging {
    struct saml_settings settings;
    struct str message;
    int64_t now;
    struct saml_assertion assertion;
    struct saml_reject why;
    bool is_good;
};

static bool judge_work(struct arena *a, void *arg, unused_arg struct err *e)
{
    struct judging *j = arg;
    j->is_good = saml_response_read(a, &j->settings, j->message, j->now, &j->assertion, &j->why);
    return true;
}

static bool judge(struct http_request *rq, const struct saml_settings *s, struct str message,
                  struct judging **out, struct err *e)
{
    struct arena *own;
    struct saml_work *w = saml_work_new(&own, e);
    if (!w)
        return false;
    struct judging *j = arena_alloc(own, sizeof(*j));
    if (j)
        j->message = arena_dup(own, message);
    if (!j || str_is_absent(j->message) || !saml_settings_copy(own, s, &j->settings)) {
        saml_work_free(w);
        return no_memory(e);
    }
    j->now = clock_wall_ms();
    *out = j;
    return saml_work_run(rq->context, rq->arena, w, judge_work, j, e);
}

/* ---- once ---- */

static struct str id_hash(struct arena *a, const char *kind, struct str id)
{
    const struct str parts[] = {str_c(kind), id};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    char hex[65];
    hash_hex(&digest, hex);
    return arena_dup(a, str_c(hex));
}

static bool use_up(struct http_request *rq, const struct saml_settings *s, struct judging *j,
                   struct err *e)
{
    struct services *sv = rq->context;
    struct str hash = id_hash(rq->arena, "assertion|", j->assertion.id);
    if (str_is_absent(hash))
        return no_memory(e);
    if (saml_seen_insert(sv->db, rq->arena, s->provider_id, hash, j->assertion.good_until, j->now,
                         e))
        return true;
    if (!rows_is_duplicate(e))
        return false;
    j->is_good = saml_refuse(&j->why, "saml_replay", "the assertion was used before");
    return true;
}

/* Whether we asked for it: the id of our request is made from the handle that came back. */
static bool asked_check(struct arena *a, const struct saml_settings *s, struct str handle,
                        struct judging *j)
{
    if (str_is_absent(j->assertion.in_response_to))
        return s->allow_idp_initiated ||
               saml_refuse(&j->why, "saml_unsolicited",
                           "nobody asked for it, and the provider may not begin by itself");
    return (handle.n > 0 && str_eq(saml_request_id(a, handle), j->assertion.in_response_to)) ||
           saml_refuse(&j->why, "saml_in_response_to", "it answers another request");
}

/* ---- the ticket ---- */

static void assertion_write(struct arena *a, struct jout *j, const struct saml_assertion *as)
{
    jout_kstr(j, "subject",
              saml_subject(a, as->name_id_format, as->name_id_qualifier, as->name_id));
    jout_kstr(j, "email", as->email);
    jout_kstr(j, "name", as->name);
    jout_kstr(j, "session", as->session_index);
    jout_ki64(j, "ends", as->session_ends_at);
    jout_kbool(j, "has_groups", as->has_groups);
    jout_key(j, STR("groups"));
    jout_array(j);
    for (size_t i = 0; i < as->n_groups; i++)
        jout_str(j, as->groups[i]);
    jout_array_end(j);
}

static void ticket_write(struct arena *a, struct buf *out, const struct judging *d,
                         struct str relay)
{
    struct jout j;
    bool is_asked = !d->is_good || !str_is_absent(d->assertion.in_response_to);
    bool is_replay = !d->is_good && str_eq(str_c(d->why.code), STR("saml_replay"));
    jout_init(&j, out);
    jout_object(&j);
    if (is_asked) /* a form sent twice must not use up the request of its first time */
        jout_kstr(&j, "handle", is_replay ? STR_NONE : relay);
    else /* not our handle, then: a path of ours, or nothing */
        jout_kstr(&j, "return_to", return_to_safe(relay));
    if (d->is_good) {
        assertion_write(a, &j, &d->assertion);
    } else {
        jout_kstr(&j, "refused", str_c(d->why.code));
        jout_kstr(&j, "why", str_c(d->why.why));
    }
    jout_object_end(&j);
}

static bool ticket_keep(struct http_request *rq, const struct saml_settings *s,
                        const struct judging *d, struct str relay, struct str *ticket,
                        struct err *e)
{
    struct services *sv = rq->context;
    struct secret_text t;
    struct buf plain, sealed;
    buf_init(&plain, (size_t)2 * LIMIT_SAML_GROUPS * LIMIT_SAML_VALUE);
    buf_init(&sealed, (size_t)4 * LIMIT_SAML_GROUPS * LIMIT_SAML_VALUE);
    secret_text_make(&t, "");
    ticket_write(rq->arena, &plain, d, relay);
    struct saml_ticket row = {.hash = arena_dup(rq->arena, str_c(t.hash_hex)),
                              .provider_id = s->provider_id,
                              .expires_at = d->now + LIMIT_SAML_TICKET_MS};
    *ticket = arena_dup(rq->arena, str_c(t.text));
    secret_wipe(&t, sizeof(t));
    bool is_good =
        buf_ok(&plain) && keyring_seal(sv->keys, SAML_TICKET, row.hash, buf_str(&plain), &sealed);
    row.sealed = buf_str(&sealed);
    is_good = is_good ? saml_tickets_insert(sv->db, rq->arena, &row, d->now, e) : no_memory(e);
    buf_end(&plain);
    buf_end(&sealed);
    return is_good;
}

/* ---- how often ---- */

/* The meter of who sends it; absent: many may have this address. Only failures count: a whole
 * company may sign in from one. */
static struct str failures_of(const struct http_request *rq)
{
    return rq->peer_is_shared ? STR_NONE : arena_printf(rq->arena, "saml %s", rq->peer);
}

static bool failures_admit(const struct http_request *rq, struct err *e)
{
    const struct services *sv = rq->context;
    struct str meter = failures_of(rq);
    int64_t retry;
    return str_is_absent(meter) ||
           rates_would_pass(sv->rates, meter, LIMIT_SAML_FAILURES, clock_mono_ms(), &retry) ||
           err_set(e, ERR_RATE_LIMITED,
                   "Too many sign-ins that could not be accepted. Wait a minute.");
}

static void failures_note(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct str meter = failures_of(rq);
    int64_t ignored;
    if (!str_is_absent(meter))
        (void)!rates_pass(sv->rates, meter, LIMIT_SAML_FAILURES, clock_mono_ms(), &ignored);
}

/* ---- the form ---- */

/* What is not even a message is nobody's sign-in. */
static bool refusal_record(struct http_request *rq, const struct saml_settings *s,
                           const struct judging *d, struct err *e)
{
    if (str_eq(str_c(d->why.code), STR("saml_xml")))
        return true;
    struct str error = arena_printf(rq->arena, "%s: %s", d->why.code, d->why.why);
    const struct login_event event = {.method = "signin",
                                      .org_id = s->org_id,
                                      .name = STR("saml"),
                                      .outcome = "failed",
                                      .error = str_is_absent(error) ? d->why.code : error.p};
    return login_audit(rq->context, rq, &event, e);
}

bool saml_receive(struct http_request *rq, struct str provider_id, struct str *ticket,
                  struct err *e)
{
    struct services *sv = rq->context;
    struct saml_settings s;
    struct form form;
    struct judging *d = NULL;
    if (!failures_admit(rq, e) || !saml_settings_load(sv, rq->arena, provider_id, &s, e) ||
        !wire_form_read(rq, &form, e))
        return false;
    struct str message = saml_base64(rq->arena, wire_param(&form, "SAMLResponse"));
    struct str relay = wire_param(&form, "RelayState");
    if (str_is_absent(message)) {
        failures_note(rq);
        return err_set(e, ERR_BAD_REQUEST, "There is no SAMLResponse that can be read.");
    }
    if (relay.n > LIMIT_RETURN_TO)
        relay = STR_NONE;
    if (!judge(rq, &s, message, &d, e))
        return false;
    ensure(d != NULL);
    d->is_good = d->is_good && asked_check(rq->arena, &s, relay, d);
    if (d->is_good && !use_up(rq, &s, d, e))
        return false;
    if (!d->is_good)
        failures_note(rq);
    return (d->is_good || refusal_record(rq, &s, d, e)) && ticket_keep(rq, &s, d, relay, ticket, e);
}
