#include "store/audit.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "io/thread.h"
#include "json/jout.h"
#include "log/metrics.h"
#include "store/audit_queue.h"
#include "store/rows.h"

#define IS_ANY_OR(n, column)                                                                       \
    " AND (CAST($" n " AS TEXT) IS NULL OR " column " = CAST($" n " AS TEXT))"
#define LIST_BEGIN                                                                                 \
    "SELECT " AUDIT_COLUMNS " FROM audit WHERE org_id = $1 "                                       \
    "AND (at, id) < (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "                                       \
    "AND at >= CAST($5 AS BIGINT) AND at <= CAST($6 AS BIGINT)"
#define LIST_KIND   IS_ANY_OR("8", "kind") IS_ANY_OR("9", "user_id") IS_ANY_OR("10", "key_id")
#define LIST_METHOD IS_ANY_OR("11", "method") IS_ANY_OR("12", "name") IS_ANY_OR("13", "outcome")
#define LIST_END    LIST_KIND LIST_METHOD " ORDER BY at DESC, id DESC LIMIT CAST($4 AS BIGINT)"

static const struct db_stmt audit_of_org = {
    "audit_of_org", LIST_BEGIN IS_ANY_OR("7", "connection_id") LIST_END, DB_LIST, DB_AUDIT};
static const struct db_stmt audit_of_connection = {
    "audit_of_connection", LIST_BEGIN " AND connection_id = CAST($7 AS TEXT)" LIST_END, DB_LIST,
    DB_AUDIT};
static const struct db_stmt audit_by_time_and_id = {
    "audit_by_time_and_id",
    "SELECT " AUDIT_COLUMNS " FROM audit WHERE org_id = $1 AND at = $2 AND id = $3", DB_READ,
    DB_AUDIT};

/* The texts of a row, for copying. */
static const size_t row_texts[] = {
    offsetof(struct audit_row, org_id),    offsetof(struct audit_row, kind),
    offsetof(struct audit_row, user_id),   offsetof(struct audit_row, client_id),
    offsetof(struct audit_row, key_id),    offsetof(struct audit_row, connection_id),
    offsetof(struct audit_row, method),    offsetof(struct audit_row, name),
    offsetof(struct audit_row, outcome),   offsetof(struct audit_row, error),
    offsetof(struct audit_row, arguments), offsetof(struct audit_row, request_id),
};

struct audit_log *audit_start(const struct audit_config *c, struct err *e)
{
    struct audit_log *log = calloc(1, sizeof *log);
    if (!log) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    log->config = *c;
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->has_begun, NULL);
    list_init(&log->room);
    bool is_ok = audit_stream_open(&log->stream, c->stream, e) &&
                 thread_start(&log->thread, "tulle-audit", audit_write_main, log, e);
    if (is_ok) {
        pthread_mutex_lock(&log->lock);
        while (log->state == AUDIT_STARTING)
            pthread_cond_wait(&log->has_begun, &log->lock);
        is_ok = log->state == AUDIT_RUNNING;
        pthread_mutex_unlock(&log->lock);
        if (!is_ok) {
            pthread_join(log->thread, NULL);
            if (e)
                *e = log->start_err;
        }
    }
    if (is_ok)
        return log;
    audit_stream_close(&log->stream);
    map_free(log->links, free);
    pthread_cond_destroy(&log->has_begun);
    pthread_mutex_destroy(&log->lock);
    free(log);
    return NULL;
}

void audit_stop(struct audit_log *log)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    log->is_stopping = true;
    list_init(&log->room); /* who still waited went with its worker's loop */
    audit_write_wake(log);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->thread, NULL);
    for (struct audit_entry *en = log->held, *next; en; en = next) {
        next = en->next; /* the store was away until the end: EV_AUDIT_FAILED has said so */
        free(en);
    }
    audit_stream_close(&log->stream);
    map_free(log->links, free);
    pthread_cond_destroy(&log->has_begun);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

