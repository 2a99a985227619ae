#include "auth/mail/mail_text.h"

#include "auth/mail/browser_name.h"
#include "auth/pages.h"
#include "base/clock.h"

enum { LINES = 4, NOTES = 3 };

#define NOT_YOU "If you did not ask for this, ignore this mail: nothing changes."

struct words {
    const char *subject;
    const char *line; /* '@' stands for where Tulle is */
    const char *label;
    const char *notes[NOTES];
    bool names_browser;
};
static const struct words words[MAIL_KINDS] = {
    [MAIL_MAGIC] = {"Your link to sign in to Tulle",
                    "Somebody asked for a link to sign in to @ with this address.",
                    "Sign in",
                    {"The link works once, for 15 minutes. It belongs to the browser that asked "
                     "for it.",
                     "If you did not ask for this, ignore this mail: without the link nobody gets "
                     "in."},
                    true},
    [MAIL_RESET] = {"Set a new password for Tulle",
                    "Somebody asked to set a new password for your account at @.",
                    "Set a new password",
                    {"The link works once, for 15 minutes. A new password signs out all browsers "
                     "and programs.",
                     NOT_YOU},
                    true},
    [MAIL_SIGNUP] = {"Confirm your address for Tulle",
                     "Somebody asked for an account at @ with this address.",
                     "Make the account",
                     {"The link works once, for 24 hours.", NOT_YOU},
                     true},
    [MAIL_EMAIL_CHANGE] = {"Confirm your new address for Tulle",
                           "Somebody wants to use this address for their account at @.",
                           "Confirm the address",
                           {"The link works once, for 24 hours, where you are signed in.", NOT_YOU},
                           true},
    [MAIL_INVITATION] = {"You are invited to Tulle", NULL, "Accept the invitation", {NULL}, false},
    [MAIL_EMAIL_CHANGED] = {"Your address for Tulle was changed",
                            "The e-mail address of your account at @ was changed. This is the "
                            "last mail to the old address.",
                            NULL,
                            {"If it was not you, tell an administrator of your organization at "
                             "once."},
                            true},
    [MAIL_PASSWORD_CHANGED] = {"Your password for Tulle was changed",
                               "The password of your account at @ was set anew by a link in a "
                               "mail. All other browsers and programs were signed out.",
                               NULL,
                               {"If it was not you, ask for a new password at once and tell an "
                                "administrator."},
                               true},
    [MAIL_NEW_BROWSER] = {"New sign-in to Tulle",
                          "Your account at @ was used to sign in from a browser that we have "
                          "not seen before.",
                          "See where you are signed in",
                          {"If it was you, there is nothing to do. If not, sign that browser out "
                           "there and change your password."},
                          true},
};

static struct str browser_line(struct arena *a, const struct mail_request *m)
{
    char at[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_ms(), at);
    struct str name = browser_name(a, m->user_agent);
    return arena_printf(a, "Browser: %.*s. Address: %.*s. Time: %.10s %.5s UTC.", STR_FMT(name),
                        STR_FMT(m->peer), at, at + 11);
}

static struct str line_with(struct arena *a, struct str line, struct str origin)
{
    size_t at = str_find_char(line, '@');
    return arena_printf(a, "%.*s%.*s%.*s", STR_FMT(str_slice(line, 0, at)), STR_FMT(origin),
                        STR_FMT(str_slice(line, at + 1, SIZE_MAX)));
}

static void invitation_words(struct arena *a, struct str origin, const struct mail_request *m,
                             struct mail_text *out)
{
    out->subject = arena_printf(a, "You are invited to %.*s", STR_FMT(m->org_name));
    out->lines[0] = str_is_absent(m->by)
                        ? arena_printf(a, "You are invited to join %.*s at %.*s.",
                                       STR_FMT(m->org_name), STR_FMT(origin))
                        : arena_printf(a, "%.*s invites you to join %.*s at %.*s.", STR_FMT(m->by),
                                       STR_FMT(m->org_name), STR_FMT(origin));
    out->notes[0] = STR("The link works once, for 7 days.");
}

static void fate_words(struct arena *a, struct str origin, enum mail_fate fate,
                       struct mail_text *out)
{
    out->url = arena_printf(a, "%.*s/login", STR_FMT(origin));
    out->label = STR("Go to the sign-in page");
    out->lines[1] = fate == MAIL_USE_SSO
                        ? STR("This address signs in with the provider of its organization: type "
                              "it on the sign-in page, which leads there. No link or password "
                              "is needed, and none would work.")
                        : STR("This address has an account already: sign in with it.");
    out->notes[0] = STR(NOT_YOU);
    out->notes[1] = STR_NONE;
}

bool mail_text_make(const struct services *sv, struct arena *a, const struct mail_request *m,
                    enum mail_fate fate, struct str url, struct mail_text *out, struct err *e)
{
    const struct words *w = &words[m->kind];
    struct str origin = str_c(sv->config->origin);
    *out = (struct mail_text){.subject = str_c(w->subject), .url = url, .label = str_c(w->label)};
    for (size_t i = 0; i < NOTES; i++)
        out->notes[i] = str_c(w->notes[i]);
    if (m->kind == MAIL_INVITATION)
        invitation_words(a, origin, m, out);
    else
        out->lines[0] = line_with(a, str_c(w->line), origin);
    if (fate != MAIL_WITH_LINK)
        fate_words(a, origin, fate, out);
    bool is_good = !str_is_absent(out->subject) && !str_is_absent(out->lines[0]);
    if (w->names_browser && !str_is_absent(m->peer)) {
        size_t last = str_is_absent(out->lines[1]) ? 1 : 2;
        out->lines[last] = browser_line(a, m);
        is_good = is_good && !str_is_absent(out->lines[last]);
    }
    return is_good || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

void mail_text_plain(struct buf *out, const struct mail_text *t)
{
    for (size_t i = 0; i < LINES && !str_is_absent(t->lines[i]); i++)
        buf_addf(out, "%.*s\n\n", STR_FMT(t->lines[i]));
    if (!str_is_absent(t->url))
        buf_addf(out, "%.*s:\n%.*s\n\n", STR_FMT(t->label), STR_FMT(t->url));
    for (size_t i = 0; i < NOTES && !str_is_absent(t->notes[i]); i++)
        buf_addf(out, "%.*s\n", STR_FMT(t->notes[i]));
}

void mail_text_html(struct buf *out, const struct mail_text *t)
{
    struct page_value line_values[LINES][2] = {{{0}}}, note_values[NOTES][2] = {{{0}}};
    struct page_row lines[LINES], notes[NOTES];
    size_t n_lines = 0, n_notes = 0;
    for (; n_lines < LINES && !str_is_absent(t->lines[n_lines]); n_lines++) {
        line_values[n_lines][0] = (struct page_value){.name = "line", .text = t->lines[n_lines]};
        lines[n_lines].values = line_values[n_lines];
    }
    for (; n_notes < NOTES && !str_is_absent(t->notes[n_notes]); n_notes++) {
        note_values[n_notes][0] = (struct page_value){.name = "note", .text = t->notes[n_notes]};
        notes[n_notes].values = note_values[n_notes];
    }
    const struct page_value values[] = {
        {.name = "subject", .text = t->subject},
        {.name = "lines", .rows = lines, .n_rows = n_lines},
        {.name = "url", .text = t->url},
        {.name = "label", .text = t->label},
        {.name = "notes", .rows = notes, .n_rows = n_notes},
        {.name = NULL},
    };
    page_render_bare(out, "mail", values);
}
