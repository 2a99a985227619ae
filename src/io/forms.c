#include "io/forms.h"

#include "base/limits.h"
#include "base/text.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes one name or value. `what` names it in messages. */
static bool decode(struct arena *a, struct str raw, struct str *out, struct err *e)
{
    char *to = arena_alloc(a, raw.n + 1);
    if (!to)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '+')
            c = ' ';
        if (c == '%') {
            int high = i + 2 < raw.n ? hex_digit(raw.p[i + 1]) : -1;
            int low = i + 2 < raw.n ? hex_digit(raw.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return err_set(e, ERR_BAD_REQUEST,
                               "form: '%%' without two hexadecimal digits behind it");
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return err_set(e, ERR_BAD_REQUEST, "form: holds a NUL");
        to[n++] = c;
    }
    *out = (struct str){to, n};
    return text_is_utf8(*out) || err_set(e, ERR_BAD_REQUEST, "form: is not valid UTF-8");
}

static bool pair_add(struct arena *a, struct str piece, struct form *form, struct err *e)
{
    if (form->n == LIMIT_QUERY_PARAMS)
        return err_set(e, ERR_BAD_REQUEST, "form: more than %d parameters", LIMIT_QUERY_PARAMS);
    struct form_pair *pair = &form->pairs[form->n];
    size_t equals = str_find_char(piece, '=');
    struct str value = equals == SIZE_MAX ? STR("") : str_slice(piece, equals + 1, SIZE_MAX);
    if (!decode(a, str_slice(piece, 0, equals), &pair->name, e) ||
        !decode(a, value, &pair->value, e))
        return false;
    form->n++;
    return true;
}

bool form_parse(struct arena *a, struct str text, struct form *out, struct err *e)
{
    struct form form = {arena_alloc(a, LIMIT_QUERY_PARAMS * sizeof *form.pairs), 0};
    if (!form.pairs)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct str piece;
    while (str_next(&text, '&', &piece))
        if (piece.n > 0 && !pair_add(a, piece, &form, e))
            return false;
    *out = form;
    return true;
}

enum form_presence form_get(const struct form *form, struct str name, struct str *value)
{
    enum form_presence presence = FORM_ABSENT;
    *value = STR_NONE;
    for (size_t i = 0; i < form->n; i++) {
        if (!str_eq(form->pairs[i].name, name))
            continue;
        if (presence == FORM_ONCE)
            return FORM_REPEATED;
        presence = FORM_ONCE;
        *value = form->pairs[i].value;
    }
    return presence;
}
