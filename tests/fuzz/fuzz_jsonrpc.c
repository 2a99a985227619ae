/* Spans lie inside the text; replacing id and name gives a message that reads as the same one with
 * these replaced. */
#include <stdlib.h>

#include "json/jscan.h"
#include "mcp/jsonrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_inside(struct str text, struct str span)
{
    if (str_is_absent(span))
        return;
    struct err e;
    if (span.p < text.p || span.p + span.n > text.p + text.n || !jscan_valid(span, &e))
        abort();
}

static void check_spans(struct str text, const struct rpc_message *m)
{
    const struct str spans[] = {m->id,
                                m->params,
                                m->result,
                                m->error,
                                m->name,
                                m->uri,
                                m->meta,
                                m->cursor,
                                m->arguments,
                                m->level,
                                m->ref,
                                m->task_id,
                                m->progress_token,
                                m->client_info,
                                m->log_level,
                                m->request_id,
                                m->client_capabilities,
                                m->params_progress_token};
    for (size_t i = 0; i < ARRAY_LEN(spans); i++)
        check_inside(text, spans[i]);
}

static void replace_and_read(struct arena *a, const struct rpc_message *m)
{
    struct rpc_message again;
    struct err e;
    struct rpc_edit edits[] = {
        {m->name, STR("\"other\"")}, {m->id, STR("\"hop-1\"")}, {m->progress_token, STR("42")}};
    struct str text = rpc_replace(a, m->raw, edits, ARRAY_LEN(edits));
    if (str_is_absent(text) || !rpc_parse(a, text, &again, &e) || again.kind != m->kind ||
        !str_eq(again.method, m->method) || str_is_absent(again.id) != str_is_absent(m->id))
        abort();
    if (!str_is_absent(m->id) && !str_eq(again.id, STR("\"hop-1\"")))
        abort();
    if (!str_is_absent(m->name) && !str_eq(again.name_text, STR("other")))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str text = {(const char *)bytes, n};
    struct arena *a = arena_new(64u << 20);
    struct rpc_message m;
    struct err e = {0};
    struct buf out;
    buf_init(&out, 1u << 24);
    if (rpc_parse(a, text, &m, &e)) {
        check_spans(text, &m);
        replace_and_read(a, &m);
    } else {
        if (e.code == ERR_NONE || e.msg[0] == '\0')
            abort();
        rpc_error_from(&out, m.id, true, &e);
        if (!rpc_parse(a, buf_str(&out), &m, &e) || m.kind != RPC_RESPONSE)
            abort();
    }
    buf_end(&out);
    arena_end(a);
    return 0;
}
