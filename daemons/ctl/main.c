#include <getopt.h>
#include <stdio.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/text.h"
#include "ctl.h"

typedef struct Command {
        const char *name, *arguments, *help;
        int (*run)(const Ctl *ctl, int argc, char *argv[]);
} Command;

static const Command commands[] = {
        { "status", "", "Show what the daemons are doing", ctl_status },
        { "reload", "DAEMON", "Have a daemon read its configuration again", ctl_reload },
        { "config", "check|show", "Check the configuration, or show it as it is in force", ctl_config },
        { "queue", "pause|resume", "Stop or start the dispatching of jobs", ctl_queue },
};

static int print_help(void) {
        puts("atelierctl [OPTIONS] COMMAND\n");
        for (size_t i = 0; i < ELEMENTS(commands); i++)
                printf("  %-8s %-14s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
        puts("\n"
             "  --json           print JSON, for programs\n"
             "  --config=FOLDER  the configuration's folder (config; default /etc/atelier)\n"
             "  --help           show this\n"
             "  --version        show the version");
        return EXIT_SUCCESS;
}

int main(int argc, char *argv[]) {
        static const struct option options[] = {
                { "json", no_argument, NULL, 'j' },
                { "config", required_argument, NULL, 'c' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                {},
        };
        Ctl ctl = {};
        int option;

        log_open("atelierctl");
        while ((option = getopt_long(argc, argv, "+", options, NULL)) >= 0)
                switch (option) {
                case 'j':
                        ctl.json = true;
                        break;
                case 'c':
                        ctl.folder = optarg;
                        break;
                case 'h':
                        return print_help();
                case 'V':
                        puts("atelier " ATELIER_VERSION);
                        return EXIT_SUCCESS;
                default:
                        return CTL_USAGE;
                }

        for (size_t i = 0; optind < argc && i < ELEMENTS(commands); i++)
                if (text_equal(argv[optind], commands[i].name))
                        return commands[i].run(&ctl, argc - optind - 1, argv + optind + 1);

        if (optind < argc)
                fprintf(stderr, "atelierctl: there is no command '%s'; see atelierctl --help\n", argv[optind]);
        else
                fprintf(stderr, "atelierctl: which command? See atelierctl --help\n");
        return CTL_USAGE;
}
