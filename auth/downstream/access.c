#include "auth/downstream/access.h"

#include "auth/downstream/grant.h"
#include "auth/downstream/machine.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "io/fiber.h"

enum { POLL_MS = 50, WRITE_TRIES = 5, WRITE_PAUSE_MS = 200 };

void downstream_access_end(struct downstream_access *t)
{
    secret_end(&t->token);
    secret_end(&t->dpop_key);
}

/* ---- words ---- */

struct str downstream_connect_url(const struct services *sv, struct arena *a,
                                  const struct connection *conn)
{
    return arena_printf(a, "%s/oauth/connect/%.*s?organization_id=%.*s", sv->config->origin,
                        STR_FMT(conn->id), STR_FMT(conn->org_id));
}

bool downstream_needs_person(const struct services *sv, const struct connection *conn,
                             struct str owner, const char *why, struct err *e)
{
    return err_set(e, ERR_UPSTREAM_AUTH, "%s: %s %s/oauth/connect/%.*s?organization_id=%.*s", why,
                   owner.n ? "open" : "an administrator opens", sv->config->origin,
                   STR_FMT(conn->id), STR_FMT(conn->org_id));
}

/* Only the organization's authorization says something of the connection itself. */
static void connection_mark(struct services *sv, struct arena *a, const struct connection *conn,
                            struct str owner)
{
    const struct connection_note note = {.status = STR("needs_authorization"), .tool_count = -1};
    struct err ignored;
    if (owner.n == 0 && !str_eq(conn->status, note.status))
        (void)!connections_note(sv->db, a, conn->org_id, conn->id, &note, clock_wall_ms(),
                                &ignored);
}

/* ---- one refresh ---- */

struct access {
    struct services *sv;
    struct arena *a;
    const struct connection *conn;
    struct str owner;
    int64_t refused;
    struct downstream_token row;
    struct downstream_grant grant;
    int64_t now;
    bool is_missing;  /* there is no authorization that can be used */
    bool has_renewed; /* ourselves: what came is used, however short its life */
};

static bool is_over(const struct access *x)
{
    return x->row.generation == x->refused || (x->row.expires_at && x->now >= x->row.expires_at);
}

/* In time, so that an answer that is lost (a crash between answer and write) leaves a token that
 * still works while the refresh is tried again. */
static bool is_due(const struct access *x)
{
    int64_t life = x->row.expires_at - x->row.updated_at, ahead = life / 5;
    if (is_over(x))
        return true;
    if (ahead > LIMIT_REFRESH_AHEAD_MS)
        ahead = LIMIT_REFRESH_AHEAD_MS;
    return x->row.expires_at && x->now >= x->row.expires_at - ahead;
}