static struct str *text_at(struct audit_row *row, size_t offset)
{
    return (struct str *)(void *)((char *)row + offset);
}

/* PostgreSQL takes no NUL and no invalid UTF-8, and what is hashed must be what is stored. */
static void text_clean(char *p, size_t n)
{
    bool is_utf8 = text_is_utf8((struct str){p, n});
    if (is_utf8 && !memchr(p, '\0', n))
        return;
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\0' || (!is_utf8 && (unsigned char)p[i] >= 0x80))
            p[i] = '?';
}

/* One allocation: the entry, room for the chain's id, the texts. */
static struct audit_entry *entry_new(const struct audit_row *row)
{
    struct audit_row copy = *row;
    size_t n = ID_SIZE;
    /* Callers write these texts: none may be so long that a row cannot be written. */
    for (size_t i = 0; i < ARRAY_LEN(row_texts); i++) {
        struct str *s = text_at(&copy, row_texts[i]);
        size_t max = s == &copy.arguments ? LIMIT_AUDIT_ARGUMENTS : LIMIT_AUDIT_TEXT;
        if (s->n > max)
            s->n = max;
        n += s->n;
    }
    struct audit_entry *en = malloc(sizeof *en + n);
    if (!en)
        return NULL;
    memset(en, 0, sizeof *en);
    char *at = en->text + ID_SIZE;
    for (size_t i = 0; i < ARRAY_LEN(row_texts); i++) {
        struct str *s = text_at(&copy, row_texts[i]);
        if (str_is_absent(*s))
            continue;
        memcpy(at, s->p, s->n);
        text_clean(at, s->n);
        s->p = at;
        at += s->n;
    }
    copy.id = copy.chain = copy.prev_hash = copy.hash = STR_NONE;
    copy.seq = 0;
    en->row = copy;
    return en;
}

static void queue_put(struct audit_log *log, struct audit_entry *en)
{
    pthread_mutex_lock(&log->lock);
    if (log->last)
        log->last->next = en;
    else
        log->first = en;
    log->last = en;
    log->n_waiting++;
    if (en->loop || log->n_waiting == 1 || log->n_waiting == LIMIT_AUDIT_QUEUE / 8)
        audit_write_wake(log);
    pthread_mutex_unlock(&log->lock);
    metric_add(M_AUDIT_QUEUE, 1);
}

static void on_durable(struct loop_task *t)
{
    struct audit_entry *en = CONTAINER_OF(t, struct audit_entry, back);
    if (en->wait)
        fiber_wake(en->wait);
    else
        free(en);
}

