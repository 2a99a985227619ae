/* A PATCH body: done to a user, the result is one that can be cleaned and written, or there is a
 * fault. */
#include <stdlib.h>

#include "auth/scim/scim_patch.h"
#include "base/limits.h"
#include "json/jscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static struct scim_node *tree(struct arena *a, struct str text)
{
    struct err e;
    struct jdoc *doc = jdoc_parse(text, &e);
    struct scim_node *root = doc ? scim_tree_read(a, jdoc_root(doc)) : NULL;
    jdoc_free(doc);
    return root;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena *a = arena_new((size_t)64 * 1024 * 1024);
    struct scim_fault fault = {0};
    struct scim_node *body = tree(a, (struct str){(const char *)bytes, n});
    struct scim_node *user =
        tree(a, STR("{\"userName\":\"ada@corp.example\",\"active\":true,"
                    "\"emails\":[{\"type\":\"work\",\"value\":\"a@b.c\",\"primary\":true}]}"));
    if (body && scim_patch_apply(a, &scim_schema_user, user, body, &fault)) {
        const struct scim_node *clean = scim_schema_clean(a, &scim_schema_user, user, &fault);
        struct buf out;
        struct jout j;
        struct err e;
        buf_init(&out, 1u << 24);
        jout_init(&j, &out);
        if (clean)
            scim_tree_write(clean, &j);
        if (clean && buf_ok(&out) && !jscan_valid(buf_str(&out), &e))
            abort();
        buf_end(&out);
    }
    arena_end(a);
    return 0;
}
