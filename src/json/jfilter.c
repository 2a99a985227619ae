/* The grammar of jscan.c as a machine that takes one byte at a time; a test holds the two together.
 */
#include "json/jfilter.h"

#include "base/limits.h"
#include "json/jchars.h"
#include "json/jscan.h"

enum state {
    AT_START,      /* space or the opening brace */
    AT_VALUE,      /* a value must come */
    AT_FIRST_ITEM, /* a value or ']' */
    AT_FIRST_KEY,  /* a name or '}' */
    AT_KEY,        /* a name must come */
    AT_COLON,
    AT_AFTER, /* after a value: ',' or the container's end */
    AT_END,   /* only space */
    IN_STRING,
    IN_NUMBER,
    IN_LITERAL,
};

/* Within a string. */
enum string_sub {
    STRING_PLAIN,
    STRING_ESCAPE, /* after a backslash */
    STRING_HEX_1,  /* before the first digit of \uXXXX, and so on */
    STRING_HEX_2,
    STRING_HEX_3,
    STRING_HEX_4,
    STRING_LOW_SLASH, /* a high surrogate was read: the backslash of the low one */
    STRING_LOW_U,
    STRING_LOW_HEX_1,
    STRING_LOW_HEX_2,
    STRING_LOW_HEX_3,
    STRING_LOW_HEX_4,
    STRING_UTF8_1, /* one continuation byte is due, and so on */
    STRING_UTF8_2,
    STRING_UTF8_3,
};

/* Within a number: what was read last. */
enum number_sub {
    NUMBER_MINUS,
    NUMBER_ZERO,
    NUMBER_INT,
    NUMBER_DOT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_E_SIGN,
    NUMBER_EXPONENT
};

/* What a byte did. AGAIN: it ended a number and belongs to what follows. */
enum step { STEP_OK, STEP_FAILED, STEP_AGAIN };

_Static_assert(LIMIT_JSON_DEPTH <= 64, "the stack of containers is one 64-bit word");

void jfilter_init(struct jfilter *f, struct str new_id)
{
    *f = (struct jfilter){.new_id = new_id, .state = AT_START};
}

void jfilter_stamp_with(struct jfilter *f, const struct jfilter_stamp *stamp)
{
    f->stamp = stamp;
}

void jfilter_end(struct jfilter *f)
{
    *f = (struct jfilter){0};
}

bool jfilter_is_complete(const struct jfilter *f)
{
    return f->done;
}

struct str jfilter_id(const struct jfilter *f)
{
    bool is_known = f->n_id > 0 && !f->at_id && f->n_id <= sizeof f->id;
    return is_known ? (struct str){f->id, f->n_id} : STR_NONE;
}

static enum step expected(struct jfilter *f, const char *what)
{
    f->expected = what;
    return STEP_FAILED;
}

static enum step go(struct jfilter *f, enum state state, int sub)
{
    f->state = (int)state;
    f->sub = sub;
    return STEP_OK;
}

static enum step value_done(struct jfilter *f)
{
    return go(f, f->depth == 0 ? AT_END : AT_AFTER, 0);
}

static bool in_object(const struct jfilter *f)
{
    return f->objects & 1;
}

static enum step container_open(struct jfilter *f, bool is_object)
{
    if (f->depth == LIMIT_JSON_DEPTH)
        return expected(f, "no deeper nesting");
    f->depth++;
    f->objects = f->objects << 1 | is_object;
    return go(f, is_object ? AT_FIRST_KEY : AT_FIRST_ITEM, 0);
}

static enum step container_close(struct jfilter *f)
{
    f->depth--;
    f->objects >>= 1;
    f->done = f->depth == 0;
    return value_done(f);
}

static enum step key_begin(struct jfilter *f, unsigned char c)
{
    if (c != '"')
        return expected(f, f->state == AT_FIRST_KEY ? "a member name in quotes or '}'"
                                                    : "a member name in quotes");
    f->is_key = true;
    f->n_key = 0;
    return go(f, IN_STRING, STRING_PLAIN);
}

