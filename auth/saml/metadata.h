/* Metadata: ours for the identity provider, and theirs for us. On an offload thread only.
 * Source: SAML V2.0 metadata. */
#pragma once

#include "auth/saml/settings.h"

/*
 * Reads an EntityDescriptor, or the one with this entity id (absent: the only one that is an
 * identity provider) of an EntitiesDescriptor. Signatures of metadata are not judged: an
 * administrator gave it, or the address that an administrator named. ERR_INVALID says what is
 * missing.
 */
bool saml_metadata_read(struct arena *a, struct str text, struct str entity_id,
                        struct saml_idp *out, struct err *e) must_use;
/* xs:duration as ms, a month being 30 days and a year 365; at most ten years. False: it is none, or
 * negative. */
bool saml_duration(struct str text, int64_t *ms) must_use;
/* Appends ours. */
void saml_metadata_write(const struct saml_settings *s, struct buf *out);
