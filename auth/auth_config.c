#include "auth/auth_config.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/secret.h"

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
    if (doc && jv_is_object(jdoc_root(doc)))
        return doc;
    if (doc)
        err_set(e, ERR_INVALID, "AUTH_CONFIG: \"%.200s\" holds no JSON object", path);
    else
        err_set(e, ERR_INVALID, "AUTH_CONFIG: \"%.200s\": %s", path, why.msg);
    jdoc_free(doc);
    return NULL;
}