static enum step literal_begin(struct jfilter *f, const char *rest)
{
    f->word = rest;
    return go(f, IN_LITERAL, 0);
}

static enum step value_begin(struct jfilter *f, unsigned char c)
{
    switch (c) {
    case '{':
    case '[':
        return container_open(f, c == '{');
    case '"':
        return go(f, IN_STRING, STRING_PLAIN);
    case '-':
        return go(f, IN_NUMBER, NUMBER_MINUS);
    case '0':
        return go(f, IN_NUMBER, NUMBER_ZERO);
    case 't':
        return literal_begin(f, "rue");
    case 'f':
        return literal_begin(f, "alse");
    case 'n':
        return literal_begin(f, "ull");
    default:
        return jchars_is_digit(c) ? go(f, IN_NUMBER, NUMBER_INT) : expected(f, "a value");
    }
}

static enum step literal_next(struct jfilter *f, unsigned char c)
{
    if (c != (unsigned char)*f->word)
        return expected(f, "\"true\", \"false\" or \"null\"");
    f->word++;
    return *f->word ? STEP_OK : value_done(f);
}

/* The state after `c` within a number, or -1 when c is not part of it. */
static int number_after(int sub, unsigned char c)
{
    enum { ZERO, DIGIT, DOT, E, SIGN, OTHER };
    static const signed char next[][6] = {
        [NUMBER_MINUS] = {NUMBER_ZERO, NUMBER_INT, -1, -1, -1, -1},
        [NUMBER_ZERO] = {-1, -1, NUMBER_DOT, NUMBER_E, -1, -1},
        [NUMBER_INT] = {NUMBER_INT, NUMBER_INT, NUMBER_DOT, NUMBER_E, -1, -1},
        [NUMBER_DOT] = {NUMBER_FRACTION, NUMBER_FRACTION, -1, -1, -1, -1},
        [NUMBER_FRACTION] = {NUMBER_FRACTION, NUMBER_FRACTION, -1, NUMBER_E, -1, -1},
        [NUMBER_E] = {NUMBER_EXPONENT, NUMBER_EXPONENT, -1, -1, NUMBER_E_SIGN, -1},
        [NUMBER_E_SIGN] = {NUMBER_EXPONENT, NUMBER_EXPONENT, -1, -1, -1, -1},
        [NUMBER_EXPONENT] = {NUMBER_EXPONENT, NUMBER_EXPONENT, -1, -1, -1, -1},
    };
    int kind = c == '0'               ? ZERO
               : jchars_is_digit(c)   ? DIGIT
               : c == '.'             ? DOT
               : c == 'e' || c == 'E' ? E
               : c == '+' || c == '-' ? SIGN
                                      : OTHER;
    return next[sub][kind];
}

static enum step number_next(struct jfilter *f, unsigned char c)
{
    int next = number_after(f->sub, c);
    if (next >= 0) {
        f->sub = next;
        return STEP_OK;
    }
    bool is_whole = f->sub == NUMBER_ZERO || f->sub == NUMBER_INT || f->sub == NUMBER_FRACTION ||
                    f->sub == NUMBER_EXPONENT;
    if (!is_whole)
        return expected(f, "a digit");
    (void)value_done(f);
    return STEP_AGAIN;
}

static enum step hex_next(struct jfilter *f, unsigned char c)
{
    int digit = jchars_hex(c);
    if (digit < 0)
        return expected(f, "a hexadecimal digit");
    f->unit = f->unit << 4 | (unsigned)digit;
    if (f->sub != STRING_HEX_4 && f->sub != STRING_LOW_HEX_4) {
        f->sub++;
        return STEP_OK;
    }
    bool is_low = f->unit >= 0xDC00 && f->unit <= 0xDFFF;
    bool is_high = f->unit >= 0xD800 && f->unit <= 0xDBFF;
    if (is_low != (f->sub == STRING_LOW_HEX_4))
        return expected(f, "surrogates in pairs");
    return go(f, IN_STRING, is_high ? STRING_LOW_SLASH : STRING_PLAIN);
}

