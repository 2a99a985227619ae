/* Questions to clients: sent on one thread, answered on any. */
#include <stdlib.h>

#include "base/limits.h"
#include "io/fiber.h"
#include "json/jscan.h"
#include "mcp/client_session_parts.h"

enum { ID_MAX = 40 };

/* Two may hold one: the fiber that asked, and the answer on its way to the fiber's loop. */
struct client_ask {
    struct list link; /* in the session's, while unanswered */
    char id[ID_MAX];  /* raw JSON */
    struct loop *loop;
    struct loop_task wake;
    struct fiber_wait wait; /* on the asker's thread only */
    char *text;             /* the whole response; NULL: none, the session ended */
    size_t n;
    int refs; /* under the table's lock */
    struct client_session *session;
};

static void ask_release(struct client_ask *ask)
{
    struct client_session *s = ask->session;
    pthread_mutex_lock(&s->table->lock);
    bool is_last = --ask->refs == 0;
    pthread_mutex_unlock(&s->table->lock);
    if (!is_last)
        return;
    client_session_release(s);
    free(ask->text);
    free(ask);
}

static void wake_run(struct loop_task *task)
{
    struct client_ask *ask = CONTAINER_OF(task, struct client_ask, wake);
    fiber_wake(&ask->wait);
    ask_release(ask);
}

/* With the lock held: the ask is over, its fiber hears of it. */
static void finish_locked(struct client_ask *ask)
{
    list_remove(&ask->link);
    ask->session->n_asks--;
    ask->refs++;
    loop_post(ask->loop, &ask->wake);
}

void client_asks_end_locked(struct client_session *s)
{
    while (!list_is_empty(&s->asks))
        finish_locked(CONTAINER_OF(s->asks.next, struct client_ask, link));
}

static struct client_ask *ask_begin(struct client_session *s, struct err *e)
{
    struct client_ask *ask = calloc(1, sizeof(*ask));
    if (!ask) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    *ask = (struct client_ask){
        .loop = fiber_loop(), .wake = {.run = wake_run}, .refs = 1, .session = s};
    list_init(&ask->link);
    pthread_mutex_lock(&s->table->lock);
    bool is_full = s->n_asks >= LIMIT_SESSION_ASKS, is_ended = s->is_ended;
    if (!is_full && !is_ended) {
        struct buf id;
        buf_init(&id, ID_MAX - 1);
        buf_addf(&id, "\"ask-%llu\"", (unsigned long long)++s->asked);
        memcpy(ask->id, id.p ? id.p : "", id.n);
        buf_end(&id);
        list_push(&s->asks, &ask->link);
        s->n_asks++;
        s->refs++;
    }
    pthread_mutex_unlock(&s->table->lock);
    if (!is_full && !is_ended)
        return ask;
    free(ask);
    if (is_ended)
        err_set(e, ERR_SESSION_NOT_FOUND, "Session not found");
    else
        err_set(e, ERR_RATE_LIMITED, "the client has %d questions that it has not answered",
                (int)LIMIT_SESSION_ASKS);
    return NULL;
}

/* True when it was unanswered until now. */
static bool ask_withdraw(struct client_ask *ask)
{
    struct client_session *s = ask->session;
    pthread_mutex_lock(&s->table->lock);
    bool is_open = !list_is_empty(&ask->link);
    if (is_open) {
        list_remove(&ask->link);
        s->n_asks--;
    }
    pthread_mutex_unlock(&s->table->lock);
    return is_open;
}

/* ---- sending ---- */

struct way {
    struct client_session *session;
    client_send_fn *send;
    void *arg;
};

static bool way_send(const struct way *w, struct str message, struct err *e)
{
    if (str_is_absent(message))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (w->send)
        return w->send(w->arg, message, e);
    return client_session_push(w->session, message) ||
           err_set(e, ERR_UNAVAILABLE, "the client has no stream that can carry a request");
}

static bool question_send(const struct way *w, struct arena *a, const struct client_ask *ask,
                          const struct client_question *q, struct err *e)
{
    bool has_params = !str_is_absent(q->params);
    struct str message =
        arena_printf(a, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"%.*s\"%s%.*s}", ask->id,
                     STR_FMT(q->method), has_params ? ",\"params\":" : "", STR_FMT(q->params));
    return way_send(w, message, e);
}

static bool answer_read(struct arena *a, const struct client_ask *ask, struct client_question *q,
                        struct err *e)
{
    struct jwant wants[] = {{.name = STR("result")}, {.name = STR("error")}};
    if (!ask->text)
        return err_set(e, ERR_SESSION_NOT_FOUND, "the client's session ended");
    struct str text = arena_dup(a, (struct str){ask->text, ask->n});
    if (str_is_absent(text))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!jscan_object(text, wants, ARRAY_LEN(wants), e))
        return false;
    q->result = wants[0].value;
    q->error = wants[1].value;
    return true;
}

/* What nobody waits for any more, the client need not think about (MCP 2025-11-25, Cancellation).
 */
static void asks_end(const struct way *w, struct arena *a, struct client_ask **asks, size_t n,
                     bool may_send)
{
    fiber_shield(true);
    for (size_t i = 0; i < n; i++) {
        struct err ignored;
        if (ask_withdraw(asks[i]) && may_send)
            (void)!way_send(w,
                            arena_printf(a,
                                         "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
                                         "cancelled\",\"params\":{\"requestId\":%s}}",
                                         asks[i]->id),
                            &ignored);
        ask_release(asks[i]);
    }
    fiber_shield(false);
}

bool client_session_ask(struct client_session *s, struct arena *a, struct client_question *q,
                        size_t n, int64_t deadline_mono_ms, client_send_fn *send, void *arg,
                        struct err *e)
{
    struct way way = {s, send, arg};
    struct client_ask **asks = arena_alloc(a, (n + 1) * sizeof(struct client_ask *));
    size_t n_begun = 0;
    if (!asks)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    bool is_good = true;
    for (size_t i = 0; is_good && i < n; i++) {
        q[i].result = q[i].error = STR_NONE;
        asks[i] = ask_begin(s, e);
        is_good = asks[i] != NULL;
        n_begun += is_good ? 1 : 0;
        is_good = is_good && question_send(&way, a, asks[i], &q[i], e);
    }
    for (size_t i = 0; is_good && i < n; i++)
        is_good =
            fiber_wait(&asks[i]->wait, deadline_mono_ms, e) && answer_read(a, asks[i], &q[i], e);
    if (!is_good && e->code == ERR_TIMEOUT)
        err_set(e, ERR_TIMEOUT, "the client did not answer the server's question in time");
    asks_end(&way, a, asks, n_begun, !is_good && e->code == ERR_TIMEOUT);
    return is_good;
}

bool client_session_answer(struct client_session *s, const struct rpc_message *m)
{
    if (str_is_absent(m->id))
        return false;
    char *copy = malloc(m->raw.n + 1);
    if (!copy)
        return false;
    memcpy(copy, m->raw.p, m->raw.n);
    bool is_wanted = false;
    pthread_mutex_lock(&s->table->lock);
    LIST_FOR(pos, &s->asks)
    {
        struct client_ask *ask = CONTAINER_OF(pos, struct client_ask, link);
        if (!str_eq(str_c(ask->id), m->id))
            continue;
        ask->text = copy;
        ask->n = m->raw.n;
        finish_locked(ask);
        is_wanted = true;
        break;
    }
    pthread_mutex_unlock(&s->table->lock);
    if (!is_wanted)
        free(copy);
    return is_wanted;
}
