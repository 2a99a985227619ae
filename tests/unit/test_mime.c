/* Mails as they go over the wire. */
#include "io/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct mail usual(void)
{
    return (struct mail){.id = STR("mail_1"),
                         .from = STR("Tulle <tulle@mesh.example>"),
                         .to = STR("ada@example.com"),
                         .subject = STR("Sign in"),
                         .text = STR("hello\n"),
                         .html = STR("<p>hello</p>"),
                         .date_ms = 1795259045000};
}

static struct str write_good(struct buf *out, const struct mail *m)
{
    struct err e = {.code = ERR_NONE};
    buf_init(out, 64 * 1024);
    assert_true(mime_write(out, m, &e));
    return buf_str(out);
}

static void assert_has(struct str s, const char *piece)
{
    if (str_find(s, str_c(piece)) == SIZE_MAX)
        fail_msg("no \"%s\" in:\n%.*s", piece, STR_FMT(s));
}

static void a_mail_has_the_headers_and_both_bodies(void **state unused_arg)
{
    struct buf out;
    struct mail m = usual();
    struct str s = write_good(&out, &m);
    assert_true(str_starts(s, STR("Date: Sat, 21 Nov 2026 11:04:05 +0000\r\n")));
    assert_has(s, "From: \"Tulle\"\r\n <tulle@mesh.example>\r\nTo: <ada@example.com>\r\n");
    assert_has(s, "\r\nSubject: Sign in\r\nMessage-ID: <mail_1@mesh.example>\r\n");
    assert_has(s, "\r\nContent-Type: multipart/alternative;\r\n boundary=\"=_mail_1\"\r\n\r\n");
    assert_has(s, "--=_mail_1\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8K\r\n");
    assert_has(s, "text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                  "PHA+aGVsbG88L3A+\r\n");
    assert_true(str_ends(s, STR("--=_mail_1--\r\n")));
    buf_end(&out);
}

static void no_line_is_longer_than_78_bytes_and_none_ends_in_a_bare_lf(void **state unused_arg)
{
    struct buf out;
    struct mail m = usual();
    char text[4000];
    memset(text, 'x', sizeof(text));
    m.text = m.html = (struct str){text, sizeof(text)};
    m.subject = STR("Über die Geschwindigkeit, mit der lange Betreffzeilen immer länger werden: "
                    "日本語日本語日本語日本語日本語日本語日本語日本語日本語");
    struct str rest = write_good(&out, &m), line;
    while (str_next(&rest, '\n', &line)) {
        assert_true(line.n <= 79);
        assert_true(str_is_absent(rest) || str_ends(line, STR("\r")));
    }
    buf_end(&out);
}

static void other_text_than_ascii_becomes_encoded_words_of_whole_characters(void **state unused_arg)
{
    struct buf out;
    struct mail m = usual();
    /* 38 bytes of ASCII, then a character of two bytes across the end of the first word */
    m.subject = STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xC3\xA9z");
    struct str s = write_good(&out, &m);
    assert_has(s, "Subject: =?UTF-8?B?YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
                  "?=\r\n =?UTF-8?B?w6l6?=\r\n");
    buf_end(&out);
    m.subject = STR("=?UTF-8?B?eA==?=");
    assert_has(write_good(&out, &m), "Subject: =?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?=\r\n");
    buf_end(&out);
    m.from = STR("J\xC3\xB6rg \"X\" <a@b.example>");
    assert_has(write_good(&out, &m), "From: =?UTF-8?B?SsO2cmcgIlgi?=\r\n <a@b.example>\r\n");
    buf_end(&out);
}

static void a_header_cannot_be_injected(void **state unused_arg)
{
    static const struct str bad[] = {
        STR("a@b.test\r\nBcc: x@y.test"),
        STR("a@b.test\nBcc: x@y.test"),
        STR("a@b.test,x@y.test"),
        STR("a b@c.test"),
        STR("<a@b.test>"),
        STR("a@b@c.test"),
        STR("@b.test"),
        STR("a@"),
        STR(""),
        STR("m\xC4\xB1ke@b.test"),
        STR("a@b.test>\tSIZE=1"),
        STR("a@b.test\0x"),
        STR("\"a\"@b.test"),
        STR("a;b@c.test"),
        STR("a@b.test\x7F"),
    };
    struct buf out;
    struct err e;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct mail m = usual();
        m.to = bad[i];
        buf_init(&out, 64 * 1024);
        assert_false(mime_write(&out, &m, &e));
        assert_int_equal(e.code, ERR_INVALID);
        assert_int_equal(out.n, 0);
        buf_end(&out);
    }
    struct mail m = usual();
    m.subject = STR("x\r\nBcc: x@y.test");
    buf_init(&out, 64 * 1024);
    assert_false(mime_write(&out, &m, &e));
    m = usual();
    m.from = STR("X\r\nBcc: x@y.test <a@b.test>");
    assert_false(mime_write(&out, &m, &e));
    assert_int_equal(out.n, 0);
    buf_end(&out);
}

static void a_mailbox_is_an_address_with_or_without_a_name(void **state unused_arg)
{
    struct mailbox box;
    assert_true(mime_mailbox_parse(STR(" a@b.test "), &box));
    assert_true(str_is_absent(box.name) && str_eq(box.address, STR("a@b.test")));
    assert_true(mime_mailbox_parse(STR("\"The Mesh\" <a@b.test>"), &box));
    assert_true(str_eq(box.name, STR("The Mesh")) && str_eq(box.address, STR("a@b.test")));
    assert_true(mime_mailbox_parse(STR("<a@b.test>"), &box));
    assert_true(str_is_absent(box.name));
    assert_false(mime_mailbox_parse(STR("The Mesh"), &box));
    assert_false(mime_mailbox_parse(STR("a@b.test <c@d.test> e"), &box));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mail_has_the_headers_and_both_bodies),
        cmocka_unit_test(no_line_is_longer_than_78_bytes_and_none_ends_in_a_bare_lf),
        cmocka_unit_test(other_text_than_ascii_becomes_encoded_words_of_whole_characters),
        cmocka_unit_test(a_header_cannot_be_injected),
        cmocka_unit_test(a_mailbox_is_an_address_with_or_without_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