static enum step escape_next(struct jfilter *f, unsigned char c)
{
    if (jchars_is_simple_escape(c))
        return go(f, IN_STRING, STRING_PLAIN);
    if (c != 'u')
        return expected(f, "an escape character");
    f->unit = 0;
    return go(f, IN_STRING, STRING_HEX_1);
}

static enum step utf8_next(struct jfilter *f, unsigned char c)
{
    if (c < f->low || c > f->high)
        return expected(f, "valid UTF-8");
    f->low = 0x80;
    f->high = 0xBF;
    f->sub = f->sub == STRING_UTF8_1 ? STRING_PLAIN : f->sub - 1;
    return STEP_OK;
}

/* Names are read at the top, and in a result that is to be stamped. */
static bool is_name_read(const struct jfilter *f)
{
    return f->depth == 1 || (f->depth == 2 && f->in_result);
}

/* A name within the result that is stamped. */
static enum step result_key_done(struct jfilter *f, struct str raw)
{
    static const struct str ours[] = {STR("resultType"), STR("ttlMs"), STR("cacheScope"),
                                      STR("inputRequests"), STR("requestState")};
    f->is_meta_next = jscan_string_eq(raw, STR("_meta"));
    if (f->is_meta_next && f->saw_meta)
        return expected(f, NULL);
    f->saw_meta = f->saw_meta || f->is_meta_next;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        f->is_dropped = f->is_dropped || jscan_string_eq(raw, ours[i]);
    return STEP_OK;
}

/* A name is complete: is it one that matters? */
static enum step key_done(struct jfilter *f)
{
    f->is_key = false;
    (void)go(f, AT_COLON, 0);
    if (!is_name_read(f) || f->n_key >= JFILTER_KEY_SIZE - 1)
        return STEP_OK;
    char quoted[JFILTER_KEY_SIZE + 1];
    quoted[0] = '"';
    memcpy(quoted + 1, f->key, f->n_key); /* the closing quote is its last byte */
    struct str raw = {quoted, f->n_key + 1};
    if (f->depth == 2)
        return result_key_done(f, raw);
    f->is_id_next = jscan_string_eq(raw, STR("id"));
    f->is_result_next = f->stamp && jscan_string_eq(raw, STR("result"));
    bool *saw = f->is_id_next                         ? &f->saw_id
                : jscan_string_eq(raw, STR("result")) ? &f->saw_result
                : jscan_string_eq(raw, STR("error"))  ? &f->saw_error
                                                      : NULL;
    if (saw && *saw)
        return expected(f, NULL);
    if (saw)
        *saw = true;
    return STEP_OK;
}

static enum step string_next(struct jfilter *f, unsigned char c)
{
    if (f->sub == STRING_ESCAPE)
        return escape_next(f, c);
    if (f->sub >= STRING_UTF8_1)
        return utf8_next(f, c);
    if (f->sub == STRING_LOW_SLASH || f->sub == STRING_LOW_U) {
        if (c != (f->sub == STRING_LOW_SLASH ? '\\' : 'u'))
            return expected(f, "the escaped low surrogate of a pair");
        f->sub++;
        f->unit = 0;
        return STEP_OK;
    }
    if (f->sub != STRING_PLAIN)
        return hex_next(f, c);
    if (c == '"')
        return f->is_key ? key_done(f) : value_done(f);
    if (c == '\\')
        return go(f, IN_STRING, STRING_ESCAPE);
    if (c < 0x20)
        return expected(f, "an escape instead of a control character");
    if (c < 0x80)
        return STEP_OK;
    int more = jchars_utf8_lead(c, &f->low, &f->high);
    return more < 0 ? expected(f, "valid UTF-8") : go(f, IN_STRING, STRING_UTF8_1 + more - 1);
}

