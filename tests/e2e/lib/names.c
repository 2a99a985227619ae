/*
 * Preloaded into the program under test (lib/names.mjs): what the resolver says of the names in
 * TULLE_TEST_NAMES, "name=address,name=address". Of other names below .test it knows nothing.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* The address of a name, NULL when there is none. */
static const char *address_of(const char *name, char *out, size_t room)
{
    size_t n = strlen(name);
    for (const char *at = getenv("TULLE_TEST_NAMES"); at && *at; at += strcspn(at, ",")) {
        at += *at == ',';
        if (strncmp(at, name, n) != 0 || at[n] != '=')
            continue;
        size_t length = strcspn(at + n + 1, ",");
        if (length >= room)
            abort();
        memcpy(out, at + n + 1, length);
        out[length] = '\0';
        return out;
    }
    return NULL;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    char address[64];
    resolver *real;
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&real, &symbol, sizeof(real));
    size_t n = node ? strlen(node) : 0;
    if (n > 5 && strcmp(node + n - 5, ".test") == 0) {
        node = address_of(node, address, sizeof(address));
        if (!node)
            return EAI_NONAME;
    }
    return real(node, service, hints, out);
}
