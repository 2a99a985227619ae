/* tulle: the program. Every subcommand is a row of this table. */
#include <stdio.h>
#include <string.h>

#include "base/attrs.h"
#include "cli/command.h"
#include "io/process_guard.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve", command_serve, "run the server"},
    {"migrate", command_migrate, "bring the database up to date and end"},
    {"doctor", command_doctor, "check settings, keys, database and port"},
    {"setup-link", command_setup_link, "print a one-time link that makes the first operator"},
    {"recover", command_recover,
     "recover --org SLUG --email E [--enable] [--reset-factors]: make a person owner again, and a "
     "link to a new password"},
    {"user", command_user, "user create --email E [--name N] [--password-stdin] [--operator]"},
    {"org", command_org, "org create --name N --owner EMAIL [--slug S]"},
    {"key", command_key,
     "key create --org SLUG --user EMAIL --name N [--scope S ...] [--expires DAYS]"},
    {"keys", command_keys,
     "keys rotate: wrap every organization's data key under the newest ENCRYPTION_KEY"},
    {"call", command_call,
     "call TOOL [name=value ...] [--json '{...}'] [--connection ID]: any tool, from the shell"},
    {"import", command_import,
     "import FILE [--org SLUG] [--with-env]: register the servers of a configuration file"},
    {"export", command_export,
     "export [--org SLUG] [--format mcpServers|vscode]: the registered servers as such a file"},
    {"config", command_config, "every setting, as --help or as a Markdown table"},
    {"version", command_version, "the version"},
    {PROCESS_GUARD_COMMAND, process_guard_main, NULL},
};

static void usage(FILE *to)
{
    (void)fprintf(to, "usage: tulle COMMAND [options]     (tulle COMMAND --help says more)\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i].summary)
            (void)fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "tulle: \"%.60s\" is no command; tulle --help lists them\n", argv[1]);
    return 2;
}
