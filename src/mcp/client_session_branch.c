/* The parts of a session at the servers of an aggregate. */
#include "base/limits.h"
#include "mcp/client_session_parts.h"

struct client_session *client_session_alone(struct client_sessions *t, const struct client_who *who,
                                            const struct client_hello *hello, client_sink_fn *sink,
                                            void *arg)
{
    struct client_session *s = client_session_make(t, who, hello, 0);
    if (!s)
        return NULL;
    s->sink = sink;
    s->sink_arg = arg;
    return s;
}

/* With the lock held. */
static struct client_session *branch_find(struct client_session *s, struct str audience)
{
    LIST_FOR(pos, &s->branches)
    {
        struct client_session *branch = CONTAINER_OF(pos, struct client_session, branch_link);
        if (str_eq(branch->who.audience, audience))
            return branch;
    }
    return NULL;
}

struct client_session *client_session_branch_find(struct client_session *s, struct str audience)
{
    pthread_mutex_lock(&s->table->lock);
    struct client_session *found = branch_find(s, audience);
    if (found)
        found->refs++;
    pthread_mutex_unlock(&s->table->lock);
    return found;
}

struct client_session *client_session_branch(struct client_session *s, struct str audience,
                                             client_branch_sink_fn *sink)
{
    struct client_who who = s->who;
    struct client_hello hello = s->hello;
    who.audience = audience;
    hello.offered = STR_NONE; /* changes of lists are heard elsewhere */
    struct client_session *branch = client_session_make(s->table, &who, &hello, 0);
    if (!branch)
        return NULL;
    branch->branch_sink = sink;
    pthread_mutex_lock(&s->table->lock);
    struct client_session *found = branch_find(s, audience);
    if (!found && !s->is_ended) {
        found = branch;
        branch->parent = s;
        list_push(&s->branches, &branch->branch_link); /* its first reference is the session's */
    }
    if (found)
        found->refs++;
    pthread_mutex_unlock(&s->table->lock);
    if (found != branch)
        client_session_release(branch);
    return found;
}

bool client_session_is_branch(const struct client_session *s)
{
    return s->sink || s->branch_sink;
}

size_t client_session_branches(struct client_session *s, struct client_session **out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&s->table->lock);
    LIST_FOR(pos, &s->branches)
    {
        if (n == max)
            break;
        out[n] = CONTAINER_OF(pos, struct client_session, branch_link);
        out[n++]->refs++;
    }
    pthread_mutex_unlock(&s->table->lock);
    return n;
}

void client_branches_end(struct client_session *s)
{
    struct client_session *branch;
    while (client_session_branches(s, &branch, 1) > 0) {
        client_session_end(branch);
        client_session_release(branch);
    }
}

bool client_branch_push(struct client_session *s, struct str message)
{
    if (s->sink) { /* whose owner's thread this is */
        if (!s->is_ended)
            s->sink(s->sink_arg, s, message);
        return !s->is_ended;
    }
    pthread_mutex_lock(&s->table->lock);
    struct client_session *parent = s->is_ended ? NULL : s->parent;
    if (parent)
        parent->refs++;
    pthread_mutex_unlock(&s->table->lock);
    if (!parent)
        return false;
    s->branch_sink(parent, s, message);
    client_session_release(parent);
    return true;
}
