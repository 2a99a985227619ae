#include "auth/mail/mail_send.h"

#include "base/limits.h"
#include "base/secret.h"
#include "base/uri.h"
#include "io/http_client_smtp.h"
#include "json/jout.h"

static bool send_smtp(struct services *sv, const struct mail_transport *t, const struct mail *m,
                      const bool *is_given_up, bool *is_refused, struct err *e)
{
    struct buf message;
    struct mailbox from;
    struct uri own;
    buf_init(&message, LIMIT_MAIL_BYTES);
    bool is_good = mime_mailbox_parse(t->from, &from) ||
                   err_set(e, ERR_INVALID, "the sender cannot stand in a mail");
    bool has_name = uri_parse(str_c(sv->config->origin), &own) && !own.host_is_ipv6;
    is_good = is_good && mime_write(&message, m, e);
    if (is_good) {
        const struct smtp_mail mail = {.url = t->url,
                                       .helo = has_name ? own.host : STR("localhost"),
                                       .from = from.address,
                                       .to = m->to,
                                       .message = buf_str(&message),
                                       .is_given_up = is_given_up};
        is_good = http_client_smtp_send(sv->http, &mail, is_refused, e);
    } else {
        *is_refused = true;
    }
    if (message.p)
        secret_wipe(message.p, message.n); /* it may hold a link */
    buf_end(&message);
    return is_good;
}

/* ---- HTTP: POST {from, to, subject, text, html} with a key that makes a second one harmless ----
 */

static void body_write(struct buf *out, const struct mail *m)
{
    struct jout j;
    jout_init(&j, out);
    jout_object(&j);
    jout_kstr(&j, "from", m->from);
    jout_key(&j, STR("to"));
    jout_array(&j);
    jout_str(&j, m->to);
    jout_array_end(&j);
    jout_kstr(&j, "subject", m->subject);
    jout_kstr(&j, "text", m->text);
    jout_kstr(&j, "html", m->html);
    jout_object_end(&j);
}

static bool answer_judge(int status, bool *is_refused, struct err *e)
{
    if (status >= 200 && status <= 299)
        return true;
    /* 401 and 403 are about our key, 409 and 429 pass. */
    *is_refused = status == 400 || status == 413 || status == 422;
    return err_set(e, ERR_UPSTREAM, "the e-mail provider answered %d", status);
}

static bool send_http(struct services *sv, struct arena *a, const struct mail_transport *t,
                      const struct mail *m, bool *is_refused, struct err *e)
{
    struct buf body;
    struct http_fetched answer;
    struct str bearer = arena_printf(a, "Bearer %.*s", STR_FMT(t->api_key));
    const struct http_header headers[] = {{STR("Authorization"), bearer},
                                          {STR("Content-Type"), STR("application/json")},
                                          {STR("Accept"), STR("application/json")},
                                          {STR("Idempotency-Key"), m->id}};
    buf_init(&body, LIMIT_MAIL_BYTES * 2);
    body_write(&body, m);
    const struct http_call call = {.method = STR("POST"),
                                   .url = t->url,
                                   .headers = headers,
                                   .n_headers = ARRAY_LEN(headers),
                                   .body = buf_str(&body),
                                   .is_operator_destination = true,
                                   .total_ms = LIMIT_MAIL_MS,
                                   .first_byte_ms = LIMIT_MAIL_ANSWER_MS,
                                   .max_bytes = LIMIT_BODY_FORM};
    bool is_good =
        (buf_ok(&body) && !str_is_absent(bearer)) || err_set(e, ERR_UNAVAILABLE, "out of memory");
    is_good = is_good && http_fetch(sv->http, a, &call, LIMIT_BODY_FORM, &answer, e) &&
              answer_judge(answer.head.status, is_refused, e);
    if (body.p)
        secret_wipe(body.p, body.n);
    buf_end(&body);
    return is_good;
}

bool mail_send(struct services *sv, struct arena *a, const struct mail_transport *t,
               const struct mail *m, const bool *is_given_up, bool *is_refused, struct err *e)
{
    *is_refused = false;
    return t->is_smtp ? send_smtp(sv, t, m, is_given_up, is_refused, e)
                      : send_http(sv, a, t, m, is_refused, e);
}
