/*
 * The management tools: one JSON spec (management-tools/<family>/<NAME>.json) beside one function
 * per tool. The registry is the only caller of a tool function: it finds, validates, decides, runs
 * and audits; functions contain none of that.
 */
#pragma once

#include "core/policy.h"
#include "json/jread.h"
#include "mcp/tool_source.h"

/* What a tool function gets and fills. */
struct tool_call {
    const struct tool *tool;
    struct tool_use *use;
    struct arena *arena; /* = use->arena */
    struct services *sv; /* = use->sv */
    const struct caller *caller;
    struct str org_id; /* the organization this call is about, membership already checked; absent
                          for tools without one */
    const struct jvalue *arguments; /* validated against the input schema */
    struct buf *out;   /* the structured result: one JSON object, written with json/jout.h */
    struct str object; /* set by the function: id of what it was about, for the audit */
    bool has_own_row;  /* set by the function: it has used the place in the audit itself
                          (CONNECTION_TOOL_CALL) */
};
/* True when *out is complete; false with *e. May wait. */
typedef bool tool_fn(struct tool_call *c, struct err *e);

/* One row, generated from the specs into tools.c. */
struct tool {
    const char *name;       /* CONNECTION_CREATE */
    const char *toolset;    /* the family's folder name: connections */
    const char *permission; /* who has it by a built-in role: anyone, member, admin, owner,
                               operator, creator (ALLOW_ORG_CREATION) */
    const char *effect;     /* read, write, destructive */
    bool is_idempotent;
    bool needs_org;      /* takes organization_id, or the key's */
    bool needs_fresh;    /* a person in a browser must have proved within LIMIT_FRESH_MS that it is
                            them */
    bool has_secrets;    /* its arguments are never recorded, and its errors do not quote them */
    const char *twin_of; /* the tool that this one is another form of, or NULL: statements and keys
                            that name either mean both; listed only with its own toolset */
    const char *description_json; /* "title", "description", "inputSchema", "outputSchema",
                                     "annotations" as one JSON object text, name included */
    const char *input_schema, *output_schema;
    tool_fn *run;
};
extern const struct tool tools[];
extern const size_t n_tools;

/* Compiles the schemas; once at start. ERR_INTERNAL names the tool and keyword. */
bool registry_start(struct err *e) must_use;
/* The port that main.c hands to services. */
extern const struct tool_source registry_source;
/* The tool of this name, or NULL (whoever asks). */
const struct tool *registry_find(struct str name);
/* What the policy wants to know of a tool: built-in roles and enum manage_right bits that have it;
 * its effect. */
unsigned registry_manage_roles(const struct services *sv, const struct tool *t);
enum effect registry_effect(const struct tool *t);
/* policy_decide for a management tool, for a twin by both of its names: a denial of either counts.
 */
struct policy_verdict registry_decide(const struct services *sv, const struct caller *caller,
                                      const struct tool *t, struct str connection_id);
