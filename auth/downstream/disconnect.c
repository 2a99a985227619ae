#include "auth/downstream/disconnect.h"

#include "base/clock.h"
#include "base/limits.h"

/* What does not open cannot be revoked, and is forgotten all the same. */
static bool grant_add(struct services *sv, struct arena *a, struct str org_id,
                      const struct downstream_token *row, struct downstream_grants *to)
{
    struct err ignored;
    if (!downstream_grant_open(sv, a, org_id, row, &to->items[to->n], &ignored))
        return false;
    to->n++;
    return true;
}

static bool room_make(struct arena *a, size_t n, struct downstream_grants *out, struct err *e)
{
    *out = (struct downstream_grants){arena_alloc(a, (n + 1) * sizeof(*out->items)), 0};
    return out->items || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

void downstream_grants_revoke(struct services *sv, struct arena *a,
                              const struct downstream_grants *grants)
{
    int64_t deadline = clock_mono_ms() + LIMIT_OAUTH_MS;
    for (size_t i = 0; i < grants->n && clock_mono_ms() < deadline; i++)
        downstream_token_revoke(sv, a, &grants->items[i]);
}

bool downstream_disconnect(struct services *sv, struct arena *a, const struct connection *conn,
                           struct str owner, bool *was_there, struct err *e)
{
    struct downstream_token row;
    struct downstream_grants grants;
    bool is_gone;
    was_there = was_there ? was_there : &is_gone;
    *was_there = false;
    if (!downstream_tokens_get(sv->db, a, conn->org_id, conn->id, owner, &row, e))
        return e->code == ERR_NOT_FOUND;
    if (!room_make(a, 1, &grants, e))
        return false;
    (void)grant_add(sv, a, conn->org_id, &row, &grants);
    if (!downstream_tokens_delete(sv->db, a, conn->org_id, conn->id, owner, was_there, e))
        return false;
    downstream_grants_revoke(sv, a, &grants);
    return true;
}

bool downstream_disconnect_all(struct services *sv, struct arena *a, const struct connection *conn,
                               struct err *e)
{
    struct downstream_token *rows;
    struct downstream_grants grants;
    size_t n;
    bool was_there;
    if (!downstream_tokens_of(sv->db, a, conn->org_id, conn->id, &rows, &n, e) ||
        !room_make(a, n, &grants, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        (void)grant_add(sv, a, conn->org_id, &rows[i], &grants);
        if (!downstream_tokens_delete(sv->db, a, conn->org_id, conn->id, rows[i].user_id,
                                      &was_there, e))
            return false;
    }
    downstream_grants_revoke(sv, a, &grants);
    return true;
}

bool downstream_grants_of(struct services *sv, struct arena *a, struct str org_id,
                          struct str user_id, struct downstream_grants *out, struct err *e)
{
    struct downstream_token *rows, row;
    size_t n;
    if (!downstream_tokens_list(sv->db, a, org_id, user_id, &rows, &n, e) ||
        !room_make(a, n, out, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (downstream_tokens_get(sv->db, a, org_id, rows[i].connection_id, user_id, &row, e))
            (void)grant_add(sv, a, org_id, &row, out);
        else if (e->code != ERR_NOT_FOUND)
            return false;
    }
    return true;
}
