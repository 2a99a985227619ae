/*
 * Several servers at one address: the hub (/mcp/hub: whatever the caller may use) and virtual
 * servers (/mcp/vs_...: what an administrator chose). Lists are merged from what each server lists;
 * a call is rewritten for its server and takes the way of every proxied call (mcp/proxied.h), so
 * policy, record and credential are the same. Private to the aggregate_*.c files but for the
 * handlers. See spec/aggregates.md.
 */
#pragma once

#include "json/jout.h"
#include "mcp/aggregate_names.h"
#include "mcp/client_sessions.h"
#include "mcp/list_cache.h"
#include "mcp/listen_tasks.h"
#include "mcp/proxied.h"
#include "store/virtual_servers.h"

void aggregate_post(struct http_request *rq);
void aggregate_get(struct http_request *rq);
void aggregate_delete(struct http_request *rq);
/* As proxied_admit. */
bool aggregate_admit(struct http_request *rq, struct str *version, struct err *e) must_use;

/* What an administrator chose of one connection: patterns, and names that replace the server's. */
struct chosen {
    struct str name;            /* pattern */
    struct str as, description; /* absent: as the server says */
};
struct aggregate_member {
    struct registry_entry *entry;
    bool has_all[N_LIST_KINDS];
    struct chosen *chosen[N_LIST_KINDS];
    size_t n_chosen[N_LIST_KINDS];
};

struct aggregate {
    struct proxied p;              /* of the client's message; entry is set for a while only */
    struct proxied_view view;      /* of p */
    struct str id;                 /* "hub" or vs_... */
    struct str name, instructions; /* an administrator's words, or absent */
    bool is_hub;
    enum names_mode mode;
    bool wants_search; /* by the client's query or the default */
    struct aggregate_member *members;
    size_t n_members;
    size_t members_cap;
    struct client_session *session; /* NULL: a bare or stateless client */
};

/* ---- aggregate_members.c ---- */
/* Which aggregate, whether the caller may use it, its members. where: vs_..., or the hub's
 * organization (absent: the caller's). ERR_NOT_FOUND, ERR_UNAUTHENTICATED (a token for another
 * address), ERR_INSUFFICIENT_SCOPE. Waits. */
bool aggregate_find(struct aggregate *g, struct str where, struct str query,
                    struct err *e) must_use;

/* ---- aggregate_gather.c ---- */
/* One thing of one server, as it is called here. */
struct aggregate_entry {
    const struct aggregate_member *member;
    struct str raw, name_raw;           /* its JSON object, and in it its name or URI; absent: its
                                           server does not answer */
    struct str own;                     /* the server's name or URI */
    const struct connection_tool *tool; /* of tools; may be NULL */
    struct str given;                   /* here */
    struct str description;             /* here; absent: the server's */
};
struct gathered {
    struct aggregate_entry *entries; /* in the order of their names */
    size_t n;
    struct listing *listings; /* one for each member, in their order */
};
/* Everything of a kind, whoever may see it. is_stale_good: for finding a name again. Waits up to
 * LIMIT_AGGREGATE_WAIT_MS. */
bool aggregate_gather(struct aggregate *g, enum list_kind kind, bool is_stale_good,
                      struct gathered *out, struct err *e) must_use;
bool aggregate_may_see(struct aggregate *g, const struct aggregate_entry *entry,
                       enum list_kind kind);
/* The server and its own name for a tool or prompt named here. ERR_NOT_FOUND in the words of an
 * unknown one. */
bool aggregate_resolve(struct aggregate *g, enum list_kind kind, struct str given,
                       struct aggregate_entry *out, struct err *e) must_use;
/* The same for a URI. */
bool aggregate_resolve_uri(struct aggregate *g, struct str given, struct aggregate_entry *out,
                           struct err *e) must_use;

/* ---- aggregate_lists.c ---- */
/* One page of a merged list, as members of the result. */
bool aggregate_list(struct aggregate *g, enum list_kind kind, struct jout *j,
                    struct err *e) must_use;
/* An entry as it is shown here. STR_NONE: out of memory. */
struct str aggregate_entry_text(struct aggregate *g, const struct aggregate_entry *entry) must_use;
/* What is where, and who is not answering: for the client's model. */
struct str aggregate_instructions(struct aggregate *g, struct err *e) must_use;

/* ---- aggregate_offers.c ---- */
/* The capabilities that the client is told of: the aggregate's own, and of its servers' what is
 * routed to them: resource subscriptions, tasks. version: negotiated. STR_NONE: see *e. Waits until
 * deadline (monotonic) at most. */
struct str aggregate_capabilities(struct aggregate *g, struct str version, int64_t deadline,
                                  struct err *e) must_use;

/* ---- aggregate_search.c ---- */
enum { SEARCH_FROM_TOOLS = 40 };
/* Is the list of tools replaced by tools to find, describe and call them? */
bool aggregate_searches(struct aggregate *g, const struct gathered *tools);
void aggregate_search_list(struct jout *j);
bool aggregate_is_search_tool(const struct aggregate *g, struct str name);
/* Runs find_tools or describe_tools; for call_tool *call is the message of the call it stands for.
 */
bool aggregate_search_call(struct aggregate *g, struct jout *j, struct str *call,
                           struct err *e) must_use;

/* ---- aggregate_stream.c ---- */
/* GET: the session's stream, on which it hears of changes. */
bool aggregate_stream_open(struct aggregate *g, struct err *e) must_use;
/* subscriptions/listen. */
bool aggregate_listen(struct aggregate *g, struct err *e) must_use;
/* What changed in the registry may change who is heard: called by the watch of proxied_relay.c. May
 * wait. */
