/*
 * EGRESS_ALLOW and a URL, separated by NUL. Whatever the setting says, the metadata service is
 * reached only when its address is spelt in it, and a literal private address only with a rule.
 */
#include <arpa/inet.h>

#include "base/uri.h"
#include "io/http_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool reaches(const struct http_guard *g, const char *address, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    ensure(inet_pton(AF_INET, address, &in.sin_addr) == 1);
    return http_guard_address(g, STR("x.test"), (const struct sockaddr *)&in, port, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str url = {(const char *)bytes, n}, setting;
    struct err e = {.code = ERR_NONE};
    if (!str_next(&url, '\0', &setting))
        return 0;
    auto_free(arena_endp) struct arena *a = arena_new(1 << 20);
    const char *text = a ? arena_cstr(a, setting) : NULL;
    if (!text)
        return 0;
    struct http_guard *g =
        http_guard_new(&(struct http_guard_config){.egress_allow = text, .own_port = 3000}, &e);
    ensure(g || e.code == ERR_INVALID || e.code == ERR_UNAVAILABLE);
    if (!g)
        return 0;
    bool is_spelt = str_find(setting, STR("169.254.169.254")) != SIZE_MAX ||
                    str_find(setting, STR("::")) != SIZE_MAX;
    ensure(is_spelt || !reaches(g, "169.254.169.254", 80));
    ensure(reaches(g, "8.8.8.8", 443));
    bool has_rule = str_trim(setting).n > 0;
    ensure(has_rule || !reaches(g, "10.0.0.1", 443));
    if (http_guard_url(g, url, &e)) {
        struct uri u;
        ensure(uri_parse(url, &u) && uri_is_http(&u) && str_is_absent(u.userinfo));
    } else {
        ensure(e.code == ERR_EGRESS);
    }
    http_guard_free(g);
    return 0;
}
