/* Audit rows as they are in the store: ids, and many rows with one statement, which costs SQLite a
 * third less than one each and PostgreSQL more. */
#include "base/rand.h"
#include "base/text.h"
#include "store/audit_queue.h"

enum { COLUMNS = 21, SIZES = 3, MANY = 32, TEXT_MAX = 8 * 1024, ID_TIME_DIGITS = 12 };

/* Retried after an outcome that nobody knows, so a row that is there already is fine. */
#define INSERT_BEGIN "INSERT INTO audit (" AUDIT_COLUMNS ") VALUES "
#define INSERT_END   " ON CONFLICT (org_id, at, id) DO NOTHING"
#define INSERT_ONE                                                                                 \
    INSERT_BEGIN "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "   \
                 "$18, $19, $20, $21)" INSERT_END

static char insert_some[TEXT_MAX], insert_many[TEXT_MAX];
static const int rows_of[SIZES] = {MANY, 4, 1};
static const struct db_stmt inserts[SIZES] = {
    {"audit_insert_many", insert_many, DB_WRITE, DB_AUDIT},
    {"audit_insert_some", insert_some, DB_WRITE, DB_AUDIT},
    {"audit_insert_one", INSERT_ONE, DB_WRITE, DB_AUDIT}};
static const struct db_stmt durable_inserts[SIZES] = {
    {"audit_insert_many_durable", insert_many, DB_WRITE, DB_AUDIT | DB_DURABLE},
    {"audit_insert_some_durable", insert_some, DB_WRITE, DB_AUDIT | DB_DURABLE},
    {"audit_insert_one_durable", INSERT_ONE, DB_WRITE, DB_AUDIT | DB_DURABLE}};

static void text_make(char *out, int n_rows)
{
    int at = snprintf(out, TEXT_MAX, "%s", INSERT_BEGIN);
    for (int i = 0; i < n_rows * COLUMNS; i++) {
        const char *before = i == 0 ? "(" : i % COLUMNS == 0 ? "), (" : ", ";
        at += snprintf(out + at, (size_t)(TEXT_MAX - at), "%s$%d", before, i + 1);
    }
    at += snprintf(out + at, (size_t)(TEXT_MAX - at), ")%s", INSERT_END);
    ensure(at < TEXT_MAX);
}

static void texts_make(void)
{
    text_make(insert_many, rows_of[0]);
    text_make(insert_some, rows_of[1]);
}

static void values_set(const struct audit_row *r, struct db_value *v)
{
    const struct db_value of_row[] = {
        A_STR(r->id),          A_STR(r->org_id),        A_STR(r->chain),     A_INT(r->seq),
        A_INT(r->at),          A_STR(r->kind),          A_STR(r->user_id),   A_STR(r->client_id),
        A_STR(r->key_id),      A_STR(r->connection_id), A_STR(r->method),    A_STR(r->name),
        A_STR(r->outcome),     A_STR(r->error),         A_STR(r->arguments), A_STR(r->request_id),
        A_INT(r->duration_us), A_INT(r->bytes_in),      A_INT(r->bytes_out), A_STR(r->prev_hash),
        A_STR(r->hash)};
    _Static_assert(sizeof of_row == COLUMNS * sizeof *v, "a value for each column");
    memcpy(v, of_row, sizeof of_row);
}

void audit_insert(struct db_batch *b, const struct audit_row *const *rows, size_t n,
                  bool is_durable)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, texts_make);
    struct db_value *v = arena_alloc(b->arena, n * COLUMNS * sizeof *v);
    if (!v) {
        b->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        values_set(rows[i], v + i * COLUMNS);
    for (int size = 0; size < SIZES; size++)
        for (size_t at_once = (size_t)rows_of[size]; n >= at_once; n -= at_once) {
            db_batch_lend(b, is_durable ? &durable_inserts[size] : &inserts[size],
                          (struct db_args){v, at_once * COLUMNS});
            v += at_once * COLUMNS;
        }
}

void audit_id(int64_t at, char out[ID_SIZE])
{
    uint8_t bytes[16];
    rand_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < ID_TIME_DIGITS / 2; i++)
        bytes[i] = (uint8_t)((uint64_t)at >> 8 * (ID_TIME_DIGITS / 2 - 1 - i));
    memcpy(out, "evt_", sizeof "evt_" - 1);
    text_hex(out + sizeof "evt_" - 1, bytes, sizeof bytes);
}

bool audit_id_time(struct str id, int64_t *at)
{
    uint8_t bytes[ID_TIME_DIGITS / 2];
    struct str digits = str_slice(id, sizeof "evt_" - 1, ID_TIME_DIGITS);
    if (!id_is(id, "evt") || !text_hex_decode(digits, bytes, sizeof bytes))
        return false;
    *at = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        *at = *at << 8 | bytes[i];
    return true;
}
