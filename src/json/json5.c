/* JSON5 to JSON, token by token. */
#include "json/json5.h"

#include "json/jchars.h"

enum { HEX_DIGITS = 13 }; /* of a hexadecimal number: what a double holds exactly */

struct reader {
    struct str text;
    size_t at;
    struct buf *out;
    bool comma;   /* seen, not yet written: it may be a trailing one */
    bool is_open; /* the last token opened something or separated: no comma may follow */
    struct err *e;
};

static bool fault(const struct reader *r, const char *what)
{
    size_t line = 1;
    for (size_t i = 0; i < r->at && i < r->text.n; i++)
        line += r->text.p[i] == '\n';
    return err_set(r->e, ERR_PARSE, "line %zu: %s", line, what);
}

static bool starts(const struct reader *r, const char *bytes)
{
    return str_starts(str_slice(r->text, r->at, SIZE_MAX), str_c(bytes));
}

static char peek(const struct reader *r, size_t ahead)
{
    if (r->at + ahead >= r->text.n)
        return '\0';
    return r->text.p[r->at + ahead];
}

/* Bytes of the white space at hand: ASCII's, U+00A0, U+FEFF, U+2028, U+2029; 0: none. */
static size_t space_length(const struct reader *r)
{
    char c = peek(r, 0);
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return 1;
    if (starts(r, "\xC2\xA0"))
        return 2;
    return starts(r, "\xEF\xBB\xBF") || starts(r, "\xE2\x80\xA8") || starts(r, "\xE2\x80\xA9") ? 3
                                                                                               : 0;
}

static bool space_skip(struct reader *r)
{
    for (;;) {
        size_t n = space_length(r);
        if (n > 0) {
            r->at += n;
        } else if (starts(r, "//")) {
            while (r->at < r->text.n && peek(r, 0) != '\n' && peek(r, 0) != '\r')
                r->at++;
        } else if (starts(r, "/*")) {
            size_t end = str_find(str_slice(r->text, r->at + 2, SIZE_MAX), STR("*/"));
            if (end == SIZE_MAX)
                return fault(r, "a comment is not closed");
            r->at += 2 + end + 2;
        } else {
            return true;
        }
    }
}

static void comma_write(struct reader *r)
{
    if (r->comma)
        buf_add_char(r->out, ',');
    r->comma = false;
    r->is_open = false;
}

/* ---- strings ---- */

static void byte_write(struct reader *r, unsigned char c)
{
    if (c == '"' || c == '\\')
        buf_addf(r->out, "\\%c", c);
    else if (c < 0x20)
        buf_addf(r->out, "\\u%04x", c);
    else
        buf_add_char(r->out, (char)c);
}

static bool hex_copy(struct reader *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (jchars_hex((unsigned char)peek(r, i)) < 0)
            return fault(r, "an escape lacks hexadecimal digits");
    buf_add(r->out, n == 2 ? STR("\\u00") : STR("\\u"));
    buf_add(r->out, str_slice(r->text, r->at, n));
    r->at += n;
    return true;
}

/* Behind the backslash. */
static bool escape_read(struct reader *r)
{
    char c = peek(r, 0);
    if (r->at >= r->text.n)
        return fault(r, "a string is not closed");
    if (starts(r, "\xE2\x80\xA8") || starts(r, "\xE2\x80\xA9")) {
        r->at += 3;
        return true;
    }
    r->at++;
    if (c == '\n')
        return true;
    if (c == '\r') {
        r->at += peek(r, 0) == '\n';
        return true;
    }
    if (c == 'x' || c == 'u')
        return hex_copy(r, c == 'x' ? 2 : 4);
    if (jchars_is_digit((unsigned char)c))
        return fault(r, "an escape is a digit");
    if (c == 'v')
        byte_write(r, '\v');
    else if (jchars_is_simple_escape((unsigned char)c))
        buf_addf(r->out, "\\%c", c);
    else
        byte_write(r, (unsigned char)c);
    return true;
}

static bool string_read(struct reader *r)
{
    char quote = peek(r, 0);
    comma_write(r);
    r->at++;
    buf_add_char(r->out, '"');
    while (r->at < r->text.n) {
        char c = peek(r, 0);
        if (c == '\n' || c == '\r')
            return fault(r, "a string does not end on its line");
        r->at++;
        if (c == quote) {
            buf_add_char(r->out, '"');
            return true;
        }
        if (c != '\\')
            byte_write(r, (unsigned char)c);
        else if (!escape_read(r))
            return false;
    }
    return fault(r, "a string is not closed");
}

