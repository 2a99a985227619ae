/* Merged lists as one caller sees them. */
#include "base/clock.h"
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/aggregate.h"

#define CURSOR_PURPOSE "mcp-cursor"
enum { CURSOR_MAX = 8192, CURSOR_LIFE_MS = 24 * 60 * 60 * 1000, EDITS_MAX = 4 };

/* ---- cursors: "expiry|name of the last entry", sealed to principal, aggregate and method ---- */

static struct str cursor_aad(const struct aggregate *g)
{
    return arena_printf(g->p.a, "%.*s|%.*s|%.*s", STR_FMT(g->p.caller->principal), STR_FMT(g->id),
                        STR_FMT(g->p.in.msg.method));
}

static bool cursor_write(const struct aggregate *g, struct str last, struct jout *j, struct err *e)
{
    struct buf out;
    buf_init(&out, CURSOR_MAX);
    struct str plain = arena_printf(g->p.a, "%lld|%.*s",
                                    (long long)clock_wall_ms() + CURSOR_LIFE_MS, STR_FMT(last));
    bool is_sealed = !str_is_absent(plain) &&
                     keyring_seal(g->p.sv->keys, STR(CURSOR_PURPOSE), cursor_aad(g), plain, &out) &&
                     buf_ok(&out);
    if (is_sealed)
        jout_kstr(j, "nextCursor", buf_str(&out));
    buf_end(&out);
    return is_sealed || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool cursor_read(const struct aggregate *g, struct str *last, struct err *e)
{
    struct str raw = g->p.in.msg.cursor, sealed, expiry;
    struct buf plain;
    int64_t expires_at = 0;
    *last = STR_NONE;
    if (str_is_absent(raw))
        return true;
    buf_init(&plain, CURSOR_MAX);
    bool is_open = jscan_type(raw) == JTYPE_STRING && jscan_string(g->p.a, raw, &sealed) &&
                   keyring_open(g->p.sv->keys, STR(CURSOR_PURPOSE), cursor_aad(g), sealed, &plain);
    struct str rest = is_open ? arena_dup(g->p.a, buf_str(&plain)) : STR_NONE;
    buf_end(&plain);
    is_open = str_next(&rest, '|', &expiry) && str_to_i64(expiry, 0, INT64_MAX, &expires_at) &&
              expires_at > clock_wall_ms();
    *last = rest;
    return is_open ||
           err_set(e, ERR_INVALID,
                   "params.cursor is not one that this list gave you, or it has expired");
}

/* ---- entries ---- */

/* MCP Apps: a tool names the resource of its user interface (_meta.ui.resourceUri, formerly
 * _meta["ui/resourceUri"]). */
static size_t app_edit(struct aggregate *g, const struct aggregate_entry *entry, struct str meta,
                       struct rpc_edit *edits)
{
    struct jwant wants[] = {{.name = STR("ui")}, {.name = STR("ui/resourceUri")}};
    struct jwant inner[] = {{.name = STR("resourceUri")}};
    struct err ignored;
    size_t n = 0;
    if (str_is_absent(meta) || !jscan_object(meta, wants, ARRAY_LEN(wants), &ignored))
        return 0;
    if (!str_is_absent(wants[0].value))
        (void)!jscan_object(wants[0].value, inner, 1, &ignored);
    struct str found[] = {inner[0].value, wants[1].value};
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        struct str uri;
        if (str_is_absent(found[i]) || !jscan_string(g->p.a, found[i], &uri))
            continue;
        struct str shown = names_uri(g->p.a, entry->member->entry->conn.slug, uri);
        if (!str_is_absent(shown))
            edits[n++] = (struct rpc_edit){found[i], rpc_quote(g->p.a, shown)};
    }
    return n;
}

