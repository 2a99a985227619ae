#include "auth/oauth/scope.h"

#include "base/buf.h"
#include "base/ids.h"
#include "base/limits.h"

/* RFC 6749 section 3.3: printable ASCII but '"' and '\'. */
static bool scope_is_clean(struct str scope)
{
    for (size_t i = 0; i < scope.n; i++) {
        unsigned char c = (unsigned char)scope.p[i];
        if (c < 0x20 || c > 0x7E || c == '"' || c == '\\')
            return false;
    }
    return scope.n <= LIMIT_SCOPE_GRANTED;
}

bool scope_is_connection(struct str word)
{
    if (!str_starts(word, STR("conn:")))
        return false;
    struct str id = str_slice(word, 5, SIZE_MAX);
    if (str_ends(id, STR(":read")))
        id.n -= 5;
    return id_is(id, "conn");
}

static bool has_mcp(struct str scope)
{
    return str_list_has(scope, STR("mcp")) || str_list_has(scope, STR("mcp:read")) ||
           str_list_has(scope, STR("mcp:manage"));
}

/* Adds the word once. */
static void word_add(struct buf *out, struct str word)
{
    if (str_list_has(buf_str(out), word))
        return;
    if (out->n)
        buf_add_char(out, ' ');
    buf_add(out, word);
}

static struct str finish(struct arena *a, struct buf *text)
{
    if (!has_mcp(buf_str(text)))
        word_add(text, STR(SCOPE_DEFAULT));
    struct str out = buf_ok(text) ? arena_dup(a, buf_str(text)) : STR_NONE;
    buf_end(text);
    return out;
}

bool scope_at_authorize(struct arena *a, struct str asked, struct str *out, struct err *e)
{
    struct buf text;
    struct str rest = asked, word;
    size_t n_known = 0, n_unknown = 0;
    if (!scope_is_clean(asked))
        return err_set(e, ERR_INVALID_SCOPE, "scope has characters that no scope has");
    buf_init(&text, LIMIT_SCOPE_GRANTED);
    while (asked.n && str_next(&rest, ' ', &word)) {
        if (word.n == 0)
            continue;
        bool is_known = str_list_has(STR(SCOPES_SUPPORTED), word) || scope_is_connection(word);
        if (is_known)
            word_add(&text, word);
        n_known += is_known;
        n_unknown += !is_known;
    }
    *out = finish(a, &text);
    if (str_is_absent(*out))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return n_known > 0 || n_unknown == 0 ||
           err_set(e, ERR_INVALID_SCOPE, "scope names nothing known; known are: " SCOPES_SUPPORTED);
}

struct str scope_for_resource(struct arena *a, struct str scope, struct str resource)
{
    struct buf text;
    struct str rest = scope, word;
    bool is_management = str_eq(resource, STR("management"));
    buf_init(&text, LIMIT_SCOPE_GRANTED);
    while (str_next(&rest, ' ', &word))
        if (is_management ? !scope_is_connection(word) : !str_eq(word, STR("mcp:manage")))
            word_add(&text, word);
    return finish(a, &text);
}

bool scope_is_within(struct str asked, struct str granted)
{
    struct str rest = asked, word;
    while (str_next(&rest, ' ', &word))
        if (word.n && !str_list_has(granted, word))
            return false;
    return true;
}

static bool names_connection(struct str scope)
{
    struct str rest = scope, word;
    while (str_next(&rest, ' ', &word))
        if (scope_is_connection(word))
            return true;
    return false;
}

/* The words of `from` that are (or are not) connections. */
static void words_add(struct buf *text, struct str from, bool connections)
{
    struct str rest = from, word;
    while (str_next(&rest, ' ', &word))
        if (word.n && scope_is_connection(word) == connections)
            word_add(text, word);
}

struct str scope_keep_narrow(struct arena *a, struct str asked, struct str granted)
{
    struct buf text;
    buf_init(&text, LIMIT_SCOPE_GRANTED);
    words_add(&text, asked, false);
    words_add(&text, names_connection(asked) ? asked : granted, true);
    return finish(a, &text);
}

struct str scope_narrow(struct arena *a, struct str scope, struct str connections,
                        bool is_read_only)
{
    struct buf text;
    struct str rest = scope, word;
    buf_init(&text, LIMIT_SCOPE_GRANTED);
    if (is_read_only)
        word_add(&text, STR("mcp:read"));
    while (str_next(&rest, ' ', &word))
        if (word.n && !scope_is_connection(word) && !(is_read_only && str_eq(word, STR("mcp"))))
            word_add(&text, word);
    words_add(&text, connections, true);
    return finish(a, &text);
}
