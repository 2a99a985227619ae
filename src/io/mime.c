#include "io/mime.h"

#include <stdio.h>
#include <time.h>

#include "base/limits.h"
#include "base/text.h"

enum {
    WORD_BYTES =
        39,         /* of text in one encoded-word: 64 with what is around, behind "Subject: " 73 */
    LINE_BYTES = 57 /* of a body in one line: 76 of base64 */
};

/* ---- addresses ---- */

bool mime_address_is_safe(struct str address)
{
    size_t at = str_find_char(address, '@');
    if (address.n > LIMIT_EMAIL || at == SIZE_MAX || at == 0 || at + 1 == address.n)
        return false;
    for (size_t i = 0; i < address.n; i++) {
        char c = address.p[i];
        if (c <= 0x20 || c >= 0x7F || str_find_char(STR("()<>[]:;\\,\""), c) != SIZE_MAX ||
            (c == '@' && i != at))
            return false;
    }
    return true;
}

bool mime_mailbox_parse(struct str given, struct mailbox *out)
{
    struct str s = str_trim(given);
    size_t open = str_find_char(s, '<');
    *out = (struct mailbox){.address = s};
    if (open != SIZE_MAX && str_ends(s, STR(">"))) {
        out->name = str_trim(str_slice(s, 0, open));
        if (out->name.n >= 2 && str_starts(out->name, STR("\"")) && str_ends(out->name, STR("\"")))
            out->name = str_slice(out->name, 1, out->name.n - 2);
        if (out->name.n == 0)
            out->name = STR_NONE;
        out->address = str_slice(s, open + 1, s.n - open - 2);
    }
    return mime_address_is_safe(out->address) &&
           (str_is_absent(out->name) ||
            (text_is_utf8(out->name) && !text_has_control(out->name) && out->name.n <= LIMIT_NAME));
}

/* ---- headers ---- */

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7E)
            return false;
    return str_find(s, STR("=?")) == SIZE_MAX && s.n <= 60;
}

/* The longest beginning of s, at most n bytes, that does not end within a character. */
static size_t whole_characters(struct str s, size_t n)
{
    if (n >= s.n)
        return s.n;
    while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    return n;
}

static void words_add(struct buf *out, struct str s)
{
    for (bool is_first = true; s.n > 0; is_first = false) {
        size_t n = whole_characters(s, WORD_BYTES);
        buf_add(out, is_first ? STR("=?UTF-8?B?") : STR("\r\n =?UTF-8?B?"));
        text_b64(out, s.p, n);
        buf_add(out, STR("?="));
        s = str_slice(s, n, SIZE_MAX);
    }
}

/* A name: a quoted string, or encoded-words. */
static void name_add(struct buf *out, struct str name)
{
    if (!is_plain(name) || memchr(name.p, '"', name.n) || memchr(name.p, '\\', name.n)) {
        words_add(out, name);
        return;
    }
    buf_add_char(out, '"');
    buf_add(out, name);
    buf_add_char(out, '"');
}

static void date_add(struct buf *out, int64_t ms)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t s = (time_t)(ms / 1000);
    struct tm t = {0};
    (void)gmtime_r(&s, &t);
    buf_addf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[t.tm_wday], t.tm_mday,
             months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void headers_add(struct buf *out, const struct mail *m, const struct mailbox *from)
{
    struct str host =
        str_slice(from->address, str_find_char(from->address, '@') + 1, from->address.n);
    date_add(out, m->date_ms);
    buf_add(out, STR("From: "));
    if (!str_is_absent(from->name)) {
        name_add(out, from->name);
        buf_add(out, STR("\r\n "));
    }
    buf_addf(out, "<%.*s>\r\nTo: <%.*s>\r\nSubject: ", STR_FMT(from->address), STR_FMT(m->to));
    if (is_plain(m->subject))
        buf_add(out, m->subject);
    else
        words_add(out, m->subject);
    buf_addf(out, "\r\nMessage-ID: <%.*s@%.*s>\r\n", STR_FMT(m->id), STR_FMT(host));
    buf_add(out, STR("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"));
}

/* ---- bodies ---- */

static void part_add(struct buf *out, struct str boundary, const char *type, struct str body)
{
    buf_addf(out,
             "--%.*s\r\nContent-Type: %s; charset=utf-8\r\n"
             "Content-Transfer-Encoding: base64\r\n\r\n",
             STR_FMT(boundary), type);
    for (size_t i = 0; i < body.n; i += LINE_BYTES) {
        struct str line = str_slice(body, i, LINE_BYTES);
        text_b64(out, line.p, line.n);
        buf_add(out, STR("\r\n"));
    }
}

static bool is_header_text(struct str s)
{
    return text_is_utf8(s) && !text_has_control(s);
}

bool mime_write(struct buf *out, const struct mail *m, struct err *e)
{
    struct mailbox from;
    if (!mime_mailbox_parse(m->from, &from) || !mime_address_is_safe(m->to))
        return err_set(e, ERR_INVALID, "the address cannot stand in a mail");
    if (!is_header_text(m->subject) || !is_header_text(m->id))
        return err_set(e, ERR_INVALID, "the subject cannot stand in a mail");
    headers_add(out, m, &from);
    /* '=' and '_' never stand together in base64: no line of a body is the boundary. */
    char boundary[96];
    (void)snprintf(boundary, sizeof(boundary), "=_%.*s", STR_FMT(str_slice(m->id, 0, 60)));
    buf_addf(out, "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n", boundary);
    part_add(out, str_c(boundary), "text/plain", m->text);
    part_add(out, str_c(boundary), "text/html", m->html);
    buf_addf(out, "--%s--\r\n", boundary);
    return buf_ok(out) || err_set(e, ERR_TOO_LARGE, "the mail is too large");
}
