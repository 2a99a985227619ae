#include "auth/audit_origin.h"

struct str audit_origin(const struct http_request *rq)
{
    if (!rq || !rq->peer[0])
        return STR_NONE;
    return arena_printf(rq->arena, "{\"address\":\"%s\"}", rq->peer);
}
