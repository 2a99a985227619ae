/* Requests and answers of SCIM. */
#include "base/clock.h"
#include "base/limits.h"
#include "auth/scim/scim.h"
#include "auth/scim/scim_parts.h"
#include "crypto/hash.h"
#include "auth/audit_origin.h"
#include "store/audit.h"

static const struct str type_scim = STR("application/scim+json");

static void error_answer(struct http_request *rq, const struct scim_fault *f, int status)
{
    struct buf out;
    struct jout j;
    char digits[8];
    http_note_failure(rq, &f->e);
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_key(&j, STR("schemas"));
    jout_array(&j);
    jout_str(&j, STR("urn:ietf:params:scim:api:messages:2.0:Error"));
    jout_array_end(&j);
    (void)snprintf(digits, sizeof(digits), "%d", status);
    jout_kstr(&j, "status", str_c(digits));
    if (f->type)
        jout_kstr(&j, "scimType", str_c(f->type));
    jout_kstr(&j, "detail", str_c(f->e.msg));
    jout_object_end(&j);
    struct str body = buf_ok(&out) ? arena_dup(rq->arena, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    http_answer(rq, str_is_absent(body) ? 503 : status, str_is_absent(body) ? STR_NONE : type_scim,
                body);
}

static int status_of(const struct scim_fault *f)
{
    if (f->type && str_eq(str_c(f->type), STR("precondition")))
        return 412;
    /* What cannot be done because of who else there is, is a conflict to a directory. */
    return f->e.code == ERR_UNPROCESSABLE ? 409 : err_http(f->e.code);
}

void scim_answer_error(struct http_request *rq, const struct err *e)
{
    struct scim_fault f = {.e = *e};
    error_answer(rq, &f, err_http(e->code));
}

bool scim_begin(struct scim_request *x, struct http_request *rq, const char *act)
{
    struct scim_client *client = rq->user;
    *x = (struct scim_request){.rq = rq,
                               .sv = rq->context,
                               .arena = rq->arena,
                               .token = &client->token,
                               .org_id = client->token.org_id};
    http_set_header(rq, STR("Cache-Control"), STR("no-store"));
    if (!form_parse(rq->arena, rq->query, &x->query, &x->fault.e)) {
        x->fault.type = "invalidValue";
        error_answer(rq, &x->fault, err_http(x->fault.e.code));
        return false;
    }
    if (act && !audit_reserve(x->sv->audit, &x->fault.e)) {
        error_answer(rq, &x->fault, err_http(x->fault.e.code));
        return false;
    }
    return true;
}

static bool audit(struct scim_request *x, const struct scim_outcome *o)
{
    struct err e;
    struct audit_row row = {.at = clock_wall_ms(),
                            .org_id = x->org_id,
                            .kind = STR("admin"),
                            .key_id = x->token->id,
                            .method = str_c(o->act),
                            .name = x->object,
                            .outcome = o->is_good                         ? STR("ok")
                                       : x->fault.e.code == ERR_FORBIDDEN ? STR("denied")
                                                                          : STR("failed"),
                            .error = o->is_good ? STR_NONE : str_c(x->fault.e.msg),
                            .arguments = audit_origin(x->rq),
                            .request_id = str_c(x->rq->request_id)};
    if (audit_submit(x->sv->audit, &row, &e))
        return true;
    x->fault = (struct scim_fault){.e = e};
    return false;
}

static void resource_answer(struct scim_request *x, const struct scim_outcome *o)
{
    struct buf out;
    struct jout j;
    const struct scim_node *meta = scim_tree_get(o->resource, STR("meta"));
    struct str version = scim_tree_get_str(meta, STR("version")),
               location = scim_tree_get_str(meta, STR("location"));
    if (!str_is_absent(version))
        http_set_header(x->rq, STR("ETag"), version);
    if (o->status == 201 && !str_is_absent(location))
        http_set_header(x->rq, STR("Location"), location);
    struct str known = http_request_header(x->rq, STR("If-None-Match"));
    if (x->rq->method == HTTP_GET && !str_is_absent(version) && str_eq(known, version)) {
        http_answer(x->rq, 304, STR_NONE, STR_NONE);
        return;
    }
    struct scim_node *shown = scim_project(x, x->arena, o->resource);
    buf_init(&out, LIMIT_ANSWER_HELD);
    jout_init(&j, &out);
    if (shown)
        scim_tree_write(shown, &j);
    struct str body = shown && buf_ok(&out) ? arena_dup(x->arena, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    if (str_is_absent(body))
        http_answer(x->rq, 503, STR_NONE, STR_NONE);
    else
        http_answer(x->rq, o->status, type_scim, body);
}

void scim_end(struct scim_request *x, const struct scim_outcome *o)
{
    bool is_recorded = !o->act || audit(x, o);
    if (!o->is_good || !is_recorded)
        error_answer(x->rq, &x->fault, status_of(&x->fault));
    else if (o->resource)
        resource_answer(x, o);
    else
        http_answer(x->rq, o->status, STR_NONE, STR_NONE);
}

bool scim_body(struct scim_request *x, struct scim_node **out)
{
    auto_free(jdoc_freep) struct jdoc *doc = NULL;
    struct str type = http_request_header(x->rq, STR("Content-Type"));
    type = str_trim(str_slice(type, 0, str_find_char(type, ';')));
    if (!str_ieq(type, type_scim) && !str_ieq(type, STR("application/json")))
        return scim_fault_set(&x->fault, ERR_UNSUPPORTED_MEDIA, NULL,
                              "Content-Type must be application/scim+json");
    doc = jdoc_parse(x->rq->body, &x->fault.e);
    if (!doc || !jv_is_object(jdoc_root(doc)))
        return scim_fault_set(&x->fault, ERR_INVALID, "invalidSyntax",
                              "the body must be one JSON object");
    *out = scim_tree_read(x->arena, jdoc_root(doc));
    return *out || scim_no_memory(x);
}

bool scim_store_failed(struct scim_request *x)
{
    x->fault.type = NULL;
    return false;
}

bool scim_no_memory(struct scim_request *x)
{
    return scim_fault_set(&x->fault, ERR_UNAVAILABLE, NULL, "out of memory");
}

bool scim_not_found(struct scim_request *x, const char *what)
{
    return x->fault.e.code == ERR_NOT_FOUND
               ? scim_fault_set(&x->fault, ERR_NOT_FOUND, NULL, "there is no such %s", what)
               : scim_store_failed(x);
}

/* The time as text, or NULL. */
static struct scim_node *time_node(struct arena *a, int64_t at)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(at, text);
    return scim_tree_string(a, str_c(text));
}

/* A weak validator: what the resource says, digested. */
static struct scim_node *version_node(struct arena *a, const struct scim_node *resource)
{
    struct buf out;
    struct jout j;
    char hex[65];
    struct scim_node *n = NULL;
    buf_init(&out, LIMIT_ANSWER_HELD);
    jout_init(&j, &out);
    scim_tree_write(resource, &j);
    if (buf_ok(&out)) {
        struct sha256 digest = hash_sha256(buf_str(&out));
        hash_hex(&digest, hex);
        struct str text = arena_printf(a, "W/\"%.16s\"", hex);
        n = str_is_absent(text) ? NULL : scim_tree_string(a, text);
    }
    buf_end(&out);
    return n;
}

bool scim_meta_add(struct scim_request *x, struct arena *a, const struct scim_meta *m,
                   struct scim_node *resource)
{
    struct scim_node *schemas = scim_tree_new(a, SCIM_ARRAY), *meta = scim_tree_new(a, SCIM_OBJECT);
    const struct scim_schema *more = m->schema->extension;
    struct str location =
        arena_printf(a, "%s/scim/v2/%s/%.*s", x->sv->config->origin, m->place, STR_FMT(m->id));
    if (!schemas || !meta || !scim_tree_add(schemas, scim_tree_string(a, str_c(m->schema->urn))))
        return false;
    if (more && scim_tree_get(resource, str_c(more->urn)) &&
        !scim_tree_add(schemas, scim_tree_string(a, str_c(more->urn))))
        return false;
    return scim_tree_set(meta, STR("resourceType"), scim_tree_string(a, str_c(m->schema->name))) &&
           scim_tree_set(meta, STR("created"), time_node(a, m->created_at)) &&
           scim_tree_set(meta, STR("lastModified"), time_node(a, m->updated_at)) &&
           scim_tree_set(meta, STR("location"), scim_tree_string(a, location)) &&
           scim_tree_set(resource, STR("schemas"), schemas) &&
           scim_tree_set(resource, STR("id"), scim_tree_string(a, m->id)) &&
           scim_tree_set(resource, STR("meta"), meta) &&
           scim_tree_set(meta, STR("version"), version_node(a, resource));
}

bool scim_may_change(struct scim_request *x, const struct scim_node *present)
{
    struct str wanted = http_request_header(x->rq, STR("If-Match"));
    struct str version = scim_tree_get_str(scim_tree_get(present, STR("meta")), STR("version"));
    return str_is_absent(wanted) || str_eq(wanted, STR("*")) || str_eq(wanted, version) ||
           scim_fault_set(&x->fault, ERR_CONFLICT, "precondition",
                          "the resource is not of this version any more");
}

bool scim_may_touch(struct scim_request *x, const struct scim_user *u)
{
    struct group_of_member *groups;
    size_t n;
    if (x->token->is_owners)
        return true;
    if (!groups_of_member(x->sv->db, x->arena, x->org_id, u->id, &groups, &n, &x->fault.e))
        return scim_store_failed(x);
    return (!str_list_has(u->roles, STR("owner")) && !groups_give(groups, n, STR("owner"))) ||
           scim_fault_set(&x->fault, ERR_FORBIDDEN, NULL,
                          "only a token whose maker is an owner changes owners");
}
