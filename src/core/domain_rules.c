#include "core/domain_rules.h"

#include <libpsl.h>

#include "base/limits.h"
#include "base/text.h"

enum { DOMAIN_MAX = 253 - 7, LABEL_MAX = 63 }; /* room for "_tulle." */

/* Everybody has addresses there. */
static const struct str mail_providers[] = {
    STR("gmail.com"),
    STR("googlemail.com"),
    STR("outlook.com"),
    STR("hotmail.com"),
    STR("hotmail.co.uk"),
    STR("hotmail.fr"),
    STR("hotmail.de"),
    STR("hotmail.it"),
    STR("hotmail.es"),
    STR("live.com"),
    STR("live.co.uk"),
    STR("live.nl"),
    STR("live.fr"),
    STR("msn.com"),
    STR("passport.com"),
    STR("yahoo.com"),
    STR("yahoo.co.uk"),
    STR("yahoo.co.jp"),
    STR("yahoo.co.in"),
    STR("yahoo.de"),
    STR("yahoo.fr"),
    STR("yahoo.it"),
    STR("yahoo.es"),
    STR("ymail.com"),
    STR("rocketmail.com"),
    STR("aol.com"),
    STR("aim.com"),
    STR("icloud.com"),
    STR("me.com"),
    STR("mac.com"),
    STR("proton.me"),
    STR("protonmail.com"),
    STR("protonmail.ch"),
    STR("pm.me"),
    STR("tutanota.com"),
    STR("tutanota.de"),
    STR("tuta.io"),
    STR("tuta.com"),
    STR("tutamail.com"),
    STR("keemail.me"),
    STR("gmx.com"),
    STR("gmx.net"),
    STR("gmx.de"),
    STR("gmx.at"),
    STR("gmx.ch"),
    STR("web.de"),
    STR("mail.com"),
    STR("email.com"),
    STR("usa.com"),
    STR("t-online.de"),
    STR("freenet.de"),
    STR("posteo.de"),
    STR("mailbox.org"),
    STR("fastmail.com"),
    STR("fastmail.fm"),
    STR("hey.com"),
    STR("zoho.com"),
    STR("zohomail.com"),
    STR("yandex.ru"),
    STR("yandex.com"),
    STR("ya.ru"),
    STR("mail.ru"),
    STR("bk.ru"),
    STR("inbox.ru"),
    STR("list.ru"),
    STR("rambler.ru"),
    STR("qq.com"),
    STR("foxmail.com"),
    STR("163.com"),
    STR("126.com"),
    STR("yeah.net"),
    STR("sina.com"),
    STR("sina.cn"),
    STR("sohu.com"),
    STR("aliyun.com"),
    STR("139.com"),
    STR("naver.com"),
    STR("daum.net"),
    STR("hanmail.net"),
    STR("rediffmail.com"),
    STR("orange.fr"),
    STR("wanadoo.fr"),
    STR("free.fr"),
    STR("laposte.net"),
    STR("sfr.fr"),
    STR("libero.it"),
    STR("virgilio.it"),
    STR("tiscali.it"),
    STR("uol.com.br"),
    STR("bol.com.br"),
    STR("terra.com.br"),
    STR("comcast.net"),
    STR("verizon.net"),
    STR("att.net"),
    STR("sbcglobal.net"),
    STR("bellsouth.net"),
    STR("cox.net"),
    STR("charter.net"),
    STR("earthlink.net"),
    STR("btinternet.com"),
    STR("sky.com"),
    STR("virginmedia.com"),
    STR("ntlworld.com"),
    STR("bigpond.com"),
    STR("optusnet.com.au"),
    STR("wp.pl"),
    STR("o2.pl"),
    STR("onet.pl"),
    STR("interia.pl"),
    STR("seznam.cz"),
    STR("centrum.cz"),
    STR("ukr.net"),
    STR("mailinator.com"),
    STR("guerrillamail.com"),
    STR("yopmail.com"),
    STR("duck.com"),
    STR("privaterelay.appleid.com"),
    STR("users.noreply.github.com"),
};
/* Nobody's in the DNS (RFC 6761, 6762, 7686, 8375, 9476). example and test stay: tests use them. */
static const struct str special[] = {STR("localhost"), STR("local"), STR("onion"),   STR("invalid"),
                                     STR("arpa"),      STR("alt"),   STR("internal")};

static bool label_is_good(struct str label)
{
    if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        char c = label.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

/* At least two labels, the last no number (an IPv4 address). */
static bool is_domain(struct str domain)
{
    struct str rest = domain, label, last = STR_NONE;
    size_t n = 0;
    int64_t number;
    if (domain.n == 0 || domain.n > DOMAIN_MAX || domain.p[domain.n - 1] == '.')
        return false;
    while (str_next(&rest, '.', &label)) {
        if (!label_is_good(label))
            return false;
        last = label;
        n++;
    }
    return n >= 2 && !str_to_i64(last, 0, INT64_MAX, &number);
}

static struct str normal(struct arena *a, struct str given)
{
    struct str trimmed = str_trim(given);
    if (str_ends(trimmed, STR(".")))
        trimmed.n--;
    char *copy = arena_cstr(a, str_slice(trimmed, 0, DOMAIN_MAX + 1));
    if (!copy)
        return STR("");
    text_lower(copy, strlen(copy));
    return str_c(copy);
}

static bool refused(struct err *e, struct str domain, const char *why)
{
    return err_set(e, ERR_UNPROCESSABLE, "arguments.domain: %.*s %s", STR_FMT(domain), why);
}

bool domain_rules_read(struct arena *a, struct str given, struct str *out, struct err *e)
{
    struct str domain = normal(a, given), last = domain;
    *out = domain;
    if (!is_domain(domain))
        return err_set(e, ERR_INVALID,
                       "arguments.domain: given \"%.*s\", expected a domain such as corp.example "
                       "(xn--... for other scripts)",
                       STR_FMT(str_slice(given, 0, 100)));
    for (size_t at; (at = str_find_char(last, '.')) != SIZE_MAX;)
        last = str_slice(last, at + 1, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(special); i++)
        if (str_eq(last, special[i]))
            return refused(e, domain, "is nobody's in the DNS");
    for (size_t i = 0; i < ARRAY_LEN(mail_providers); i++)
        if (str_eq(domain, mail_providers[i]))
            return refused(e, domain, "is an e-mail provider's: anybody may have addresses there");
    const psl_ctx_t *suffixes = psl_builtin();
    if (suffixes && psl_is_public_suffix(suffixes, domain.p))
        return refused(e, domain, "is a public suffix: anybody may have names below it");
    return true;
}

struct str domain_rules_of_email(struct arena *a, struct str email)
{
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < email.n; i++)
        if (email.p[i] == '@')
            at = i;
    if (at == SIZE_MAX || at == 0)
        return STR_NONE;
    struct str domain = normal(a, str_slice(email, at + 1, SIZE_MAX));
    return is_domain(domain) ? domain : STR_NONE;
}

struct str domain_rules_txt_name(struct arena *a, struct str domain)
{
    return arena_printf(a, "_tulle.%.*s", STR_FMT(domain));
}

struct str domain_rules_txt_value(struct arena *a, struct str proof)
{
    return arena_printf(a, "tulle-verification=%.*s", STR_FMT(proof));
}
