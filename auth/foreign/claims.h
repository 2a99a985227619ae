/*
 * What another authorization server says of an access token, believed only after every claim was
 * looked at here: RFC 9068 section 4, RFC 7519 section 4.1, RFC 7662 section 2.2.
 */
#pragma once

#include "json/jread.h"
#include "store/org_issuers.h"

struct foreign_claims {
    struct str subject;       /* absent only of an opaque token that names none */
    struct str client;        /* client_id or azp; absent: not said */
    struct str scope;         /* space separated, maybe empty */
    int64_t expires_at;       /* ms; 0: not said */
    const struct jvalue *all; /* lives as long as what was read */
};

/* May a token with this header be an access token at all? typ at+jwt; with accepts_plain_jwt JWT or
 * none, too. ERR_UNAUTHENTICATED. */
bool foreign_typ_check(const struct org_issuer *issuer, struct str typ, struct err *e) must_use;
/*
 * Reads the members of a verified JWT or of an introspection answer. now: Unix time, ms. The
 * audience is judged by foreign_audience, which knows what the token was shown for.
 * ERR_UNAUTHENTICATED, detail says why.
 */
bool foreign_claims_read(struct arena *a, const struct org_issuer *issuer, const struct jvalue *all,
                         int64_t now, struct foreign_claims *out, struct err *e) must_use;
/* The one sentence that a caller hears; why is for the log. False. */
bool foreign_refused(struct err *e, const char *why);
/* The scopes of ours that theirs stand for. ERR_INSUFFICIENT_SCOPE: one that is required is
 * missing, or none of them stands for anything. */
bool foreign_scope(struct arena *a, const struct org_issuer *issuer, const struct foreign_claims *c,
                   struct str *out, struct err *e) must_use;
