#include "arguments.h"

#include <errno.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/text.h"
#include "nearest-name.h"
#include "printable.h"

#define NAMES_MAX 32

/* Beyond letters, so that they don't meet those of the commands. */
enum {
        OPTION_JSON = 0x10000,
        OPTION_CONFIG,
        OPTION_HELP,
        OPTION_VERSION,
};

static const struct option global_options[] = {
        { "json", no_argument, NULL, OPTION_JSON },
        { "config", required_argument, NULL, OPTION_CONFIG },
        { "help", no_argument, NULL, OPTION_HELP },
        { "version", no_argument, NULL, OPTION_VERSION },
        {},
};

#define GLOBAL_OPTIONS_HELP \
        "  --json            print what the daemon answered, for programs\n" \
        "  --help            show this\n"

/* ------------------------------------------------------------------ messages */

int arguments_misused(const CommandForm *form, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (length < 0)
                text = NULL;
        return ctl_misused("%s; write: atelierctl %s", text ?: "this is not understood", form->form);
}

static const char *nearest_option(const char *typed, const struct option *options) {
        const char *names[ARGUMENTS_OPTIONS_MAX];
        size_t count = 0;

        for (; options[count].name; count++)
                names[count] = options[count].name;
        return nearest_name(typed, names, count);
}

/* "jobs list has no option '-x'"; `name` NULL: atelierctl itself. */
static void explain_unknown(const char *name, const char *option, const char *nearest) {
        if (nearest)
                (void) ctl_misused("%s has no option '%s'; did you mean --%s?", name ?: "atelierctl", option, nearest);
        else
                (void) ctl_misused("%s has no option '%s'; see: atelierctl %s%s--help", name ?: "atelierctl", option,
                                   name ?: "", name ? " " : "");
}

/* The word that getopt has just refused: a long option is behind it, a letter may be amid others. */
static void explain_option(const char *name, const struct option *options, int refused, char *argv[]) {
        const char *word = argv[optind > 0 ? optind - 1 : 0], *typed = text_after(word, "--");
        _cleanup_free_ char *option = NULL, *shown = NULL;

        option = typed ? strndup(word, strcspn(word, "=")) : text_format("-%c", optopt);
        shown = option ? printable_text(option, NAMES_MAX) : NULL;
        if (!shown)
                (void) ctl_misused("an option is not understood");
        else if (refused == ':')
                (void) ctl_misused("%s needs a value", shown);
        else if (typed && optopt)
                (void) ctl_misused("%s takes no value", shown);
        else
                explain_unknown(name, shown, typed ? nearest_option(option + 2, options) : NULL);
}

/* True when it was one of the global options and the command goes on. */
static bool take_global(Ctl *ctl, int option) {
        if (option == OPTION_JSON)
                ctl->json = true;
        else if (option == OPTION_CONFIG)
                ctl->folder = optarg;
        else
                return false;
        return true;
}

