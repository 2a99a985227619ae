/*
 * Where a foreign token is shown: only addresses that name their organization themselves take one,
 * as nothing in the token does. /mcp/conn_..., /mcp/vs_..., /mcp/ORG/CONNECTION, /mcp/hub/ORG.
 */
#pragma once

#include "core/services.h"
#include "json/jread.h"

struct foreign_place {
    struct str org_id;
    struct str target; /* conn_..., vs_..., hub */
};
/* ERR_UNAUTHENTICATED: nothing there takes one. Waits (store). */
bool foreign_place_find(struct services *sv, struct arena *a, struct str path,
                        struct foreign_place *out, struct err *e) must_use;
/*
 * Is the token for this place? aud (a text or an array of them) must hold an address of it that
 * names the organization, or one of `accepted` (a JSON array). ERR_UNAUTHENTICATED. Waits (store).
 */
bool foreign_audience(struct services *sv, struct arena *a, const struct foreign_place *place,
                      struct str accepted, const struct jvalue *aud, struct err *e) must_use;
