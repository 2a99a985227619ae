/* Templates and what every page carries. */
#include "auth/pages.h"

#include "auth/page_files.h"
#include "base/limits.h"
#include "base/text.h"

/* ---- rendering ---- */

/* Values by name: those of the row first, then those around it. */
struct scope {
    const struct page_value *values;
    const struct scope *outer;
};

static const struct page_value *value_find(const struct scope *scope, struct str name)
{
    for (; scope; scope = scope->outer)
        for (const struct page_value *v = scope->values; v && v->name; v++)
            if (str_eq(str_c(v->name), name))
                return v;
    return NULL;
}

static void escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '&')
            buf_add(out, STR("&amp;"));
        else if (c == '<')
            buf_add(out, STR("&lt;"));
        else if (c == '>')
            buf_add(out, STR("&gt;"));
        else if (c == '"')
            buf_add(out, STR("&quot;"));
        else if (c == '\'')
            buf_add(out, STR("&#39;"));
        else
            buf_add_char(out, c);
    }
}

struct tag {
    size_t from, to; /* "{{" to behind "}}" */
    char kind;       /* '#', '^', '/', or 0: a value */
    struct str name;
};

static bool tag_next(struct str text, size_t from, struct tag *out)
{
    size_t at = str_find(str_slice(text, from, SIZE_MAX), STR("{{"));
    if (at == SIZE_MAX)
        return false;
    at += from;
    size_t end = str_find(str_slice(text, at, SIZE_MAX), STR("}}"));
    if (end == SIZE_MAX)
        return false;
    struct str inner = str_slice(text, at + 2, end - 2);
    char kind = '\0';
    if (inner.n > 0 && (inner.p[0] == '#' || inner.p[0] == '^' || inner.p[0] == '/'))
        kind = inner.p[0];
    *out = (struct tag){at, at + end + 2, kind, kind ? str_slice(inner, 1, SIZE_MAX) : inner};
    return true;
}

/* Where the section that `open` begins ends: its closing tag. The build has checked that it has
 * one. */
static struct tag section_end(struct str text, const struct tag *open)
{
    struct tag t;
    size_t depth = 1;
    for (size_t at = open->to; tag_next(text, at, &t); at = t.to) {
        if (t.kind == '/')
            depth--;
        else if (t.kind)
            depth++;
        if (depth == 0)
            return t;
    }
    bug("a section of a page has no end");
}

static void render(struct buf *out, struct str text, const struct scope *scope);

static void section(struct buf *out, struct str inner, char kind, const struct page_value *v,
                    const struct scope *scope)
{
    bool is_empty = !v || (v->text.n == 0 && v->n_rows == 0);
    if (is_empty != (kind == '^'))
        return;
    if (kind == '^' || v->n_rows == 0) {
        render(out, inner, scope);
        return;
    }
    for (size_t i = 0; i < v->n_rows; i++) {
        const struct scope row = {v->rows[i].values, scope};
        render(out, inner, &row);
    }
}

static void render(struct buf *out, struct str text, const struct scope *scope)
{
    struct tag t;
    size_t at = 0;
    while (tag_next(text, at, &t)) {
        buf_add(out, str_slice(text, at, t.from - at));
        const struct page_value *v = value_find(scope, t.name);
        at = t.to;
        if (t.kind) {
            struct tag end = section_end(text, &t);
            section(out, str_slice(text, t.to, end.from - t.to), t.kind, v, scope);
            at = end.to;
        } else if (v) {
            escape(out, v->text);
        }
    }
    buf_add(out, str_slice(text, at, SIZE_MAX));
}

static const struct page_file *file_find(struct str name)
{
    for (size_t i = 0; i < n_page_files; i++)
        if (str_eq(str_c(page_files[i].name), name))
            return &page_files[i];
    bug("there is no such page");
}

/* Every name that a handler gives is one that the page knows. */
static void values_check(const struct page_file *file, const struct page_value *values)
{
    for (const struct page_value *v = values; v && v->name; v++) {
        ensure(str_list_has(str_c(file->values), str_c(v->name)));
        for (size_t i = 0; i < v->n_rows; i++)
            values_check(file, v->rows[i].values);
    }
}

void page_render(struct buf *out, const char *name, const struct page_value *values)
{
    const struct page_file *layout = file_find(STR("layout")), *file = file_find(str_c(name));
    const struct page_value own[] = {{.name = "title", .text = str_c(file->title)}, {.name = NULL}};
    const struct scope outside = {own, NULL}, inside = {values, &outside};
    const struct str mark = STR("<!-- content -->");
    size_t at = str_find(layout->text, mark);
    ensure(at != SIZE_MAX);
    values_check(file, values);
    render(out, str_slice(layout->text, 0, at), &outside);
    render(out, file->text, &inside);
    render(out, str_slice(layout->text, at + mark.n, SIZE_MAX), &outside);
}

