#include "io/http_client_smtp.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/http_client_parts.h"

enum { TEXT_MAX = LIMIT_MAIL_BYTES };

/* Copies of all that the thread needs, NUL-ended. */
struct smtp_job {
    struct offload_job job; /* first */
    struct buf url, user, password, from, to, message;
    char ca_path[sizeof(((struct http_client *)0)->ca_path)];
    const bool *is_given_up;
    bool is_loopback;
    size_t n_read;
    CURLcode result;
    long code; /* the server's last answer */
};

static void job_free(struct offload_job *job)
{
    struct smtp_job *j = CONTAINER_OF(job, struct smtp_job, job);
    if (j->password.p)
        secret_wipe(j->password.p, j->password.n);
    if (j->message.p)
        secret_wipe(j->message.p, j->message.n); /* it may hold a link */
    buf_end(&j->url);
    buf_end(&j->user);
    buf_end(&j->password);
    buf_end(&j->from);
    buf_end(&j->to);
    buf_end(&j->message);
    free(j);
}

/* ---- on the thread ---- */

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
    struct smtp_job *j = arg;
    struct str piece = str_slice(buf_str(&j->message), j->n_read, size * n);
    memcpy(to, piece.p, piece.n);
    j->n_read += piece.n;
    return piece.n;
}

static int on_progress(void *arg, curl_off_t unused1 unused_arg, curl_off_t unused2 unused_arg,
                       curl_off_t unused3 unused_arg, curl_off_t unused4 unused_arg)
{
    const struct smtp_job *j = arg;
    return __atomic_load_n(j->is_given_up, __ATOMIC_RELAXED) ? 1 : 0;
}

static size_t on_answer(char *bytes unused_arg, size_t size, size_t n, void *arg unused_arg)
{
    return size * n;
}

static void handle_secure(CURL *h, const struct smtp_job *j)
{
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(h, CURLOPT_USE_SSL, (long)(j->is_loopback ? CURLUSESSL_TRY : CURLUSESSL_ALL));
    curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(h, CURLOPT_PROXY, ""); /* mail takes no HTTP proxy */
    curl_easy_setopt(h, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    if (j->ca_path[0])
        curl_easy_setopt(h, CURLOPT_CAINFO, j->ca_path);
    if (j->user.n > 0) {
        curl_easy_setopt(h, CURLOPT_USERNAME, j->user.p);
        curl_easy_setopt(h, CURLOPT_PASSWORD, j->password.p);
    }
}

static void handle_bound(CURL *h, struct smtp_job *j)
{
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)LIMIT_CONNECT_MS);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)LIMIT_MAIL_MS);
    curl_easy_setopt(h, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)LIMIT_MAIL_ANSWER_MS / 1000);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, j);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_answer);
}

static void job_run(struct offload_job *job)
{
    struct smtp_job *j = CONTAINER_OF(job, struct smtp_job, job);
    CURL *h = curl_easy_init();
    struct curl_slist *to = curl_slist_append(NULL, j->to.p);
    j->result = CURLE_OUT_OF_MEMORY;
    if (h && to && curl_easy_setopt(h, CURLOPT_URL, j->url.p) == CURLE_OK) {
        handle_secure(h, j);
        handle_bound(h, j);
        curl_easy_setopt(h, CURLOPT_MAIL_FROM, j->from.p);
        curl_easy_setopt(h, CURLOPT_MAIL_RCPT, to);
        curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(h, CURLOPT_READDATA, j);
        curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
        j->result = curl_easy_perform(h);
        curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &j->code);
    }
    curl_slist_free_all(to);
    curl_easy_cleanup(h);
}

/* ---- in the fiber ---- */

static void userinfo_split(struct smtp_job *j, struct str userinfo)
{
    size_t colon = str_find_char(userinfo, ':');
    if (!text_percent_decode(str_slice(userinfo, 0, colon), &j->user))
        j->user.failed = true;
    if (colon != SIZE_MAX &&
        !text_percent_decode(str_slice(userinfo, colon + 1, SIZE_MAX), &j->password))
        j->password.failed = true;
    buf_add(&j->password, STR(""));
}

static bool job_fill(struct smtp_job *j, const struct http_client *c, const struct smtp_mail *m)
{
    struct uri u;
    j->job.run = job_run;
    j->job.free = job_free;
    j->is_given_up = m->is_given_up;
    memcpy(j->ca_path, c->ca_path, sizeof(j->ca_path));
    struct buf *all[] = {&j->url, &j->user, &j->password, &j->from, &j->to, &j->message};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_init(all[i], TEXT_MAX);
    if (!uri_parse(m->url, &u))
        return false;
    bool is_smtps = str_ieq(u.scheme, STR("smtps"));
    int port = u.port > 0 ? u.port : is_smtps ? 465 : 587;
    j->is_loopback = uri_host_is_loopback(u.host);
    /* The path is what curl says in EHLO. */
    buf_addf(&j->url, "%s://%s%.*s%s:%d/%.*s", is_smtps ? "smtps" : "smtp",
             u.host_is_ipv6 ? "[" : "", STR_FMT(u.host), u.host_is_ipv6 ? "]" : "", port,
             STR_FMT(m->helo));
    if (!str_is_absent(u.userinfo))
        userinfo_split(j, u.userinfo);
    buf_add(&j->from, m->from);
    buf_add(&j->to, m->to);
    buf_add(&j->message, m->message);
    bool is_good = true;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        is_good = is_good && buf_ok(all[i]);
    return is_good && j->url.p && j->from.p && j->to.p && j->message.p;
}

static bool explain(const struct smtp_job *j, bool *is_refused, struct err *e)
{
    switch (j->result) {
    case CURLE_OK:
        return true;
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(e, ERR_UPSTREAM, "the mail server's name does not resolve");
    case CURLE_COULDNT_CONNECT:
        return err_set(e, ERR_UPSTREAM, "the mail server cannot be reached");
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(e, ERR_TIMEOUT, "the mail server took too long");
    case CURLE_ABORTED_BY_CALLBACK:
        return err_set(e, ERR_CANCELLED, "shutting down");
    case CURLE_USE_SSL_FAILED:
        return err_set(e, ERR_UPSTREAM, "the mail server offers no TLS (STARTTLS)");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
        return err_set(e, ERR_UPSTREAM, "the mail server's certificate or TLS is not accepted");
    case CURLE_LOGIN_DENIED:
        return err_set(e, ERR_UPSTREAM, "the mail server refuses the user name or password (%ld)",
                       j->code);
    case CURLE_SEND_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
        /* 530 and 538 are about us, not about the mail. */
        *is_refused = j->code >= 500 && j->code <= 599 && j->code != 530 && j->code != 538;
        return err_set(e, ERR_UPSTREAM, "the mail server answered %ld", j->code);
    default:
        return err_set(e, ERR_UPSTREAM, "the connection to the mail server broke (curl %d, %ld)",
                       (int)j->result, j->code);
    }
}

bool http_client_smtp_send(struct http_client *c, const struct smtp_mail *m, bool *is_refused,
                           struct err *e)
{
    struct smtp_job *j = calloc(1, sizeof(*j));
    *is_refused = false;
    if (!j)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!job_fill(j, c, m)) {
        job_free(&j->job);
        return err_set(e, ERR_UNAVAILABLE, "the mail cannot be prepared");
    }
    if (!offload_run(c->offload, &j->job, clock_mono_ms() + LIMIT_MAIL_MS + LIMIT_CONNECT_MS, e))
        return false;
    bool is_good = explain(j, is_refused, e);
    job_free(&j->job);
    return is_good;
}
