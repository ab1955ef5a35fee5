/* config: what needs no daemon. For programs there is an object of all settings, or an array of what is wrong. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "base/text.h"
#include "conf/settings.h"

#define BETWEEN " = "  /* name and value, as settings_format() writes them */

/* `errors` as FILE:LINE: SETTING: what was expected, a line each. */
static int load(const Ctl *ctl, Settings **ret, Buffer *errors) {
        ConfSources sources = { .folder = ctl->folder };
        int r;

        if (ctl->folder && access(ctl->folder, X_OK) < 0)
                return ctl_fail("%s: %s; --config= takes the folder of atelier.conf", ctl->folder, strerror(errno));
        r = settings_load(ret, &sources, errors);
        if (r < 0 && errors->size == 0)
                return ctl_fail_errno(r, "the configuration can't be read");
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
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
                .form = "config check",
                .help = "Says nothing when all is well; otherwise FILE:LINE: SETTING: what was expected.\n"
                        "--config=FOLDER checks another folder than /etc/atelier.\n",
        };
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(buffer_done) Buffer errors = {};
        _cleanup_free_ char *text = NULL;
        int result, r;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        result = load(ctl, &settings, &errors);
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

/* "name = value", whose value is JSON; what is unset or told about a setting is a comment. */
static int add_setting(JsonValue *object, char *line) {
        _cleanup_(json_freep) JsonValue *value = NULL;
        char *between = strstr(line, BETWEEN);

        if (line[0] == '#' || !between)
                return 0;
        *between = 0;
        if (json_parse(between + strlen(BETWEEN), strlen(between + strlen(BETWEEN)), &value, NULL) < 0)
                value = cJSON_CreateString(between + strlen(BETWEEN));
        return json_add(object, line, TAKE_PTR(value));
}

static int print_settings(char *text) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        char *rest = NULL;
        int r = 0;

        for (char *line = strtok_r(text, "\n", &rest); r >= 0 && line; line = strtok_r(NULL, "\n", &rest))
                r = add_setting(object, line);
        return r < 0 ? ctl_fail("memory is short") : ctl_print_json(object);
}

static int config_show(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "config show",
                .help = "What the files and this environment give, secrets masked. Asks no daemon: one that runs has what they\n"
                        "gave at its start or last reload.\n",
        };
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(buffer_done) Buffer buffer = {}, errors = {};
        _cleanup_free_ char *text = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (load(ctl, &settings, &errors) != EXIT_SUCCESS) {
                (void) fwrite(errors.data, 1, errors.size, stderr);
                return EXIT_FAILURE;
        }
        if (settings_format(settings, &buffer) < 0 || !(text = buffer_take_text(&buffer)))
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
