#include "auth/saml/assertion.h"

#include "base/limits.h"
#include "base/text.h"

#define CLAIMS "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
#define BEARER "urn:oasis:names:tc:SAML:2.0:cm:bearer"

enum { PAST_MS = 5 * 60 * 1000, LIFE_MS = LIMIT_SAML_WINDOW_MS };

/* What identity providers call these, when the organization has not said. */
static const char *const email_names[] = {
    "email", "mail", "emailAddress", (CLAIMS "emailaddress"), "urn:oid:0.9.2342.19200300.100.1.3",
    NULL};
static const char *const name_names[] = {"displayName",
                                         "name",
                                         "cn",
                                         "urn:oid:2.16.840.1.113730.3.1.241",
                                         "http://schemas.microsoft.com/identity/claims/displayname",
                                         (CLAIMS "name"),
                                         NULL};
static const char *const group_names[] = {
    "groups", "memberOf", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", NULL};

struct judge {
    struct arena *arena;
    const struct saml_settings *settings;
    int64_t now;
    struct saml_assertion *out;
    struct saml_reject *why;
};

/* ---- who says it, and when ---- */

static bool head_check(struct judge *j, const struct xml_node *assertion)
{
    size_t n;
    struct xml_node *issuer = xml_child(assertion, XML_NS_ASSERTION, "Issuer", &n);
    struct str format = xml_attr(j->arena, issuer, NULL, "Format");
    int64_t issued;
    if (!xml_attr_is(assertion, "Version", "2.0"))
        return saml_refuse(j->why, "saml_version", "the assertion's version is not 2.0");
    if (n != 1 || !str_eq(xml_text(j->arena, issuer), j->settings->idp_entity_id) ||
        (!str_is_absent(format) &&
         !str_eq(format, STR("urn:oasis:names:tc:SAML:2.0:nameid-format:entity"))))
        return saml_refuse(j->why, "saml_issuer", "the assertion is of another issuer: %.*s",
                           STR_FMT(str_slice(xml_text(j->arena, issuer), 0, 120)));
    if (!saml_time(j->arena, assertion, "IssueInstant", &issued) ||
        issued < j->now - PAST_MS - j->settings->skew_ms || issued > j->now + j->settings->skew_ms)
        return saml_refuse(j->why, "saml_issue_instant",
                           "the assertion was not made just now (are the clocks right?)");
    j->out->id = xml_attr(j->arena, assertion, NULL, "ID");
    return xml_is_ncname(j->out->id) ||
           saml_refuse(j->why, "saml_structure", "the assertion has no usable id");
}

/* ---- the subject ---- */

static bool name_id_read(struct judge *j, const struct xml_node *subject)
{
    size_t n;
    struct xml_node *name_id = xml_child(subject, XML_NS_ASSERTION, "NameID", &n);
    struct str value = xml_text(j->arena, name_id);
    if (n != 1 || value.n == 0 || value.n > LIMIT_SAML_ID || text_has_control(value))
        return saml_refuse(j->why, "saml_name_id", "there is not exactly one usable NameID");
    j->out->name_id = value;
    j->out->name_id_format = xml_attr(j->arena, name_id, NULL, "Format");
    j->out->name_id_qualifier = xml_attr(j->arena, name_id, NULL, "NameQualifier");
    if (j->out->name_id_format.n > LIMIT_SAML_ID || j->out->name_id_qualifier.n > LIMIT_SAML_ID)
        return saml_refuse(j->why, "saml_name_id", "the NameID's attributes are too long");
    return !str_ends(j->out->name_id_format, STR(":transient")) ||
           saml_refuse(j->why, "saml_name_id_transient",
                       "the NameID is transient: the identity provider must send one that stays");
}

/* One way to confirm: is it this browser's, here and now? (profiles 4.1.4.2) */
static bool bearer_check(struct judge *j, const struct xml_node *confirmation)
{
    size_t n;
    struct xml_node *data =
        xml_child(confirmation, XML_NS_ASSERTION, "SubjectConfirmationData", &n);
    int64_t until;
    if (!xml_attr_is(confirmation, "Method", BEARER) || n != 1)
        return saml_refuse(j->why, "saml_confirmation", "the subject is not confirmed as bearer");
    if (!str_eq(xml_attr(j->arena, data, NULL, "Recipient"), j->settings->acs_url))
        return saml_refuse(j->why, "saml_recipient", "the assertion is meant for %.*s",
                           STR_FMT(str_slice(xml_attr(j->arena, data, NULL, "Recipient"), 0, 130)));
    if (!str_is_absent(xml_attr(j->arena, data, NULL, "NotBefore")))
        return saml_refuse(j->why, "saml_confirmation", "a bearer may not have NotBefore");
    if (!saml_time(j->arena, data, "NotOnOrAfter", &until) ||
        j->now >= until + j->settings->skew_ms)
        return saml_refuse(j->why, "saml_confirmation_expired",
                           "the assertion could be delivered until an earlier time");
    j->out->in_response_to = xml_attr(j->arena, data, NULL, "InResponseTo");
    return true;
}

static bool subject_check(struct judge *j, const struct xml_node *assertion)
{
    size_t n;
    struct xml_node *subject = xml_child(assertion, XML_NS_ASSERTION, "Subject", &n);
    if (n != 1)
        return saml_refuse(j->why, "saml_subject", "there is not exactly one subject");
    if (!name_id_read(j, subject))
        return false;
    saml_refuse(j->why, "saml_confirmation", "the subject is not confirmed");
    for (struct xml_node *c = xml_first(subject); c; c = xml_next(c))
        if (xml_is(c, XML_NS_ASSERTION, "SubjectConfirmation") && bearer_check(j, c))
            return true;
    return false;
}

/* ---- conditions ---- */

static bool audience_check(struct judge *j, const struct xml_node *restriction)
{
    for (struct xml_node *c = xml_first(restriction); c; c = xml_next(c))
        if (xml_is(c, XML_NS_ASSERTION, "Audience") &&
            str_eq(xml_text(j->arena, c), j->settings->entity_id))
            return true;
    return saml_refuse(j->why, "saml_audience", "the assertion is for another audience");
}

/* Each restriction must name us; what we do not know makes the assertion worthless (core 2.5.1). */
static bool restrictions_check(struct judge *j, const struct xml_node *conditions)
{
    size_t n = 0;
    for (struct xml_node *c = xml_first(conditions); c; c = xml_next(c)) {
        if (xml_is(c, XML_NS_ASSERTION, "AudienceRestriction")) {
            n++;
            if (!audience_check(j, c))
                return false;
        } else if (!xml_is(c, XML_NS_ASSERTION, "OneTimeUse") &&
                   !xml_is(c, XML_NS_ASSERTION, "ProxyRestriction")) {
            return saml_refuse(j->why, "saml_condition", "there is a condition that is not known");
        }
    }
    return n > 0 || saml_refuse(j->why, "saml_audience", "the assertion names no audience");
}

static bool conditions_check(struct judge *j, const struct xml_node *assertion)
{
    size_t n;
    struct xml_node *conditions = xml_child(assertion, XML_NS_ASSERTION, "Conditions", &n);
    int64_t from = 0, until, skew = j->settings->skew_ms;
    if (n != 1)
        return saml_refuse(j->why, "saml_conditions", "there are not exactly one Conditions");
    bool has_from = !str_is_absent(xml_attr(j->arena, conditions, NULL, "NotBefore"));
    if ((has_from && !saml_time(j->arena, conditions, "NotBefore", &from)) ||
        !saml_time(j->arena, conditions, "NotOnOrAfter", &until) ||
        (has_from && (until <= from || until - from > LIFE_MS)) || until > j->now + LIFE_MS)
        return saml_refuse(j->why, "saml_conditions", "its time is missing, or too long");
    if (has_from && j->now < from - skew)
        return saml_refuse(j->why, "saml_not_yet", "the assertion is not valid yet");
    if (j->now >= until + skew)
        return saml_refuse(j->why, "saml_expired", "the assertion is not valid any more");
    j->out->good_until = until + skew;
    return restrictions_check(j, conditions);
}

/* ---- statements ---- */

static bool authn_check(struct judge *j, const struct xml_node *assertion)
{
    struct xml_node *authn = xml_child(assertion, XML_NS_ASSERTION, "AuthnStatement", NULL);
    int64_t at, ends;
    if (!authn)
        return saml_refuse(j->why, "saml_authn", "it does not say that anybody signed in");
    if (!saml_time(j->arena, authn, "AuthnInstant", &at) || at > j->now + j->settings->skew_ms)
        return saml_refuse(j->why, "saml_authn", "the time of the sign-in is not in the past");
    j->out->authenticated_at = at;
    j->out->session_index = xml_attr(j->arena, authn, NULL, "SessionIndex");
    if (j->out->session_index.n > LIMIT_SAML_ID || text_has_control(j->out->session_index))
        return saml_refuse(j->why, "saml_authn", "the session's index is not usable");
    if (str_is_absent(xml_attr(j->arena, authn, NULL, "SessionNotOnOrAfter")))
        return true;
    if (!saml_time(j->arena, authn, "SessionNotOnOrAfter", &ends) || ends <= j->now)
        return saml_refuse(j->why, "saml_session_over",
                           "the session at the identity provider is over");
    j->out->session_ends_at = ends;
    return true;
}

/* Every AttributeValue of the attributes with one name. */
struct found {
    struct str *values;
    size_t n;          /* values that say something */
    size_t n_elements; /* AttributeValue elements */
    size_t n_attributes;
};

static bool value_add(struct judge *j, const struct xml_node *value, struct found *out)
{
    struct str nil = xml_attr(j->arena, value, XML_NS_XSI, "nil");
    struct str text = xml_text(j->arena, value);
    if (!xml_is(value, XML_NS_ASSERTION, "AttributeValue") || str_is_absent(text) ||
        text.n > LIMIT_SAML_VALUE)
        return saml_refuse(j->why, "saml_attribute", "an attribute's value is not plain text");
    if (++out->n_elements > LIMIT_SAML_GROUPS)
        return saml_refuse(j->why, "saml_attribute", "an attribute has too many values");
    if (text.n > 0 && !str_eq(nil, STR("true")) && !str_eq(nil, STR("1")))
        out->values[out->n++] = text;
    return true;
}

static bool values_of(struct judge *j, const struct xml_node *assertion, struct str name,
                      struct found *out)
{
    *out = (struct found){.values = arena_alloc(j->arena, LIMIT_SAML_GROUPS * sizeof(struct str))};
    if (!out->values)
        return saml_refuse(j->why, "saml_memory", "out of memory");
    for (struct xml_node *s = xml_first(assertion); s; s = xml_next(s))
        for (struct xml_node *at = xml_is(s, XML_NS_ASSERTION, "AttributeStatement") ? xml_first(s)
                                                                                     : NULL;
             at; at = xml_next(at)) {
            if (!str_eq(xml_attr(j->arena, at, NULL, "Name"), name))
                continue;
            out->n_attributes++;
            for (struct xml_node *v = xml_first(at); v; v = xml_next(v))
                if (!value_add(j, v, out))
                    return false;
        }
    return true;
}

/* By the name that the organization gave, or by the first well-known one that is there. */
static bool mapped(struct judge *j, const struct xml_node *assertion, struct str name,
                   const char *const *known, struct found *out)
{
    if (!str_is_absent(name))
        return values_of(j, assertion, name, out);
    *out = (struct found){.n = 0};
    for (; *known && out->n_attributes == 0; known++)
        if (!values_of(j, assertion, str_c(*known), out))
            return false;
    return true;
}

/* One value, or none; two are two readings. */
static bool single(struct judge *j, const struct found *f, const char *what, struct str *out)
{
    *out = f->n == 1 ? f->values[0] : STR_NONE;
    if (f->n_attributes > 1 || f->n_elements > 1)
        return saml_refuse(j->why, "saml_attribute", "there is more than one %s", what);
    return !text_has_control(*out) ||
           saml_refuse(j->why, "saml_attribute", "the %s has control characters", what);
}

static bool count_check(struct judge *j, const struct xml_node *assertion)
{
    size_t n = 0;
    for (struct xml_node *s = xml_first(assertion); s; s = xml_next(s)) {
        if (!xml_is(s, XML_NS_ASSERTION, "AttributeStatement"))
            continue;
        for (struct xml_node *at = xml_first(s); at; at = xml_next(at))
            if (!xml_is(at, XML_NS_ASSERTION, "Attribute") || ++n > LIMIT_SAML_VALUES)
                return saml_refuse(j->why, "saml_attribute",
                                   "there are too many attributes, or encrypted ones");
    }
    return true;
}

/* At most LIMIT_NAME bytes, whole characters. */
static struct str name_cut(struct str name)
{
    size_t n = name.n > LIMIT_NAME ? LIMIT_NAME : name.n;
    while (n < name.n && n > 0 && ((unsigned char)name.p[n] & 0xC0) == 0x80)
        n--;
    return str_slice(name, 0, n);
}

static bool attributes_read(struct judge *j, const struct xml_node *assertion)
{
    const struct saml_settings *s = j->settings;
    struct found email, name, groups;
    if (!count_check(j, assertion) || !mapped(j, assertion, s->email_name, email_names, &email) ||
        !mapped(j, assertion, s->name_name, name_names, &name) ||
        !mapped(j, assertion, s->groups_name, group_names, &groups) ||
        !single(j, &email, "e-mail address", &j->out->email) ||
        !single(j, &name, "name", &j->out->name))
        return false;
    /* A provider that calls people by their addresses need not repeat them. */
    if (str_is_absent(j->out->email) && str_ends(j->out->name_id_format, STR(":emailAddress")))
        j->out->email = j->out->name_id;
    j->out->name = name_cut(j->out->name);
    j->out->groups = groups.values;
    j->out->n_groups = groups.n;
    j->out->has_groups = groups.n_attributes > 0 || !str_is_absent(s->groups_name);
    return true;
}

bool saml_assertion_read(struct arena *a, const struct saml_settings *s,
                         const struct xml_node *assertion, int64_t now_ms,
                         struct saml_assertion *out, struct saml_reject *why)
{
    struct judge j = {a, s, now_ms, out, why};
    return head_check(&j, assertion) && subject_check(&j, assertion) &&
           conditions_check(&j, assertion) && authn_check(&j, assertion) &&
           attributes_read(&j, assertion);
}