static bool give(const struct access *x, struct downstream_access *out, struct err *e)
{
    out->generation = x->row.generation;
    out->authorized_at = x->row.authorized_at;
    const struct downstream_grant *g = &x->grant;
    bool is_good =
        secret_set(&out->token, g->access_token.p, g->access_token.n) &&
        (!downstream_grant_is_bound(g) || secret_set(&out->dpop_key, g->dpop_key.p, g->dpop_key.n));
    return is_good || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool request(struct access *x, struct downstream_tokens_got *got, struct err *e)
{
    struct buf form;
    buf_init(&form, LIMIT_OAUTH_DOCUMENT);
    bool is_good = buf_reserve(&form, LIMIT_OAUTH_DOCUMENT - 1) ||
                   err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (downstream_machine_is(&x->grant)) {
        downstream_machine_form(&form, &x->grant, x->row.scope);
    } else {
        downstream_form_add(&form, "grant_type", STR("refresh_token"));
        downstream_form_add(&form, "refresh_token", x->grant.refresh_token);
        downstream_form_add(&form, "resource", x->grant.resource);
    }
    is_good = is_good && downstream_token_request(x->sv, x->a, &x->grant, &form, got, e);
    if (form.p)
        secret_wipe(form.p, form.cap);
    buf_end(&form);
    return is_good;
}

/* The old refresh token may be worth nothing by now: this write is tried more than once. */
static bool keep(struct access *x, struct str lease_id, const struct downstream_tokens_got *got,
                 struct err *e)
{
    struct downstream_token next = x->row;
    struct downstream_grant grant = x->grant;
    downstream_grant_take(&grant, got);
    if (!str_is_absent(got->scope))
        next.scope = got->scope;
    next.updated_at = clock_wall_ms();
    next.expires_at = got->expires_in_s ? next.updated_at + got->expires_in_s * 1000 : 0;
    if (!downstream_grant_seal(x->sv, x->a, x->conn->org_id, &next, &grant, &next.sealed, e))
        return false;
    for (int i = 0; i < WRITE_TRIES; i++) {
        struct err ignored;
        if (downstream_tokens_renew(x->sv->db, x->a, x->conn->org_id, &next, lease_id, e))
            return true;
        if (e->code == ERR_CONFLICT ||
            !fiber_sleep_until(clock_mono_ms() + WRITE_PAUSE_MS, &ignored))
            break;
    }
    return false;
}

/* What a failed refresh means for those who come after. */
static void give_up(struct access *x, struct str lease_id, const struct err *why)
{
    struct err ignored;
    bool is_final = why->code == ERR_INVALID_GRANT || why->code == ERR_INVALID_CLIENT;
    (void)!downstream_tokens_fail(x->sv->db, x->a, x->conn->org_id, &x->row, lease_id,
                                  is_final ? 0 : clock_wall_ms() + LIMIT_REFRESH_PAUSE_MS,
                                  is_final ? STR("the authorization has ended") : STR_NONE,
                                  &ignored);
    if (is_final)
        connection_mark(x->sv, x->a, x->conn, x->owner);
}

/* Disconnected while the server answered: nobody else knows of these tokens. */
static void revoke_if_gone(struct access *x, const struct downstream_tokens_got *got)
{
    struct downstream_token row;
    struct downstream_grant grant = x->grant;
    struct err e;
    if (downstream_tokens_get(x->sv->db, x->a, x->conn->org_id, x->conn->id, x->owner, &row, &e) ||
        e.code != ERR_NOT_FOUND)
        return;
    downstream_grant_take(&grant, got);
    downstream_token_revoke(x->sv, x->a, &grant);
}

/* With the lease in hand: the answer is not left lying, whoever asked for it goes away. */
static bool refresh(struct access *x, struct str lease_id, struct err *e)
{
    struct downstream_tokens_got got;
    fiber_shield(true);
    bool has_answer = request(x, &got, e), is_good = has_answer && keep(x, lease_id, &got, e);
    if (!is_good && e->code != ERR_CONFLICT)
        give_up(x, lease_id, e);
    else if (!is_good && has_answer)
        revoke_if_gone(x, &got);
    fiber_shield(false);
    return is_good;
}

/* ---- which one ---- */

static bool missing(struct access *x, const char *why, struct err *e)
{
    x->is_missing = true;
    return downstream_needs_person(x->sv, x->conn, x->owner, why, e);
}

static bool load(struct access *x, struct err *e)
{
    const struct connection *conn = x->conn;
    if (!downstream_tokens_get(x->sv->db, x->a, conn->org_id, conn->id, x->owner, &x->row, e)) {
        if (e->code != ERR_NOT_FOUND)
            return false;
        return missing(x,
                       x->owner.n ? "you have not connected this server yet"
                                  : "this server is not connected yet",
                       e);
    }
    if (!str_is_absent(x->row.failure))
        return missing(x, "the authorization of this server has ended", e);
    if (!downstream_grant_open(x->sv, x->a, conn->org_id, &x->row, &x->grant, e))
        return false;
    struct str origin = downstream_origin(x->a, conn);
    return str_eq(origin, x->grant.origin) || missing(x, "this server has another address now", e);
}

/* False: somebody else has it (*e untouched), or the store does not answer. */
static bool lease(struct access *x, struct str id, struct err *e)
{
    const struct downstream_lease l = {id, x->now, x->now + LIMIT_REFRESH_LEASE_MS};
    bool is_ours = false;
    return downstream_tokens_lease(x->sv->db, x->a, x->conn->org_id, &x->row, &l, &is_ours, e) &&
           is_ours;
}

/* Without a refresh token an authorization ends with its access token. */
static bool ended(struct access *x, struct err *e)
{
    struct id id = id_new("lease");
    struct err ignored;
    if (lease(x, id_str(&id), &ignored)) {
        err_set(e, ERR_INVALID_GRANT, "it cannot be renewed");
        give_up(x, id_str(&id), e);
    }
    return downstream_needs_person(x->sv, x->conn, x->owner,
                                   "the authorization of this server has ended", e);
}

enum turn { TURN_DONE, TURN_FAILED, TURN_AGAIN };

/* Nothing to use: Tulle authorizes itself where it may, else a person has to. */
static enum turn begin(struct access *x, struct err *e)
{
    enum machine_begun begun = MACHINE_NOT;
    if (!x->is_missing)
        return TURN_FAILED;
    if (x->owner.n == 0)
        begun = downstream_machine_begin(x->sv, x->a, x->conn, e);
    if (begun == MACHINE_DONE || begun == MACHINE_BUSY) {
        x->is_missing = false;
        return TURN_AGAIN;
    }
    connection_mark(x->sv, x->a, x->conn, x->owner);
    return TURN_FAILED;
}

static enum turn turn(struct access *x, struct downstream_access *out, struct err *e)
{
    struct id id = id_new("lease");
    if (!load(x, e))
        return begin(x, e);
    x->now = clock_wall_ms();
    if (x->has_renewed && x->row.generation != x->refused)
        return give(x, out, e) ? TURN_DONE : TURN_FAILED;
    bool is_usable = !is_over(x),
         has_refresh = !str_is_absent(x->grant.refresh_token) || downstream_machine_is(&x->grant);
    bool is_taken = x->row.lease_until > x->now;
    if (is_usable && (!is_due(x) || !has_refresh || is_taken))
        return give(x, out, e) ? TURN_DONE : TURN_FAILED;
    if (!has_refresh)
        return ended(x, e) ? TURN_DONE : TURN_FAILED;
    if (is_taken && !x->row.is_leased) {
        err_set(e, ERR_UPSTREAM, "the authorization of this server cannot be renewed just now");
        return TURN_FAILED;
    }
    if (is_taken)
        return TURN_AGAIN;
    e->code = ERR_NONE;
    if (!lease(x, id_str(&id), e))
        return e->code == ERR_NONE ? TURN_AGAIN : TURN_FAILED;
    x->has_renewed = refresh(x, id_str(&id), e);
    if (x->has_renewed || e->code == ERR_CONFLICT || e->code == ERR_INVALID_GRANT ||
        e->code == ERR_INVALID_CLIENT)
        return TURN_AGAIN; /* what the store says by now */
    return is_usable && give(x, out, e) ? TURN_DONE : TURN_FAILED;
}

bool downstream_access_get(struct services *sv, struct arena *a, const struct connection *conn,
                           struct str owner, int64_t refused, struct downstream_access *out,
                           struct err *e)
{
    struct access x = {.sv = sv, .a = a, .conn = conn, .owner = owner, .refused = refused};
    int64_t deadline = clock_mono_ms() + LIMIT_REFRESH_LEASE_MS + LIMIT_OAUTH_MS;
    *out = (struct downstream_access){.generation = 0};
    for (;;) {
        enum turn t = turn(&x, out, e);
        if (t != TURN_AGAIN)
            return t == TURN_DONE;
        if (clock_mono_ms() >= deadline)
            return err_set(e, ERR_TIMEOUT, "the authorization of this server is being renewed");
        if (!fiber_sleep_until(clock_mono_ms() + POLL_MS, e))
            return false;
    }
}

void downstream_access_refused(struct services *sv, struct arena *a, const struct connection *conn,
                               struct str owner, int64_t generation)
{
    struct downstream_token row;
    struct id id = id_new("lease");
    struct err e;
    int64_t now = clock_wall_ms();
    const struct downstream_lease l = {id_str(&id), now, now + LIMIT_REFRESH_LEASE_MS};
    bool is_ours;
    if (!downstream_tokens_get(sv->db, a, conn->org_id, conn->id, owner, &row, &e) ||
        row.generation != generation)
        return;
    if (downstream_tokens_lease(sv->db, a, conn->org_id, &row, &l, &is_ours, &e) && is_ours)
        (void)!downstream_tokens_fail(sv->db, a, conn->org_id, &row, id_str(&id),
                                      now + LIMIT_REFRESH_PAUSE_MS, STR_NONE, &e);
    connection_mark(sv, a, conn, owner);
}

/* ---- step-up ---- */

static bool has_all(struct str granted, struct str wanted)
{
    struct str rest = wanted, word;
    while (str_next(&rest, ' ', &word))
        if (word.n > 0 && !str_list_has(granted, word))
            return false;
    return true;
}

bool downstream_access_want(struct services *sv, struct arena *a, const struct connection *conn,
                            struct str owner, int64_t generation, struct str scope)
{
    struct downstream_token row;
    struct err ignored;
    if (scope.n == 0 || scope.n > LIMIT_SCOPE ||
        !downstream_tokens_get(sv->db, a, conn->org_id, conn->id, owner, &row, &ignored))
        return true;
    if (!str_eq(row.wanted_scope, scope))
        (void)!downstream_tokens_want(sv->db, a, conn->org_id, &row, scope, &ignored);
    return row.generation != generation || !has_all(row.scope, scope);
}
