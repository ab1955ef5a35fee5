/* The command line, one level at a time: a group of commands chooses one of them, a command takes options and
 * words. The global options (--json, --config=, --help, --version) stand wherever one likes. */
#pragma once

#include <getopt.h>

#include "ctl.h"

typedef struct Command {
        const char *name, *arguments, *help;
        int (*run)(Ctl *ctl, int argc, char *argv[]);
} Command;

typedef struct CommandGroup {
        const char *name;          /* "jobs", or NULL for atelierctl itself */
        const char *summary;       /* behind the table, in --help; may be NULL */
        const Command *commands;   /* ended by {} */
} CommandGroup;

/* Runs the command that argv[1..] names; CTL_USAGE with what is taken instead. */
int command_group_run(Ctl *ctl, const CommandGroup *group, int argc, char *argv[]);

#define COMMAND_OPTIONS_MAX 8
#define ARGUMENTS_OPTIONS_MAX (COMMAND_OPTIONS_MAX + 5)  /* with the global ones and an end */

/* How a command is written. */
typedef struct CommandForm {
        const char *form;               /* "jobs show ID" */
        const char *help;               /* lines below it, each ended by a newline; may be NULL */
        struct option options[COMMAND_OPTIONS_MAX + 1];  /* of its own; `val` is a letter */
        const char *letters;            /* "o:n:", as getopt(3) takes them; NULL: none */
        int words_min, words_max;
} CommandForm;

enum {
        ARGUMENTS_END = -1,   /* no more options; the words are argv[optind..argc) */
        ARGUMENTS_STOP = -2,  /* nothing more to do: the result is `result` */
};

typedef struct Arguments {
        Ctl *ctl;
        const CommandForm *form;
        int argc;
        char **argv;
        int result;
        struct option options[ARGUMENTS_OPTIONS_MAX];
        char letters[2 * ARGUMENTS_OPTIONS_MAX];
} Arguments;

void arguments_begin(Arguments *arguments, Ctl *ctl, const CommandForm *form, int argc, char *argv[]);

/* The next option of the command's own (its argument is optarg), or one of the above. */
int arguments_next(Arguments *arguments);

/* For commands without options: true when it is to go on, false with the exit code. */
bool arguments_plain(Ctl *ctl, const CommandForm *form, int argc, char *argv[], int *ret_result);

/* CTL_USAGE, with the reason and the form. */
int arguments_misused(const CommandForm *form, const char *format, ...) _printf_(2, 3);

/* A number from 1 to max; CTL_USAGE with a message. */
int arguments_number(const CommandForm *form, const char *option, uint64_t max, uint64_t *ret);
