/*
 * The forms of a downstream credential, as tools take them and as the vault keeps them: a JSON
 * object of exactly one of
 * {"bearer"} {"headers"} {"query"} {"env"} {"client_id","client_secret"}
 * {"client_id","private_key","private_key_id"}. Pure. No message quotes a value.
 */
#pragma once

#include "base/buf.h"
#include "json/jread.h"

/*
 * arguments  an object that holds the members of one form beside others
 * kind       bearer, headers, query, env or oauth_client
 * plain      receives the JSON to seal; the caller wipes it
 * ERR_INVALID: no form, more than one, or a value that cannot be sent: header names are tokens (RFC
 * 9110 5.6.2) and not hop-by-hop, Host, Accept, Content-* or Mcp-*; values hold no CR, LF, NUL;
 * sizes by base/limits.h.
 */
bool credential_rules_read(const struct jvalue *arguments, struct str *kind, struct buf *plain,
                           struct err *e) must_use;
/* What one person may store for themselves: a program runs with it as Tulle's own user.
 * ERR_UNPROCESSABLE: a variable that would make it run something else. */
bool credential_rules_personal(const struct jvalue *arguments, struct err *e) must_use;
/* True when any member of a form is there. */
bool credential_rules_has(const struct jvalue *arguments);
/* The `auth` of a connection that a credential of this kind goes with: "none" for env. */
struct str credential_rules_auth(struct str kind);
