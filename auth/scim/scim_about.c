/* What this server can do (RFC 7643 sections 5 to 7, RFC 7644 section 4). */
#include "auth/scim/scim.h"
#include "auth/scim/scim_parts.h"
#include "base/limits.h"

static void supported(struct jout *j, const char *name, bool is_supported)
{
    jout_key(j, str_c(name));
    jout_object(j);
    jout_kbool(j, "supported", is_supported);
}

static void schemas_write(struct jout *j, struct str urn)
{
    jout_key(j, STR("schemas"));
    jout_array(j);
    jout_str(j, urn);
    jout_array_end(j);
}

static void meta_write(struct scim_request *x, struct jout *j, const char *type, const char *place)
{
    jout_key(j, STR("meta"));
    jout_object(j);
    jout_kstr(j, "resourceType", str_c(type));
    jout_kstr(j, "location", arena_printf(x->arena, "%s/scim/v2/%s", x->sv->config->origin, place));
    jout_object_end(j);
}

static void answer(struct scim_request *x, struct buf *out)
{
    struct str body = buf_ok(out) ? arena_dup(x->arena, buf_str(out)) : STR_NONE;
    buf_end(out);
    http_answer(x->rq, str_is_absent(body) ? 503 : 200, STR("application/scim+json"), body);
}

void scim_provider_config(struct http_request *rq)
{
    struct scim_request x;
    struct buf out;
    struct jout j;
    if (!scim_begin(&x, rq, NULL))
        return;
    buf_init(&out, LIMIT_BODY_FORM);
    jout_init(&j, &out);
    jout_object(&j);
    schemas_write(&j, STR("urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"));
    supported(&j, "patch", true);
    jout_object_end(&j);
    supported(&j, "bulk", false);
    jout_ki64(&j, "maxOperations", 0);
    jout_ki64(&j, "maxPayloadSize", 0);
    jout_object_end(&j);
    supported(&j, "filter", true);
    jout_ki64(&j, "maxResults", LIMIT_SCIM_PAGE);
    jout_object_end(&j);
    supported(&j, "changePassword", false);
    jout_object_end(&j);
    supported(&j, "sort", false);
    jout_object_end(&j);
    supported(&j, "etag", true);
    jout_object_end(&j);
    jout_key(&j, STR("authenticationSchemes"));
    jout_array(&j);
    jout_object(&j);
    jout_kstr(&j, "type", STR("oauthbearertoken"));
    jout_kstr(&j, "name", STR("Bearer token"));
    jout_kstr(&j, "description", STR("A token of ORGANIZATION_SCIM_TOKEN_CREATE"));
    jout_kbool(&j, "primary", true);
    jout_object_end(&j);
    jout_array_end(&j);
    meta_write(&x, &j, "ServiceProviderConfig", "ServiceProviderConfig");
    jout_object_end(&j);
    answer(&x, &out);
}

static const struct scim_schema *const resource_types[] = {&scim_schema_user, &scim_schema_group};
static const struct scim_schema *const all_schemas[] = {&scim_schema_user, &scim_schema_enterprise,
                                                        &scim_schema_group};

static void type_write(struct scim_request *x, struct jout *j, const struct scim_schema *s)
{
    bool is_user = s == &scim_schema_user;
    jout_object(j);
    schemas_write(j, STR("urn:ietf:params:scim:schemas:core:2.0:ResourceType"));
    jout_kstr(j, "id", str_c(s->name));
    jout_kstr(j, "name", str_c(s->name));
    jout_kstr(j, "description", str_c(s->description));
    jout_kstr(j, "endpoint", is_user ? STR("/Users") : STR("/Groups"));
    jout_kstr(j, "schema", str_c(s->urn));
    jout_key(j, STR("schemaExtensions"));
    jout_array(j);
    if (s->extension) {
        jout_object(j);
        jout_kstr(j, "schema", str_c(s->extension->urn));
        jout_kbool(j, "required", false);
        jout_object_end(j);
    }
    jout_array_end(j);
    meta_write(x, j, "ResourceType", is_user ? "ResourceTypes/User" : "ResourceTypes/Group");
    jout_object_end(j);
}

static void list_begin(struct jout *j, struct buf *out, int64_t n)
{
    buf_init(out, LIMIT_ANSWER_HEADERS);
    jout_init(j, out);
    jout_object(j);
    schemas_write(j, STR("urn:ietf:params:scim:api:messages:2.0:ListResponse"));
    jout_ki64(j, "totalResults", n);
    jout_ki64(j, "startIndex", 1);
    jout_ki64(j, "itemsPerPage", n);
    jout_key(j, STR("Resources"));
    jout_array(j);
}

void scim_resource_types(struct http_request *rq)
{
    struct scim_request x;
    struct buf out;
    struct jout j;
    if (!scim_begin(&x, rq, NULL))
        return;
    list_begin(&j, &out, ARRAY_LEN(resource_types));
    for (size_t i = 0; i < ARRAY_LEN(resource_types); i++)
        type_write(&x, &j, resource_types[i]);
    jout_array_end(&j);
    jout_object_end(&j);
    answer(&x, &out);
}

static void nothing(struct scim_request *x, const char *what)
{
    const struct scim_outcome failed = {.is_good = false};
    (void)scim_fault_set(&x->fault, ERR_NOT_FOUND, NULL, "there is no such %s", what);
    scim_end(x, &failed);
}

void scim_resource_type(struct http_request *rq)
{
    struct scim_request x;
    struct buf out;
    struct jout j;
    if (!scim_begin(&x, rq, NULL))
        return;
    for (size_t i = 0; i < ARRAY_LEN(resource_types); i++)
        if (str_eq(rq->params[0], str_c(resource_types[i]->name))) {
            buf_init(&out, LIMIT_BODY_FORM);
            jout_init(&j, &out);
            type_write(&x, &j, resource_types[i]);
            answer(&x, &out);
            return;
        }
    nothing(&x, "resource type");
}

void scim_schemas(struct http_request *rq)
{
    struct scim_request x;
    struct buf out;
    struct jout j;
    if (!scim_begin(&x, rq, NULL))
        return;
    list_begin(&j, &out, ARRAY_LEN(all_schemas));
    for (size_t i = 0; i < ARRAY_LEN(all_schemas); i++)
        scim_schema_write(all_schemas[i], str_c(x.sv->config->origin), &j);
    jout_array_end(&j);
    jout_object_end(&j);
    answer(&x, &out);
}

void scim_schema(struct http_request *rq)
{
    struct scim_request x;
    struct buf out;
    struct jout j;
    if (!scim_begin(&x, rq, NULL))
        return;
    for (size_t i = 0; i < ARRAY_LEN(all_schemas); i++)
        if (str_ieq(rq->params[0], str_c(all_schemas[i]->urn))) {
            buf_init(&out, LIMIT_BODY_FORM);
            jout_init(&j, &out);
            scim_schema_write(all_schemas[i], str_c(x.sv->config->origin), &j);
            answer(&x, &out);
            return;
        }
    nothing(&x, "schema");
}

void scim_bulk(struct http_request *rq)
{
    struct scim_request x;
    const struct scim_outcome failed = {.is_good = false};
    if (!scim_begin(&x, rq, NULL))
        return;
    (void)scim_fault_set(&x.fault, ERR_METHOD_NOT_FOUND, NULL, "there are no bulk operations here");
    scim_end(&x, &failed);
}
