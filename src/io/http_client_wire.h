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
/* Sends, on a kept connection at the turn's end or on a new one once it stands. Failures end the
 * exchange like those of a transfer. May wait for a name look-up. */
void wire_begin(struct http_exchange *x);
/* What was begun on kept connections in this turn of the loop. */
void wires_send(struct wires *set);
/* wire_begin once more, when x->must_restart says so: nothing has reached a server. */
void wire_restart(struct http_exchange *x);
/* Breaks an unfinished exchange off: its connection is closed. */
void wire_drop(struct http_exchange *x);
/* The reader has made room. */
void wire_unpause(struct http_exchange *x);
/* Where connecting stands, for the words of a time-out. */
bool wire_is_connected(const struct http_exchange *x);
