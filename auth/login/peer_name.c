#include "auth/login/peer_name.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/text.h"

void peer_name(const struct http_request *rq, char out[PEER_NAME_SIZE])
{
    uint8_t b[16];
    char hex[33];
    size_t n = 0;
    out[0] = '\0';
    if (rq->peer_is_shared)
        return;
    if (inet_pton(AF_INET, rq->peer, b) == 1)
        n = 4;
    else if (inet_pton(AF_INET6, rq->peer, b) == 1)
        n = (b[0] & 0xE0) == 0x20 ? 8 : 16;
    text_hex(hex, b, n);
    if (n > 0)
        (void)snprintf(out, PEER_NAME_SIZE, "address %s", hex);
}
