/* subscriptions/listen at a session server: the session's own stream, for each listener what it
 * asked for. */
#include "base/clock.h"
#include "base/limits.h"
#include "io/sse.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/listen_ack.h"
#include "mcp/m2s_parts.h"
#include "mcp/m2s_result.h"

/* ---- what is heard ---- */

static void event_add(struct m2s_listen *l, struct str method, struct str uri)
{
    if (str_is_absent(l->id)) {
        buf_add(&l->out, uri);
        buf_add_char(&l->out, '\n');
        wakeup_set(l->wakeup);
        return;
    }
    struct buf text;
    struct jout j;
    buf_init(&text, LIMIT_BODY_SMALL * 2);
    jout_init(&j, &text);
    jout_object(&j);
    jout_kstr(&j, "jsonrpc", STR("2.0"));
    jout_kstr(&j, "method", method);
    jout_key(&j, STR("params"));
    jout_object(&j);
    if (!str_is_absent(uri))
        jout_kraw(&j, "uri", uri);
    jout_key(&j, STR("_meta"));
    jout_object(&j);
    jout_kraw(&j, META_SUBSCRIPTION_ID, l->id);
    jout_object_end(&j);
    jout_object_end(&j);
    jout_object_end(&j);
    if (buf_ok(&text))
        sse_write_event(&l->out, STR("message"), STR_NONE, buf_str(&text));
    buf_end(&text);
    wakeup_set(l->wakeup);
}

/* The subscription that an updated URI belongs to: itself, or (SDK servers name sub-resources) one
 * that it begins with. */
static bool is_subscribed(const struct m2s_listen *l, const struct rpc_message *m)
{
    struct str inside = str_slice(m->uri, 1, m->uri.n - 2);
    for (size_t i = 0; i < l->n_uris; i++) {
        struct str own = str_slice(l->uris[i], 1, l->uris[i].n - 2);
        if (str_eq(own, inside) || str_eq(own, m->uri_text)) /* servers escape as they like */
            return true;
    }
    return false;
}

void m2s_listen_offer(struct m2s_listen *l, const struct rpc_message *m)
{
    bool is_list = (l->tools && str_eq(m->method, STR("notifications/tools/list_changed"))) ||
                   (l->prompts && str_eq(m->method, STR("notifications/prompts/list_changed"))) ||
                   (l->resources && str_eq(m->method, STR("notifications/resources/list_changed")));
    if (is_list)
        event_add(l, m->method, STR_NONE);
    else if (str_eq(m->method, STR("notifications/resources/updated")) &&
             !str_is_absent(m->uri_text) && is_subscribed(l, m))
        event_add(l, m->method, m->uri);
}

void m2s_listen_offer_all(struct m2s_listen *l)
{
    if (l->tools)
        event_add(l, STR("notifications/tools/list_changed"), STR_NONE);
    if (l->prompts)
        event_add(l, STR("notifications/prompts/list_changed"), STR_NONE);
    if (l->resources)
        event_add(l, STR("notifications/resources/list_changed"), STR_NONE);
    for (size_t i = 0; i < l->n_uris; i++)
        event_add(l, STR("notifications/resources/updated"), l->uris[i]);
}

/* ---- the stream to the client ---- */

struct listening {
    struct m2s_listen l;
    struct services *sv;
    struct http_request *rq;
};

/* On the stream's own thread. */
static void flush(void *arg)
{
    struct listening *s = arg;
    struct buf out;
    pthread_mutex_lock(&s->sv->m2s->lock);
    out = s->l.out;
    buf_init(&s->l.out, LIMIT_SSE_EVENT);
    pthread_mutex_unlock(&s->sv->m2s->lock);
    /* A client that does not read loses the stream, and so knows that it missed something. */
    if (!buf_ok(&out) || (out.n > 0 && !http_stream_push(s->rq, buf_str(&out))))
        http_stream_end(s->rq);
    buf_end(&out);
}

