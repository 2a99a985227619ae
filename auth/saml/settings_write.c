/* What ORGANIZATION_SSO_CREATE and _UPDATE are given, checked and written down. */
#include "auth/saml/metadata.h"
#include "auth/saml/settings.h"
#include "auth/saml/work.h"
#include "auth/saml/xml.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/uri.h"
#include "crypto/certificate.h"
#include "io/http_client.h"

enum { SKEW_S = 60 };

/* ---- metadata ---- */

static bool metadata_fetch(struct services *sv, struct arena *a, struct str url, struct str *text,
                           struct err *e)
{
    const struct http_header accept = {STR("Accept"),
                                       STR("application/samlmetadata+xml, application/xml")};
    const struct http_call call = {.method = STR("GET"),
                                   .url = url,
                                   .headers = &accept,
                                   .n_headers = 1,
                                   .is_repeatable = true,
                                   .total_ms = LIMIT_OAUTH_MS,
                                   .max_bytes = LIMIT_SAML_METADATA};
    struct http_fetched answer;
    if (!http_fetch(sv->http, a, &call, LIMIT_SAML_METADATA, &answer, e))
        return false;
    *text = answer.body;
    return answer.head.status == 200 ||
           err_set(e, ERR_UPSTREAM, "the address of the metadata answered with status %d",
                   answer.head.status);
}

struct metadata_read {
    struct str text, entity_id;
    struct saml_idp idp; /* out */
};

static bool metadata_work(struct arena *a, void *arg, struct err *e)
{
    struct metadata_read *m = arg;
    return saml_metadata_read(a, m->text, m->entity_id, &m->idp, e);
}

/* Metadata that says that it is over says nothing else. */
static bool metadata_is_current(const struct saml_idp *idp, struct err *e)
{
    return idp->valid_until == 0 || idp->valid_until > clock_wall_ms() ||
           err_set(e, ERR_INVALID, "the metadata's validUntil is past");
}

