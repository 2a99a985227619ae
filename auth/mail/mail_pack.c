#include "auth/mail/mail_pack.h"

#include "base/limits.h"
#include "base/secret.h"
#include "crypto/keyring.h"
#include "json/jout.h"
#include "json/jread.h"

#define PURPOSE    STR("mail")
#define PACKED_MAX (LIMIT_MAIL_BYTES * 2)

struct str mail_kind_name(enum mail_kind kind)
{
    static const struct str names[MAIL_KINDS] = {
        [MAIL_MAGIC] = STR("magic"),
        [MAIL_RESET] = STR("reset"),
        [MAIL_SIGNUP] = STR("signup"),
        [MAIL_EMAIL_CHANGE] = STR("email_change"),
        [MAIL_INVITATION] = STR("invitation"),
        [MAIL_EMAIL_CHANGED] = STR("email_changed"),
        [MAIL_PASSWORD_CHANGED] = STR("password_changed"),
        [MAIL_NEW_BROWSER] = STR("new_browser"),
    };
    return names[kind];
}

static bool kind_parse(struct str name, enum mail_kind *out)
{
    for (int i = 0; i < MAIL_KINDS; i++)
        if (str_eq(name, mail_kind_name((enum mail_kind)i))) {
            *out = (enum mail_kind)i;
            return true;
        }
    return false;
}

static bool seal(struct services *sv, struct arena *a, struct str id, struct buf *plain,
                 struct str *sealed, struct err *e)
{
    struct buf out;
    buf_init(&out, PACKED_MAX * 2);
    bool is_good = buf_ok(plain) && keyring_seal(sv->keys, PURPOSE, id, buf_str(plain), &out);
    *sealed = is_good ? arena_dup(a, buf_str(&out)) : STR_NONE;
    if (plain->p)
        secret_wipe(plain->p, plain->n);
    buf_end(plain);
    buf_end(&out);
    return !str_is_absent(*sealed) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool mail_pack_request(struct services *sv, struct arena *a, struct str id,
                       const struct mail_request *r, struct str *sealed, struct err *e)
{
    struct buf plain;
    struct jout j;
    buf_init(&plain, PACKED_MAX);
    jout_init(&j, &plain);
    jout_object(&j);
    jout_kstr(&j, "kind", mail_kind_name(r->kind));
    jout_kstr(&j, "email", r->email);
    jout_kstr(&j, "user_id", r->user_id);
    jout_kstr(&j, "org_name", r->org_name);
    jout_kstr(&j, "by", r->by);
    jout_kstr(&j, "url", r->url);
    jout_kstr(&j, "browser_hash", r->browser_hash);
    jout_kstr(&j, "peer", r->peer);
    jout_kstr(&j, "user_agent", r->user_agent);
    jout_kstr(&j, "return_to", r->return_to);
    jout_object_end(&j);
    return seal(sv, a, id, &plain, sealed, e);
}

bool mail_pack_message(struct services *sv, struct arena *a, enum mail_kind kind,
                       const struct mail *m, struct str *sealed, struct err *e)
{
    struct buf plain;
    struct jout j;
    buf_init(&plain, PACKED_MAX);
    jout_init(&j, &plain);
    jout_object(&j);
    jout_kstr(&j, "kind", mail_kind_name(kind));
    jout_kstr(&j, "to", m->to);
    jout_kstr(&j, "subject", m->subject);
    jout_kstr(&j, "text", m->text);
    jout_kstr(&j, "html", m->html);
    jout_object_end(&j);
    return seal(sv, a, m->id, &plain, sealed, e);
}

static struct str member(struct arena *a, const struct jvalue *v, const char *name)
{
    return arena_dup(a, jv_get_str(v, name));
}

static bool read_packed(struct arena *a, const struct jvalue *v, const struct mail_row *row,
                        struct mail_packed *out)
{
    if (!kind_parse(jv_get_str(v, "kind"), &out->kind))
        return false;
    if (row->is_written) {
        out->message = (struct mail){.id = row->id,
                                     .to = member(a, v, "to"),
                                     .subject = member(a, v, "subject"),
                                     .text = member(a, v, "text"),
                                     .html = member(a, v, "html")};
        return !str_is_absent(out->message.to) && !str_is_absent(out->message.html);
    }
    out->request = (struct mail_request){.kind = out->kind,
                                         .email = member(a, v, "email"),
                                         .user_id = member(a, v, "user_id"),
                                         .org_name = member(a, v, "org_name"),
                                         .by = member(a, v, "by"),
                                         .url = member(a, v, "url"),
                                         .browser_hash = member(a, v, "browser_hash"),
                                         .peer = member(a, v, "peer"),
                                         .user_agent = member(a, v, "user_agent"),
                                         .return_to = member(a, v, "return_to")};
    return !str_is_absent(out->request.email);
}

bool mail_unpack(struct services *sv, struct arena *a, const struct mail_row *row,
                 struct mail_packed *out, struct err *e)
{
    struct buf plain;
    *out = (struct mail_packed){0};
    buf_init(&plain, PACKED_MAX);
    bool is_good = keyring_open(sv->keys, PURPOSE, row->id, row->sealed, &plain);
    struct jdoc *doc = is_good ? jdoc_parse(buf_str(&plain), NULL) : NULL;
    is_good = doc && read_packed(a, jdoc_root(doc), row, out);
    if (doc)
        jdoc_free(doc);
    if (plain.p)
        secret_wipe(plain.p, plain.n);
    buf_end(&plain);
    return is_good || err_set(e, ERR_INTERNAL, "a mail of the queue does not open");
}
