/* Supervised programs: this test program is its own guard, as Tulle is. */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "io/process_guard.h"

enum { WAIT_MS = 60 * 1000 };

struct rig {
    struct process *process;
    struct process_end end;
    bool has_ended;
    struct buf out, err; /* lines, each with its LF */
    int n_out;
    struct fiber_wait *wait;
};

static void wake(struct rig *r)
{
    if (r->wait)
        fiber_wake(r->wait);
}

static void on_line(void *arg, struct str line)
{
    struct rig *r = arg;
    r->n_out++;
    if (line.n < 1024) {
        buf_add(&r->out, line);
        buf_add_char(&r->out, '\n');
    }
    wake(r);
}

static void on_stderr(void *arg, struct str line)
{
    struct rig *r = arg;
    buf_add(&r->err, line);
    buf_add_char(&r->err, '\n');
    wake(r);
}

static void on_drain(void *arg)
{
    wake(arg);
}

static void on_end(void *arg, const struct process_end *end)
{
    struct rig *r = arg;
    r->end = *end;
    r->has_ended = true;
    r->process = NULL;
    wake(r);
}

static const struct process_events events = {on_line, on_stderr, on_drain, on_end};

/* Waits for something to happen. */
static void pause_until_news(struct rig *r)
{
    struct fiber_wait wait = {0};
    struct err e;
    r->wait = &wait;
    assert_true(fiber_wait(&wait, clock_mono_ms() + WAIT_MS, &e));
    r->wait = NULL;
}

static void start(struct rig *r, char *const *argv)
{
    static char path[256], secret[] = "GIVEN=yes";
    char *envp[] = {path, secret, NULL};
    struct err e;
    (void)snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
    struct process_spec spec = {.argv = argv, .envp = envp, .folder = "/"};
    *r = (struct rig){0};
    buf_init(&r->out, 1u << 20);
    buf_init(&r->err, 1u << 20);
    r->process = process_start(loop_self(), &spec, &events, r, &e);
    assert_non_null(r->process);
}

static void shell(struct rig *r, const char *script)
{
    static char sh[] = "sh", c[] = "-c";
    char *argv[] = {sh, c, (char *)(uintptr_t)script, NULL};
    start(r, argv);
}

static void wait_end(struct rig *r)
{
    while (!r->has_ended)
        pause_until_news(r);
}

static void rig_end(struct rig *r)
{
    buf_end(&r->out);
    buf_end(&r->err);
}