/* Ends what a listener was the last to want. Its own fiber, arena and references. */
struct farewell {
    struct services *sv;
    struct arena *a;
    struct m2s_live *live;
    struct str *uris;
    size_t n_uris;
};

static void farewell_fiber(void *arg)
{
    struct farewell *f = arg;
    struct m2s_fiber self;
    struct m2s_link k = {0};
    struct err e;
    struct arena *a = f->a;
    struct m2s_live *live = f->live;
    m2s_fiber_enter(&self, f->sv);
    bool is_good = m2s_link_open(&k, f->sv, a, &live->party, &e) && m2s_link_session(&k, &e);
    k.patience_ms = M2S_FAREWELL_MS;
    for (size_t i = 0; is_good && i < f->n_uris; i++)
        m2s_unsubscribe(live, &k, f->uris[i]);
    m2s_link_end(&k);
    m2s_fiber_leave(&self);
    m2s_live_unref(live);
    arena_end(a);
}

void m2s_listen_leave(struct m2s_listen *l, struct services *sv)
{
    struct arena *a = l->n_uris > 0 ? arena_new(LIMIT_REQUEST_ARENA) : NULL;
    struct farewell *f = a ? arena_alloc(a, sizeof(*f)) : NULL;
    pthread_mutex_lock(&sv->m2s->lock);
    list_remove(&l->link);
    pthread_mutex_unlock(&sv->m2s->lock);
    wakeup_mute(l->wakeup);
    wakeup_unref(l->wakeup);
    buf_end(&l->out);
    struct str *uris = f ? arena_alloc(a, l->n_uris * sizeof(*uris)) : NULL;
    if (uris) {
        *f = (struct farewell){sv, a, l->live, uris, l->n_uris};
        for (size_t i = 0; i < l->n_uris; i++)
            uris[i] = arena_dup(a, l->uris[i]);
        if (fiber_start(sv->loop, farewell_fiber, f, NULL, NULL))
            return;
    }
    arena_end(a);
    m2s_live_unref(l->live);
}

static void on_close(void *arg)
{
    struct listening *s = arg;
    m2s_listen_leave(&s->l, s->sv);
}

/* ---- the request ---- */

static bool is_true(struct str raw)
{
    return !str_is_absent(raw) && jscan_type(raw) == JTYPE_TRUE;
}

bool m2s_listen_add(struct m2s_listen *l, struct m2s_link *k, struct arena *a, struct str raw,
                    struct err *e)
{
    struct str own = arena_dup(a, raw);
    if (str_is_absent(own))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!m2s_subscribe(l->live, k, own, e))
        return false;
    pthread_mutex_lock(&l->live->table->lock); /* it may be listening already */
    l->uris[l->n_uris++] = own;
    pthread_mutex_unlock(&l->live->table->lock);
    return true;
}

/* Those that the server accepts, of what the client asks for. */
static bool resources_subscribe(struct proxied *p, struct m2s_listen *l, struct m2s_link *k,
                                struct str list, struct err *e)
{
    struct jiter it;
    size_t n = 0;
    if (str_is_absent(list) || !m2s_server_has(k->session.initialize, "resources", "subscribe"))
        return true;
    for (jscan_iter(&it, list); jscan_next(&it);)
        n++;
    if (n > LIMIT_LISTEN_URIS)
        return err_set(e, ERR_INVALID, "more than %d resourceSubscriptions", LIMIT_LISTEN_URIS);
    l->uris = arena_alloc(p->a, (n + 1) * sizeof(*l->uris));
    if (!l->uris)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (jscan_iter(&it, list); jscan_next(&it);) {
        struct err refusal;
        if (!m2s_listen_add(l, k, p->a, it.value, &refusal) && refusal.code == ERR_CANCELLED)
            break;
    }
    return true;
}

