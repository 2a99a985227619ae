/* The audit log's inside, shared by audit*.c. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/ids.h"
#include "base/list.h"
#include "base/map.h"
#include "crypto/hash.h"
#include "io/fiber.h"
#include "store/audit.h"

enum { AUDIT_HASH_SIZE = 2 * SHA256_SIZE + 1 };

/* A row on its way to the store: one allocation with all of its text. */
struct audit_entry {
    struct audit_entry *next;
    struct audit_row row;
    bool is_linked; /* the four below are set: once, whatever is retried */
    char id[ID_SIZE];
    char prev_hash[AUDIT_HASH_SIZE], hash[AUDIT_HASH_SIZE];
    /* of one who waits; wait is its loop's thread's, the next two are under the log's lock */
    struct loop *loop;
    struct fiber_wait *wait;
    bool has_given_up, is_posted;
    struct loop_task back;
    char text[];
};

struct audit_stream {
    enum { STREAM_NONE, STREAM_FD, STREAM_SYSLOG } type;
    int fd;
    bool is_own_fd;
    struct buf lines;
};
/* setting: AUDIT_STREAM or NULL. ERR_INVALID, ERR_UNAVAILABLE. */
bool audit_stream_open(struct audit_stream *s, const char *setting, struct err *e) must_use;
void audit_stream_close(struct audit_stream *s);
/* Adds a row's line; audit_stream_flush writes what was added. False when the stream does not take
 * it. */
void audit_stream_add(struct audit_stream *s, const struct audit_row *row);
bool audit_stream_flush(struct audit_stream *s) must_use;

struct audit_log {
    struct audit_config config;
    atomic_int n_taken; /* places in the queue: reserved, waiting, being written */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t has_begun;
    struct audit_entry *first, *last; /* under lock, down to wake_task */
    int n_waiting;
    struct list room; /* of those who wait for a place ... */
    int n_room;       /* ... and their number */
    bool is_stopping, is_wake_posted, is_store_away;
    enum { AUDIT_STARTING, AUDIT_RUNNING, AUDIT_FAILED } state;
    struct loop *loop;
    struct err start_err;
    struct loop_task wake_task;

    /* the writer thread's */
    struct db *db;
    struct fiber_wait wake;
    struct audit_entry *held, *held_last; /* taken off the queue, not yet in the store */
    struct map *links;                    /* org_id to the end of its chain */
    char chain[ID_SIZE];
    int64_t retention_at_ms;  /* monotonic */
    int64_t complained_at_ms; /* monotonic; 0: never */
    struct audit_stream stream;
};
/* Of the table, in the order of audit_insert and of what audit.c reads. */
#define AUDIT_COLUMNS                                                                              \
    "id, org_id, chain, seq, at, kind, user_id, client_id, key_id, connection_id, method, name, "  \
    "outcome, error, arguments, request_id, duration_us, bytes_in, bytes_out, prev_hash, hash"
/* Adds the insertion of n rows to the batch, which reads them until it has been run. */
void audit_insert(struct db_batch *b, const struct audit_row *const *rows, size_t n,
                  bool is_durable);
/* Gives back n places. */
void audit_room_free(struct audit_log *log, int n);
/* While the store is away, nobody waits for a place. */
void audit_room_store_away(struct audit_log *log, bool is_away);
/* A new row's id: "evt_", 12 hex digits of its time, 20 of chance. at: ms. */
void audit_id(int64_t at, char out[ID_SIZE]);
/* The time (ms) that an id begins with. False: it is no row's id. */
bool audit_id_time(struct str id, int64_t *at) must_use;
/* The writer thread's main function. */
void *audit_write_main(void *arg);
/* Asks the writer for a turn. Under the log's lock. */
void audit_write_wake(struct audit_log *log);
