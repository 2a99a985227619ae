/* A batch is taken apart into all of its messages, each a text of its own within the body, or
 * refused with a reason; none of another revision and no initialize gets through. */
#include <stdlib.h>

#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/batch.h"
#include "mcp/jsonrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void message_check(struct arena *a, struct str text, struct str message)
{
    struct rpc_message m = {0};
    struct err e = {0};
    if (message.p < text.p || message.p + message.n > text.p + text.n || !jscan_valid(message, &e))
        abort();
    bool is_message = rpc_parse(a, message, &m, &e);
    if (is_message != (e.code == ERR_NONE))
        abort();
    if (!str_is_absent(m.protocol_version) || str_eq(m.method, STR("initialize")) ||
        str_eq(m.method, STR("subscriptions/listen")))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str text = {(const char *)bytes, n}, *messages;
    if (!rpc_is_batch(text))
        return 0;
    struct arena *a = arena_new(64u << 20);
    struct err e = {0};
    struct jiter it;
    size_t n_messages, at = 0;
    if (!batch_messages(a, text, &messages, &n_messages, &e)) {
        if (e.code == ERR_NONE || e.msg[0] == '\0')
            abort();
    } else {
        if (n_messages == 0 || n_messages > LIMIT_BATCH)
            abort();
        for (jscan_iter(&it, str_trim(text)); jscan_next(&it); at++)
            if (at == n_messages || !str_eq(messages[at], it.value))
                abort();
        if (at != n_messages)
            abort();
        for (size_t i = 0; i < n_messages; i++)
            message_check(a, text, messages[i]);
    }
    arena_end(a);
    return 0;
}
