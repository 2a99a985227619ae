/*
 * An incremental, validating JSON filter: bytes go in as they arrive from a server and come out for
 * the client, with the value of the top-level member "id" replaced and, if wanted, members put into
 * "result". Bounded memory however large the answer.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

enum {
    JFILTER_KEY_SIZE =
        64, /* "resultType" with every letter as \uXXXX, in quotes, and one more byte */
    JFILTER_ID_SIZE = 8 * LIMIT_RPC_ID, /* every byte of an id may be \uXXXX */
};

/* What a top-level "result" that is an object receives. Raw members, not empty, without a comma at
 * either end: `"resultType":"complete"`. */
struct jfilter_stamp {
    struct str members; /* at its front; the server's own resultType, ttlMs, cacheScope,
                           inputRequests and requestState are left out */
    struct str meta;    /* into its "_meta", which is made when there is none */
};

/* All but new_id and the saw_ marks is private. */
struct jfilter {
    struct str new_id; /* raw JSON to write in place of the value of the top-level "id"; borrowed */
    const struct jfilter_stamp *stamp; /* NULL: nothing; borrowed */
    bool is_result_next, in_result, is_meta_next, saw_meta;
    bool is_comma_due; /* the stamp stands at the front of an object that may be empty */
    bool is_held;      /* a member of the result: its name may be one that is left out ... */
    bool is_dropped;   /* ... and is */
    char key[JFILTER_KEY_SIZE]; /* the top-level key being read, as written; longer ones do not
                                   matter here */
    size_t n_key;
    char id[JFILTER_ID_SIZE]; /* the value that was there, as written */
    size_t n_id;              /* more than fits: longer than that */
    uint64_t objects;         /* one bit a level: set for objects, clear for arrays */
    int depth;
    int state;               /* where in the grammar; see jfilter.c */
    int sub;                 /* within strings, numbers, UTF-8 sequences */
    unsigned unit;           /* the \uXXXX being read */
    const char *word;        /* what is left of a literal */
    unsigned char low, high; /* what the next UTF-8 continuation byte may be */
    bool is_key;             /* the string being read is a member name */
    bool is_id_next;         /* the member's name was "id" */
    bool at_id;              /* inside the value of the top-level id */
    bool saw_id, saw_result, saw_error, done;
    size_t offset;
    const char *expected; /* for the message of a failure */
};

void jfilter_init(struct jfilter *f, struct str new_id);
/* To be called before the first byte. */
void jfilter_stamp_with(struct jfilter *f, const struct jfilter_stamp *stamp);
void jfilter_end(struct jfilter *f);
/*
 * Takes one chunk; appends what may be passed on to `out`. Accepts what jscan_object accepts, but
 * of repeated top-level members it refuses only "id", "result" and "error": remembering all names
 * would not be bounded. ERR_PARSE names the offset; ERR_BAD_REQUEST: not an object, or a repeated
 * member; ERR_TOO_LARGE: `out` is full. After a failure nothing more may be fed, and `out` must not
 * be used.
 */
bool jfilter_feed(struct jfilter *f, struct str chunk, struct buf *out, struct err *e) must_use;
/* True when exactly one complete object has been seen. */
bool jfilter_is_complete(const struct jfilter *f);
/* The raw value of the top-level "id" once it has been seen whole: in the filter. Absent before,
 * and when it is longer than JFILTER_ID_SIZE bytes. */
struct str jfilter_id(const struct jfilter *f);
