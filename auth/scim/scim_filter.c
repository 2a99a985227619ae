/* Recursive descent, one function per rule of the grammar; every recursion counts its depth. */
#include "auth/scim/scim_filter.h"

#include "base/limits.h"
#include "json/jscan.h"

struct parser {
    struct arena *arena;
    struct str text;
    size_t at;
    int depth;
    struct err *e;
};

static bool fail(struct parser *p, const char *expected)
{
    return err_set(p->e, ERR_INVALID, "at character %zu: expected %s", p->at + 1, expected);
}

static bool no_memory(struct parser *p)
{
    return err_set(p->e, ERR_UNAVAILABLE, "out of memory");
}

static char peek(const struct parser *p)
{
    if (p->at >= p->text.n)
        return '\0';
    return p->text.p[p->at];
}

static void skip_space(struct parser *p)
{
    while (peek(p) == ' ')
        p->at++;
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
    return is_alpha(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '$';
}

/* The letters from here on, without moving. */
static struct str word_ahead(const struct parser *p)
{
    size_t end = p->at;
    while (end < p->text.n && is_alpha(p->text.p[end]))
        end++;
    return str_slice(p->text, p->at, end - p->at);
}

static bool take_word(struct parser *p, struct str word)
{
    if (!str_ieq(word_ahead(p), word))
        return false;
    p->at += word.n;
    return true;
}

static bool is_name(struct str s)
{
    if (s.n == 0 || !(is_alpha(s.p[0]) || s.p[0] == '$'))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_word(s.p[i]))
            return false;
    return true;
}

static bool path_split(struct parser *p, struct str whole, struct scim_path *out)
{
    static const struct str schemas = STR("urn:ietf:params:scim:schemas:");
    *out = (struct scim_path){0};
    if (str_ieq(str_slice(whole, 0, schemas.n), schemas)) {
        size_t colon = whole.n;
        while (colon > 0 && whole.p[colon - 1] != ':')
            colon--;
        /* The last word of a schema's own name is User or Group, which no attribute is called. */
        struct str last = str_slice(whole, colon, SIZE_MAX);
        if (str_ieq(last, STR("User")) || str_ieq(last, STR("Group"))) {
            out->urn = whole;
            return true;
        }
        out->urn = str_slice(whole, 0, colon - 1);
        whole = last;
    }
    size_t dot = str_find_char(whole, '.');
    out->attr = str_slice(whole, 0, dot);
    if (dot != SIZE_MAX)
        out->sub = str_slice(whole, dot + 1, SIZE_MAX);
    return (is_name(out->attr) && (dot == SIZE_MAX || is_name(out->sub))) ||
           fail(p, "the name of an attribute");
}

static bool path_read(struct parser *p, struct scim_path *out)
{
    size_t from = p->at;
    while (is_word(peek(p)) || peek(p) == ':' || peek(p) == '.')
        p->at++;
    struct str whole = str_slice(p->text, from, p->at - from);
    if (whole.n == 0)
        return fail(p, "the name of an attribute");
    return path_split(p, whole, out);
}

static struct scim_filter *filter_new(struct parser *p, int kind)
{
    struct scim_filter *f = arena_alloc(p->arena, sizeof(*f));
    if (!f)
        (void)no_memory(p);
    else
        f->kind = (unsigned)kind;
    return f;
}

