#include "auth/oauth/known_documents.h"

#include "base/attrs.h"

#define HOSTED "https://claude.ai/oauth/mcp-oauth-client-metadata"
#define CODE   "https://claude.ai/oauth/claude-code-client-metadata"
#define FLOW                                                                                       \
    "\"grant_types\":[\"authorization_code\",\"refresh_token\"],\"response_types\":[\"code\"],"    \
    "\"token_endpoint_auth_method\":\"none\"}"

static const struct {
    struct str url, text;
} documents[] = {
    {STR(HOSTED), STR("{\"client_id\":\"" HOSTED "\",\"client_name\":\"Claude\",\"redirect_uris\":["
                      "\"https://claude.ai/api/mcp/auth_callback\",\"https://claude.com/api/mcp/"
                      "auth_callback\"]," FLOW)},
    {STR(CODE),
     STR("{\"client_id\":\"" CODE "\",\"client_name\":\"Claude Code\",\"redirect_uris\":["
         "\"http://localhost/callback\",\"http://127.0.0.1/callback\"]," FLOW)},
};

struct str known_document(struct str url)
{
    for (size_t i = 0; i < ARRAY_LEN(documents); i++)
        if (str_eq(documents[i].url, url))
            return documents[i].text;
    return STR_NONE;
}
