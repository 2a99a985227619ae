/* What VIRTUAL_SERVER_* do, and whom they refuse. */
#include "unit/registry_fixture.h"

WORLD_TEST(a_virtual_server_is_made_of_the_organizations_own_connections)
{
    struct str a = connection_make(w, "a"), b = connection_make(w, "b");
    struct str both = ARGS("{\"name\":\"Both\",\"connections\":[{\"connection_id\":\"%.*s\","
                           "\"tools\":[{\"name\":\"echo\",\"as\":\"say\"}]},{\"connection_id\":"
                           "\"%.*s\"}]}",
                           STR_FMT(a), STR_FMT(b));
    refused(w, w->member, "VIRTUAL_SERVER_CREATE", both, ERR_NOT_FOUND);
    refused(w, w->stranger, "VIRTUAL_SERVER_CREATE", both, ERR_NOT_FOUND);
    refused(w, w->admin, "VIRTUAL_SERVER_CREATE",
            ARGS("{\"name\":\"x\",\"connections\":[{\"connection_id\":\"%.*s\",\"tools\":[{"
                 "\"name\":\"echo\",\"as\":\"no spaces\"}]}]}",
                 STR_FMT(a)),
            ERR_INVALID);
    refused(w, w->admin, "VIRTUAL_SERVER_CREATE",
            ARGS("{\"name\":\"x\",\"connections\":[{\"connection_id\":\"%.*s\",\"tools\":[{"
                 "\"name\":\"e*\",\"as\":\"several\"}]}]}",
                 STR_FMT(a)),
            ERR_INVALID);
    refused(w, w->admin, "VIRTUAL_SERVER_CREATE",
            ARGS("{\"name\":\"x\",\"connections\":[{\"connection_id\":\"%.*s\"},{"
                 "\"connection_id\":\"%.*s\"}]}",
                 STR_FMT(a), STR_FMT(a)),
            ERR_INVALID);
    const struct jvalue *made = call(w, w->admin, "VIRTUAL_SERVER_CREATE", both);
    struct str id = ARGS("{\"virtual_server_id\":\"%.*s\"}", STR_FMT(item_str(made, "id")));
    assert_int_equal(jv_count(jv_get(jv_get(made, "item"), "connections")), 2);
    assert_int_equal(audit_count(w, w->org, "VIRTUAL_SERVER_CREATE", "ok"), 1);
    call(w, w->member, "VIRTUAL_SERVER_GET", id);
    assert_int_equal(item_count(call(w, w->member, "VIRTUAL_SERVER_LIST", STR("{}"))), 1);
    assert_int_equal(item_count(call(w, w->stranger, "VIRTUAL_SERVER_LIST", STR("{}"))), 0);
    refused(w, w->stranger, "VIRTUAL_SERVER_GET", id, ERR_NOT_FOUND);
    refused(w, w->stranger, "VIRTUAL_SERVER_DELETE", id, ERR_NOT_FOUND);
    const struct jvalue *off = call(
        w, w->admin, "VIRTUAL_SERVER_UPDATE",
        ARGS("{\"virtual_server_id\":\"%.*s\",\"enabled\":false}", STR_FMT(item_str(made, "id"))));
    assert_str(item_str(off, "name"), "Both");
    assert_int_equal(jv_count(jv_get(jv_get(off, "item"), "connections")), 2);
    refused(w, w->member, "VIRTUAL_SERVER_GET", id, ERR_NOT_FOUND);
    assert_int_equal(item_count(call(w, w->member, "VIRTUAL_SERVER_LIST", STR("{}"))), 0);
    assert_int_equal(item_count(call(w, w->admin, "VIRTUAL_SERVER_LIST", STR("{}"))), 1);
    refused(w, w->member, "VIRTUAL_SERVER_UPDATE", id, ERR_NOT_FOUND);
    call(w, w->admin, "VIRTUAL_SERVER_DELETE", id);
    refused(w, w->admin, "VIRTUAL_SERVER_DELETE", id, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest rows[] = {
        cmocka_unit_test(a_virtual_server_is_made_of_the_organizations_own_connections),
    };
    return cmocka_run_group_tests(rows, NULL, NULL);
}