void page_render_bare(struct buf *out, const char *name, const struct page_value *values)
{
    const struct page_file *file = file_find(str_c(name));
    const struct scope inside = {values, NULL};
    values_check(file, values);
    render(out, file->text, &inside);
}

/* ---- answering ---- */

/* A source expression may not end the directive or the header. */
static bool source_is_safe(struct str source)
{
    for (size_t i = 0; i < source.n; i++)
        if (source.p[i] <= 0x20 || source.p[i] >= 0x7F || source.p[i] == ';' ||
            source.p[i] == ',' || source.p[i] == '\'')
            return false;
    return source.n > 0 && source.n <= LIMIT_URL;
}

/* A page that names a script of ours may run it, and it may ask this server. */
static bool has_script(const char *name)
{
    return str_find(file_find(str_c(name))->text, STR("<script ")) != SIZE_MAX;
}

static void headers_set(struct http_request *rq, bool is_scripted, struct str form_action)
{
    struct str csp = arena_printf(
        rq->arena,
        "default-src 'none'; style-src 'self'; img-src 'self'; %sform-action 'self'%s%.*s; "
        "frame-ancestors 'none'; base-uri 'none'",
        is_scripted ? "script-src 'self'; connect-src 'self'; " : "",
        source_is_safe(form_action) ? " " : "",
        source_is_safe(form_action) ? (int)form_action.n : 0,
        source_is_safe(form_action) ? form_action.p : "");
    http_set_header(rq, STR("Content-Security-Policy"),
                    str_is_absent(csp) ? STR("default-src 'none'; frame-ancestors 'none'") : csp);
    http_set_header(rq, STR("X-Frame-Options"), STR("DENY"));
    http_set_header(rq, STR("X-Content-Type-Options"), STR("nosniff"));
    /* Nothing to other origins; "no-referrer" would make browsers send "Origin: null" with our own
     * forms (Fetch standard, "append a request Origin header"). */
    http_set_header(rq, STR("Referrer-Policy"), STR("same-origin"));
    http_set_header(rq, STR("Cache-Control"), STR("no-store"));
}

void page_answer(struct http_request *rq, int status, const char *name,
                 const struct page_value *values, struct str form_action)
{
    struct buf out;
    buf_init(&out, LIMIT_PAGE_BYTES);
    page_render(&out, name, values);
    struct str body = buf_ok(&out) ? arena_dup(rq->arena, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    headers_set(rq, has_script(name), form_action);
    if (str_is_absent(body))
        http_answer(rq, 503, STR_NONE, STR_NONE);
    else
        http_answer(rq, status, STR("text/html; charset=utf-8"), body);
}

void page_error(struct http_request *rq, const struct err *e)
{
    if (e->code == ERR_PROOF_OLD) { /* a form whose person can prove it and send it again */
        page_redirect(rq, STR("/login/again?return_to=/account"));
        return;
    }
    const struct page_value values[] = {
        {.name = "message", .text = str_c(e->msg[0] ? e->msg : err_text(e->code))},
        {.name = "request_id", .text = str_c(rq->request_id)},
        {.name = NULL}};
    if (e->code == ERR_UNAVAILABLE)
        http_set_header(rq, STR("Retry-After"), STR("5"));
    page_answer(rq, err_http(e->code), "error", values, STR_NONE);
}

/* The request's head and the answer's share one buffer of the connection (io/http_server.c). */
static bool fits_into_head(const struct http_request *rq, struct str location)
{
    enum { OTHERS = 2 * 1024 }; /* the rest of the answer's head, and what the library keeps */
    size_t n = rq->path.n + rq->query.n + location.n;
    for (size_t i = 0; i < rq->n_headers; i++)
        n += rq->headers[i].name.n + rq->headers[i].value.n;
    return n <= LIMIT_HEADER_BYTES - OTHERS;
}

void page_redirect(struct http_request *rq, struct str location)
{
    if (!fits_into_head(rq, location)) {
        const struct page_value values[] = {{.name = "location", .text = location}, {.name = NULL}};
        page_answer(rq, 200, "onward", values, STR_NONE);
        return;
    }
    http_set_header(rq, STR("Location"), location);
    http_set_header(rq, STR("Cache-Control"), STR("no-store"));
    http_set_header(rq, STR("Referrer-Policy"), STR("same-origin"));
    http_answer(rq, 303, STR_NONE, STR_NONE);
}

void page_asset(struct http_request *rq)
{
    for (size_t i = 0; i < n_page_assets; i++)
        if (str_eq(str_c(page_assets[i].name), rq->params[0])) {
            /* The name changes with the content. */
            http_set_header(rq, STR("Cache-Control"), STR("public, max-age=31536000, immutable"));
            http_set_header(rq, STR("X-Content-Type-Options"), STR("nosniff"));
            http_answer(rq, 200, str_c(page_assets[i].type), page_assets[i].bytes);
            return;
        }
    struct err e;
    err_set(&e, ERR_NOT_FOUND, "there is nothing at this address");
    page_error(rq, &e);
}
