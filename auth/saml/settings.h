/*
 * What a SAML provider of an organization is: our addresses for it, what its identity provider
 * published, and our keys. ORGANIZATION_SSO_* write it, the rest of this folder reads it.
 * Source: contract.md "A sign-in provider"; SAML V2.0 metadata.
 */
#pragma once

#include "base/secret.h"
#include "core/services.h"
#include "json/jout.h"
#include "json/jread.h"
#include "store/sso_providers.h"

enum { SAML_KEYS = 2 }; /* the one that signs, and one beside it: both decrypt */

/* One pair of ours. */
struct saml_key {
    struct str key;         /* PKCS #8 DER */
    struct str certificate; /* DER */
    int64_t made_at;        /* ms; 0: before that was kept */
};
struct saml_settings {
    struct str provider_id, org_id, name;
    /* ours */
    struct str entity_id, acs_url, slo_url, metadata_url, start_url;
    struct saml_key keys[SAML_KEYS]; /* wiped with the arena */
    size_t n_keys;
    /* the identity provider's */
    struct str idp_entity_id, idp_sso_url, idp_slo_url; /* slo absent: it has none */
    bool idp_sso_is_post, idp_slo_is_post;              /* else by redirect */
    struct str *certificates;                           /* DER */
    size_t n_certificates;
    struct str idp_metadata_url; /* absent: none is known */
    bool refresh_metadata;       /* it is read again by itself */
    /* how */
    bool sign_requests, allow_idp_initiated;
    struct str name_id_format;                     /* absent: the identity provider chooses */
    struct str email_name, name_name, groups_name; /* of attributes; absent: well-known ones */
    int64_t skew_ms;
};

/*
 * For CREATE (present NULL) and UPDATE (present: the config until now): checks the tool's arguments
 * idp_metadata_xml, idp_metadata_url, refresh_metadata, idp_entity_id, sso_url, slo_url,
 * certificates, sign_requests, allow_idp_initiated, name_id_format, attributes, clock_skew_s, and
 * appends the members of the config to the open object *j (what is not given stays as it is, or
 * gets its default). Fetches idp_metadata_url. Waits (HTTP, offload). ERR_INVALID says which
 * argument is wrong and why; ERR_UPSTREAM, ERR_EGRESS, ERR_TIMEOUT: the address did not give its
 * metadata.
 */
bool saml_settings_write(struct services *sv, struct arena *a, const struct jvalue *args,
                         const struct jvalue *present, struct jout *j, struct err *e) must_use;
/* What an identity provider's metadata says. */
struct saml_idp {
    struct str entity_id, sso_url, slo_url; /* slo absent: none */
    bool sso_is_post, slo_is_post;
    struct str *certificates; /* DER */
    size_t n_certificates;
    int64_t valid_until; /* ms; 0: it does not say */
    int64_t cache_ms;    /* how long it may be kept; 0: it does not say */
};
struct saml_reread {
    struct saml_idp was, is; /* before, and after what is pinned stayed */
};
/*
 * Reads the metadata of a config's idp_metadata_url again and appends the members of the config to
 * the open object *j. What an administrator said in so many words stays; of the rest, what the
 * document says is so from now on: certificates that it adds are believed, those that it leaves out
 * no longer. ERR_INVALID: the document is none of the entity that the config names, is past its
 * validUntil, or says what no administrator could; ERR_UPSTREAM, ERR_EGRESS, ERR_TIMEOUT,
 * ERR_TOO_LARGE: the address did not give it. Waits (HTTP, offload).
 */
bool saml_settings_reread(struct services *sv, struct arena *a, const struct jvalue *present,
                          struct jout *j, struct saml_reread *out, struct err *e) must_use;
/* Appends entity_id, acs_url, slo_url, metadata_url and what the config says (idp_entity_id,
 * sso_url, slo_url of the other side as idp_slo_url, certificates as fingerprints with their dates,
 * switches) to the open object *j: for LIST and GET. */
bool saml_settings_describe(struct services *sv, struct arena *a, const struct sso_provider *p,
                            struct jout *j, struct err *e) must_use;

/* BASE_URL/auth/saml/<provider><suffix>. STR_NONE: memory. */
struct str saml_url(const struct services *sv, struct arena *a, struct str provider_id,
                    const char *suffix) must_use;
/* The provider of an address, enabled and of SAML, with its keys opened. Waits (store).
 * ERR_NOT_FOUND: there is none, or it is switched off. */
bool saml_settings_load(struct services *sv, struct arena *a, struct str provider_id,
                        struct saml_settings *out, struct err *e) must_use;
/* The same for one that is at hand, switched on or not. */
bool saml_settings_open(struct services *sv, struct arena *a, const struct sso_provider *p,
                        struct saml_settings *out, struct err *e) must_use;
