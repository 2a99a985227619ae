/* A filter, and what PATCH calls a path: whatever is understood can be asked of a resource. */
#include "auth/scim/scim_filter.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static struct scim_node *resource_make(struct arena *a)
{
    struct err e;
    struct jdoc *doc = jdoc_parse(
        STR("{\"userName\":\"Ada@corp.example\",\"active\":true,\"name\":{\"familyName\":\"L\"},"
            "\"emails\":[{\"type\":\"work\",\"value\":\"a@b.c\",\"primary\":true},\"odd\",null],"
            "\"n\":3,\"x\":{},\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":"
            "{\"department\":\"D\"}}"),
        &e);
    struct scim_node *resource = scim_tree_read(a, jdoc_root(doc));
    jdoc_free(doc);
    return resource;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena *a = arena_new((size_t)16 * 1024 * 1024);
    struct str text = {(const char *)bytes, n};
    const struct scim_filter *filter;
    struct scim_target target;
    struct err e = {0};
    const struct scim_node *resource = resource_make(a);
    if (scim_filter_parse(a, text, &filter, &e))
        (void)scim_filter_match(filter, resource);
    if (scim_target_parse(a, text, &target, &e) && target.filter)
        (void)scim_filter_match(target.filter, resource);
    arena_end(a);
    return 0;
}