void aggregate_streams_check(struct services *sv, uint64_t epoch);
/* At shutdown: ends this worker's. */
void aggregate_streams_end(struct services *sv);

/* ---- aggregate_subscribe.c ---- */
bool aggregate_is_subscription(struct str method);
/* resources/subscribe and unsubscribe of a session client, redirected to their server (p->entry,
 * p->view, p->era are set and it may be read). Answers. ERR_METHOD_NOT_FOUND: the server offers no
 * subscriptions. Waits. */
bool aggregate_subscription(struct proxied *p, struct err *e) must_use;
/* A part is named "connection|slug": its URIs were written with that slug. STR_NONE: out of memory.
 */
struct str aggregate_part_name(struct arena *a, const struct connection *conn) must_use;
/* The slug, and the connection. */
struct str aggregate_part_slug(const struct client_session *part, struct str *connection_id);
/* notifications/resources/updated as the aggregate names the resource, with meta (raw members of
 * _meta, or absent). STR_NONE: another message, or no memory. */
struct str aggregate_part_message(struct arena *a, const struct client_session *part,
                                  const struct rpc_message *m, struct str meta) must_use;

/* ---- aggregate_parts.c ---- */
/* What a subscriptions/listen is about: a part for each server that is asked. Zero-initialise but
 * for sink and arg; ended by aggregate_parts_end. */
struct aggregate_parts {
    client_sink_fn *sink;
    void *arg;
    struct client_session **list; /* malloc; held */
    size_t n;
    struct arena *keep; /* of the tasks; NULL: none */
    struct aggregate_task *tasks;
    size_t n_tasks;
};
struct listen_wanted {
    struct str uris, tasks; /* raw arrays as the client wrote them, or absent */
};
/* Each URI must be one that the caller may read, each task one that was given to it. All servers
 * are asked at the same time; who has not answered after LIMIT_PROBE_MS is not heard. ERR_INVALID,
 * ERR_NOT_FOUND, ERR_MISSING_CAPABILITY (tasks of a client that does not know them),
 * ERR_RATE_LIMITED beyond LIMIT_CALLS_USER, ERR_UNAVAILABLE, ERR_CANCELLED. Waits. */
bool aggregate_parts_open(struct aggregate *g, const struct listen_wanted *wanted,
                          struct aggregate_parts *parts, struct err *e) must_use;
/* The part of a server, made if there is none. NULL: out of memory. */
struct client_session *aggregate_part_for(struct aggregate *g, struct aggregate_parts *parts,
                                          const struct aggregate_member *member,
                                          struct err *e) must_use;
/* Which of those URIs are heard, raw. *n: how many. NULL: out of memory. */
struct str *aggregate_parts_honoured(struct aggregate *g, struct str given,
                                     const struct aggregate_parts *parts, size_t *n);
void aggregate_parts_end(struct aggregate_parts *parts);
/* May the caller send a server this request, which names uri (absent: none)? Errors as
 * proxied_decide. */
bool aggregate_may_ask(struct aggregate *g, const struct aggregate_member *member,
                       struct str method, struct str uri, struct err *e) must_use;
/* At shutdown: cancels what this worker opens. */
void aggregate_openings_end(void);
/* May the caller read less than all of a server? Then it hears only of what it names. */
bool aggregate_is_narrowed(const struct aggregate *g);
/* What the caller may not read any more is heard no more. */
void aggregate_parts_check(struct aggregate *g, struct client_session *const *list, size_t n);

/* ---- aggregate_tasks.c ---- */
/* A task that a part is to hear of. */
struct aggregate_task {
    const struct client_session *part; /* NULL: it may not be asked for any more */
    struct str given;                  /* raw: as the client has it, and hears it */
    struct str own;                    /* the server's id */
    bool is_heard;
};
/* given: a raw array of ids as they were given here, or absent. Errors as aggregate_parts_open. */
bool aggregate_tasks_read(struct aggregate *g, struct aggregate_parts *parts, struct str given,
                          struct err *e) must_use;
/* Those of one part, in a; and which of them its server honours. False: out of memory. */
bool aggregate_tasks_asked(const struct aggregate_parts *parts, const struct client_session *part,
                           struct arena *a, struct listen_tasks *out) must_use;
void aggregate_tasks_heard(struct aggregate_parts *parts, const struct client_session *part,
                           const struct listen_tasks *heard);
/* As aggregate_parts_honoured. */
struct str *aggregate_tasks_honoured(struct arena *a, const struct aggregate_parts *parts,
                                     size_t *n);
/* Those that the caller may not ask for any more are heard no more. */
void aggregate_tasks_check(struct aggregate *g, struct aggregate_parts *parts);
/* notifications/tasks of a part, as tasks/get would show that task here, with meta (raw members of
 * _meta). p: its sv, a and caller are set. virtual_id: of the aggregate, or absent. STR_NONE: it
 * cannot be shown. */
struct str aggregate_task_message(struct proxied *p, const struct aggregate_task *task,
                                  struct str virtual_id, const struct rpc_message *m,
                                  struct str meta) must_use;

/* ---- aggregate_calls.c ---- */
/* Rewrites the message for its server and runs it; answers in any case. `raw`: the message, the
 * client's own or what it stands for. */
void aggregate_forward(struct aggregate *g, struct str raw);
/* The server that a task runs at, and its id there: entry->member and entry->own. given: raw.
 * ERR_INVALID for one that was not given to this caller here. */
bool aggregate_resolve_task(struct aggregate *g, struct str given, struct aggregate_entry *entry,
                            struct err *e) must_use;
