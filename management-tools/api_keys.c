/* API_KEY_*. */
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "core/api_key_rules.h"
#include "core/policy.h"
#include "core/principal_rules.h"
#include "json/jscan.h"
#include "management-tools/tool_io.h"
#include "store/api_keys.h"
#include "store/service_accounts.h"
#include "store/users.h"
#include "store/virtual_servers.h"

tool_fn tool_api_key_create, tool_api_key_list, tool_api_key_update, tool_api_key_rotate,
    tool_api_key_delete;

static const int64_t day_ms = INT64_C(24) * 60 * 60 * 1000;

static void scopes_write(struct jout *j, struct str scopes)
{
    struct str rest = scopes, scope;
    jout_key(j, STR("scopes"));
    if (str_is_absent(scopes)) {
        jout_null(j);
        return;
    }
    jout_array(j);
    while (str_next(&rest, ' ', &scope))
        jout_str(j, scope);
    jout_array_end(j);
}

static void key_write(struct jout *j, const struct api_key *k)
{
    jout_object(j);
    jout_kstr(j, "id", k->id);
    jout_kstr(j, "name", k->name);
    jout_kstr(j, "prefix", k->prefix);
    jout_kstr(j, "user_id", k->user_id);
    scopes_write(j, k->scopes);
    jout_kraw(j, "tools", k->tools.n ? k->tools : STR("null"));
    jout_kraw(j, "connection_ids", k->connection_ids.n ? k->connection_ids : STR("null"));
    jout_ktime(j, "expires_at", k->expires_at);
    jout_ktime(j, "last_used_at", k->last_used_at);
    jout_ktime(j, "created_at", k->created_at);
    jout_object_end(j);
}

/* secret NULL: not shown. */
static bool key_answer(struct tool_call *c, struct str id, const struct key_text *secret,
                       struct err *e)
{
    struct api_key key;
    struct jout j;
    if (!api_keys_get(c->sv->db, c->arena, c->org_id, id, &key, e))
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    key_write(&j, &key);
    if (secret)
        jout_kstr(&j, "key", str_c(secret->key));
    jout_object_end(&j);
    return true;
}

/* ---- limits ---- */

static bool names_read(struct tool_call *c, struct str json, const struct str **out, size_t *n,
                       struct err *e)
{
    struct jiter it;
    *out = NULL;
    *n = 0;
    if (str_is_absent(json))
        return true;
    struct str *names = arena_alloc(c->arena, (LIMIT_STATEMENT_PATTERNS + 1) * sizeof(*names));
    if (!names)
        return io_no_memory(e);
    for (jscan_iter(&it, json); *n < LIMIT_STATEMENT_PATTERNS && jscan_next(&it);)
        if (!jscan_string(c->arena, it.value, &names[(*n)++]))
            return err_set(e, ERR_INTERNAL, "a stored list of names is damaged");
    *out = names;
    return true;
}

/* Is this key at most as wide as the caller's own? */
static bool within(struct tool_call *c, const struct api_key *k, struct err *e)
{
    struct api_key_limits limits = {.expires_at = k->expires_at};
    if (!str_is_absent(k->scopes) && !policy_scopes_read(k->scopes, &limits.scopes))
        return err_set(e, ERR_INTERNAL, "a stored scope is unknown");
    return names_read(c, k->tools, &limits.tools, &limits.n_tools, e) &&
           names_read(c, k->connection_ids, &limits.connection_ids, &limits.n_connection_ids, e) &&
           api_key_rules_within(c->caller, &limits, e);
}

/* scopes as "mcp mcp:manage"; null lifts the limit. */
static bool scopes_read(struct tool_call *c, struct str *out, struct err *e)
{
    const struct jvalue *given = jv_get(c->arguments, "scopes");
    struct buf text;
    if (!given)
        return true;
    *out = STR_NONE;
    if (jv_is_null(given))
        return true;
    buf_init(&text, LIMIT_PATTERN);
    for (size_t i = 0; i < jv_count(given); i++) {
        struct str scope = jv_str(jv_at(given, i));
        if (str_list_has(buf_str(&text), scope))
            continue;
        if (text.n)
            buf_add_char(&text, ' ');
        buf_add(&text, scope);
    }
    *out = buf_ok(&text) && text.n ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || io_no_memory(e);
}

static bool tools_read(struct tool_call *c, struct str *out, struct err *e)
{
    const struct jvalue *given = jv_get(c->arguments, "tools");
    for (size_t i = 0; i < jv_count(given); i++)
        if (!api_key_rules_pattern(jv_str(jv_at(given, i))))
            return err_set(e, ERR_INVALID,
                           "arguments.tools[%zu]: expected a tool's name, PREFIX_* or *", i);
    return !given || io_json(c, given, STR_NONE, out, e);
}

