/* The line that brings Tulle to a browser on another machine. */
#include "cli/remote_hint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"

#define TEST(name) static void name(void **state unused_arg)

static const char *hint(struct remote_place place)
{
    static char out[200];
    return remote_hint_write(&place, 3000, 3000, out, sizeof(out)) ? out : NULL;
}

TEST(who_came_by_ssh_is_told_the_way_they_came)
{
    assert_string_equal(
        hint((struct remote_place){
            .ssh_connection = "203.0.113.9 50123 192.0.2.7 22", .user = "ada", .host_name = "box"}),
        "ssh -L 3000:localhost:3000 ada@192.0.2.7");
    assert_string_equal(hint((struct remote_place){.ssh_connection = "::1 50123 2001:db8::7 2222",
                                                   .user = "ada",
                                                   .display = ":10"}),
                        "ssh -p 2222 -L 3000:localhost:3000 ada@2001:db8::7");
}

TEST(a_machine_without_a_screen_is_named)
{
    assert_string_equal(hint((struct remote_place){.user = "ada", .host_name = "box-1"}),
                        "ssh -L 3000:localhost:3000 ada@box-1");
    assert_string_equal(hint((struct remote_place){.host_name = "box-1"}),
                        "ssh -L 3000:localhost:3000 box-1");
}

TEST(the_public_port_may_differ)
{
    char out[100];
    struct remote_place place = {.host_name = "box"};
    assert_true(remote_hint_write(&place, 8080, 3000, out, sizeof(out)));
    assert_string_equal(out, "ssh -L 8080:localhost:3000 box");
    assert_false(remote_hint_write(&place, 8080, 3000, out, 10));
}

TEST(at_a_screen_nothing_is_said)
{
    assert_null(hint((struct remote_place){.display = ":0", .user = "ada", .host_name = "box"}));
    assert_null(hint((struct remote_place){.user = "ada"}));
}

TEST(nothing_is_said_that_a_shell_would_read_otherwise)
{
    assert_null(hint((struct remote_place){.host_name = "box;reboot"}));
    assert_null(hint((struct remote_place){.host_name = "-oProxyCommand"}));
    assert_null(hint((struct remote_place){.ssh_connection = "a b $(reboot) 22"}));
    assert_string_equal(hint((struct remote_place){.user = "a b", .host_name = "box"}),
                        "ssh -L 3000:localhost:3000 box");
    assert_string_equal(hint((struct remote_place){.ssh_connection = "short", .host_name = "box"}),
                        "ssh -L 3000:localhost:3000 box");
}

TEST(the_environment_is_read)
{
    struct remote_place place;
    char host[256];
    assert_int_equal(setenv("SSH_CONNECTION", "a 1 192.0.2.7 22", 1), 0);
    assert_int_equal(setenv("DISPLAY", "", 1), 0);
    assert_int_equal(setenv("WAYLAND_DISPLAY", "wayland-0", 1), 0);
    assert_int_equal(setenv("SUDO_USER", "ada", 1), 0);
    remote_place_read(&place, host, sizeof(host));
    assert_string_equal(place.ssh_connection, "a 1 192.0.2.7 22");
    assert_string_equal(place.display, "wayland-0");
    assert_string_equal(place.user, "ada");
    assert_ptr_equal(place.host_name, host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_came_by_ssh_is_told_the_way_they_came),
        cmocka_unit_test(a_machine_without_a_screen_is_named),
        cmocka_unit_test(the_public_port_may_differ),
        cmocka_unit_test(at_a_screen_nothing_is_said),
        cmocka_unit_test(nothing_is_said_that_a_shell_would_read_otherwise),
        cmocka_unit_test(the_environment_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
