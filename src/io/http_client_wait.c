/* Deadlines of an exchange: connecting, first byte, silence, all of it. Looked at when a wait ends,
 * not set at every byte. */
#include "io/http_client_wire.h"

#include <stdio.h>

#include "base/clock.h"

void exchange_limit_text(int64_t ms, char out[LIMIT_TEXT])
{
    if (ms % 1000 == 0)
        snprintf(out, LIMIT_TEXT, "%lld s", (long long)(ms / 1000));
    else
        snprintf(out, LIMIT_TEXT, "%lld ms", (long long)ms);
}

static int64_t earlier(int64_t at_ms, int64_t from_ms, int64_t limit_ms)
{
    if (limit_ms < 0 || limit_ms > INT64_MAX - from_ms)
        return at_ms;
    return from_ms + limit_ms < at_ms ? from_ms + limit_ms : at_ms;
}

int64_t exchange_deadline(const struct http_exchange *x)
{
    int64_t at_ms = earlier(INT64_MAX, x->started_ms, x->total_ms);
    if (x->is_head_done)
        return earlier(at_ms, x->heard_ms, x->idle_ms);
    if (x->sent_ms != 0)
        return earlier(at_ms, x->sent_ms, x->first_byte_ms);
    /* Whether it is connected is asked when the first of the two would be due. */
    at_ms = earlier(at_ms, x->started_ms, x->connect_ms);
    return earlier(at_ms, loop_now_ms(x->client->loop), x->first_byte_ms);
}

static int64_t time_of(const struct http_exchange *x, CURLINFO info)
{
    curl_off_t us = 0;
    curl_easy_getinfo(x->easy, info, &us);
    return us;
}

static bool is_past(int64_t from_ms, int64_t limit_ms, int64_t now_ms)
{
    return limit_ms >= 0 && now_ms - from_ms >= limit_ms;
}

bool exchange_is_late(struct http_exchange *x, int64_t now_ms, struct err *e)
{
    char text[LIMIT_TEXT];
    if (is_past(x->started_ms, x->total_ms, now_ms)) {
        exchange_limit_text(x->total_ms, text);
        err_set(e, ERR_TIMEOUT, "the call did not end within %s", text);
        return true;
    }
    if (x->is_head_done) {
        if (!is_past(x->heard_ms, x->idle_ms, now_ms))
            return false;
        exchange_limit_text(x->idle_ms, text);
        err_set(e, ERR_TIMEOUT, "the server fell silent for %s within its answer", text);
        return true;
    }
    if (x->sent_ms == 0 && !x->is_wired) {
        int64_t us = time_of(x, CURLINFO_PRETRANSFER_TIME_T);
        if (us > 0)
            x->sent_ms = x->started_ms + us / 1000;
    }
    if (x->sent_ms != 0) {
        if (!is_past(x->sent_ms, x->first_byte_ms, now_ms))
            return false;
        exchange_limit_text(x->first_byte_ms, text);
        err_set(e, ERR_TIMEOUT, "the server did not answer within %s", text);
        return true;
    }
    if (!is_past(x->started_ms, x->connect_ms, now_ms))
        return false;
    exchange_limit_text(x->connect_ms, text);
    if (!x->is_wired && exchange_is_at_proxy(x))
        err_set(e, ERR_TIMEOUT, "the proxy did not let the call through within %s", text);
    else if (!x->is_wired && time_of(x, CURLINFO_NAMELOOKUP_TIME_T) == 0)
        err_set(e, ERR_TIMEOUT, "the server's name was not resolved within %s", text);
    else if (x->is_wired || !client_has_tcp(x))
        err_set(e, ERR_TIMEOUT, "the server did not accept a connection within %s", text);
    else
        err_set(e, ERR_TIMEOUT, "the TLS handshake with the server did not end within %s", text);
    return true;
}

static bool has_wanted(const struct http_exchange *x, enum exchange_want want)
{
    if (x->is_finished)
        return true;
    if (want == WANT_HEAD)
        return x->is_head_done;
    return want == WANT_BYTES && x->in.n > 0;
}

bool exchange_wait(struct http_exchange *x, enum exchange_want want, int64_t user_at_ms,
                   struct err *e)
{
    while (!has_wanted(x, want)) {
        if (x->must_restart) {
            wire_restart(x);
            continue;
        }
        int64_t at_ms = exchange_deadline(x);
        struct err why = {.code = ERR_NONE};
        fiber_rearm(&x->wait);
        x->want = want;
        bool ok = fiber_wait(&x->wait, at_ms < user_at_ms ? at_ms : user_at_ms, &why);
        x->want = WANT_NOTHING;
        if (ok)
            continue;
        if (why.code != ERR_TIMEOUT)
            return err_set(e, why.code, "%s", why.msg);
        int64_t now_ms = clock_mono_ms();
        if (exchange_is_late(x, now_ms, &x->err)) {
            client_break_off(x);
            return err_set(e, ERR_TIMEOUT, "%s", x->err.msg);
        }
        if (now_ms >= user_at_ms)
            return err_set(e, ERR_TIMEOUT, "no bytes came in time");
    }
    return true;
}