bool audit_submit(struct audit_log *log, const struct audit_row *row, struct err *e)
{
    struct audit_entry *en = entry_new(row);
    if (!en) {
        audit_release(log);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (!log->config.sync) {
        queue_put(log, en);
        return true;
    }
    struct fiber_wait wait = {0};
    en->loop = loop_self();
    en->wait = &wait;
    en->back.run = on_durable;
    queue_put(log, en);
    if (fiber_wait(&wait, clock_mono_ms() + LIMIT_DB_MS, e) || wait.is_done) {
        free(en);
        return true;
    }
    /* The row is written nevertheless; whoever holds the entry last frees it. */
    pthread_mutex_lock(&log->lock);
    en->has_given_up = true;
    en->wait = NULL;
    pthread_mutex_unlock(&log->lock);
    return false;
}

#define MEMBER(name, is_number)                                                                    \
    {                                                                                              \
        STR(",\"" #name "\":"), offsetof(struct audit_row, name), is_number                        \
    }
#define TEXT(name)   MEMBER(name, false)
#define NUMBER(name) MEMBER(name, true)
static const struct {
    struct str key;
    size_t offset;
    bool is_number;
} members[] = {
    TEXT(id),         TEXT(org_id),        TEXT(chain),      NUMBER(seq),       NUMBER(at),
    TEXT(kind),       TEXT(user_id),       TEXT(client_id),  TEXT(key_id),      TEXT(connection_id),
    TEXT(method),     TEXT(name),          TEXT(outcome),    TEXT(error),       TEXT(arguments),
    TEXT(request_id), NUMBER(duration_us), NUMBER(bytes_in), NUMBER(bytes_out),
};

/*
 * The row as one JSON object without its two hashes, members in this order, absent texts as null. A
 * row's hash is the hex SHA-256 of prev_hash (64 hex digits, or nothing for the first of a chain)
 * followed by these bytes.
 */
void audit_canonical(const struct audit_row *row, struct buf *out)
{
    struct jout values; /* the keys never differ: they are written as they are */
    jout_init(&values, out);
    buf_add(out, STR("{\"v\":1"));
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const char *from = (const char *)row + members[i].offset;
        int64_t number;
        struct str text;
        buf_add(out, members[i].key);
        if (members[i].is_number)
            jout_i64(&values, *(int64_t *)memcpy(&number, from, sizeof number));
        else
            jout_str(&values, *(struct str *)memcpy(&text, from, sizeof text));
    }
    buf_add_char(out, '}');
}

static void audit_read(const struct db_rows *r, size_t row, void *item)
{
    struct audit_row *a = item;
    *a = (struct audit_row){
        .id = db_text(r, row, 0),
        .org_id = db_text(r, row, 1),
        .chain = db_text(r, row, 2),
        .seq = db_int(r, row, 3),
        .at = db_int(r, row, 4),
        .kind = db_text(r, row, 5),
        .user_id = db_text(r, row, 6),
        .client_id = db_text(r, row, 7),
        .key_id = db_text(r, row, 8),
        .connection_id = db_text(r, row, 9),
        .method = db_text(r, row, 10),
        .name = db_text(r, row, 11),
        .outcome = db_text(r, row, 12),
        .error = db_text(r, row, 13),
        .arguments = db_text(r, row, 14),
        .request_id = db_text(r, row, 15),
        .duration_us = db_int(r, row, 16),
        .bytes_in = db_int(r, row, 17),
        .bytes_out = db_int(r, row, 18),
        .prev_hash = db_text(r, row, 19),
        .hash = db_text(r, row, 20),
    };
}
static const struct rows_kind audit_kind = {sizeof(struct audit_row), audit_read};

bool audit_list(struct db *db, struct arena *a, struct str org_id, const struct audit_filter *f,
                const struct db_page *page, struct audit_row **out, size_t *n, struct err *e)
{
    bool is_start = page->after_at == 0 && str_is_absent(page->after_id);
    struct db_args args =
        DB_ARGS(A_STR(org_id), A_INT(is_start ? INT64_MAX : page->after_at),
                A_STR(page->after_id.p ? page->after_id : STR("")), A_INT(page->limit + 1),
                A_INT(f->from_at), A_INT(f->to_at ? f->to_at : INT64_MAX), A_STR(f->connection_id),
                A_STR(f->kind), A_STR(f->user_id), A_STR(f->key_id), A_STR(f->method),
                A_STR(f->name), A_STR(f->outcome));
    struct rows_found found;
    if (!rows_list(db, a, str_is_absent(f->connection_id) ? &audit_of_org : &audit_of_connection,
                   args, &audit_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool audit_get(struct db *db, struct arena *a, struct str org_id, struct str id,
               struct audit_row *out, struct err *e)
{
    struct db_rows r;
    int64_t at;
    if (!audit_id_time(id, &at))
        return err_set(e, ERR_NOT_FOUND, "not found");
    if (!db_one(db, a, &audit_by_time_and_id, DB_ARGS(A_STR(org_id), A_INT(at), A_STR(id)), &r, e))
        return false;
    audit_read(&r, 0, out);
    return true;
}
