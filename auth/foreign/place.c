#include "auth/foreign/place.h"

#include "auth/foreign/claims.h"
#include "auth/oauth/resource_find.h"
#include "base/ids.h"
#include "store/connections.h"
#include "store/org_issuers.h"
#include "store/orgs.h"

enum { AUDIENCES_MAX = 20 };

static bool missed(struct err *e, const char *why)
{
    return e->code == ERR_NOT_FOUND ? foreign_refused(e, why) : false;
}

static bool org_find(struct services *sv, struct arena *a, struct str slug, struct str *org_id,
                     struct err *e)
{
    struct org org;
    if (id_is(slug, "org")) {
        *org_id = slug;
        return true;
    }
    if (!orgs_by_slug(sv->db, a, slug, &org, e))
        return missed(e, "no such organization");
    *org_id = org.id;
    return true;
}

static bool connection_find(struct services *sv, struct arena *a, struct str org_id,
                            struct str given, struct str *target, struct err *e)
{
    struct connection conn;
    bool is_found = id_is(given, "conn") ? connections_get(sv->db, a, org_id, given, &conn, e)
                                         : connections_by_slug(sv->db, a, org_id, given, &conn, e);
    if (!is_found)
        return missed(e, "no such connection");
    *target = conn.id;
    return true;
}

bool foreign_place_find(struct services *sv, struct arena *a, struct str path,
                        struct foreign_place *out, struct err *e)
{
    struct str rest = str_slice(path, sizeof("/mcp/") - 1, SIZE_MAX), first, second = STR_NONE;
    *out = (struct foreign_place){STR_NONE, STR_NONE};
    if (!str_starts(path, STR("/mcp/")))
        return foreign_refused(e, "not an address of a connection");
    if (rest.n > 0 && rest.p[rest.n - 1] == '/')
        rest.n--;
    if (!str_next(&rest, '/', &first))
        return foreign_refused(e, "not an address of a connection");
    if (str_next(&rest, '/', &second) && !str_is_absent(rest))
        return foreign_refused(e, "not an address of a connection");
    if (!str_is_absent(second) && str_eq(first, STR("hub"))) {
        out->target = STR("hub");
        return org_find(sv, a, second, &out->org_id, e);
    }
    if (!str_is_absent(second))
        return org_find(sv, a, first, &out->org_id, e) &&
               connection_find(sv, a, out->org_id, second, &out->target, e);
    if (!id_is(first, "conn") && !id_is(first, "vs"))
        return foreign_refused(e, "the address names no organization");
    out->target = first;
    return org_issuers_owner(sv->db, a, first, &out->org_id, e) || missed(e, "no such connection");
}

/* An address of the place itself. One that names no organization could be anybody's. */
static bool is_address_of(struct services *sv, struct arena *a, const struct foreign_place *place,
                          struct str audience)
{
    struct resource_ref ref;
    struct err ignored;
    struct str found = STR_NONE;
    if (!resource_parse(sv->config, audience, &ref, &ignored) ||
        (ref.kind != RESOURCE_HUB && ref.kind != RESOURCE_CONNECTION))
        return false;
    bool is_id = ref.kind == RESOURCE_CONNECTION &&
                 (id_is(ref.connection, "conn") || id_is(ref.connection, "vs"));
    return (is_id || !str_is_absent(ref.org)) &&
           resource_find(sv, a, place->org_id, &ref, &found, &ignored) &&
           str_eq(found, place->target);
}

static bool is_listed(const struct jvalue *list, struct str audience)
{
    for (size_t i = 0; i < jv_count(list); i++)
        if (str_eq(jv_str(jv_at(list, i)), audience))
            return true;
    return false;
}

bool foreign_audience(struct services *sv, struct arena *a, const struct foreign_place *place,
                      struct str accepted, const struct jvalue *aud, struct err *e)
{
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(accepted, e);
    size_t n = jv_is_array(aud) ? jv_count(aud) : 1;
    if (!doc)
        return err_set(e, ERR_INTERNAL, "a stored list of audiences is damaged");
    for (size_t i = 0; i < n && i < AUDIENCES_MAX; i++) {
        struct str one = jv_str(jv_is_array(aud) ? jv_at(aud, i) : aud);
        if (one.n > 0 && (is_listed(jdoc_root(doc), one) || is_address_of(sv, a, place, one)))
            return true;
    }
    return foreign_refused(e, "for another audience");
}
