/* Credentials for outgoing calls. */
#include "mcp/credential.h"

#include "auth/downstream/access.h"
#include "base/text.h"
#include "core/vault.h"
#include "json/jscan.h"
#include "store/credentials.h"

static bool authorization_put(struct credential *c, struct str scheme, struct str token,
                              struct err *e)
{
    struct buf text;
    buf_init(&text, LIMIT_CREDENTIAL);
    buf_reserve(&text, scheme.n + token.n); /* growing would leave copies behind */
    buf_add(&text, scheme);
    buf_add(&text, token);
    bool is_kept = buf_ok(&text) && secret_set(&c->header_text, text.p, text.n);
    if (text.p)
        secret_wipe(text.p, text.n);
    buf_end(&text);
    if (!is_kept)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    c->headers[c->n_headers++] =
        (struct http_header){STR("Authorization"), secret_reveal(&c->header_text)};
    return true;
}

static bool headers_put(struct credential *c, struct arena *a, struct str object, struct err *e)
{
    struct jiter it;
    for (jscan_iter(&it, object); jscan_next(&it);) {
        struct http_header *h = &c->headers[c->n_headers];
        if (c->n_headers == LIMIT_HEADERS_INJECTED || !jscan_string(a, it.key, &h->name) ||
            !jscan_string(a, it.value, &h->value))
            return err_set(e, ERR_INTERNAL, "a stored credential is damaged");
        c->n_headers++;
    }
    return true;
}

static bool query_put(struct credential *c, struct arena *a, struct str object, struct err *e)
{
    struct buf text;
    buf_init(&text, LIMIT_CREDENTIAL);
    struct jiter it;
    for (jscan_iter(&it, object); jscan_next(&it);) {
        struct str name, value;
        if (!jscan_string(a, it.key, &name) || !jscan_string(a, it.value, &value)) {
            buf_end(&text);
            return err_set(e, ERR_INTERNAL, "a stored credential is damaged");
        }
        if (text.n)
            buf_add_char(&text, '&');
        text_percent_encode(&text, name);
        buf_add_char(&text, '=');
        text_percent_encode(&text, value);
    }
    c->query = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    if (text.p)
        secret_wipe(text.p, text.n);
    buf_end(&text);
    return !str_is_absent(c->query) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* The opened text is a JSON object of exactly one form (management-tools/credentials.c writes it).
 */
static bool plain_read(struct credential *c, struct arena *a, struct err *e)
{
    struct str token;
    struct jwant wants[] = {
        {.name = STR("bearer")}, {.name = STR("headers")}, {.name = STR("query")}};
    if (!jscan_object(secret_reveal(&c->plain), wants, ARRAY_LEN(wants), e))
        return err_set(e, ERR_INTERNAL, "a stored credential is damaged");
    if (!str_is_absent(wants[0].value))
        return (jscan_string(a, wants[0].value, &token) ||
                err_set(e, ERR_INTERNAL, "a stored credential is damaged")) &&
               authorization_put(c, STR("Bearer "), token, e);
    if (!str_is_absent(wants[1].value))
        return headers_put(c, a, wants[1].value, e);
    if (!str_is_absent(wants[2].value))
        return query_put(c, a, wants[2].value, e);
    return true;
}

/* An access token of the server's own authorization server. */
static bool token_put(struct services *sv, struct arena *a, const struct registry_entry *entry,
                      struct str owner, int64_t refused, struct credential *out, struct err *e)
{
    auto_free(downstream_access_end) struct downstream_access access = {0};
    if (!downstream_access_get(sv, a, &entry->conn, owner, refused, &access, e))
        return false;
    out->owner = arena_dup(a, owner);
    out->generation = access.generation;
    out->updated_at = access.authorized_at;
    bool is_bound = access.dpop_key.n > 0;
    if (!authorization_put(out, is_bound ? CREDENTIAL_DPOP : STR("Bearer "),
                           secret_reveal(&access.token), e))
        return false;
    out->dpop_key = access.dpop_key;
    access.dpop_key = (struct secret){0};
    return true;
}

bool credential_renew(struct services *sv, struct arena *a, const struct registry_entry *entry,
                      const struct credential *refused, struct credential *out, struct err *e)
{
    *out = (struct credential){0};
    return token_put(sv, a, entry, refused->owner, refused->generation, out, e);
}

bool credential_load(struct services *sv, struct arena *a, struct registry_entry *entry,
                     struct str user_id, struct credential *out, struct err *e)
{
    *out = (struct credential){0};
    const struct connection *conn = &entry->conn;
    /* The environment of a program is no authentication, and may be none at all. */
    bool is_stdio = str_eq(conn->transport, STR("stdio"));
    if (!is_stdio && str_eq(conn->auth, STR("none")))
        return true;
    bool is_personal = str_eq(conn->credential_scope, STR("user"));
    struct str owner = is_personal ? user_id : STR("");
    if (!is_stdio && str_eq(conn->auth, STR("oauth")))
        return token_put(sv, a, entry, owner, 0, out, e);
    const struct credential_row *row;
    if (!registry_credential(sv, a, entry, owner, &row, e)) {
        if (e->code != ERR_NOT_FOUND)
            return false;
        if (is_stdio && !is_personal && str_eq(conn->env_names, STR("[]")))
            return true;
        return err_set(e, ERR_UPSTREAM_AUTH,
                       is_personal
                           ? "you have set no credential for this connection yet: call "
                             "CONNECTION_CREDENTIAL_SET with connection_id %.*s and scope user"
                           : "no credential is set for this connection: an administrator calls "
                             "CONNECTION_CREDENTIAL_SET with connection_id %.*s",
                       STR_FMT(conn->id));
    }
    struct str row_id = ARENA_JOIN(a, conn->id, STR("/"), owner);
    if (str_is_absent(row_id))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct vault_place place = {conn->org_id, STR("credentials"), STR("sealed"), row_id};
    if (vault_open(sv->vault, a, &place, row->sealed, &out->plain, e) && plain_read(out, a, e)) {
        out->updated_at = row->updated_at;
        return true;
    }
    credential_end(out);
    return false;
}

void credential_end(struct credential *c)
{
    secret_end(&c->plain);
    secret_end(&c->header_text);
    secret_end(&c->dpop_key);
    if (!str_is_absent(c->query)) {
        /* The arena's own copy; nobody else reads it after the call. */
        char *bytes = (char *)(uintptr_t)c->query.p;
        secret_wipe(bytes, c->query.n);
    }
    *c = (struct credential){0};
}