struct str aggregate_entry_text(struct aggregate *g, const struct aggregate_entry *entry)
{
    struct jwant wants[] = {{.name = STR("description")}, {.name = STR("_meta")}};
    struct rpc_edit edits[EDITS_MAX];
    struct err ignored;
    size_t n = 0;
    if (!jscan_object(entry->raw, wants, ARRAY_LEN(wants), &ignored))
        return STR_NONE;
    edits[n++] = (struct rpc_edit){entry->name_raw, rpc_quote(g->p.a, entry->given)};
    if (!str_is_absent(entry->description)) {
        struct str text = rpc_quote(g->p.a, entry->description);
        bool has_one = !str_is_absent(wants[0].value);
        edits[n++] =
            has_one
                ? (struct rpc_edit){wants[0].value, text}
                : (struct rpc_edit){str_slice(entry->raw, 0, 1),
                                    arena_printf(g->p.a, "{\"description\":%.*s,", STR_FMT(text))};
    }
    n += app_edit(g, entry, wants[1].value, &edits[n]);
    for (size_t i = 0; i < n; i++)
        if (str_is_absent(edits[i].with))
            return STR_NONE;
    return rpc_replace(g->p.a, entry->raw, edits, n);
}

/* ---- lists ---- */

static bool page_write(struct aggregate *g, enum list_kind kind, const struct gathered *all,
                       struct jout *j, struct err *e)
{
    struct str last, shown = STR_NONE;
    size_t n = 0, bytes = 0;
    bool has_more = false;
    if (!cursor_read(g, &last, e))
        return false;
    jout_key(j, str_c(list_kind_array(kind)));
    jout_array(j);
    for (size_t i = 0; i < all->n && !has_more; i++) {
        const struct aggregate_entry *entry = &all->entries[i];
        if ((!str_is_absent(last) && str_cmp(entry->given, last) <= 0) ||
            !aggregate_may_see(g, entry, kind))
            continue;
        has_more = n == LIMIT_AGGREGATE_PAGE || bytes > LIMIT_ANSWER_HELD / 2;
        if (has_more)
            break;
        struct str text = aggregate_entry_text(g, entry);
        if (str_is_absent(text))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        jout_raw(j, text);
        shown = entry->given;
        bytes += text.n;
        n++;
    }
    jout_array_end(j);
    return !has_more || cursor_write(g, shown, j, e);
}

bool aggregate_list(struct aggregate *g, enum list_kind kind, struct jout *j, struct err *e)
{
    struct gathered all;
    if (!aggregate_gather(g, kind, false, &all, e))
        return false;
    if (kind == LIST_TOOLS && aggregate_searches(g, &all)) {
        aggregate_search_list(j);
        return true;
    }
    return page_write(g, kind, &all, j, e);
}

/* ---- instructions ---- */

static void server_write(struct buf *out, const struct listing *listing)
{
    const struct connection *c = &listing->entry->conn;
    buf_addf(out, "\n- %.*s: %.*s", STR_FMT(c->slug), STR_FMT(c->name));
    if (c->description.n > 0)
        buf_addf(out, ". %.*s", STR_FMT(str_slice(c->description, 0, 300)));
    if (listing->state == LISTING_ABSENT)
        buf_add(out, STR(" (not answering at present: its tools are missing)"));
    else if (listing->state == LISTING_UNAUTHORIZED)
        buf_add(out, STR(" (needs an authorization that is not there yet: calling one of its tools "
                         "says how to give it)"));
}

struct str aggregate_instructions(struct aggregate *g, struct err *e)
{
    struct gathered all;
    struct buf out;
    if (!aggregate_gather(g, LIST_TOOLS, false, &all, e))
        return STR_NONE;
    buf_init(&out, LIMIT_BODY_FORM);
    if (!str_is_absent(g->instructions) && g->instructions.n > 0)
        buf_addf(&out, "%.*s\n\n", STR_FMT(g->instructions));
    buf_addf(&out, "%s%.*s: the tools of these servers in one place%s.", g->is_hub ? "Hub of " : "",
             STR_FMT(g->name), g->mode == NAMES_ALWAYS ? ", named server__tool" : "");
    if (aggregate_searches(g, &all))
        buf_add(&out, STR(" They are many: find_tools finds them, describe_tools shows what they "
                          "take, call_tool runs them."));
    for (size_t i = 0; i < g->n_members; i++)
        server_write(&out, &all.listings[i]);
    if (g->n_members == 0)
        buf_add(&out, STR("\nNone: no server is registered that you may use."));
    struct str text = buf_ok(&out) ? arena_dup(g->p.a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    if (str_is_absent(text))
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    return text;
}
