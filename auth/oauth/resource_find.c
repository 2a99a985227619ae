#include "auth/oauth/resource_find.h"

#include "base/ids.h"
#include "store/connections.h"
#include "store/orgs.h"
#include "store/virtual_servers.h"

static bool nothing(struct err *e)
{
    return err_set(e, ERR_INVALID_TARGET, "the resource is nothing that you may use here");
}

/* ERR_NOT_FOUND becomes ERR_INVALID_TARGET; what the store suffered stays. */
static bool missed(struct err *e)
{
    return e->code == ERR_NOT_FOUND ? nothing(e) : false;
}

static bool org_agrees(struct services *sv, struct arena *a, struct str org_id, struct str named,
                       struct err *e)
{
    struct org org;
    if (str_is_absent(named) || str_eq(named, org_id))
        return true;
    if (!orgs_by_slug(sv->db, a, named, &org, e))
        return missed(e);
    return str_eq(org.id, org_id) || nothing(e);
}

bool resource_find(struct services *sv, struct arena *a, struct str org_id,
                   const struct resource_ref *ref, struct str *out, struct err *e)
{
    struct connection conn;
    if (!org_agrees(sv, a, org_id, ref->org, e))
        return false;
    switch (ref->kind) {
    case RESOURCE_MANAGEMENT:
        *out = STR("management");
        return true;
    case RESOURCE_HUB:
        *out = STR("hub");
        return true;
    case RESOURCE_CONNECTION:
        break;
    case RESOURCE_OPEN:
        bug("an open resource names nothing");
    }
    if (id_is(ref->connection, "vs")) {
        struct virtual_server v;
        if (!virtual_servers_get(sv->db, a, org_id, ref->connection, &v, e))
            return missed(e);
        *out = v.id;
        return true;
    }
    bool is_found = id_is(ref->connection, "conn")
                        ? connections_get(sv->db, a, org_id, ref->connection, &conn, e)
                        : connections_by_slug(sv->db, a, org_id, ref->connection, &conn, e);
    if (!is_found)
        return missed(e);
    *out = conn.id;
    return true;
}

bool resource_agrees(struct services *sv, struct arena *a, struct str org_id, struct str given,
                     struct str granted, struct err *e)
{
    struct resource_ref ref;
    struct str found = STR_NONE;
    if (!resource_parse(sv->config, given, &ref, e))
        return false;
    if (ref.kind == RESOURCE_OPEN)
        return true;
    if (!resource_find(sv, a, org_id, &ref, &found, e))
        return false;
    return str_eq(found, granted) ||
           err_set(e, ERR_INVALID_TARGET, "the resource is not the one that was granted");
}

struct str resource_url(const struct services *sv, struct arena *a, struct str resource)
{
    if (str_eq(resource, STR("management")))
        return arena_printf(a, "%s/mcp", sv->config->origin);
    return arena_printf(a, "%s/mcp/%.*s", sv->config->origin, STR_FMT(resource));
}
