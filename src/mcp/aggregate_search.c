/*
 * The search mode: three tools in the stead of many. Below some forty tools a model does better
 * with the plain list, which is why the mode never comes before.
 */
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"

enum {
    FOUND_DEFAULT = 10,
    FOUND_MAX = 50,
    WORDS_MAX = 16,
    DESCRIBED_MAX = 20,
    /* Bytes of a word, and of a description that is looked through: everybody's thread does it. */
    WORD_MAX = 64,
    SEARCHED_MAX = 4096,
};

#define FIND_TOOL                                                                                  \
    "{\"name\":\"find_tools\",\"title\":\"Find tools\",\"description\":\"Finds tools by what "     \
    "they "                                                                                        \
    "do: give words of the task. Answers names and descriptions, best first; then describe_tools " \
    "shows what a tool takes and call_tool runs it.\",\"inputSchema\":{\"type\":\"object\","       \
    "\"properties\":{\"query\":{\"type\":\"string\",\"description\":\"words of the task, a "       \
    "server's or a tool's name; empty: all\"},\"limit\":{\"type\":\"integer\",\"minimum\":1,"      \
    "\"maximum\":50,\"description\":\"default 10\"}},\"required\":[\"query\"]},\"annotations\":"   \
    "{\"readOnlyHint\":true,\"openWorldHint\":false}}"
#define DESCRIBE_TOOL                                                                              \
    "{\"name\":\"describe_tools\",\"title\":\"Describe tools\",\"description\":\"The whole "       \
    "definitions of tools, with the schema of their arguments.\",\"inputSchema\":{\"type\":"       \
    "\"object\",\"properties\":{\"names\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},"    \
    "\"maxItems\":20,\"description\":\"as find_tools gave them\"}},\"required\":[\"names\"]},"     \
    "\"annotations\":{\"readOnlyHint\":true,\"openWorldHint\":false}}"
#define CALL_TOOL                                                                                  \
    "{\"name\":\"call_tool\",\"title\":\"Call a tool\",\"description\":\"Runs a tool that "        \
    "find_tools found and answers what it answers.\",\"inputSchema\":{\"type\":\"object\","        \
    "\"properties\":{\"name\":{\"type\":\"string\"},\"arguments\":{\"type\":\"object\","           \
    "\"description\":\"as describe_tools says\"}},\"required\":[\"name\"]},\"annotations\":{"      \
    "\"destructiveHint\":true,\"openWorldHint\":true}}"

bool aggregate_searches(struct aggregate *g, const struct gathered *tools)
{
    size_t n = 0;
    if (!g->wants_search)
        return false;
    for (size_t i = 0; i < tools->n && n < SEARCH_FROM_TOOLS; i++)
        n += aggregate_may_see(g, &tools->entries[i], LIST_TOOLS);
    return n >= SEARCH_FROM_TOOLS;
}

void aggregate_search_list(struct jout *j)
{
    jout_kraw(j, "tools", STR("[" FIND_TOOL "," DESCRIBE_TOOL "," CALL_TOOL "]"));
}

bool aggregate_is_search_tool(const struct aggregate *g, struct str name)
{
    return g->wants_search &&
           (str_eq(name, STR("find_tools")) || str_eq(name, STR("describe_tools")) ||
            str_eq(name, STR("call_tool")));
}

/* ---- find_tools ---- */

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool holds(struct str text, struct str word)
{
    for (size_t i = 0; i + word.n <= text.n; i++) {
        size_t k = 0;
        while (k < word.n && lower(text.p[i + k]) == lower(word.p[k]))
            k++;
        if (k == word.n)
            return true;
    }
    return false;
}

struct words {
    struct str word[WORDS_MAX];
    size_t n;
};

static void words_read(struct str query, struct words *out)
{
    struct str rest = query, word;
    while (out->n < WORDS_MAX && str_next(&rest, ' ', &word))
        if (str_trim(word).n > 0)
            out->word[out->n++] = str_slice(str_trim(word), 0, WORD_MAX);
}

static struct str description_of(struct aggregate *g, const struct aggregate_entry *entry)
{
    struct jwant wants[] = {{.name = STR("description")}};
    struct str text;
    struct err ignored;
    if (!str_is_absent(entry->description))
        return entry->description;
    if (!jscan_object(entry->raw, wants, 1, &ignored) || str_is_absent(wants[0].value) ||
        !jscan_string(g->p.a, wants[0].value, &text))
        return STR("");
    return text;
}

/* A word in the name says more than one in the description; every word that is there counts. */
static int score_of(const struct words *words, const struct aggregate_entry *entry,
                    struct str description)
{
    int score = words->n == 0 ? 1 : 0;
    for (size_t i = 0; i < words->n; i++) {
        score += holds(entry->given, words->word[i]) ? 4 : 0;
        score += holds(str_slice(description, 0, SEARCHED_MAX), words->word[i]) ? 2 : 0;
        score += holds(entry->member->entry->conn.name, words->word[i]) ? 1 : 0;
    }
    return score;
}

struct found {
    const struct aggregate_entry *entry;
    struct str description;
    int score;
};

/* Into its place among the best; equals stay in the order of their names. */
static void found_put(struct found *list, size_t *n, size_t max, struct found one)
{
    size_t at = *n;
    while (at > 0 && list[at - 1].score < one.score)
        at--;
    if (at == max)
        return;
    size_t moved = (*n < max ? *n : max - 1) - at;
    memmove(&list[at + 1], &list[at], moved * sizeof(*list));
    list[at] = one;
    *n += *n < max;
}