static bool honour(struct proxied *p, struct m2s_listen *l, struct m2s_link *k, struct err *e)
{
    struct jwant params = {.name = STR("notifications")};
    struct jwant wants[] = {{.name = STR("toolsListChanged")},
                            {.name = STR("promptsListChanged")},
                            {.name = STR("resourcesListChanged")},
                            {.name = STR("resourceSubscriptions")}};
    struct str initialize = k->session.initialize;
    if (!jscan_object(p->in.msg.params, &params, 1, e) ||
        !jscan_object(params.value, wants, ARRAY_LEN(wants), e) ||
        !m2s_live_stream(l->live, p->sv, LIMIT_PROBE_MS, e))
        return false;
    pthread_mutex_lock(&p->sv->m2s->lock);
    bool has_stream = l->live->stream == M2S_STREAM_OPEN;
    pthread_mutex_unlock(&p->sv->m2s->lock);
    if (!has_stream) /* nothing could be heard: nothing is promised */
        return true;
    l->tools = is_true(wants[0].value) && m2s_server_has(initialize, "tools", "listChanged");
    l->prompts = is_true(wants[1].value) && m2s_server_has(initialize, "prompts", "listChanged");
    l->resources =
        is_true(wants[2].value) && m2s_server_has(initialize, "resources", "listChanged");
    return resources_subscribe(p, l, k, wants[3].value, e);
}

/* Nothing can be heard: the subscription is over as soon as it is acknowledged. */
static bool end_at_once(struct proxied *p, struct str acknowledgement, struct str id)
{
    struct str result = arena_printf(
        p->a,
        "%.*sevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{\"resultType\":"
        "\"complete\",\"_meta\":{\"" META_SUBSCRIPTION_ID "\":%.*s}}}\n\n",
        STR_FMT(acknowledgement), STR_FMT(id), STR_FMT(id));
    http_set_header(p->rq, STR("Cache-Control"), STR("no-cache, no-transform"));
    http_answer(p->rq, 200, STR("text/event-stream"), result);
    return true;
}

static bool begin(struct proxied *p, struct listening *s, struct err *e)
{
    struct str text = listen_acknowledge(p->a, s->l.id,
                                         &(struct listen_honoured){.tools = s->l.tools,
                                                                   .prompts = s->l.prompts,
                                                                   .resources = s->l.resources,
                                                                   .uris = s->l.uris,
                                                                   .n_uris = s->l.n_uris});
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    bool hears = s->l.tools || s->l.prompts || s->l.resources || s->l.n_uris > 0;
    if (!proxied_record(p, "ok", NULL, text.n, e))
        return false;
    if (!hears) {
        m2s_live_unref(s->l.live);
        return end_at_once(p, text, s->l.id);
    }
    s->l.wakeup = wakeup_for(p->sv->loop, flush, s);
    if (!s->l.wakeup)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!proxied_relay_own(p, text, on_close, s, e)) {
        wakeup_unref(s->l.wakeup);
        return false;
    }
    pthread_mutex_lock(&p->sv->m2s->lock);
    list_push(&s->l.live->listens, &s->l.link);
    pthread_mutex_unlock(&p->sv->m2s->lock);
    return true;
}

bool m2s_listen(struct proxied *p, struct err *e)
{
    struct m2s_link k = {0};
    struct m2s_party *party = arena_alloc(p->a, sizeof(*party));
    struct listening *s = arena_alloc(p->a, sizeof(*s));
    if (!party || !s)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    m2s_party_of(p, p->a, party);
    s->sv = p->sv;
    s->rq = p->rq;
    s->l.id = arena_dup(p->a, p->in.msg.id);
    list_init(&s->l.link);
    buf_init(&s->l.out, LIMIT_SSE_EVENT);
    bool is_good = m2s_link_open(&k, p->sv, p->a, party, e) && m2s_link_session(&k, e);
    if (is_good)
        s->l.live = m2s_live_get(&k);
    if (is_good && !s->l.live) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        is_good = false;
    }
    is_good = is_good && honour(p, &s->l, &k, e) && begin(p, s, e);
    if (!is_good && s->l.live) {
        for (size_t i = 0; i < s->l.n_uris; i++)
            m2s_unsubscribe(s->l.live, &k, s->l.uris[i]);
        m2s_live_unref(s->l.live);
    }
    m2s_link_end(&k);
    return is_good;
}
