/* XML and signatures on an offload thread: a job with an arena of its own, which the request keeps
 * when it is done. */
#pragma once

#include "auth/saml/settings.h"

/* Runs on an offload thread; everything it touches lies in the job's arena. */
typedef bool saml_work_fn(struct arena *a, void *arg, struct err *e);
struct saml_work; /* one job */

/* A job; its arena is where its argument and the copies of its input belong. NULL: memory. */
struct saml_work *saml_work_new(struct arena **arena, struct err *e) must_use;
void saml_work_free(struct saml_work *w); /* one that did not run */
/*
 * Runs fn(arena, arg) and waits. The job belongs to the request's arena from here on. False with
 * what fn said, ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CANCELLED: nothing of the job may be touched
 * after the latter two.
 */
bool saml_work_run(struct services *sv, struct arena *request, struct saml_work *w,
                   saml_work_fn *fn, void *arg, struct err *e) must_use;
/* A copy of the settings for a job. False: memory. */
bool saml_settings_copy(struct arena *a, const struct saml_settings *from,
                        struct saml_settings *to) must_use;