static bool op_read(struct parser *p, enum scim_op *out)
{
    static const struct {
        struct str word;
        enum scim_op op;
    } known[] = {{STR("eq"), SCIM_EQ}, {STR("ne"), SCIM_NE}, {STR("co"), SCIM_CO},
                 {STR("sw"), SCIM_SW}, {STR("ew"), SCIM_EW}, {STR("gt"), SCIM_GT},
                 {STR("ge"), SCIM_GE}, {STR("lt"), SCIM_LT}, {STR("le"), SCIM_LE},
                 {STR("pr"), SCIM_PR}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (take_word(p, known[i].word)) {
            *out = known[i].op;
            return true;
        }
    return fail(p, "eq, ne, co, sw, ew, gt, ge, lt, le or pr");
}

/* The JSON value from here on: a string to its closing quote, anything else to a delimiter. */
static struct str value_ahead(const struct parser *p)
{
    size_t end = p->at;
    if (peek(p) == '"') {
        for (end++; end < p->text.n && p->text.p[end] != '"'; end++)
            if (p->text.p[end] == '\\')
                end++;
        end++;
    } else {
        while (end < p->text.n && !strchr(" )]", p->text.p[end]))
            end++;
    }
    return str_slice(p->text, p->at, end - p->at);
}

static bool value_read(struct parser *p, const struct scim_node **out)
{
    auto_free(jdoc_freep) struct jdoc *doc = NULL;
    struct str raw = value_ahead(p);
    struct err ignored;
    /* Wrapped, because a whole text must not be a lone word to the parser. */
    struct str wrapped = arena_printf(p->arena, "[%.*s]", STR_FMT(raw));
    if (str_is_absent(wrapped))
        return no_memory(p);
    doc = raw.n > 0 && peek(p) != '{' && peek(p) != '[' ? jdoc_parse(wrapped, &ignored) : NULL;
    if (!doc || jv_count(jdoc_root(doc)) != 1)
        return fail(p, "a JSON string, number, true, false or null");
    *out = scim_tree_read(p->arena, jv_at(jdoc_root(doc), 0));
    p->at += raw.n;
    return *out || no_memory(p);
}

static const struct scim_filter *or_read(struct parser *p);

/* "(" or "[" filter ")" or "]" */
static const struct scim_filter *inner_read(struct parser *p, char end)
{
    p->at++;
    if (++p->depth > LIMIT_SCIM_DEPTH) {
        (void)err_set(p->e, ERR_INVALID, "the filter is deeper than %d levels", LIMIT_SCIM_DEPTH);
        return NULL;
    }
    const struct scim_filter *f = or_read(p);
    p->depth--;
    skip_space(p);
    if (f && peek(p) != end) {
        (void)fail(p, end == ')' ? "\")\"" : "\"]\"");
        return NULL;
    }
    p->at++;
    return f;
}

static const struct scim_filter *expression_read(struct parser *p)
{
    struct scim_filter *f = filter_new(p, SCIM_COMPARE);
    if (!f || !path_read(p, &f->path))
        return NULL;
    if (peek(p) == '[') {
        f->kind = SCIM_VALUES;
        f->left = inner_read(p, ']');
        return f->left ? f : NULL;
    }
    if (peek(p) != ' ') {
        (void)fail(p, "a space and an operator");
        return NULL;
    }
    skip_space(p);
    if (!op_read(p, &f->op))
        return NULL;
    if (f->op == SCIM_PR)
        return f;
    if (peek(p) != ' ') {
        (void)fail(p, "a space and a value");
        return NULL;
    }
    skip_space(p);
    return value_read(p, &f->value) ? f : NULL;
}

static const struct scim_filter *not_read(struct parser *p)
{
    skip_space(p);
    size_t before = p->at;
    if (take_word(p, STR("not"))) {
        skip_space(p);
        if (peek(p) == '(') {
            struct scim_filter *f = filter_new(p, SCIM_NOT);
            if (f)
                f->left = inner_read(p, ')');
            return f && f->left ? f : NULL;
        }
        p->at = before;
    }
    return peek(p) == '(' ? inner_read(p, ')') : expression_read(p);
}

/* One level of "and" or "or": left to right, without recursion. */
static const struct scim_filter *chain_read(struct parser *p, bool is_and)
{
    struct str word = is_and ? STR("and") : STR("or");
    const struct scim_filter *left = is_and ? not_read(p) : chain_read(p, true);
    while (left) {
        size_t before = p->at;
        skip_space(p);
        if (before == p->at || !take_word(p, word)) {
            p->at = before;
            return left;
        }
        struct scim_filter *f = filter_new(p, is_and ? SCIM_AND : SCIM_OR);
        if (!f)
            return NULL;
        f->left = left;
        f->right = is_and ? not_read(p) : chain_read(p, true);
        left = f->right ? f : NULL;
    }
    return NULL;
}

static const struct scim_filter *or_read(struct parser *p)
{
    return chain_read(p, false);
}

static bool parser_init(struct parser *p, struct arena *a, struct str text, struct err *e)
{
    *p = (struct parser){.arena = a, .text = text, .e = e};
    return text.n <= LIMIT_SCIM_FILTER ||
           err_set(e, ERR_INVALID, "it is longer than %d bytes", LIMIT_SCIM_FILTER);
}

bool scim_filter_parse(struct arena *a, struct str text, const struct scim_filter **out,
                       struct err *e)
{
    struct parser p;
    if (!parser_init(&p, a, text, e))
        return false;
    *out = or_read(&p);
    if (!*out)
        return false;
    skip_space(&p);
    return p.at == text.n || fail(&p, "and, or, or the end");
}

bool scim_target_parse(struct arena *a, struct str text, struct scim_target *out, struct err *e)
{
    struct parser p;
    *out = (struct scim_target){0};
    if (!parser_init(&p, a, text, e) || !path_read(&p, &out->path))
        return false;
    if (peek(&p) == '[') {
        if (!str_is_absent(out->path.sub))
            return fail(&p, "the end");
        out->filter = inner_read(&p, ']');
        if (!out->filter)
            return false;
        if (peek(&p) == '.') {
            out->path.sub = str_slice(text, p.at + 1, SIZE_MAX);
            if (!is_name(out->path.sub))
                return fail(&p, "the name of a sub-attribute");
            p.at = text.n;
        }
    }
    return p.at == text.n || fail(&p, "the end");
}
