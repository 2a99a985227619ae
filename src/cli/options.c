/* Options of administrative commands. */
#include "cli/options.h"

#include <string.h>

static void remove_words(struct options *o, int at, int count)
{
    memmove(&o->v[at], &o->v[at + count], (size_t)(o->n - at - count) * sizeof(*o->v));
    o->n -= count;
}

const char *options_take(struct options *o, const char *name)
{
    size_t n = strlen(name);
    for (int i = 0; i < o->n; i++) {
        char *word = o->v[i];
        if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, n) != 0)
            continue;
        if (word[2 + n] == '=') {
            remove_words(o, i, 1);
            return word + 3 + n;
        }
        if (word[2 + n] == '\0' && i + 1 < o->n) {
            char *value = o->v[i + 1];
            remove_words(o, i, 2);
            return value;
        }
    }
    return NULL;
}

bool options_take_switch(struct options *o, const char *name)
{
    for (int i = 0; i < o->n; i++)
        if (strncmp(o->v[i], "--", 2) == 0 && strcmp(o->v[i] + 2, name) == 0) {
            remove_words(o, i, 1);
            return true;
        }
    return false;
}

const char *options_take_word(struct options *o)
{
    for (int i = 0; i < o->n; i++)
        if (strncmp(o->v[i], "--", 2) != 0) {
            char *word = o->v[i];
            remove_words(o, i, 1);
            return word;
        }
    return NULL;
}

bool options_done(const struct options *o, struct err *e)
{
    return o->n == 0 ||
           err_set(e, ERR_INVALID, "\"%.60s\" is not expected here; --help says what is", o->v[0]);
}

bool options_need(const char *value, const char *name, const char *example, struct err *e)
{
    return (value && value[0]) ||
           err_set(e, ERR_INVALID, "--%s is missing, expected for example --%s %s", name, name,
                   example);
}
