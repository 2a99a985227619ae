#include "auth/mail/mailer.h"

#include "auth/mail/mail_compose.h"
#include "auth/mail/mail_pack.h"
#include "auth/mail/mail_send.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/rand.h"
#include "io/fiber.h"
#include "log/log.h"
#include "store/mail_queue.h"

enum { LOOK_EVERY_MS = 500, SEND_ARENA = 16 * 1024 * 1024 };

/* Of the process: hand-overs on offload threads look at it, which may outlive the sender. */
static bool is_given_up;

static enum mail_role role_of(enum mail_kind kind)
{
    return kind == MAIL_MAGIC        ? MAIL_ROLE_MAGIC
           : kind == MAIL_RESET      ? MAIL_ROLE_RESET
           : kind == MAIL_INVITATION ? MAIL_ROLE_INVITE
                                     : MAIL_ROLE_OTHER;
}

bool mailer_can(const struct services *sv, enum mail_kind kind)
{
    return mail_settings_transport(sv->mail, role_of(kind)) != NULL;
}

bool mailer_add(struct services *sv, struct arena *a, const struct mail_request *m, struct err *e)
{
    struct id id = id_new("mail");
    int64_t now = clock_wall_ms();
    struct mail_row row = {.id = id_str(&id), .expires_at = now + LIMIT_MAIL_LIFE_MS};
    if (!mailer_can(sv, m->kind))
        return true;
    return mail_pack_request(sv, a, row.id, m, &row.sealed, e) &&
           mail_queue_add(sv->db, a, &row, now, e);
}

/* ---- the sender ---- */

/* One row on its way. */
struct delivery {
    struct services *sv;
    struct arena *arena;
    struct mail_row row;
    struct str lease;
};

/* Twice as long each time, and up to half of that more or less by chance: nodes do not march in
 * step. */
static int64_t pause_ms(int64_t attempts)
{
    int64_t ms = LIMIT_MAIL_RETRY_MIN_MS;
    for (int64_t i = 1; i < attempts && ms < LIMIT_MAIL_RETRY_MAX_MS; i++)
        ms *= 2;
    if (ms > LIMIT_MAIL_RETRY_MAX_MS)
        ms = LIMIT_MAIL_RETRY_MAX_MS;
    return ms / 2 + (int64_t)(rand_u64() % (uint64_t)ms);
}

static void drop(struct delivery *d, const char *why)
{
    struct err e;
    LOG(EV_MAIL_DROPPED, LF_STR("mail_id", d->row.id), LF_STR("reason", str_c(why)));
    if (!mail_queue_done(d->sv->db, d->arena, d->row.id, d->lease, &e))
        LOG(EV_STORE_FAILED, LF_STR("error", str_c(e.msg)));
}

static void put_off(struct delivery *d, const struct err *why)
{
    struct err e;
    int64_t at = clock_wall_ms() + pause_ms(d->row.attempts);
    LOG(EV_MAIL_DELAYED, LF_STR("mail_id", d->row.id), LF_INT("attempts", d->row.attempts),
        LF_STR("reason", str_c(why->msg)));
    /* Otherwise the lease ends by itself. */
    (void)!mail_queue_put_off(d->sv->db, d->arena, d->row.id, d->lease, at, &e);
}

/* The request becomes a message, its link is known from then on. False: not now (*e), or no mail
 * (is_void). */
static bool write_down(struct delivery *d, struct mail_packed *p, bool *is_void, struct err *e)
{
    struct mail_composed c;
    struct db_batch b;
    struct str sealed;
    if (!mail_compose(d->sv, d->arena, &p->request, clock_wall_ms(), &c, e))
        return false;
    *is_void = c.is_void || !mime_address_is_safe(c.message.to);
    if (*is_void)
        return true;
    p->message = c.message;
    p->message.id = d->row.id;
    if (c.expires_at > 0)
        d->row.expires_at = c.expires_at;
    if (!mail_pack_message(d->sv, d->arena, p->kind, &p->message, &sealed, e))
        return false;
    db_batch_init(&b, d->arena);
    mail_queue_written_in(&b, d->row.id, d->lease, sealed, d->row.expires_at);
    if (c.has_link)
        mail_links_insert_in(&b, &c.link);
    return db_batch_run(d->sv->db, &b, NULL, e);
}

static void hand_over(struct delivery *d, struct mail_packed *p)
{
    const struct mail_transport *t = mail_settings_transport(d->sv->mail, role_of(p->kind));
    bool is_refused = false;
    struct err e = {.code = ERR_NONE};
    if (!t) {
        drop(d, "no transport any more");
        return;
    }
    p->message.from = t->from;
    p->message.date_ms = d->row.created_at;
    if (!mail_send(d->sv, d->arena, t, &p->message, &is_given_up, &is_refused, &e)) {
        if (is_refused)
            drop(d, e.msg);
        else
            put_off(d, &e);
        return;
    }
    LOG(EV_MAIL_SENT, LF_STR("mail_id", d->row.id), LF_STR("kind", mail_kind_name(p->kind)),
        LF_STR("by", t->id), LF_INT("attempts", d->row.attempts));
    fiber_shield(true);
    if (!mail_queue_done(d->sv->db, d->arena, d->row.id, d->lease, &e))
        LOG(EV_STORE_FAILED, LF_STR("error", str_c(e.msg)));
    fiber_shield(false);
}

static void deliver(struct delivery *d)
{
    struct mail_packed p;
    bool is_void = false;
    struct err e = {.code = ERR_NONE};
    if (clock_wall_ms() >= d->row.expires_at)
        drop(d, "too old");
    else if (!mail_unpack(d->sv, d->arena, &d->row, &p, &e))
        drop(d, e.msg);
    else if (!d->row.is_written && !write_down(d, &p, &is_void, &e))
        put_off(d, &e);
    else if (is_void)
        (void)!mail_queue_done(d->sv->db, d->arena, d->row.id, d->lease, &e);
    else
        hand_over(d, &p);
}

/* Takes what is due, one after the other. False: there is nothing more now. */
static bool deliver_next(struct services *sv)
{
    struct arena *a = arena_new(SEND_ARENA);
    struct id lease = id_new("lease");
    struct delivery d = {.sv = sv, .arena = a, .lease = id_str(&lease)};
    int64_t now = clock_wall_ms();
    bool is_due = false;
    struct err e;
    bool is_taken = a && mail_queue_is_due(sv->db, a, now, &is_due, &e) && is_due &&
                    mail_queue_take(sv->db, a, d.lease, now, now + LIMIT_MAIL_LEASE_MS, &d.row, &e);
    if (is_taken)
        deliver(&d);
    arena_end(a);
    return is_taken;
}

static void sender_run(void *arg)
{
    struct services *sv = arg;
    struct err e;
    /* Ends when the worker's shutdown cancels it. */
    while (fiber_sleep_until(clock_mono_ms() + LOOK_EVERY_MS, &e))
        while (!fiber_is_cancelled(fiber_self()) && deliver_next(sv))
            continue;
}

bool mailer_start(struct services *sv, struct err *e)
{
    if (!mailer_can(sv, MAIL_NEW_BROWSER))
        return true;
    __atomic_store_n(&is_given_up, false, __ATOMIC_RELAXED);
    return fiber_start(sv->loop, sender_run, sv, &sv->mail_sender, e);
}

void mailer_stop(struct services *sv)
{
    __atomic_store_n(&is_given_up, true, __ATOMIC_RELAXED);
    if (sv->mail_sender)
        fiber_cancel(sv->mail_sender);
}
