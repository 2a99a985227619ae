/*
 * The guard of one supervised program: a small process between Tulle and the program, which Tulle
 * starts from its own executable. It outlives a Tulle that is killed just long enough to end all
 * that the program started, and is the reaper of every descendant (PR_SET_CHILD_SUBREAPER), so that
 * none escapes by leaving the process group or its parent.
 */
#pragma once

/* The subcommand's name: argv[1] of an executable that process_start() may run. */
#define PROCESS_GUARD_COMMAND "stdio-guard"

/*
 * argv: [0] the subcommand, [1] milliseconds to wait after the pipe has closed, [2] milliseconds
 * after SIGTERM, [3] the folder to run in, [4...] program and arguments. Descriptors: 0, 1, 2 are
 * the program's; 3 is a socket to Tulle. On 3 it says "S\n" (started), "F<errno>\n" (cannot be
 * started), "X<wait status>\n" (ended). The end of 3 asks it to end the program: wait, SIGTERM to
 * the group, wait, SIGKILL to every descendant.
 */
int process_guard_main(int argc, char **argv);
