/*
 * What clients of an aggregate subscribe to at session servers: a listener of the pooled session
 * that their calls use, without a stream of its own. It lives on the worker where it was asked for.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/client_sessions.h"
#include "mcp/m2s_parts.h"
#include "mcp/m2s_result.h"

enum { STREAM_MS = 2000 }; /* some servers say nothing on their stream before the first event */

struct hearing {
    struct m2s_listen l;
    struct list link; /* in the worker's */
    struct services *sv;
    struct arena *a;                /* of the URIs */
    struct client_session *session; /* the branch, held */
    uint64_t turn;                  /* in which its URIs were read */
    struct loop_task stop;          /* posted once, when the branch lets go of this */
};

/* On its own thread, as all but let_go. */
static void flush(void *arg)
{
    struct hearing *h = arg;
    struct str rest, raw, uri;
    pthread_mutex_lock(&h->sv->m2s->lock);
    struct buf out = h->l.out;
    buf_init(&h->l.out, LIMIT_SSE_EVENT);
    pthread_mutex_unlock(&h->sv->m2s->lock);
    struct arena *a = arena_new((size_t)2 * LIMIT_SSE_EVENT);
    for (rest = buf_str(&out); a && str_next(&rest, '\n', &raw);) {
        /* What was unsubscribed meanwhile, or may not be read any more, is dropped. */
        if (raw.n == 0 || !jscan_string(a, raw, &uri) || !client_session_wants(h->session, uri))
            continue;
        struct str text = arena_printf(a,
                                       "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
                                       "updated\",\"params\":{\"uri\":%.*s}}",
                                       STR_FMT(raw));
        if (!str_is_absent(text))
            (void)client_session_push(h->session, text);
    }
    arena_end(a);
    buf_end(&out);
}

static void hearing_free(struct hearing *h)
{
    list_remove(&h->link);
    client_session_release(h->session);
    arena_end(h->a);
    free(h);
}

static void hearing_end(struct hearing *h)
{
    m2s_listen_leave(&h->l, h->sv);
    hearing_free(h);
}

static void stop_run(struct loop_task *task)
{
    hearing_end(CONTAINER_OF(task, struct hearing, stop));
}

/* The branch has ended or is heard elsewhere now. Any thread. */
static void let_go(void *arg)
{
    struct hearing *h = arg;
    loop_post(h->sv->loop, &h->stop);
}

void m2s_hearings_end(struct services *sv)
{
    LIST_FOR_SAFE(pos, next, &sv->uri_hearings)
    {
        struct hearing *h = CONTAINER_OF(pos, struct hearing, link);
        if (client_session_attach(h->session, NULL, h)) /* else stop_run is on its way */
            hearing_end(h);
    }
}

/* ---- beginning ---- */

static struct hearing *hearing_new(struct services *sv, struct client_session *branch)
{
    struct hearing *h = calloc(1, sizeof(*h));
    struct arena *a = h ? arena_new((size_t)2 * LIMIT_BODY_MCP) : NULL;
    if (!a) {
        free(h);
        return NULL;
    }
    *h = (struct hearing){.sv = sv, .a = a, .session = branch, .stop = {.run = stop_run}};
    list_init(&h->link);
    list_init(&h->l.link);
    buf_init(&h->l.out, LIMIT_SSE_EVENT);
    client_session_hold(branch);
    return h;
}

static bool stream_need(struct hearing *h, struct m2s_link *k, struct err *e)
{
    if (!m2s_server_has(k->session.initialize, "resources", "subscribe"))
        return err_set(e, ERR_METHOD_NOT_FOUND, "the server offers no resource subscriptions");
    if (!m2s_live_stream(h->l.live, h->sv, STREAM_MS, e))
        return false;
    pthread_mutex_lock(&h->sv->m2s->lock);
    enum m2s_stream stream = h->l.live->stream;
    pthread_mutex_unlock(&h->sv->m2s->lock);
    return stream == M2S_STREAM_OPEN || stream == M2S_STREAM_OPENING ||
           err_set(e, ERR_METHOD_NOT_FOUND, "the server has no stream of notifications");
}

/* What the server refuses leaves the branch. */
static bool uris_add(struct hearing *h, struct m2s_link *k, struct str wanted, struct err *e)
{
    struct str *uris;
    size_t n;
    h->turn = client_session_turn(h->session);
    if (!client_session_uris(h->session, k->a, &uris, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct str raw = rpc_quote(k->a, uris[i]);
        if (str_is_absent(raw))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        if (m2s_listen_add(&h->l, k, h->a, raw, e))
            continue;
        if (e->code == ERR_CANCELLED)
            return false;
        client_session_unsubscribe(h->session, uris[i]);
        if (str_eq(uris[i], wanted))
            return err_set(e, ERR_INVALID,
                           "the server does not let this resource be subscribed to: %.*s",
                           STR_FMT(str_slice(wanted, 0, 120)));
    }
    return true;
}

static bool join(struct hearing *h, struct m2s_link *k, struct str uri, struct err *e)
{
    h->l.uris = arena_alloc(h->a, LIMIT_SESSION_URIS * sizeof(*h->l.uris));
    h->l.wakeup = h->l.uris ? wakeup_for(h->sv->loop, flush, h) : NULL;
    if (!h->l.wakeup)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!stream_need(h, k, e))
        return false;
    /* The server may speak as soon as it is asked. */
    pthread_mutex_lock(&h->sv->m2s->lock);
    list_push(&h->l.live->listens, &h->l.link);
    pthread_mutex_unlock(&h->sv->m2s->lock);
    return uris_add(h, k, uri, e);
}

bool m2s_hear(struct services *sv, struct arena *a, struct client_session *branch,
              struct str connection_id, struct str capabilities, struct str uri, struct err *e)
{
    const struct client_who *who = client_session_who(branch);
    struct m2s_party party = {.org_id = who->org_id,
                              .connection_id = connection_id,
                              .user_id = who->user_id,
                              .principal = who->principal,
                              .capabilities = capabilities};
    struct m2s_link k = {0};
    struct hearing *h = hearing_new(sv, branch);
    if (!h)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    bool is_good = m2s_link_open(&k, sv, a, &party, e) && m2s_link_session(&k, e);
    if (is_good)
        h->l.live = m2s_live_get(&k);
    is_good = is_good && (h->l.live || err_set(e, ERR_UNAVAILABLE, "out of memory")) &&
              join(h, &k, uri, e);
    m2s_link_end(&k);
    if (is_good) {
        list_push(&sv->uri_hearings, &h->link);
        if (!client_session_attach_in_turn(branch, let_go, h, h->turn))
            hearing_end(h); /* one that began later hears of these as well */
        return true;
    }
    if (h->l.live && h->l.wakeup) {
        hearing_end(h);
        return false;
    }
    if (h->l.live)
        m2s_live_unref(h->l.live);
    buf_end(&h->l.out);
    hearing_free(h);
    return false;
}