/* Between tokens; c is no space. */
static enum step token_next(struct jfilter *f, unsigned char c)
{
    switch ((enum state)f->state) {
    case AT_START:
        return c == '{' ? container_open(f, true) : expected(f, "an object");
    case AT_FIRST_ITEM:
        return c == ']' ? container_close(f) : value_begin(f, c);
    case AT_FIRST_KEY:
        return c == '}' ? container_close(f) : key_begin(f, c);
    case AT_KEY:
        return key_begin(f, c);
    case AT_COLON:
        return c == ':' ? go(f, AT_VALUE, 0) : expected(f, "':'");
    case AT_VALUE:
        return value_begin(f, c);
    case AT_AFTER:
        if (c == ',')
            return go(f, in_object(f) ? AT_KEY : AT_VALUE, 0);
        if (c == (in_object(f) ? '}' : ']'))
            return container_close(f);
        return expected(f, in_object(f) ? "',' or '}'" : "',' or ']'");
    default:
        return expected(f, "the end of the text");
    }
}

static enum step byte_next(struct jfilter *f, unsigned char c)
{
    switch ((enum state)f->state) {
    case IN_STRING:
        if (f->is_key && is_name_read(f) && f->n_key < JFILTER_KEY_SIZE)
            f->key[f->n_key++] = (char)c;
        return string_next(f, c);
    case IN_NUMBER:
        return number_next(f, c);
    case IN_LITERAL:
        return literal_next(f, c);
    default:
        return jchars_is_space(c) ? STEP_OK : token_next(f, c);
    }
}

static bool failure(const struct jfilter *f, unsigned char c, struct err *e)
{
    if (!f->expected)
        return err_set(e, ERR_BAD_REQUEST, "JSON: byte %zu: a member occurs twice", f->offset);
    if (f->state == AT_START && f->depth == 0)
        return err_set(e, ERR_BAD_REQUEST, "JSON: byte %zu: given 0x%02x, expected an object",
                       f->offset, c);
    if (c > 0x20 && c < 0x7F)
        return err_set(e, ERR_PARSE, "JSON: byte %zu: given '%c', expected %s", f->offset, c,
                       f->expected);
    return err_set(e, ERR_PARSE, "JSON: byte %zu: given 0x%02x, expected %s", f->offset, c,
                   f->expected);
}

static bool is_between(const struct jfilter *f)
{
    return f->state < IN_STRING;
}

static void flush(const unsigned char **from, const unsigned char *to, struct buf *out)
{
    buf_add(out, (struct str){(const char *)*from, (size_t)(to - *from)});
    *from = to;
}

/* Before the byte at p, which is no space and stands between tokens: what the stamp owes. */
static void stamp_before(struct jfilter *f, const unsigned char *p, const unsigned char **from,
                         struct buf *out)
{
    bool is_end = f->stamp && f->in_result && f->depth == 2 && *p == '}' &&
                  (f->state == AT_AFTER || f->state == AT_FIRST_KEY);
    if (f->is_comma_due && *p == '"') {
        flush(from, p, out);
        buf_add(out, STR(","));
    }
    f->is_comma_due = false;
    if (is_end && !f->saw_meta) {
        flush(from, p, out);
        buf_add(out, STR(",\"_meta\":{"));
        buf_add(out, f->stamp->meta);
        buf_add(out, STR("}"));
    }
    f->in_result = f->in_result && !is_end;
}

/* After the first byte of a value: an object that receives members. */
static void stamp_after(struct jfilter *f, const unsigned char *p, const unsigned char **from,
                        struct buf *out)
{
    bool is_object = *p == '{' && f->state == AT_FIRST_KEY;
    struct str with = f->is_result_next ? f->stamp->members : f->stamp->meta;
    f->in_result = f->in_result || (is_object && f->is_result_next);
    f->is_result_next = f->is_meta_next = false;
    if (!is_object)
        return;
    flush(from, p + 1, out);
    buf_add(out, with);
    f->is_comma_due = true;
}

/* Before the byte at p: does a member of the result begin? It is held until its name is known. */
static void hold_begin(struct jfilter *f, const unsigned char *p, const unsigned char **from,
                       struct buf *out)
{
    bool is_begin =
        f->stamp && f->in_result && f->depth == 2 &&
        ((f->state == AT_AFTER && *p == ',') || (f->state == AT_FIRST_KEY && *p == '"'));
    if (!is_begin)
        return;
    flush(from, p, out);
    f->is_comma_due = false;
    f->is_held = true;
}

