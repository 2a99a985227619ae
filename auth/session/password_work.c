#include "auth/session/password_work.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "crypto/password.h"
#include "io/fiber.h"
#include "io/offload.h"

enum { POLL_MS = 5 };

/* Of the process. A job gives its place back itself, because its waiter may be gone by then. */
enum place { WAITING, RUNNING };
static int places[2];

struct password_job {
    struct offload_job job; /* first */
    struct secret password;
    char hash[PASSWORD_HASH_SIZE];
    bool is_verify;
    bool has_place;
    bool is_good;
    struct err e;
};

static void place_give(enum place p)
{
    __atomic_sub_fetch(&places[p], 1, __ATOMIC_ACQ_REL);
}

static bool place_take(enum place p, int limit)
{
    if (__atomic_add_fetch(&places[p], 1, __ATOMIC_ACQ_REL) <= limit)
        return true;
    place_give(p);
    return false;
}

static void job_release(struct password_job *j)
{
    if (j->has_place)
        place_give(RUNNING);
    j->has_place = false;
}

static void job_run(struct offload_job *job)
{
    struct password_job *j = CONTAINER_OF(job, struct password_job, job);
    struct str password = secret_reveal(&j->password);
    if (j->is_verify)
        j->is_good = password_verify(password, j->hash);
    else
        j->is_good = password_hash(password, j->hash, &j->e);
    job_release(j);
}

static void job_free(struct offload_job *job)
{
    struct password_job *j = CONTAINER_OF(job, struct password_job, job);
    job_release(j);
    secret_end(&j->password);
    free(j);
}

static struct password_job *job_new(struct str password, struct str hash, struct err *e)
{
    struct password_job *j = calloc(1, sizeof(*j));
    if (!j || !secret_set(&j->password, password.p, password.n)) {
        free(j);
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    j->job.run = job_run;
    j->job.free = job_free;
    j->is_verify = !str_is_absent(hash);
    if (hash.n < sizeof(j->hash) && hash.n > 0)
        memcpy(j->hash, hash.p, hash.n);
    return j;
}

/* True: the job has run and is the caller's to free. */
static bool job_wait(struct services *sv, struct password_job *j, struct err *e)
{
    int64_t deadline = clock_mono_ms() + LIMIT_PASSWORD_MS;
    while (!place_take(RUNNING, LIMIT_PASSWORD_RUNNING)) {
        if (clock_mono_ms() >= deadline || !fiber_sleep_until(clock_mono_ms() + POLL_MS, e)) {
            if (clock_mono_ms() >= deadline)
                err_set(e, ERR_UNAVAILABLE, "Too many people sign in at this moment: try again.");
            job_free(&j->job);
            return false;
        }
    }
    j->has_place = true;
    return offload_run(sv->offload, &j->job, deadline, e);
}

static bool job_do(struct services *sv, struct password_job *j, struct err *e)
{
    if (!place_take(WAITING, LIMIT_PASSWORD_WAITING)) {
        job_free(&j->job);
        err_set(e, ERR_UNAVAILABLE, "Too many people sign in at this moment: try again.");
        return false;
    }
    bool is_good = job_wait(sv, j, e);
    place_give(WAITING);
    return is_good;
}

bool password_work_hash(struct services *sv, struct arena *a, struct str password, struct str *hash,
                        struct err *e)
{
    struct password_job *j = job_new(password, STR_NONE, e);
    if (!j || !job_do(sv, j, e))
        return false;
    bool is_good = j->is_good;
    *hash = is_good ? arena_dup(a, str_c(j->hash)) : STR_NONE;
    if (!is_good)
        *e = j->e;
    else if (str_is_absent(*hash))
        is_good = err_set(e, ERR_UNAVAILABLE, "out of memory");
    job_free(&j->job);
    return is_good;
}

bool password_work_verify(struct services *sv, struct str password, struct str hash, bool *is_right,
                          struct err *e)
{
    bool is_known = !str_is_absent(hash);
    struct password_job *j = job_new(password, is_known ? hash : str_c(password_dummy()), e);
    if (!j || !job_do(sv, j, e))
        return false;
    *is_right = is_known && j->is_good;
    job_free(&j->job);
    return true;
}
