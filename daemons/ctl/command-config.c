/* config: what needs no daemon. For programs there is an object of all settings, or an array of what is wrong. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "base/text.h"
#include "conf/conf-origins.h"
#include "conf/environment-file.h"
#include "conf/settings.h"

#define BETWEEN " = "  /* name and value, as settings_format() writes them */

/* What is looked at: the caller's own variables, or those of a file alone, as a unit would have them. */
typedef struct Sources {
        const char *environment_file;     /* NULL: none */
        EnvironmentFile file;
        ConfOrigins origins;
} Sources;

static void sources_done(Sources *sources) {
        environment_file_done(&sources->file);
        conf_origins_done(&sources->origins);
}

/* `errors` as FILE:LINE: SETTING: what was expected, a line each: of the file and of the rest at once. */
static int load(const Ctl *ctl, Sources *from, Settings **ret, Buffer *errors) {
        ConfSources sources = { .folder = ctl->folder, .origins = &from->origins };
        int r, bad = 0;

        if (ctl->folder && access(ctl->folder, X_OK) < 0)
                return ctl_fail("%s: %s; --config= takes the folder of atelier.conf", ctl->folder, strerror(errno));
        if (from->environment_file) {
                bad = environment_file_read(&from->file, from->environment_file, errors);
                if (bad < 0 && bad != -EBADMSG)
                        return ctl_fail("%s: %s", from->environment_file, strerror(-bad));
                sources.environment = from->file.variables;
                sources.places = from->file.places;
        }
        r = settings_load(ret, &sources, errors);
        if (r < 0 && errors->size == 0)
                return ctl_fail_errno(r, "the configuration can't be read");
        r = r < 0 ? r : bad;
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define ENVIRONMENT_FILE_OPTIONS { { "environment-file", required_argument, NULL, 'e' }, {} }
#define ENVIRONMENT_FILE_HELP \
        "\n  --environment-file=FILE   with the variables of this file, as EnvironmentFile= of a unit takes them,\n" \
        "                            in place of the caller's own\n"

/* True when it is to go on, false with the exit code. */
static bool take_options(Ctl *ctl, const CommandForm *form, int argc, char *argv[], Sources *sources, int *ret_result) {
        Arguments arguments;
        int option;

        arguments_begin(&arguments, ctl, form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                sources->environment_file = optarg;
        *ret_result = arguments.result;
        return option != ARGUMENTS_STOP;
}

/* ------------------------------------------------------------------ check */

/* { valid, errors } */
static int print_verdict(bool valid, char *errors) {
        _cleanup_(json_freep) JsonValue *verdict = json_new_object();
        JsonValue *array = json_new_array();
        char *rest = NULL;
        int r;

        r = json_add_bool(verdict, "valid", valid);
        if (r < 0) {
                (void) json_free(array);
                return ctl_fail("memory is short");
        }
        r = json_add(verdict, "errors", array);
        for (char *line = strtok_r(errors, "\n", &rest); r >= 0 && line; line = strtok_r(NULL, "\n", &rest))
                r = json_append(array, cJSON_CreateString(line));
        return r < 0 ? ctl_fail("memory is short") : ctl_print_json(verdict);
}

static int config_check(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "config check [--environment-file=FILE]",
                .help = "Says nothing when all is well; otherwise FILE:LINE: SETTING: what was expected.\n"
                        "--config=FOLDER checks another folder than /etc/atelier.\n" ENVIRONMENT_FILE_HELP,
                .options = ENVIRONMENT_FILE_OPTIONS,
        };
        _cleanup_(sources_done) Sources sources = {};
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(buffer_done) Buffer errors = {};
        _cleanup_free_ char *text = NULL;
        int result, r;

        if (!take_options(ctl, &form, argc, argv, &sources, &result))
                return result;
        result = load(ctl, &sources, &settings, &errors);
        text = buffer_take_text(&errors);
        if (!text)
                return ctl_fail("memory is short");
        if (!ctl->json) {
                fputs(text, stderr);
                return result;
        }
        r = print_verdict(result == EXIT_SUCCESS, text);
        return r == EXIT_SUCCESS ? result : r;
}

/* ------------------------------------------------------------------ show */

/* "name = value", whose value is JSON, behind the comment that says where it was given; what is unset is a comment alone. */
static int add_setting(JsonValue *object, char *line, const char **origin) {
        _cleanup_(json_freep) JsonValue *setting = NULL;
        char *between = strstr(line, BETWEEN);
        JsonValue *value = NULL;
        int r;

        *origin = text_after(line, CONF_FROM) ?: *origin;
        if (line[0] == '#' || !between)
                return 0;
        *between = 0;
        if (json_parse(between + strlen(BETWEEN), strlen(between + strlen(BETWEEN)), &value, NULL) < 0)
                value = cJSON_CreateString(between + strlen(BETWEEN));
        setting = json_new_object();
        r = json_add(setting, "value", value);
        if (r >= 0)
                r = json_add_string(setting, "origin", *origin);
        return r < 0 ? r : json_add(object, line, TAKE_PTR(setting));
}

static int print_settings(char *text) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        const char *origin = NULL;
        char *rest = NULL;
        int r = 0;

        for (char *line = strtok_r(text, "\n", &rest); r >= 0 && line; line = strtok_r(NULL, "\n", &rest))
                r = add_setting(object, line, &origin);
        return r < 0 ? ctl_fail("memory is short") : ctl_print_json(object);
}

static int config_show(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "config show [--environment-file=FILE]",
                .help = "What the files and this environment give, secrets masked, and where each setting was given. Asks no\n"
                        "daemon: one that runs has what they gave at its start or last reload.\n" ENVIRONMENT_FILE_HELP,
                .options = ENVIRONMENT_FILE_OPTIONS,
        };
        _cleanup_(sources_done) Sources sources = {};
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(buffer_done) Buffer buffer = {}, errors = {};
        _cleanup_free_ char *text = NULL;
        int result;

        if (!take_options(ctl, &form, argc, argv, &sources, &result))
                return result;
        if (load(ctl, &sources, &settings, &errors) != EXIT_SUCCESS) {
                (void) fwrite(errors.data, 1, errors.size, stderr);
                return EXIT_FAILURE;
        }
        if (settings_format(settings, &sources.origins, &buffer) < 0 || !(text = buffer_take_text(&buffer)))
                return ctl_fail("memory is short");
        if (ctl->json)
                return print_settings(text);
        fputs(text, stdout);
        return EXIT_SUCCESS;
}

int ctl_config(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "check", "", "Say what is wrong and where, or nothing", config_check },
                { "show", "", "Show what the files and the environment give", config_show },
                {},
        };
        static const CommandGroup group = { .name = "config", .commands = commands };

        return command_group_run(ctl, &group, argc, argv);
}