static int print_version(void) {
        puts("atelier " ATELIER_VERSION);
        return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ groups */

static int print_group_help(const CommandGroup *group) {
        printf("atelierctl [OPTIONS] %s%sCOMMAND\n\n", group->name ?: "", group->name ? " " : "");
        for (const Command *command = group->commands; command->name; command++)
                printf("  %-8s %-28s %s\n", command->name, command->arguments, command->help);
        puts("");
        if (group->summary)
                fputs(group->summary, stdout);
        fputs(GLOBAL_OPTIONS_HELP, stdout);
        return EXIT_SUCCESS;
}

/* "list, show or cancel" */
static char *list_commands(const CommandGroup *group) {
        _cleanup_(buffer_done) Buffer text = {};

        for (const Command *command = group->commands; command->name; command++) {
                const char *between = command == group->commands ? "" : command[1].name ? ", " : " or ";

                if (buffer_printf(&text, "%s%s", between, command->name) < 0)
                        return NULL;
        }
        return buffer_take_text(&text);
}

static int explain_command(const CommandGroup *group, const char *typed) {
        _cleanup_free_ char *list = list_commands(group), *shown = printable_text(typed ?: "", NAMES_MAX);
        const char *names[NAMES_MAX], *nearest = NULL;
        size_t count = 0;

        for (; group->commands[count].name && count < NAMES_MAX; count++)
                names[count] = group->commands[count].name;
        if (typed)
                nearest = nearest_name(typed, names, count);

        if (nearest)
                return ctl_misused("there is no command '%s%s%s'; did you mean: atelierctl %s%s%s", group->name ?: "",
                                   group->name ? " " : "", shown ?: "", group->name ?: "", group->name ? " " : "",
                                   nearest);
        if (group->name)
                return ctl_misused("%s takes %s", group->name, list ?: "a command");
        if (typed)
                return ctl_misused("there is no command '%s'; see: atelierctl --help", shown ?: "");
        return ctl_misused("which command? See: atelierctl --help");
}

/* The options before the command; ARGUMENTS_END when it follows. */
static int take_group_options(Ctl *ctl, const CommandGroup *group, int argc, char *argv[], int *ret_result) {
        int option;

        optind = 0;
        opterr = 0;
        while ((option = getopt_long(argc, argv, "+:", global_options, NULL)) >= 0) {
                if (take_global(ctl, option))
                        continue;
                if (option == OPTION_HELP)
                        *ret_result = print_group_help(group);
                else if (option == OPTION_VERSION)
                        *ret_result = print_version();
                else {
                        explain_option(group->name, global_options, option, argv);
                        *ret_result = CTL_USAGE;
                }
                return ARGUMENTS_STOP;
        }
        return ARGUMENTS_END;
}

int command_group_run(Ctl *ctl, const CommandGroup *group, int argc, char *argv[]) {
        int first, result;

        if (take_group_options(ctl, group, argc, argv, &result) == ARGUMENTS_STOP)
                return result;

        first = optind;
        for (const Command *command = group->commands; first < argc && command->name; command++)
                if (text_equal(argv[first], command->name))
                        return command->run(ctl, argc - first, argv + first);
        return explain_command(group, first < argc ? argv[first] : NULL);
}

/* ------------------------------------------------------------------ commands */

void arguments_begin(Arguments *arguments, Ctl *ctl, const CommandForm *form, int argc, char *argv[]) {
        size_t count = 0;

        *arguments = (Arguments) { .ctl = ctl, .form = form, .argc = argc, .argv = argv };
        for (const struct option *option = form->options; option->name; option++)
                arguments->options[count++] = *option;
        for (const struct option *option = global_options; option->name; option++)
                arguments->options[count++] = *option;
        assert(count < ARGUMENTS_OPTIONS_MAX);
        (void) snprintf(arguments->letters, sizeof(arguments->letters), ":%s", form->letters ?: "");
        optind = 0;
        opterr = 0;
}

static int print_command_help(const CommandForm *form) {
        printf("atelierctl %s\n\n", form->form);
        if (form->help)
                printf("%s\n", form->help);
        fputs(GLOBAL_OPTIONS_HELP, stdout);
        return EXIT_SUCCESS;
}

static int stop(Arguments *arguments, int result) {
        arguments->result = result;
        return ARGUMENTS_STOP;
}

/* "jobs show" of "jobs show ID". */
static char *name_of(const CommandForm *form) {
        size_t length = strspn(form->form, "abcdefghijklmnopqrstuvwxyz ");

        while (length > 0 && form->form[length - 1] == ' ')
                length--;
        return strndup(form->form, length);
}

static int check_words(Arguments *arguments) {
        const CommandForm *form = arguments->form;
        int words = arguments->argc - optind;

        if (words < form->words_min)
                return stop(arguments, arguments_misused(form, "a word is missing"));
        if (words > form->words_max) {
                _cleanup_free_ char *word = printable_text(arguments->argv[optind + form->words_max], NAMES_MAX);

                return stop(arguments, arguments_misused(form, "'%s' is a word too many", word ?: ""));
        }
        return ARGUMENTS_END;
}

int arguments_next(Arguments *arguments) {
        int option;

        do
                option = getopt_long(arguments->argc, arguments->argv, arguments->letters, arguments->options, NULL);
        while (take_global(arguments->ctl, option));

        if (option < 0)
                return check_words(arguments);
        if (option == OPTION_HELP)
                return stop(arguments, print_command_help(arguments->form));
        if (option == OPTION_VERSION)
                return stop(arguments, print_version());
        if (option == '?' || option == ':') {
                _cleanup_free_ char *name = name_of(arguments->form);

                explain_option(name, arguments->options, option, arguments->argv);
                return stop(arguments, CTL_USAGE);
        }
        return option;
}

bool arguments_plain(Ctl *ctl, const CommandForm *form, int argc, char *argv[], int *ret_result) {
        Arguments arguments;

        arguments_begin(&arguments, ctl, form, argc, argv);
        if (arguments_next(&arguments) == ARGUMENTS_END)
                return true;
        *ret_result = arguments.result;
        return false;
}

int arguments_number(const CommandForm *form, const char *option, uint64_t max, uint64_t *ret) {
        uint64_t number;

        if (text_to_unsigned(optarg, max, &number) >= 0 && number > 0) {
                *ret = number;
                return EXIT_SUCCESS;
        }
        return arguments_misused(form, "%s takes a number from 1 to %llu", option, (unsigned long long) max);
}