static bool connections_read(struct tool_call *c, struct str *out, struct err *e)
{
    const struct jvalue *given = jv_get(c->arguments, "connection_ids");
    for (size_t i = 0; i < jv_count(given); i++) {
        struct connection conn;
        struct str id = jv_str(jv_at(given, i));
        struct virtual_server v;
        if (id_is(id, "vs") && virtual_servers_get(c->sv->db, c->arena, c->org_id, id, &v, e))
            continue; /* what it shows is decided where it is used */
        bool is_there = connections_get(c->sv->db, c->arena, c->org_id, id, &conn, e);
        if (!is_there && e->code != ERR_NOT_FOUND)
            return false;
        if (!is_there || !io_sees_connection(c, &conn))
            return err_set(e, ERR_NOT_FOUND, "arguments.connection_ids[%zu]: no such connection",
                           i);
    }
    return !given || io_json(c, given, STR_NONE, out, e);
}

static bool limits_read(struct tool_call *c, struct api_key *k, struct err *e)
{
    const struct jvalue *days = jv_get(c->arguments, "expires_in_days");
    if (days)
        k->expires_at = jv_is_null(days) ? 0 : clock_wall_ms() + jv_i64(days, 1) * day_ms;
    return scopes_read(c, &k->scopes, e) && tools_read(c, &k->tools, e) &&
           connections_read(c, &k->connection_ids, e);
}

/* ---- create ---- */

static struct str names_text(struct tool_call *c, const struct str *names, size_t n)
{
    struct buf text;
    struct jout j;
    buf_init(&text, LIMIT_BODY_FORM);
    jout_init(&j, &text);
    jout_array(&j);
    for (size_t i = 0; i < n; i++)
        jout_str(&j, names[i]);
    jout_array_end(&j);
    struct str out = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return out;
}

static struct str scopes_text(struct tool_call *c, unsigned scopes)
{
    if (scopes == 0)
        return STR_NONE;
    struct str text = arena_printf(c->arena, "%s%s%s", scopes & SCOPE_MCP ? " mcp" : "",
                                   scopes & SCOPE_MCP_READ ? " mcp:read" : "",
                                   scopes & SCOPE_MCP_MANAGE ? " mcp:manage" : "");
    return str_trim(text);
}

/* A key made with a key begins with that one's limits; what is given may narrow them further. */
static bool limits_inherit(struct tool_call *c, struct api_key *k, struct err *e)
{
    const struct caller *me = c->caller;
    k->scopes = scopes_text(c, me->scopes);
    k->expires_at = me->expires_at;
    if (me->tools)
        k->tools = names_text(c, me->tools, me->n_tools);
    if (me->connection_ids)
        k->connection_ids = names_text(c, me->connection_ids, me->n_connection_ids);
    bool is_lost = (me->tools && str_is_absent(k->tools)) ||
                   (me->connection_ids && str_is_absent(k->connection_ids)) ||
                   (me->scopes && str_is_absent(k->scopes));
    return !is_lost || io_no_memory(e);
}