static bool metadata_take(struct services *sv, struct arena *a, struct str text,
                          struct str entity_id, struct saml_idp *out, struct err *e)
{
    struct arena *own;
    struct saml_work *w = saml_work_new(&own, e);
    if (!w)
        return false;
    struct metadata_read *m = arena_alloc(own, sizeof(*m));
    if (!m) {
        saml_work_free(w);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    m->text = arena_dup(own, text);
    m->entity_id = arena_dup(own, entity_id);
    if (!saml_work_run(sv, a, w, metadata_work, m, e))
        return false;
    *out = m->idp;
    return metadata_is_current(out, e);
}

/* ---- arguments ---- */

struct writing {
    struct services *sv;
    struct arena *arena;
    const struct jvalue *args, *present;
    struct saml_idp idp;
    struct err *e;
};

/* A member of the arguments, else of the config until now. */
static const struct jvalue *given(const struct writing *w, const char *name)
{
    const struct jvalue *v = jv_get(w->args, name);
    return v ? v : jv_get(w->present, name);
}

static bool has_arg(const struct writing *w, const char *name)
{
    return jv_is_string(jv_get(w->args, name));
}

static bool present_certificates(struct writing *w)
{
    const struct jvalue *list = jv_get(w->present, "certificates");
    for (size_t i = 0; i < jv_count(list) && i < LIMIT_SAML_CERTIFICATES; i++) {
        struct certificate c;
        if (!certificate_read(w->arena, jv_str(jv_at(list, i)), &c, w->e))
            return false;
        w->idp.certificates[w->idp.n_certificates++] = c.der;
    }
    return true;
}

static bool certificates_take(struct writing *w)
{
    const struct jvalue *list = jv_get(w->args, "certificates");
    if (jv_count(list) > LIMIT_SAML_CERTIFICATES)
        return err_set(w->e, ERR_INVALID, "certificates: at most %d", LIMIT_SAML_CERTIFICATES);
    w->idp.n_certificates = 0;
    for (size_t i = 0; i < jv_count(list); i++) {
        struct certificate c;
        struct err why;
        if (!certificate_read(w->arena, jv_str(jv_at(list, i)), &c, &why))
            return err_set(w->e, ERR_INVALID, "certificates[%zu]: %.200s", i, why.msg);
        w->idp.certificates[w->idp.n_certificates++] = c.der;
    }
    return true;
}

/* The identity provider as it was, before what is given now. */
static bool idp_begin(struct writing *w)
{
    w->idp = (struct saml_idp){
        .entity_id = jv_get_str(w->present, "idp_entity_id"),
        .sso_url = jv_get_str(w->present, "sso_url"),
        .slo_url = jv_get_str(w->present, "slo_url"),
        .sso_is_post = jv_get_bool(w->present, "sso_is_post", false),
        .slo_is_post = jv_get_bool(w->present, "slo_is_post", false),
        .certificates = arena_alloc(w->arena, LIMIT_SAML_CERTIFICATES * sizeof(struct str)),
    };
    if (!w->idp.certificates)
        return err_set(w->e, ERR_UNAVAILABLE, "out of memory");
    return present_certificates(w);
}

static bool url_check(const struct writing *w, const char *name, struct str url)
{
    struct uri u;
    if (url.n > LIMIT_URL || !uri_parse(url, &u) || !uri_is_http(&u) ||
        !str_is_absent(u.userinfo) || !str_is_absent(u.fragment))
        return err_set(w->e, ERR_INVALID, "%s is no http(s) address", name);
    return str_ieq(u.scheme, STR("https")) || uri_host_is_loopback(u.host) ||
           err_set(w->e, ERR_INVALID, "%s must be https", name);
}

static bool idp_metadata(struct writing *w)
{
    struct str text = jv_get_str(w->args, "idp_metadata_xml");
    struct str url = jv_get_str(w->args, "idp_metadata_url");
    if (!str_is_absent(text) && !str_is_absent(url))
        return err_set(w->e, ERR_INVALID, "idp_metadata_xml or idp_metadata_url, not both");
    if (!str_is_absent(url) && (!url_check(w, "idp_metadata_url", url) ||
                                !metadata_fetch(w->sv, w->arena, url, &text, w->e)))
        return false;
    return str_is_absent(text) ||
           metadata_take(w->sv, w->arena, text, jv_get_str(w->args, "idp_entity_id"), &w->idp,
                         w->e);
}

/* What is said in so many words goes before metadata. */
static bool idp_arguments(struct writing *w)
{
    if (has_arg(w, "idp_entity_id"))
        w->idp.entity_id = jv_get_str(w->args, "idp_entity_id");
    if (has_arg(w, "sso_url")) {
        w->idp.sso_url = jv_get_str(w->args, "sso_url");
        w->idp.sso_is_post = false;
    }
    if (has_arg(w, "slo_url")) {
        w->idp.slo_url = jv_get_str(w->args, "slo_url");
        w->idp.slo_is_post = false;
    }
    if (jv_is_null(jv_get(w->args, "slo_url")))
        w->idp.slo_url = STR_NONE;
    return !jv_is_array(jv_get(w->args, "certificates")) || certificates_take(w);
}

static bool idp_check(const struct writing *w)
{
    if (w->idp.entity_id.n == 0 || w->idp.sso_url.n == 0 || w->idp.n_certificates == 0)
        return err_set(w->e, ERR_INVALID,
                       "idp_metadata_xml, idp_metadata_url, or all of idp_entity_id, sso_url and "
                       "certificates must be given");
    if (w->idp.entity_id.n > 1024 || text_has_control(w->idp.entity_id))
        return err_set(w->e, ERR_INVALID, "idp_entity_id is too long, or has control characters");
    return url_check(w, "sso_url", w->idp.sso_url) &&
           (w->idp.slo_url.n == 0 || url_check(w, "slo_url", w->idp.slo_url));
}

/* ---- the config's members ---- */

static void attributes_write(const struct writing *w, struct jout *j)
{
    static const char *const names[] = {"email", "name", "groups"};
    const struct jvalue *attributes = given(w, "attributes");
    jout_key(j, STR("attributes"));
    jout_object(j);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (jv_get_str(attributes, names[i]).n > 0)
            jout_kstr(j, names[i], jv_get_str(attributes, names[i]));
    jout_object_end(j);
}

static bool certificates_write(const struct writing *w, struct jout *j)
{
    jout_key(j, STR("certificates"));
    jout_array(j);
    for (size_t i = 0; i < w->idp.n_certificates; i++) {
        struct buf text;
        buf_init(&text, LIMIT_SAML_BYTES);
        text_b64(&text, w->idp.certificates[i].p, w->idp.certificates[i].n);
        bool is_good = buf_ok(&text);
        jout_str(j, buf_str(&text));
        buf_end(&text);
        if (!is_good)
            return err_set(w->e, ERR_UNAVAILABLE, "out of memory");
    }
    jout_array_end(j);
    return true;
}

/* What was said in so many words stays when metadata is read again: until other metadata is given.
 */
static bool is_pinned(const struct writing *w, const char *name)
{
    const struct jvalue *list = jv_get(w->present, "pinned");
    if (jv_get(w->args, name))
        return true;
    if (has_arg(w, "idp_metadata_xml") || has_arg(w, "idp_metadata_url"))
        return false;
    for (size_t i = 0; i < jv_count(list); i++)
        if (str_eq(jv_str(jv_at(list, i)), str_c(name)))
            return true;
    return false;
}

/* A document that is given takes the place of the address. */
static void metadata_write(const struct writing *w, struct jout *j)
{
    static const char *const names[] = {"sso_url", "slo_url", "certificates"};
    struct str url = jv_str(given(w, "idp_metadata_url"));
    if (url.n > 0 && !has_arg(w, "idp_metadata_xml"))
        jout_kstr(j, "idp_metadata_url", url);
    /* A configuration that says nothing of it is from before: its certificates are as an
     * administrator left them. */
    if (given(w, "refresh_metadata") || !w->present || has_arg(w, "idp_metadata_url"))
        jout_kbool(j, "refresh_metadata", jv_bool(given(w, "refresh_metadata"), true));
    /* Absent where nothing is: a configuration from before stays the same text, by which
     * management-tools/sso.c knows that nobody has changed it. */
    bool is_open = false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!is_pinned(w, names[i]))
            continue;
        if (!is_open) {
            jout_key(j, STR("pinned"));
            jout_array(j);
        }
        is_open = true;
        jout_str(j, str_c(names[i]));
    }
    if (is_open)
        jout_array_end(j);
}