/* After a byte of a held member: a name that is known, or too long to matter, is let go. */
static void hold_step(struct jfilter *f, const unsigned char *p, const unsigned char **from,
                      struct buf *out)
{
    if (f->state != AT_COLON && !(f->is_key && f->n_key == JFILTER_KEY_SIZE))
        return;
    f->is_held = false;
    if (f->is_dropped)
        return;
    buf_add(out, STR(",\""));
    buf_add(out, (struct str){f->key, f->n_key});
    *from = p + 1;
}

static void id_keep(struct jfilter *f, const unsigned char *from, const unsigned char *to)
{
    size_t n = (size_t)(to - from);
    if (f->n_id + n > sizeof f->id) {
        f->n_id = sizeof f->id + 1;
        return;
    }
    memcpy(f->id + f->n_id, from, n);
    f->n_id += n;
}

/* After a byte: what is left out ends, the id or a member of the result. `next`: what comes then.
 */
static void gap_end(struct jfilter *f, const unsigned char *next, const unsigned char **from)
{
    bool is_id_end = f->at_id && f->depth == 1 && is_between(f);
    bool is_drop_end = f->is_dropped && f->depth == 2 && f->state == AT_AFTER;
    if (!is_id_end && !is_drop_end)
        return;
    if (is_id_end)
        id_keep(f, *from, next);
    f->at_id = f->is_dropped = false;
    *from = next;
}

/*
 * Takes the byte at p. `from` is the first byte of the chunk not yet written or dropped; it moves
 * at both ends of the id's value. A number is over only with the byte after it, which is then taken
 * again.
 */
static bool take(struct jfilter *f, const unsigned char *p, const unsigned char **from,
                 struct buf *out)
{
    bool is_id_start = f->is_id_next && f->state == AT_VALUE && !jchars_is_space(*p);
    if (is_id_start) {
        buf_add(out, (struct str){(const char *)*from, (size_t)(p - *from)});
        buf_add(out, f->new_id);
        *from = p;
        f->is_id_next = false;
        f->at_id = true;
    }
    bool is_token = f->stamp && is_between(f) && !jchars_is_space(*p);
    bool is_value = is_token && f->state == AT_VALUE && (f->is_result_next || f->is_meta_next);
    if (is_token)
        hold_begin(f, p, from, out);
    if (is_token && (f->is_comma_due || f->in_result))
        stamp_before(f, p, from, out);
    enum step step = byte_next(f, *p);
    if (step == STEP_FAILED)
        return false;
    if (is_value)
        stamp_after(f, p, from, out);
    if (f->is_held)
        hold_step(f, p, from, out);
    gap_end(f, step == STEP_AGAIN ? p : p + 1, from);
    if (step != STEP_AGAIN)
        return true;
    hold_begin(f, p, from, out);
    if (f->in_result)
        stamp_before(f, p, from, out); /* the byte that ended a number may end the result */
    if (byte_next(f, *p) != STEP_OK)
        return false;
    gap_end(f, p + 1, from); /* ... or the object that is left out */
    return true;
}

bool jfilter_feed(struct jfilter *f, struct str chunk, struct buf *out, struct err *e)
{
    if (chunk.n == 0)
        return true;
    const unsigned char *start = (const unsigned char *)chunk.p, *from = start,
                        *end = start + chunk.n;
    for (const unsigned char *p = start; p < end; p++) {
        bool is_plain =
            f->state == IN_STRING && f->sub == STRING_PLAIN && !(f->is_key && is_name_read(f));
        if (is_plain) {
            const unsigned char *stop = jchars_plain(p, end);
            f->offset += (size_t)(stop - p);
            p = stop;
            if (p == end)
                break;
        }
        if (!take(f, p, &from, out))
            return failure(f, *p, e);
        f->offset++;
    }
    if (f->at_id)
        id_keep(f, from, end);
    else if (!f->is_held && !f->is_dropped && from < end)
        buf_add(out, (struct str){(const char *)from, (size_t)(end - from)});
    return buf_ok(out) || err_set(e, ERR_TOO_LARGE, "the answer does not fit");
}