static bool find_run(struct aggregate *g, struct str arguments, struct jout *out, struct err *e)
{
    struct jwant wants[] = {{.name = STR("query")}, {.name = STR("limit")}};
    struct words words = {.n = 0};
    struct gathered all;
    struct str query = STR("");
    int64_t limit = FOUND_DEFAULT;
    if (!jscan_object(arguments, wants, ARRAY_LEN(wants), e))
        return false;
    if (str_is_absent(wants[0].value) || !jscan_string(g->p.a, wants[0].value, &query))
        return err_set(e, ERR_INVALID, "arguments.query is missing, expected a string");
    if (!str_is_absent(wants[1].value) &&
        (!jscan_i64(wants[1].value, &limit) || limit < 1 || limit > FOUND_MAX))
        return err_set(e, ERR_INVALID, "arguments.limit: expected an integer from 1 to %d",
                       FOUND_MAX);
    words_read(query, &words);
    if (!aggregate_gather(g, LIST_TOOLS, false, &all, e))
        return false;
    struct found best[FOUND_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < all.n; i++) {
        struct found one = {.entry = &all.entries[i]};
        if (!aggregate_may_see(g, one.entry, LIST_TOOLS))
            continue;
        one.description = description_of(g, one.entry);
        one.score = score_of(&words, one.entry, one.description);
        if (one.score > 0)
            found_put(best, &n, (size_t)limit, one);
    }
    jout_key(out, STR("tools"));
    jout_array(out);
    for (size_t i = 0; i < n; i++) {
        jout_object(out);
        jout_kstr(out, "name", best[i].entry->given);
        jout_kstr(out, "description", str_slice(best[i].description, 0, 400));
        jout_object_end(out);
    }
    jout_array_end(out);
    return true;
}

/* ---- describe_tools ---- */

static bool describe_one(struct aggregate *g, const struct gathered *all, struct str name,
                         struct jout *out, struct err *e)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct aggregate_entry *entry = &all->entries[i];
        if (!str_eq(entry->given, name) || !aggregate_may_see(g, entry, LIST_TOOLS))
            continue;
        struct str text = aggregate_entry_text(g, entry);
        if (str_is_absent(text))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        jout_raw(out, text);
        return true;
    }
    return err_set(e, ERR_NOT_FOUND, "Unknown tool: %.*s", STR_FMT(str_slice(name, 0, 120)));
}

static bool describe_run(struct aggregate *g, struct str arguments, struct jout *out, struct err *e)
{
    struct jwant wants[] = {{.name = STR("names")}};
    struct gathered all;
    struct jiter it;
    struct str name;
    size_t n = 0;
    if (!jscan_object(arguments, wants, 1, e))
        return false;
    if (str_is_absent(wants[0].value) || jscan_type(wants[0].value) != JTYPE_ARRAY)
        return err_set(e, ERR_INVALID, "arguments.names is missing, expected an array of names");
    if (!aggregate_gather(g, LIST_TOOLS, false, &all, e))
        return false;
    jout_key(out, STR("tools"));
    jout_array(out);
    for (jscan_iter(&it, wants[0].value); jscan_next(&it) && n < DESCRIBED_MAX; n++) {
        if (!jscan_string(g->p.a, it.value, &name))
            return err_set(e, ERR_INVALID, "arguments.names[%zu] is no string", n);
        if (!describe_one(g, &all, name, out, e))
            return false;
    }
    jout_array_end(out);
    return true;
}

/* ---- call_tool ---- */

/* The message with the inner call's name and arguments in place of its own. */
static bool call_unwrap(struct aggregate *g, struct str arguments, struct str *call, struct err *e)
{
    const struct rpc_message *m = &g->p.in.msg;
    struct jwant wants[] = {{.name = STR("name")}, {.name = STR("arguments")}};
    if (!jscan_object(arguments, wants, ARRAY_LEN(wants), e))
        return false;
    if (str_is_absent(wants[0].value) || jscan_type(wants[0].value) != JTYPE_STRING)
        return err_set(e, ERR_INVALID, "arguments.name is missing, expected the name of a tool");
    if (!str_is_absent(wants[1].value) && jscan_type(wants[1].value) != JTYPE_OBJECT)
        return err_set(e, ERR_INVALID, "arguments.arguments is no object");
    struct rpc_edit edits[] = {
        {m->name, wants[0].value},
        {m->arguments, str_is_absent(wants[1].value) ? STR("{}") : wants[1].value}};
    *call = rpc_replace(g->p.a, m->raw, edits, ARRAY_LEN(edits));
    return !str_is_absent(*call) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static void content_write(struct jout *j, struct str text)
{
    jout_key(j, STR("content"));
    jout_array(j);
    jout_object(j);
    jout_kstr(j, "type", STR("text"));
    jout_kstr(j, "text", text);
    jout_object_end(j);
    jout_array_end(j);
}

bool aggregate_search_call(struct aggregate *g, struct jout *j, struct str *call, struct err *e)
{
    const struct rpc_message *m = &g->p.in.msg;
    struct str arguments = m->arguments;
    struct buf text;
    struct jout inner;
    *call = STR_NONE;
    if (str_is_absent(arguments))
        return err_set(e, ERR_INVALID, "params.arguments is missing, expected an object");
    if (str_eq(m->name_text, STR("call_tool")))
        return call_unwrap(g, arguments, call, e);
    buf_init(&text, LIMIT_ANSWER_HELD);
    jout_init(&inner, &text);
    jout_object(&inner);
    bool is_good = str_eq(m->name_text, STR("find_tools")) ? find_run(g, arguments, &inner, e)
                                                           : describe_run(g, arguments, &inner, e);
    jout_object_end(&inner);
    if (is_good && !buf_ok(&text))
        is_good = err_set(e, ERR_TOO_LARGE, "the definitions are too large: ask for fewer");
    if (is_good)
        content_write(j, buf_str(&text));
    buf_end(&text);
    return is_good;
}
