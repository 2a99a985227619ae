/* ORGANIZATION_GROUP_*: members get roles by groups, too. */
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "management-tools/role_words.h"
#include "management-tools/tool_io.h"
#include "store/groups.h"
#include "store/members.h"
#include "store/users.h"

tool_fn tool_organization_group_create, tool_organization_group_list,
    tool_organization_group_update, tool_organization_group_delete,
    tool_organization_group_member_add, tool_organization_group_member_remove;

static void roles_write(struct jout *j, struct str roles)
{
    struct str rest = roles, role;
    jout_key(j, STR("roles"));
    jout_array(j);
    while (str_next(&rest, ' ', &role))
        if (role.n)
            jout_str(j, role);
    jout_array_end(j);
}

/* names: of the organization's groups, this one's among them. */
static void group_write(struct jout *j, const struct group *g, const struct group_name *names,
                        size_t n_names)
{
    jout_object(j);
    jout_kstr(j, "id", g->id);
    jout_kstr(j, "name", g->name);
    jout_kstr(j, "description", g->description);
    roles_write(j, g->roles);
    jout_kstr(j, "external_id", g->external_id);
    jout_ki64(j, "member_count", g->n_members);
    jout_key(j, STR("mappings"));
    jout_array(j);
    for (size_t i = 0; i < n_names; i++) {
        if (!str_eq(names[i].group_id, g->id))
            continue;
        jout_object(j);
        jout_kstr(j, "provider_id", names[i].provider_id);
        jout_kstr(j, "name", names[i].name);
        jout_object_end(j);
    }
    jout_array_end(j);
    jout_ktime(j, "created_at", g->created_at);
    jout_ktime(j, "updated_at", g->updated_at);
    jout_object_end(j);
}

static bool group_find(struct tool_call *c, struct str id, struct group *out, struct err *e)
{
    if (groups_get(c->sv->db, c->arena, c->org_id, id, out, e))
        return true;
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such group") : false;
}

static bool group_answer(struct tool_call *c, struct str id, struct err *e)
{
    struct group group = {0};
    struct group_name *names;
    struct jout j;
    size_t n;
    if (!group_find(c, id, &group, e) ||
        !groups_names(c->sv->db, c->arena, c->org_id, STR_NONE, id, &names, &n, e))
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    group_write(&j, &group, names, n);
    jout_object_end(&j);
    return true;
}

static bool name_taken(struct err *e)
{
    return e->code == ERR_CONFLICT ? err_set(e, ERR_CONFLICT, "a group of this name exists")
                                   : false;
}

/* Absent where the argument is. */
static bool roles_read(struct tool_call *c, struct str *out, struct err *e)
{
    const struct jvalue *given = jv_get(c->arguments, "roles");
    struct buf roles;
    *out = STR_NONE;
    if (!given)
        return true;
    buf_init(&roles, LIMIT_BODY_SMALL);
    bool is_good = true;
    for (size_t i = 0; is_good && i < jv_count(given); i++)
        is_good = role_words_take(c, jv_str(jv_at(given, i)), &roles, e);
    if (is_good && buf_ok(&roles))
        *out = roles.n ? arena_dup(c->arena, buf_str(&roles)) : STR("");
    buf_end(&roles);
    return is_good && (!str_is_absent(*out) || io_no_memory(e));
}

/* What providers call the group; nothing changes where the argument is absent. */
static bool mappings_set(struct tool_call *c, struct str group_id, struct err *e)
{
    const struct jvalue *given = jv_get(c->arguments, "mappings");
    size_t n = jv_count(given);
    if (!given)
        return true;
    struct group_name *names = arena_alloc(c->arena, (n + 1) * sizeof(*names));
    if (!names)
        return io_no_memory(e);
    for (size_t i = 0; i < n; i++)
        names[i] = (struct group_name){
            .provider_id = jv_get_str(jv_at(given, i), "provider_id"),
            .name = jv_get_str(jv_at(given, i), "name"),
        };
    if (groups_names_set(c->sv->db, c->arena, c->org_id, group_id, names, n, e))
        return true;
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such sign-in provider") : false;
}

bool tool_organization_group_create(struct tool_call *c, struct err *e)
{
    struct id id = id_new("grp");
    struct group group = {.id = arena_dup(c->arena, id_str(&id)),
                          .description = jv_get_str(c->arguments, "description")};
    group.created_at = group.updated_at = clock_wall_ms();
    if (!io_name(jv_get_str(c->arguments, "name"), &group.name, e) ||
        !roles_read(c, &group.roles, e))
        return false;
    if (str_is_absent(group.roles))
        group.roles = STR("");
    c->object = group.id;
    if (!groups_insert(c->sv->db, c->arena, c->org_id, &group, e))
        return name_taken(e);
    if (mappings_set(c, group.id, e))
        return group_answer(c, group.id, e);
    struct err why = *e, ignored; /* a half-made group is none */
    (void)!groups_delete(c->sv->db, c->arena, c->org_id, group.id, &ignored);
    *e = why;
    return false;
}

