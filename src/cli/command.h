/* Subcommands of the program: one row each in src/main.c, one function each in src/cli. */
#pragma once

/* argv[0] is the subcommand's (last) word. Returns the exit code; failures have said one line on
 * stderr. */
int command_serve(int argc, char **argv);
int command_migrate(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_version(int argc, char **argv);
int command_user(int argc, char **argv);
int command_setup_link(int argc, char **argv);
int command_recover(int argc, char **argv);
int command_org(int argc, char **argv);
int command_key(int argc, char **argv);
int command_keys(int argc, char **argv);
int command_call(int argc, char **argv);
int command_import(int argc, char **argv);
int command_export(int argc, char **argv);
int command_config(int argc, char **argv);
