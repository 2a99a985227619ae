/*
 * What was said to session clients on event streams, kept for a while so that a client whose
 * connection broke can ask for the rest with Last-Event-ID (MCP 2025-03-26 and later, Streamable
 * HTTP, Resumability and Redelivery). Streams belong to a session and are found through it only.
 * One table for the process, bounded in bytes and age; its lock is held for memory operations only.
 * Nothing survives a restart.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct replay_table;
struct replay; /* one stream */
struct wakeup;

struct replay_table *replay_table_new(void) must_use;
void replay_table_free(struct replay_table *t);

enum replay_kind {
    REPLAY_CALL, /* the answer to one POST */
    REPLAY_GET,  /* the session's own stream; one, over all its connections */
    REPLAY_PIPE, /* what one fiber writes and another reads; nobody resumes it */
};
/* The stream to write to, held (replay_release). NULL: there is no room for another: the answer
 * cannot be resumed (LIMIT_REPLAY_STREAMS of the session, LIMIT_REPLAY_CALLS running ones). owner:
 * the person, who has no more than an eighth of all there is (LIMIT_REPLAY_SHARE). Times are
 * clock_mono_ms. */
struct replay *replay_open(struct replay_table *t, struct str session_key, struct str owner,
                           enum replay_kind kind, int64_t now) must_use;
/* The stream that an event id names, held; *seq is the event's number. NULL: none of this session,
 * or not any more. */
struct replay *replay_find(struct replay_table *t, struct str session_key, struct str event_id,
                           uint64_t *seq) must_use;
void replay_release(struct replay *r); /* NULL is fine */
enum replay_kind replay_kind_of(const struct replay *r);

enum { REPLAY_ID_SIZE = 40 };
/* The id of an event, NUL-ended; seq 0: before the first. */
void replay_id(const struct replay *r, uint64_t seq, char id[REPLAY_ID_SIZE]);
/* Does this text look like the id of an event of a call? */
bool replay_id_is_call(struct str id);
/* Keeps a message, the oldest give way; returns its number, counted from 1. Any thread. */
uint64_t replay_add(struct replay *r, struct str message, int64_t now);
/* The number that the next message will have. */
uint64_t replay_next_seq(const struct replay *r);
/* There will be no more. What is kept stays until LIMIT_REPLAY_MS later. */
void replay_finish(struct replay *r, int64_t now);

enum replay_step {
    REPLAY_MESSAGE, /* *message (in the arena) and *seq are filled */
    REPLAY_WAIT,    /* nothing yet */
    REPLAY_OVER,    /* nothing, ever */
    REPLAY_LOST,    /* what comes next is not kept any more, or memory is out */
};
/* The message after number *seq. */
enum replay_step replay_next(struct replay *r, struct arena *a, uint64_t *seq,
                             struct str *message) must_use;

/* Who reads now: woken at each message and at the end. A later reader takes the place of an earlier
 * one, which is woken too and finds that it has been replaced. */
void replay_read(struct replay *r, struct wakeup *reader);
/* It reads no more: it is not woken again. */
void replay_unread(struct replay *r, const struct wakeup *reader);
bool replay_is_reader(const struct replay *r, const struct wakeup *reader);
/* True when somebody other than the stream's first connection reads. */
bool replay_is_taken(const struct replay *r);
/* Nothing after *seq is needed any more up to that number: frees it at once. */
void replay_trim(struct replay *r, uint64_t seq);
/* Bytes kept. */
size_t replay_bytes(const struct replay *r);

/* The last event id that the server behind a GET stream gave; absent: none. */
void replay_note_origin(struct replay *r, struct str event_id);
struct str replay_origin(const struct replay *r, struct arena *a) must_use;

/* A session has ended. */
void replay_forget(struct replay_table *t, struct str session_key);
/* Frees what is older than LIMIT_REPLAY_MS. */
void replay_reap(struct replay_table *t, int64_t now);
