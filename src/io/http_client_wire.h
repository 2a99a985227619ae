/*
 * Plain HTTP/1.1 to servers without curl: kept connections, one request at a time on each, written
 * and read by the loop. TLS, proxies and the operator's own destinations stay with curl. A request
 * of which a byte may have reached a server is never sent again (RFC 9110 9.2.2): what a server
 * was asked to do may have been done.
 */
#pragma once

#include "io/http_client_parts.h"

struct wires; /* of one client */

struct wires *wires_new(void) must_use;
/* Ends the kept connections. */
void wires_free(struct wires *set);

/* Writes the request's head and finds a kept connection or the server's addresses. May wait for a
 * name look-up. ERR_UPSTREAM (no such name), ERR_EGRESS, ERR_TIMEOUT, ERR_CANCELLED. */
bool wire_prepare(struct http_exchange *x, const struct http_call *call, struct err *e) must_use;
/* Sends, on the kept connection or a new one. Failures end the exchange like those of a transfer.
 */
void wire_begin(struct http_exchange *x);
/* The same once more on a fresh connection, when x->must_restart says so. May wait. */
void wire_restart(struct http_exchange *x);
/* Breaks an unfinished exchange off: its connection is closed. */
void wire_drop(struct http_exchange *x);
/* The reader has made room. */
void wire_unpause(struct http_exchange *x);
/* Where connecting stands, for the words of a time-out. */
bool wire_is_connected(const struct http_exchange *x);