/* A key of a service account, made by an administrator. */
static bool holder_read(struct tool_call *c, struct str *user_id, struct err *e)
{
    struct service_account s;
    struct str id = jv_get_str(c->arguments, "service_account_id");
    if (str_is_absent(id))
        return true;
    if (!io_is_admin(c))
        return err_set(e, ERR_FORBIDDEN, "only administrators make keys of service accounts");
    if (!service_accounts_get(c->sv->db, c->arena, c->org_id, id, &s, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such service account")
                                        : false;
    *user_id = s.id;
    return true;
}

/* A key proves nothing, so it has all that its holder has: whom an organization's provider proved
 * obtains none that has more than the organization. */
static bool operators_check(struct tool_call *c, struct str holder, struct err *e)
{
    struct user user;
    if (str_is_absent(c->use->caller->proof.org_id) || id_is(holder, "sa"))
        return true;
    return users_get(c->sv->db, c->arena, holder, &user, e) &&
           (!user.is_operator ||
            err_set(e, ERR_FORBIDDEN,
                    "an organization's sign-in provider brought you here: operators sign in "
                    "without it to obtain an API key"));
}

/* What an organization's provider proved stays that, by whatever key. */
static struct proof proof_of(const struct tool_call *c, struct str holder)
{
    const struct proof *p = &c->use->caller->proof;
    return id_is(holder, "sa") || str_is_absent(p->org_id) ? (struct proof){0} : *p;
}

bool tool_api_key_create(struct tool_call *c, struct err *e)
{
    struct id id = id_new("key");
    struct api_key key = {.id = arena_dup(c->arena, id_str(&id)),
                          .org_id = c->org_id,
                          .user_id = c->caller->user_id,
                          .created_at = clock_wall_ms()};
    if (str_is_absent(key.id))
        return io_no_memory(e);
    if (!holder_read(c, &key.user_id, e) || !operators_check(c, key.user_id, e) ||
        !io_name(jv_get_str(c->arguments, "name"), &key.name, e) || !limits_inherit(c, &key, e) ||
        !limits_read(c, &key, e) || !within(c, &key, e))
        return false;
    struct key_text secret;
    const struct proof proof = proof_of(c, key.user_id);
    key.proof_org_id = proof.org_id;
    key.proof = proof.by;
    key_text_make(&secret);
    key.prefix = str_c(secret.prefix);
    key.hash = str_c(secret.hash_hex);
    c->object = key.id;
    bool is_good =
        api_keys_insert(c->sv->db, c->arena, &key, e) && key_answer(c, key.id, &secret, e);
    key_text_end(&secret);
    return is_good;
}

/* ---- the rest ---- */

bool tool_api_key_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct api_key *keys;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    struct str whose = io_is_admin(c) ? STR_NONE : c->caller->user_id;
    if (!io_page_read(c, &page, e) ||
        !api_keys_list(c->sv->db, c->arena, c->org_id, whose, &page, &keys, &n, e) ||
        !api_keys_count(c->sv->db, c->arena, c->org_id, whose, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        key_write(&j, &keys[i]);
        end.last_at = keys[i].created_at;
        end.last_id = keys[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

/* may_be_others: an administrator's act on anybody's key of the organization. */
static bool key_find(struct tool_call *c, bool may_be_others, struct api_key *out, struct err *e)
{
    bool is_found =
        api_keys_get(c->sv->db, c->arena, c->org_id, jv_get_str(c->arguments, "key_id"), out, e);
    if (!is_found && e->code != ERR_NOT_FOUND)
        return false;
    if (!is_found || (!str_eq(out->user_id, c->caller->user_id) && !io_is_admin(c)))
        return err_set(e, ERR_NOT_FOUND, "no such key");
    c->object = out->id;
    if (!may_be_others && !id_is(out->user_id, "sa") && !str_eq(out->user_id, c->caller->user_id))
        return err_set(e, ERR_FORBIDDEN,
                       "only its holder changes a key; administrators can delete it");
    return true;
}

bool tool_api_key_update(struct tool_call *c, struct err *e)
{
    struct api_key key;
    struct str name = jv_get_str(c->arguments, "name");
    if (!key_find(c, false, &key, e) || (!str_is_absent(name) && !io_name(name, &key.name, e)))
        return false;
    return limits_read(c, &key, e) && within(c, &key, e) &&
           api_keys_update(c->sv->db, c->arena, &key, clock_wall_ms(), e) &&
           key_answer(c, key.id, NULL, e);
}

/* The old secret would have what the new one's proof gives, and whoever proved themselves otherwise
 * may hold it. */
static bool overlap_check(const struct api_key *key, const struct proof *proof, struct err *e)
{
    return str_is_absent(proof->org_id) || str_is_absent(key->proof_org_id) ||
           str_eq(proof->by, key->proof) ||
           err_set(e, ERR_UNPROCESSABLE,
                   "arguments.overlap_minutes: the key was made in a sign-in by another provider "
                   "than yours, so its old secret ends at once");
}

bool tool_api_key_rotate(struct tool_call *c, struct err *e)
{
    int64_t now = clock_wall_ms(), minutes = jv_get_i64(c->arguments, "overlap_minutes", 0);
    struct api_key key;
    struct key_text secret;
    /* The new secret is shown to whoever calls: a narrow key must not obtain a wide one. */
    if (!key_find(c, false, &key, e) || !operators_check(c, key.user_id, e) || !within(c, &key, e))
        return false;
    const struct proof proof = proof_of(c, key.user_id);
    if (minutes && !overlap_check(&key, &proof, e))
        return false;
    key_text_make(&secret);
    struct api_key_rotation r = {.org_id = c->org_id,
                                 .id = key.id,
                                 .prefix = str_c(secret.prefix),
                                 .hash = str_c(secret.hash_hex),
                                 .old_until = minutes ? now + minutes * 60 * 1000 : 0,
                                 .proof_org_id = proof.org_id,
                                 .proof = proof.by};
    bool is_good =
        api_keys_rotate(c->sv->db, c->arena, &r, now, e) && key_answer(c, key.id, &secret, e);
    key_text_end(&secret);
    return is_good;
}

bool tool_api_key_delete(struct tool_call *c, struct err *e)
{
    struct api_key key;
    if (!key_find(c, true, &key, e) ||
        !api_keys_delete(c->sv->db, c->arena, c->org_id, key.id, clock_wall_ms(), e))
        return false;
    io_deleted(c, key.id);
    return true;
}