/* ---- numbers ---- */

static size_t digits_copy(struct reader *r)
{
    size_t n = 0;
    while (jchars_is_digit((unsigned char)peek(r, n)))
        n++;
    buf_add(r->out, str_slice(r->text, r->at, n));
    r->at += n;
    return n;
}

static bool hexadecimal_read(struct reader *r)
{
    int64_t value = 0;
    size_t n = 0;
    for (r->at += 2; jchars_hex((unsigned char)peek(r, 0)) >= 0; r->at++, n++) {
        if (n == HEX_DIGITS)
            return fault(r, "a hexadecimal number is too large");
        value = value * 16 + jchars_hex((unsigned char)peek(r, 0));
    }
    if (n == 0)
        return fault(r, "0x lacks its digits");
    buf_add_i64(r->out, value);
    return true;
}

static bool number_read(struct reader *r)
{
    comma_write(r);
    if (peek(r, 0) == '+' || peek(r, 0) == '-') {
        if (peek(r, 0) == '-')
            buf_add_char(r->out, '-');
        r->at++;
    }
    if (starts(r, "0x") || starts(r, "0X"))
        return hexadecimal_read(r);
    size_t n = digits_copy(r);
    if (n == 0 && peek(r, 0) == '.')
        buf_add_char(r->out, '0');
    if (peek(r, 0) == '.') {
        r->at++;
        if (jchars_is_digit((unsigned char)peek(r, 0))) {
            buf_add_char(r->out, '.');
            n += digits_copy(r);
        }
    }
    if (n == 0)
        return fault(r, "a number lacks its digits (NaN and Infinity are not taken)");
    if (peek(r, 0) == 'e' || peek(r, 0) == 'E') {
        buf_add_char(r->out, 'e');
        r->at++;
        if (peek(r, 0) == '+' || peek(r, 0) == '-')
            buf_add_char(r->out, r->text.p[r->at++]);
        if (digits_copy(r) == 0)
            return fault(r, "an exponent lacks its digits");
    }
    return true;
}

/* ---- words ---- */

static bool is_word_byte(unsigned char c)
{
    return jchars_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '$' || c >= 0x80;
}

static bool word_read(struct reader *r)
{
    size_t from = r->at;
    while (is_word_byte((unsigned char)peek(r, 0)) && space_length(r) == 0)
        r->at++;
    struct str word = str_slice(r->text, from, r->at - from);
    if (word.n == 0)
        return fault(r, "unexpected character");
    struct reader behind = *r;
    if (!space_skip(&behind))
        return false;
    bool is_name = peek(&behind, 0) == ':';
    if (!is_name && !str_eq(word, STR("true")) && !str_eq(word, STR("false")) &&
        !str_eq(word, STR("null"))) {
        r->at = from;
        return fault(r, "a word that is neither a name nor true, false or null");
    }
    comma_write(r);
    if (is_name)
        buf_add_char(r->out, '"');
    buf_add(r->out, word);
    if (is_name)
        buf_add_char(r->out, '"');
    return true;
}

/* ---- structure ---- */

static bool mark_read(struct reader *r, char c)
{
    bool closes = c == '}' || c == ']';
    if (c == ',') {
        if (r->is_open || r->comma)
            return fault(r, "a comma where a value is expected");
        r->comma = true;
    } else {
        if (closes)
            r->comma = false; /* a trailing one */
        comma_write(r);
        buf_add_char(r->out, c);
        r->is_open = !closes;
    }
    r->at++;
    return true;
}

bool json5_to_json(struct str text, struct buf *out, struct err *e)
{
    struct reader r = {.text = text, .out = out, .is_open = true, .e = e};
    while (space_skip(&r)) {
        char c = peek(&r, 0);
        bool is_good, begins = !c || !strchr("}]:,", c);
        if (r.at >= text.n)
            return (!r.comma || fault(&r, "the text ends with a comma")) &&
                   (buf_ok(out) || err_set(e, ERR_PARSE, "the text is too large"));
        if (begins && !r.comma && !r.is_open)
            return fault(&r, "a comma is missing");
        if (c && strchr("{}[]:,", c))
            is_good = mark_read(&r, c);
        else if (c == '"' || c == '\'')
            is_good = string_read(&r);
        else if (jchars_is_digit((unsigned char)c) || c == '+' || c == '-' || c == '.')
            is_good = number_read(&r);
        else
            is_good = word_read(&r);
        if (!is_good)
            return false;
    }
    return false;
}
