#include "auth/auth_config.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/secret.h"

/* What other modules read, and what Mesh's file may hold that has no use here. */
static bool members_check(const struct jvalue *root, const char *path, struct err *e)
{
    static const char *const names[] = {"emailAndPassword",
                                        "socialProviders",
                                        "ssoConfig",
                                        "emailProviders",
                                        "inviteEmailProviderId",
                                        "resetPasswordEmailProviderId",
                                        "magicLinkConfig",
                                        "emailOtpConfig",
                                        "saml",
                                        "jwt"};
    const struct jvalue *ignored;
    void *iter = NULL;
    struct str name;
    while (jv_member(root, &iter, &name, &ignored)) {
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            is_known = is_known || str_eq(name, str_c(names[i]));
        if (!is_known)
            return err_set(e, ERR_INVALID, "AUTH_CONFIG: \"%.200s\" has an unknown member \"%.*s\"",
                           path, STR_FMT(str_slice(name, 0, 60)));
    }
    return true;
}

struct jdoc *auth_config_read(const char *path, struct err *e)
{
    struct buf text;
    struct err why = {.code = ERR_NONE};
    FILE *f = fopen(path, "re");
    if (!f) {
        err_set(e, ERR_INVALID, "AUTH_CONFIG: \"%.200s\" cannot be read", path);
        return NULL;
    }
    buf_init(&text, LIMIT_CONFIG_FILE + 1);
    char *to = buf_reserve(&text, LIMIT_CONFIG_FILE);
    text.n = to ? fread(to, 1, LIMIT_CONFIG_FILE, f) : 0;
    (void)fclose(f);
    struct jdoc *doc = jdoc_parse(buf_str(&text), &why);
    if (text.p)
        secret_wipe(text.p, text.n);
    buf_end(&text);
    bool is_object = doc && jv_is_object(jdoc_root(doc));
    if (is_object && members_check(jdoc_root(doc), path, e))
        return doc;
    if (!doc)
        err_set(e, ERR_INVALID, "AUTH_CONFIG: \"%.200s\": %s", path, why.msg);
    else if (!is_object)
        err_set(e, ERR_INVALID, "AUTH_CONFIG: \"%.200s\" holds no JSON object", path);
    jdoc_free(doc);
    return NULL;
}