static bool sees_all(const struct tool_call *c)
{
    return io_may(c, "ORGANIZATION_GROUP_UPDATE", STR_NONE) ||
           io_may(c, "ORGANIZATION_GROUP_MEMBER_ADD", STR_NONE) ||
           io_may(c, "ORGANIZATION_MEMBER_UPDATE_ROLE", STR_NONE);
}

/* The groups of one member: few, in one page unless there are very many. */
static bool list_of_member(struct tool_call *c, struct str user_id, const struct db_page *page,
                           struct err *e)
{
    struct group_of_member *theirs;
    struct group_name *names;
    struct io_list_end end = {0};
    struct jout j;
    size_t n, n_names, written = 0;
    if (!groups_of_member(c->sv->db, c->arena, c->org_id, user_id, &theirs, &n, e) ||
        !groups_names(c->sv->db, c->arena, c->org_id, STR_NONE, STR_NONE, &names, &n_names, e))
        return false;
    io_list_begin(c, &j);
    bool is_after = str_is_absent(page->after_id);
    for (size_t i = 0; i < n; i++) {
        struct group group;
        if (str_is_absent(theirs[i].id))
            continue; /* roles by a provider itself */
        end.total++;
        if (is_after && written == (size_t)page->limit) {
            end.has_more = true;
        } else if (is_after && group_find(c, theirs[i].id, &group, e)) {
            group_write(&j, &group, names, n_names);
            end.last_at = group.created_at;
            end.last_id = group.id;
            written++;
        } else if (is_after && e->code != ERR_NOT_FOUND) {
            return false;
        }
        is_after = is_after || str_eq(theirs[i].id, page->after_id);
    }
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_group_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct group *groups;
    struct group_name *names;
    struct member member;
    struct jout j;
    size_t n, n_names;
    struct io_list_end end = {0};
    struct str user_id = jv_get_str(c->arguments, "user_id");
    if (!io_page_read(c, &page, e))
        return false;
    if (!sees_all(c) && !str_is_absent(user_id) && !str_eq(user_id, c->caller->user_id))
        return err_set(e, ERR_NOT_FOUND, "no such person");
    if (!str_is_absent(user_id) &&
        !members_get(c->sv->db, c->arena, c->org_id, user_id, &member, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such person") : false;
    if (!str_is_absent(user_id) || !sees_all(c))
        return list_of_member(c, str_is_absent(user_id) ? c->caller->user_id : user_id, &page, e);
    if (!groups_list(c->sv->db, c->arena, c->org_id, &page, &groups, &n, e) ||
        !groups_count(c->sv->db, c->arena, c->org_id, &end.total, e) ||
        !groups_names(c->sv->db, c->arena, c->org_id, STR_NONE, STR_NONE, &names, &n_names, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        group_write(&j, &groups[i], names, n_names);
        end.last_at = groups[i].created_at;
        end.last_id = groups[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_group_update(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "group_id"), name = jv_get_str(c->arguments, "name"),
               roles;
    struct group there = {0};
    c->object = id;
    /* What the group gives now is at stake, too: who is mapped into it gets that. */
    if (!group_find(c, id, &there, e) || !role_words_may_give(c, there.roles, e) ||
        (!str_is_absent(name) && !io_name(name, &name, e)) || !roles_read(c, &roles, e) ||
        !mappings_set(c, id, e))
        return false;
    struct group_change change = {
        .name = name, .description = jv_get_str(c->arguments, "description"), .roles = roles};
    if (!groups_update(c->sv->db, c->arena, c->org_id, id, &change, clock_wall_ms(), e))
        return name_taken(e);
    return group_answer(c, id, e);
}

bool tool_organization_group_delete(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "group_id");
    struct group there = {0};
    c->object = id;
    if (!group_find(c, id, &there, e) || !role_words_may_give(c, there.roles, e))
        return false;
    if (!groups_delete(c->sv->db, c->arena, c->org_id, id, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such group") : false;
    io_deleted(c, id);
    return true;
}

/* The group and the member of the arguments, if the caller may change who is in it. */
static bool place_read(struct tool_call *c, struct str where[2], struct member *member,
                       struct err *e)
{
    struct group group = {0};
    struct user user = {0};
    where[0] = c->org_id;
    where[1] = jv_get_str(c->arguments, "group_id");
    if (!group_find(c, where[1], &group, e) || !role_words_person(c, &user, e))
        return false;
    if (!members_get(c->sv->db, c->arena, c->org_id, user.id, member, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such person") : false;
    c->object = where[1];
    return role_words_may_give(c, group.roles, e);
}

bool tool_organization_group_member_add(struct tool_call *c, struct err *e)
{
    struct str where[2];
    struct member member = {0};
    return place_read(c, where, &member, e) &&
           groups_member_add(c->sv->db, c->arena, where, member.user_id, STR(""), clock_wall_ms(),
                             e) &&
           group_answer(c, where[1], e);
}

bool tool_organization_group_member_remove(struct tool_call *c, struct err *e)
{
    struct str where[2];
    struct member member = {0};
    if (!place_read(c, where, &member, e))
        return false;
    if (!groups_member_remove(c->sv->db, c->arena, where, member.user_id, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "not in this group") : false;
    io_deleted(c, member.user_id);
    return true;
}
