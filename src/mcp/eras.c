/* The protocol revisions, one row each. */
#include "mcp/eras.h"

#include "json/jout.h"

static const struct {
    struct str version;
    enum era era;
    bool has_batches;
} revisions[] = {
    {STR("2026-07-28"), ERA_STATELESS, false}, {STR("2025-11-25"), ERA_SESSION, false},
    {STR("2025-06-18"), ERA_SESSION, false},   {STR("2025-03-26"), ERA_SESSION, true},
    {STR("2024-11-05"), ERA_SESSION, false},
};

enum era era_of_version(struct str version)
{
    for (size_t i = 0; i < ARRAY_LEN(revisions); i++)
        if (str_eq(revisions[i].version, version))
            return revisions[i].era;
    return ERA_UNKNOWN;
}

struct str era_name(enum era era)
{
    return era == ERA_SESSION ? STR("session") : era == ERA_STATELESS ? STR("stateless") : STR_NONE;
}

enum era era_parse(struct str name)
{
    return str_eq(name, STR("session"))     ? ERA_SESSION
           : str_eq(name, STR("stateless")) ? ERA_STATELESS
                                            : ERA_UNKNOWN;
}

struct str era_negotiate(struct str wanted)
{
    return era_of_version(wanted) == ERA_SESSION ? wanted : STR(MCP_SESSION_LATEST);
}

void era_write_supported(struct buf *out, enum era era, struct str requested)
{
    struct jout j;
    jout_init(&j, out);
    jout_object(&j);
    jout_key(&j, STR("supported"));
    jout_array(&j);
    for (size_t i = 0; i < ARRAY_LEN(revisions); i++)
        if (revisions[i].era == era)
            jout_str(&j, revisions[i].version);
    jout_array_end(&j);
    jout_kstr(&j, "requested", requested);
    jout_object_end(&j);
}

bool era_has_batches(struct str version)
{
    for (size_t i = 0; i < ARRAY_LEN(revisions); i++)
        if (str_eq(revisions[i].version, version))
            return revisions[i].has_batches;
    return false;
}
