#include "auth/oauth/client_auth.h"

#include "auth/oauth/assertion.h"
#include "auth/oauth/client_document.h"
#include "auth/oauth/failures.h"
#include "auth/secret_text.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/row_cache.h"

/* Who it says it is, and how it proves it. */
struct claim {
    struct str client_id, secret; /* secret absent: none */
    struct str assertion;         /* signed; absent: none */
    struct str method;            /* as in token_endpoint_auth_method */
};

static bool wrong(struct err *e)
{
    return err_set(e, ERR_INVALID_CLIENT, "the client is unknown or its authentication is wrong");
}

/* One half of "client_id:secret", form-encoded (RFC 6749 section 2.3.1). */
static bool half_decode(struct arena *a, struct str half, struct str *out)
{
    struct form form;
    struct str as_form = arena_printf(a, "x=%.*s", STR_FMT(half));
    if (str_is_absent(as_form) || str_find_char(half, '&') != SIZE_MAX ||
        !form_parse(a, as_form, &form, NULL) || form.n != 1)
        return false;
    *out = form.pairs[0].value;
    return true;
}

static bool basic_read(struct arena *a, struct str header, struct claim *out, struct err *e)
{
    struct buf plain;
    buf_init(&plain, LIMIT_TOKEN);
    bool is_good = text_b64_decode(str_trim(str_slice(header, 6, SIZE_MAX)), &plain);
    struct str both = is_good ? arena_dup(a, buf_str(&plain)) : STR_NONE;
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    size_t colon = str_find_char(both, ':');
    if (str_is_absent(both) || colon == SIZE_MAX ||
        !half_decode(a, str_slice(both, 0, colon), &out->client_id) ||
        !half_decode(a, str_slice(both, colon + 1, SIZE_MAX), &out->secret))
        return wrong(e);
    out->method = STR("client_secret_basic");
    return true;
}

static bool assertion_read(struct http_request *rq, const struct form *form, struct claim *out,
                           struct err *e)
{
    out->assertion = wire_param(form, "client_assertion");
    out->method = STR("private_key_jwt");
    if (!str_is_absent(out->secret) ||
        !str_is_absent(http_request_header(rq, STR("Authorization"))))
        return err_set(e, ERR_BAD_REQUEST, "the client authenticates in two ways at once");
    if (!str_eq(wire_param(form, "client_assertion_type"), STR(ASSERTION_TYPE)))
        return err_set(e, ERR_BAD_REQUEST, "client_assertion_type must be " ASSERTION_TYPE);
    if (str_is_absent(out->client_id))
        out->client_id = assertion_subject(rq->arena, out->assertion);
    return !str_is_absent(out->client_id) || wrong(e);
}

static bool claim_read(struct http_request *rq, const struct form *form, struct claim *out,
                       struct err *e)
{
    struct str header = str_trim(http_request_header(rq, STR("Authorization")));
    struct str client_id = wire_param(form, "client_id");
    struct str secret = wire_param(form, "client_secret");
    *out = (struct claim){.client_id = client_id, .secret = secret, .method = STR("none")};
    if (!str_is_absent(wire_param(form, "client_assertion")))
        return assertion_read(rq, form, out, e);
    if (str_ieq(str_slice(header, 0, 6), STR("Basic "))) {
        if (!str_is_absent(secret))
            return err_set(e, ERR_BAD_REQUEST, "the client authenticates in two ways at once");
        if (!basic_read(rq->arena, header, out, e))
            return false;
        return str_is_absent(client_id) || str_eq(client_id, out->client_id) ||
               err_set(e, ERR_BAD_REQUEST, "client_id differs from the one that authenticates");
    }
    if (!str_is_absent(secret))
        out->method = STR("client_secret_post");
    return !str_is_absent(client_id) || wrong(e);
}

static void *client_load(struct services *sv, struct row *row, void *arg, struct err *e)
{
    const struct str *id = arg;
    struct oauth_client *client = arena_alloc(row->keep, sizeof(*client));
    if (!client) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    if (!oauth_clients_get(sv->db, row->keep, *id, client, e))
        return NULL;
    /* What anybody may register and change does not make every worker forget what it knows. */
    row->may_keep = !str_is_absent(client->org_id);
    return client;
}

static bool client_find(struct http_request *rq, struct str id, struct oauth_client *out,
                        struct err *e)
{
    struct services *sv = rq->context;
    const struct row_ask ask = {STR("client"), id, client_load, &id};
    const struct oauth_client *client = row_cache_get(sv->rows, sv, rq->arena, &ask, e);
    if (client)
        *out = *client;
    return client != NULL;
}

bool client_authenticate(struct http_request *rq, const struct form *form, struct oauth_client *out,
                         struct err *e)
{
    struct claim claim;
    if (!claim_read(rq, form, &claim, e))
        return false;
    if (!id_is(claim.client_id, "cli") && !client_document_is_id(claim.client_id))
        return wrong(e);
    if (!client_find(rq, claim.client_id, out, e))
        return e->code == ERR_NOT_FOUND ? wrong(e) : false;
    if (!str_eq(claim.method, out->auth_method))
        return wrong(e);
    if (!str_is_absent(claim.assertion))
        return assertion_check(rq, claim.assertion, out, e) ||
               (e->code == ERR_INVALID_CLIENT && failures_count(rq, out->id, e));
    if (str_is_absent(claim.secret))
        return true;
    struct str hash = secret_text_hash(rq->arena, claim.secret);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (text_eq_ct(hash, out->secret_hash))
        return true;
    wrong(e);
    return failures_count(rq, out->id, e);
}
