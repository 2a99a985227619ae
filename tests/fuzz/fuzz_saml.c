/*
 * Whatever is sent, only the identity that the provider signed is ever read: the seeds are genuine
 * answers of ada-17 and forgeries of them (make_saml.mjs). The readers of metadata and of log-outs
 * get the same bytes.
 */
#include <stdlib.h>

#include "auth/saml/logout_read.h"
#include "auth/saml/metadata.h"
#include "auth/saml/response.h"
#include "base/text.h"
#include "saml_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static struct str decoded(struct str base64)
{
    struct buf out;
    buf_init(&out, 16 * 1024);
    if (!text_b64_decode(base64, &out))
        abort();
    return buf_str(&out); /* for the life of the program */
}

static struct saml_settings settings_make(void)
{
    static struct str certificate;
    struct saml_settings s = {.provider_id = STR("idp_00000000000000000000000000000000"),
                              .entity_id = STR(SAML_BASE "/metadata"),
                              .acs_url = STR(SAML_BASE "/acs"),
                              .slo_url = STR(SAML_BASE "/slo"),
                              .idp_entity_id = STR("https://idp.example/saml"),
                              .certificates = &certificate,
                              .n_certificates = 1,
                              .n_keys = 1,
                              .skew_ms = 60 * 1000};
    certificate = decoded(STR(SAML_IDP_CERTIFICATE));
    s.keys[0].key = decoded(STR(SAML_SP_KEY));
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct saml_settings s;
    if (s.n_keys == 0)
        s = settings_make();
    struct arena *a = arena_new(64u << 20);
    struct str text = {(const char *)bytes, n};
    struct saml_assertion assertion;
    struct saml_logout_request request;
    struct saml_reject why;
    struct saml_idp idp;
    struct err e;
    if (saml_response_read(a, &s, text, SAML_NOW_MS, &assertion, &why)) {
        if (!str_eq(assertion.name_id, STR("ada-17")))
            abort();
    } else if (!why.code || !why.why[0]) {
        abort();
    }
    if (saml_logout_read(a, &s, text, STR_NONE, SAML_NOW_MS, &request, &why))
        abort(); /* the provider signed none */
    if (saml_metadata_read(a, text, STR_NONE, &idp, &e) && idp.n_certificates == 0)
        abort();
    arena_end(a);
    return 0;
}