static bool members_write(const struct writing *w, struct jout *j)
{
    int64_t skew = jv_i64(given(w, "clock_skew_s"), SKEW_S);
    struct str format = jv_str(given(w, "name_id_format"));
    if (skew < 0 || skew > LIMIT_SAML_SKEW_S)
        return err_set(w->e, ERR_INVALID, "clock_skew_s: 0 to %d", LIMIT_SAML_SKEW_S);
    if (format.n > LIMIT_SAML_ID || text_has_control(format))
        return err_set(w->e, ERR_INVALID, "name_id_format is too long");
    if (str_ends(format, STR(":transient")))
        return err_set(w->e, ERR_INVALID,
                       "name_id_format: a transient name is another one at each sign-in");
    jout_kstr(j, "idp_entity_id", w->idp.entity_id);
    jout_kstr(j, "sso_url", w->idp.sso_url);
    jout_kbool(j, "sso_is_post", w->idp.sso_is_post);
    if (w->idp.slo_url.n > 0)
        jout_kstr(j, "slo_url", w->idp.slo_url);
    jout_kbool(j, "slo_is_post", w->idp.slo_is_post);
    metadata_write(w, j);
    jout_kbool(j, "sign_requests", jv_bool(given(w, "sign_requests"), true));
    jout_kbool(j, "allow_idp_initiated", jv_bool(given(w, "allow_idp_initiated"), false));
    if (format.n > 0)
        jout_kstr(j, "name_id_format", format);
    jout_ki64(j, "clock_skew_s", skew);
    attributes_write(w, j);
    return certificates_write(w, j);
}

bool saml_settings_write(struct services *sv, struct arena *a, const struct jvalue *args,
                         const struct jvalue *present, struct jout *j, struct err *e)
{
    struct writing w = {.sv = sv, .arena = a, .args = args, .present = present, .e = e};
    return idp_begin(&w) && idp_metadata(&w) && idp_arguments(&w) && idp_check(&w) &&
           members_write(&w, j);
}

bool saml_settings_reread(struct services *sv, struct arena *a, const struct jvalue *present,
                          struct jout *j, struct saml_reread *out, struct err *e)
{
    struct writing w = {.sv = sv, .arena = a, .present = present, .e = e};
    struct str text, url = jv_get_str(present, "idp_metadata_url");
    if (!idp_begin(&w))
        return false;
    out->was = w.idp;
    if (!url_check(&w, "idp_metadata_url", url) || !metadata_fetch(sv, a, url, &text, e) ||
        !metadata_take(sv, a, text, out->was.entity_id, &out->is, e))
        return false;
    w.idp = out->is;
    if (is_pinned(&w, "sso_url")) {
        w.idp.sso_url = out->was.sso_url;
        w.idp.sso_is_post = out->was.sso_is_post;
    }
    if (is_pinned(&w, "slo_url")) {
        w.idp.slo_url = out->was.slo_url;
        w.idp.slo_is_post = out->was.slo_is_post;
    }
    if (is_pinned(&w, "certificates")) {
        w.idp.certificates = out->was.certificates;
        w.idp.n_certificates = out->was.n_certificates;
    }
    out->is = w.idp;
    return idp_check(&w) && members_write(&w, j);
}
