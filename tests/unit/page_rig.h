/* A request that never came over a socket: what is set and answered is kept here. Takes the place
 * of io/http_server_answer.c. */
#pragma once

#include "unit/store_fixture.h"

#include "core/services.h"
#include "crypto/keyring.h"
#include "io/http.h"

enum { RIG_HEADERS = 16 };
struct rig {
    struct config config;
    struct keyring keys;
    struct services sv;
    struct http_header sent[4]; /* of the request */
    struct http_request rq;
    struct http_header set[RIG_HEADERS]; /* of the answer */
    size_t n_set;
    int status;
    struct str body;
};
static struct rig *rig_now;

void http_set_header(struct http_request *rq, struct str name, struct str value)
{
    assert_true(rig_now->n_set < RIG_HEADERS);
    rig_now->set[rig_now->n_set++] =
        (struct http_header){arena_dup(rq->arena, name), arena_dup(rq->arena, value)};
}

void http_answer(struct http_request *rq unused_arg, int status, struct str content_type unused_arg,
                 struct str body)
{
    assert_int_equal(rig_now->status, 0);
    rig_now->status = status;
    rig_now->body = body;
}

bool http_is_answered(const struct http_request *rq unused_arg)
{
    return rig_now->status != 0;
}

/* f NULL: without a store. */
static inline void rig_begin(struct rig *r, struct arena *a, struct fixture *f)
{
    struct err e;
    *r = (struct rig){.config = {.origin = "http://localhost:3000", .base_is_loopback = true}};
    assert_true(keyring_parse(
        &r->keys, STR("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"), &e));
    r->sv = (struct services){.config = &r->config, .keys = &r->keys};
    if (f) {
        r->sv.db = f->db;
        r->sv.offload = f->offload;
    }
    r->rq =
        (struct http_request){.arena = a, .context = &r->sv, .headers = r->sent, .path = STR("/x")};
    rig_now = r;
}

static inline void rig_end(struct rig *r)
{
    keyring_end(&r->keys);
}

/* The next request of the same browser, with these headers (absent value: not sent). */
static inline void rig_send(struct rig *r, struct str cookie, struct str origin)
{
    r->sent[0] = (struct http_header){STR("Cookie"), cookie};
    r->sent[1] = (struct http_header){STR("Origin"), origin};
    r->sent[2] = (struct http_header){STR("Host"), STR("localhost:3000")};
    if (str_is_absent(origin))
        r->sent[1].name = STR("X-None");
    if (str_is_absent(cookie))
        r->sent[0].name = STR("X-None");
    r->rq.n_headers = 3;
    r->n_set = 0;
    r->status = 0;
}

/* "name=value" of the Set-Cookie that begins with `name`; absent: none was set. */
static inline struct str rig_cookie(const struct rig *r, struct str name)
{
    struct str found = STR_NONE;
    for (size_t i = 0; i < r->n_set; i++)
        if (str_eq(r->set[i].name, STR("Set-Cookie")) && str_starts(r->set[i].value, name))
            found = str_slice(r->set[i].value, 0, str_find_char(r->set[i].value, ';'));
    return found;
}
