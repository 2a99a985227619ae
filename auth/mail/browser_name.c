#include "auth/mail/browser_name.h"

struct word {
    struct str token, name;
};
/* Most say that they are several: the first that fits. */
static const struct word browsers[] = {
    {STR("Edg/"), STR("Edge")},          {STR("OPR/"), STR("Opera")},
    {STR("Firefox/"), STR("Firefox")},   {STR("FxiOS/"), STR("Firefox")},
    {STR("Chromium/"), STR("Chromium")}, {STR("CriOS/"), STR("Chrome")},
    {STR("Chrome/"), STR("Chrome")},     {STR("Safari/"), STR("Safari")},
};
static const struct word oses[] = {
    {STR("iPhone"), STR("an iPhone")}, {STR("iPad"), STR("an iPad")},
    {STR("Android"), STR("Android")},  {STR("Windows"), STR("Windows")},
    {STR("Macintosh"), STR("a Mac")},  {STR("CrOS"), STR("ChromeOS")},
    {STR("Linux"), STR("Linux")},
};

static struct str find(const struct word *words, size_t n, struct str in)
{
    for (size_t i = 0; i < n; i++)
        if (str_find(in, words[i].token) != SIZE_MAX)
            return words[i].name;
    return STR_NONE;
}

struct str browser_name(struct arena *a, struct str user_agent)
{
    struct str browser = find(browsers, ARRAY_LEN(browsers), user_agent);
    struct str os = find(oses, ARRAY_LEN(oses), user_agent);
    if (str_is_absent(browser))
        return str_is_absent(os) ? STR("a program")
                                 : arena_printf(a, "a program on %.*s", STR_FMT(os));
    if (str_is_absent(os))
        return browser;
    return arena_printf(a, "%.*s on %.*s", STR_FMT(browser), STR_FMT(os));
}
