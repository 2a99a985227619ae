#include "auth/oauth/device_code.h"

#include "auth/secret_text.h"
#include "base/rand.h"

static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ";
enum { LETTERS = sizeof(letters) - 1, LENGTH = 8, DASH_AT = 4, EVEN = 240 }; /* 240 = 12 * 20 */

void device_code_make(char out[DEVICE_CODE_SIZE])
{
    size_t n = 0;
    while (n < DEVICE_CODE_SIZE - 1) {
        unsigned char byte;
        rand_bytes(&byte, 1);
        if (n == DASH_AT)
            out[n++] = '-';
        else if (byte < EVEN) /* each letter as likely as another */
            out[n++] = letters[byte % LETTERS];
    }
    out[n] = '\0';
}

struct str device_code_hash(struct arena *a, struct str typed)
{
    char plain[LENGTH];
    size_t n = 0;
    for (size_t i = 0; i < typed.n; i++) {
        char c = typed.p[i];
        if (c == '-' || c == ' ')
            continue;
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (n == LENGTH || !memchr(letters, c, LETTERS))
            return STR_NONE;
        plain[n++] = c;
    }
    return n == LENGTH ? secret_text_hash(a, (struct str){plain, n}) : STR_NONE;
}