/* The number in the first line that begins with the word. */
static pid_t pid_in(const struct rig *r, const char *word)
{
    size_t at = str_find(buf_str(&r->out), str_c(word));
    assert_true(at != SIZE_MAX);
    return (pid_t)strtol(r->out.p + at + strlen(word), NULL, 10);
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

/* ---- tests, each in a fiber ---- */

static void lines_go_both_ways(void *arg unused_arg)
{
    struct rig r;
    shell(&r, "while read line; do echo \"got $line\"; echo \"saw $line\" >&2; done; exit 3");
    assert_true(process_write(r.process, STR("one\ntwo\n")));
    while (r.n_out < 2)
        pause_until_news(&r);
    process_stop(r.process);
    wait_end(&r);
    assert_string_equal(r.out.p, "got one\ngot two\n");
    assert_string_equal(r.err.p, "saw one\nsaw two\n");
    assert_true(r.end.was_started);
    assert_int_equal(r.end.exit_code, 3);
    rig_end(&r);
}

static void it_has_its_own_environment_folder_and_descriptors(void *arg unused_arg)
{
    struct rig r;
    int open_here = open("/dev/null", O_RDONLY); /* on purpose without O_CLOEXEC */
    assert_true(setenv("TULLE_SECRET", "x", 1) == 0);
    shell(&r, "env | sort; pwd; ls /proc/self/fd | wc -l");
    wait_end(&r);
    (void)close(open_here);
    assert_true(str_find(buf_str(&r.out), STR("GIVEN=yes\n")) != SIZE_MAX);
    assert_true(str_find(buf_str(&r.out), STR("TULLE_SECRET")) == SIZE_MAX);
    assert_true(str_find(buf_str(&r.out), STR("\n/\n")) != SIZE_MAX);
    assert_true(str_ends(buf_str(&r.out), STR("\n4\n"))); /* 0 1 2, and ls's own of the folder */
    rig_end(&r);
}

static void a_program_that_is_not_there_is_said_to_be_missing(void *arg unused_arg)
{
    static char name[] = "no-such-program-anywhere";
    char *argv[] = {name, NULL};
    struct rig r;
    start(&r, argv);
    wait_end(&r);
    assert_false(r.end.was_started);
    assert_int_equal(r.end.start_errno, ENOENT);
    rig_end(&r);
}

static void its_signal_is_told(void *arg unused_arg)
{
    struct rig r;
    shell(&r, "kill -SEGV $$");
    wait_end(&r);
    assert_int_equal(r.end.signal, SIGSEGV);
    rig_end(&r);
}

static void a_line_that_is_too_long_ends_it(void *arg unused_arg)
{
    struct rig r;
    shell(&r, "echo first; head -c 9000000 /dev/zero | tr '\\0' x; exec sleep 1000");
    wait_end(&r);
    assert_true(r.end.has_overrun);
    assert_string_equal(r.out.p, "first\n");
    rig_end(&r);
}

static void one_that_ignores_every_signal_is_killed(void *arg unused_arg)
{
    struct rig r;
    shell(&r, "trap '' TERM HUP INT; echo pid $$; while :; do sleep 1000; done");
    while (r.n_out < 1)
        pause_until_news(&r);
    pid_t pid = pid_in(&r, "pid ");
    process_stop(r.process);
    wait_end(&r);
    assert_int_equal(r.end.signal, SIGKILL);
    assert_false(is_alive(pid));
    rig_end(&r);
}

static void what_it_started_ends_with_it(void *arg unused_arg)
{
    struct rig r;
    /* A grandchild that left the process group and whose parent has ended. */
    shell(&r, "(setsid sh -c 'trap \"\" TERM; echo pid $$; exec sleep 1000' >&1 &) ; "
              "while read line; do :; done");
    while (r.n_out < 1)
        pause_until_news(&r);
    pid_t pid = pid_in(&r, "pid ");
    assert_true(is_alive(pid));
    process_stop(r.process);
    wait_end(&r);
    assert_false(is_alive(pid));
    rig_end(&r);
}

static void it_ends_with_its_guard_even_if_another_holds_its_pipes(void *arg unused_arg)
{
    struct rig r;
    shell(&r, "setsid sh -c 'echo other $$; exec sleep 1000' & echo guard $PPID; exec sleep 1000");
    while (r.n_out < 2)
        pause_until_news(&r);
    pid_t guard = pid_in(&r, "guard "), other = pid_in(&r, "other ");
    assert_int_equal(kill(guard, SIGKILL), 0);
    wait_end(&r);
    assert_true(r.end.was_started);
    (void)kill(other, SIGKILL); /* nobody's any more */
    rig_end(&r);
}

static void bytes_wait_for_one_that_does_not_read(void *arg unused_arg)
{
    struct rig r;
    shell(&r, "exec sleep 1000");
    char *much = calloc(1, LIMIT_STDIO_QUEUE);
    assert_non_null(much);
    struct str bytes = {much, LIMIT_STDIO_QUEUE};
    bool is_taken = true;
    for (int i = 0; is_taken && i < 10; i++)
        is_taken = process_write(r.process, bytes);
    assert_false(is_taken);
    assert_true(process_unsent(r.process) > 0);
    free(much);
    process_stop(r.process);
    wait_end(&r);
    rig_end(&r);
}

static void pausing_stops_the_lines_and_going_on_brings_them_all(void *arg unused_arg)
{
    struct rig r;
    shell(&r, "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done");
    process_pause(r.process, true);
    assert_int_equal(r.n_out, 0);
    process_pause(r.process, false);
    wait_end(&r);
    assert_int_equal(r.n_out, 20000);
    rig_end(&r);
}

static void run(void (*fn)(void *))
{
    struct err e;
    assert_true(fiber_main(fn, NULL, &e));
}

#define TEST(name)                                                                                 \
    static void test_##name(void **state unused_arg)                                               \
    {                                                                                              \
        run(name);                                                                                 \
    }
TEST(lines_go_both_ways)
TEST(it_has_its_own_environment_folder_and_descriptors)
TEST(a_program_that_is_not_there_is_said_to_be_missing)
TEST(its_signal_is_told)
TEST(a_line_that_is_too_long_ends_it)
TEST(one_that_ignores_every_signal_is_killed)
TEST(what_it_started_ends_with_it)
TEST(it_ends_with_its_guard_even_if_another_holds_its_pipes)
TEST(bytes_wait_for_one_that_does_not_read)
TEST(pausing_stops_the_lines_and_going_on_brings_them_all)

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], PROCESS_GUARD_COMMAND) == 0)
        return process_guard_main(argc - 1, argv + 1);
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_go_both_ways),
        cmocka_unit_test(test_it_has_its_own_environment_folder_and_descriptors),
        cmocka_unit_test(test_a_program_that_is_not_there_is_said_to_be_missing),
        cmocka_unit_test(test_its_signal_is_told),
        cmocka_unit_test(test_a_line_that_is_too_long_ends_it),
        cmocka_unit_test(test_one_that_ignores_every_signal_is_killed),
        cmocka_unit_test(test_what_it_started_ends_with_it),
        cmocka_unit_test(test_it_ends_with_its_guard_even_if_another_holds_its_pipes),
        cmocka_unit_test(test_bytes_wait_for_one_that_does_not_read),
        cmocka_unit_test(test_pausing_stops_the_lines_and_going_on_brings_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
