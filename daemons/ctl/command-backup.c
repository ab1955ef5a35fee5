/* backup: what there is to go back to, and going back. Making one is `task run backup`. */
#include <stdio.h>

#include "arguments.h"
#include "base/text.h"
#include "confirm.h"
#include "follow.h"
#include "printable.h"
#include "progress-line.h"
#include "size-text.h"
#include "text-table.h"

/* ------------------------------------------------------------------ list */

static int print_backups(const JsonValue *backups) {
        static const char *const headings[] = { "CREATED", ">SIZE", "NAME", NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *backup;

        if (cJSON_GetArraySize(backups) == 0) {
                puts("There is no backup yet; make one with: atelierctl task run backup");
                return EXIT_SUCCESS;
        }
        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(backup, backups) {
                text_table_add_time(table, json_get_integer(backup, "created_at", -1));
                text_table_add_size(table, json_get_integer(backup, "size_bytes", 0));
                text_table_add(table, json_get_string(backup, "name"), 0);
        }
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int backup_list(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "backup list",
                .help = "The archives there are, newest first.\n",
        };
        _cleanup_(json_freep) JsonValue *reply = NULL;
        const JsonValue *backups;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (ctl_call("scheduler", "io.atelier.Backups.List", NULL, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        backups = json_get_array(reply, "backups");
        return ctl->json ? ctl_print_json(backups) : print_backups(backups);
}

/* ------------------------------------------------------------------ what verify and restore share */

typedef struct Reading {
        const char *method, *doing;
        const char *name;         /* NULL: the newest */
        const char *interrupted;  /* what becomes of it after ^C */
        ProgressLine *line;
} Reading;

static void on_reply(const JsonValue *parameters, void *userdata) {
        Reading *reading = userdata;

        progress_line_show_bytes(reading->line, reading->doing, json_get_integer(parameters, "done", 0),
                                 json_get_integer(parameters, "total", 0));
}

static void on_interrupt(void *userdata) {
        Reading *reading = userdata;

        progress_line_clear(reading->line);
        (void) ctl_fail("%s", reading->interrupted);
}

static int read_archive(const Ctl *ctl, Reading *reading, JsonValue **ret) {
        _cleanup_(progress_line_freep) ProgressLine *line = NULL;
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        Follow follow = {
                .daemon = "scheduler",
                .method = reading->method,
                .parameters = parameters,
                .on_reply = on_reply,
                .on_interrupt = on_interrupt,
                .userdata = reading,
        };
        int r;

        if (json_add_string(parameters, "name", reading->name) < 0 || progress_line_new(&line, ctl->json) < 0)
                return ctl_fail("memory is short");
        reading->line = line;
        r = follow_call(&follow, &answer);
        progress_line_clear(line);
        if (r == EXIT_SUCCESS)
                *ret = TAKE_PTR(answer.parameters);
        return r;
}

/* ------------------------------------------------------------------ verify */

static void print_verified(const JsonValue *reply) {
        _cleanup_free_ char *name = printable_text(json_get_string(reply, "name") ?: "", 0);
        int64_t bytes = json_get_integer(reply, "bytes", json_get_integer(reply, "total", 0));
        long long members = json_get_integer(reply, "members", 0);
        char size[SIZE_TEXT_MAX];

        printf("%s is sound: %lld members, %s, every hash as it should be.\n", name ?: "", members,
               size_text((uint64_t) MAX(bytes, 0), size));
}

static int backup_verify(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "backup verify [NAME]",
                .help = "Reads an archive (default: the newest) from its first byte to its last\n"
                        "and checks every hash.\n",
                .words_max = 1,
        };
        Reading reading = {
                .method = "io.atelier.Backups.Verify",
                .doing = "verifying",
                .interrupted = "not verified",
        };
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        reading.name = argv[optind];
        if (read_archive(ctl, &reading, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                return ctl_print_json(reply);
        print_verified(reply);
        return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ restore */

static void print_restored(const JsonValue *reply) {
        _cleanup_free_ char *name = printable_text(json_get_string(reply, "name") ?: "", 0);
        _cleanup_free_ char *former = printable_text(json_get_string(reply, "former") ?: "", 0);
        long long held = json_get_integer(reply, "held", 0), missing = json_get_integer(reply, "missing", 0);

        printf("%s is restored: %lld jobs, %lld images.\n", name ?: "",
               (long long) json_get_integer(reply, "jobs", 0), (long long) json_get_integer(reply, "images", 0));
        if (missing > 0)
                printf("%lld image%s missing already when the backup was made.\n", missing,
                       missing == 1 ? " was" : "s were");
        if (held > 0)
                printf("%lld unfinished job%s held, and cost%s nothing until you let them go on:\n"
                       "  atelierctl jobs list --status=held\n"
                       "  atelierctl jobs resume --all\n",
                       held, held == 1 ? " is" : "s are", held == 1 ? "s" : "");
        if (!text_empty(former))
                printf("The state before is kept as %s; once it is needed no more:\n"
                       "  atelierctl backup discard\n", former);
}

/* The newest archive's name, since the question ought to name it. */
static int find_newest(char **ret) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        const char *name;

        if (ctl_call("scheduler", "io.atelier.Backups.List", NULL, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        name = json_get_string(cJSON_GetArrayItem(json_get_array(reply, "backups"), 0), "name");
        if (!name)
                return ctl_fail("there is no backup; make one with: atelierctl task run backup");
        *ret = strdup(name);
        return *ret ? EXIT_SUCCESS : ctl_fail("memory is short");
}

static int confirm_restore(const char *name) {
        _cleanup_free_ char *shown = printable_text(name, 0), *question = NULL;

        question = text_format("Put %s in the place of the jobs and images that are in use? They are kept aside.",
                               shown ?: "");
        return question ? confirm(question, false) : ctl_fail("memory is short");
}

static int restore(const Ctl *ctl, const char *name, bool yes) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        _cleanup_free_ char *newest = NULL;
        Reading reading = {
                .method = "io.atelier.Backups.Restore",
                .doing = "restoring",
                .interrupted = "the restore may have been finished nevertheless; see: atelierctl jobs list",
        };
        int r;

        if (!yes && !name) {
                r = confirm_possible();
                if (r == EXIT_SUCCESS)
                        r = find_newest(&newest);
                if (r != EXIT_SUCCESS)
                        return r;
        }
        reading.name = name ?: newest;
        r = yes ? EXIT_SUCCESS : confirm_restore(reading.name);
        if (r == EXIT_SUCCESS)
                r = read_archive(ctl, &reading, &reply);
        if (r != EXIT_SUCCESS)
                return r;
        if (ctl->json)
                return ctl_print_json(reply);
        print_restored(reply);
        return EXIT_SUCCESS;
}

static int backup_restore(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "backup restore [NAME] [--yes]",
                .help = "Verifies an archive (default: the newest) and puts it in the place of the worker's state.\n"
                        "Unfinished jobs come back held. The state before is kept until `backup discard`.\n\n"
                        "  --yes   don't ask\n",
                .options = { { "yes", no_argument, NULL, 'y' } },
                .words_max = 1,
        };
        Arguments arguments;
        bool yes = false;
        int option;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                yes = true;
        return option == ARGUMENTS_STOP ? arguments.result : restore(ctl, argv[optind], yes);
}

/* ------------------------------------------------------------------ discard */

static void print_removed(const JsonValue *removed) {
        const JsonValue *name;

        if (cJSON_GetArraySize(removed) == 0)
                puts("No former state is kept.");
        cJSON_ArrayForEach(name, removed) {
                _cleanup_free_ char *shown = printable_text(cJSON_GetStringValue(name) ?: "", 0);

                printf("%s is removed.\n", shown ?: "");
        }
}

static int discard(const Ctl *ctl, bool yes) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int r;

        r = confirm("Remove for good what restores have kept aside?", yes);
        if (r == EXIT_SUCCESS)
                r = ctl_call("worker", "io.atelier.Store.DiscardFormer", NULL, &reply);
        if (r != EXIT_SUCCESS)
                return r;
        if (ctl->json)
                return ctl_print_json(json_get_array(reply, "removed"));
        print_removed(json_get_array(reply, "removed"));
        return EXIT_SUCCESS;
}

static int backup_discard(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "backup discard [--yes]",
                .help = "Removes the states that restores have kept aside. Archives are not touched.\n\n"
                        "  --yes   don't ask\n",
                .options = { { "yes", no_argument, NULL, 'y' } },
        };
        Arguments arguments;
        bool yes = false;
        int option;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                yes = true;
        return option == ARGUMENTS_STOP ? arguments.result : discard(ctl, yes);
}

int ctl_backup(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "list", "", "Show the archives there are", backup_list },
                { "verify", "[NAME]", "Check an archive from its first byte to its last", backup_verify },
                { "restore", "[NAME] [--yes]", "Put one in the place of the state in use", backup_restore },
                { "discard", "[--yes]", "Remove the states that restores have kept aside", backup_discard },
                {},
        };
        static const CommandGroup group = {
                .name = "backup",
                .summary = "A backup is made by: atelierctl task run backup\n\n",
                .commands = commands,
        };

        return command_group_run(ctl, &group, argc, argv);
}
