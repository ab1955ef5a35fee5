/* jobs: looking at jobs, and deciding over them. */
#include <stdio.h>

#include "arguments.h"
#include "base/text.h"
#include "job-pages.h"
#include "job-print.h"
#include "job-result.h"
#include "nearest-name.h"
#include "printable.h"

#define LIST_DEFAULT 20
#define LIST_MAX UINT64_C(1000000000)

static const char *const states[] = { "queued", "held", "in_progress", "completed", "failed", "cancelled" };

/* { id, caller } */
static JsonValue *build_parameters(const char *id) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add_string(parameters, "id", id);
        if (r >= 0)
                r = json_add(parameters, "caller", job_caller());
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

/* The methods of the queue that take a job and answer with it. */
static int call_for_job(const char *method, const char *id, bool remove, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *parameters = build_parameters(id);

        if (!parameters || (remove && json_add_bool(parameters, "delete", true) < 0))
                return ctl_fail("memory is short");
        return ctl_call("worker", method, TAKE_PTR(parameters), ret);
}

/* ------------------------------------------------------------------ list */

typedef struct JobList {
        const Ctl *ctl;
        TextTable *table;
        bool begun;       /* the array */
} JobList;

/* An array of any length is printed as it comes. */
static void list_json(JobList *list, const JsonValue *job) {
        _cleanup_free_ char *text = json_format(job);

        printf("%s%s", list->begun ? "," : "[", text ?: "null");
        list->begun = true;
}

static void list_job(const JsonValue *job, void *userdata) {
        JobList *list = userdata;

        if (list->ctl->json)
                list_json(list, job);
        else
                job_print_row(list->table, job);
}

static int list_jobs(const Ctl *ctl, const char *status, uint64_t limit) {
        _cleanup_(text_table_freep) TextTable *table = NULL;
        JobList list = { .ctl = ctl };
        bool more;
        int r;

        if (text_table_new(&table, job_table_headings) < 0)
                return ctl_fail("memory is short");
        list.table = table;
        r = job_pages_visit(status, limit, list_job, &list, &more);
        if (r != EXIT_SUCCESS)
                return r;

        if (ctl->json)
                puts(list.begun ? "]" : "[]");
        else if (text_table_rows(table) == 0)
                puts(status ? "There is no such job." : "There is no job yet.");
        else if (text_table_print(table, stdout) < 0)
                return ctl_fail("memory is short");
        else if (more)
                printf("There are more: --limit=N or --all shows them.\n");
        return EXIT_SUCCESS;
}

static int check_state(const CommandForm *form, const char *status) {
        const char *nearest;

        for (size_t i = 0; i < ELEMENTS(states); i++)
                if (text_equal(states[i], status))
                        return EXIT_SUCCESS;
        nearest = nearest_name(status, states, ELEMENTS(states));
        if (nearest)
                return ctl_misused("there is no status like this; did you mean --status=%s?", nearest);
        return arguments_misused(form, "--status takes queued, held, in_progress, completed, failed or cancelled");
}

static int jobs_list(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "jobs list [--status=STATUS] [--limit=N|--all]",
                .help = "Jobs, newest first; 20 unless told otherwise.\n\n"
                        "  --status=STATUS   queued, held, in_progress, completed, failed or cancelled\n"
                        "  --limit=N         so many\n"
                        "  --all             however many there are\n",
                .options = {
                        { "status", required_argument, NULL, 's' },
                        { "limit", required_argument, NULL, 'l' },
                        { "all", no_argument, NULL, 'a' },
                        {},
                },
        };
        uint64_t limit = LIST_DEFAULT;
        const char *status = NULL;
        Arguments arguments;
        int option;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0) {
                int r = EXIT_SUCCESS;

                if (option == 's')
                        r = check_state(&form, status = optarg);
                else if (option == 'l')
                        r = arguments_number(&form, "--limit", LIST_MAX, &limit);
                else
                        limit = LIST_MAX;
                if (r != EXIT_SUCCESS)
                        return r;
        }
        return option == ARGUMENTS_STOP ? arguments.result : list_jobs(ctl, status, limit);
}

/* ------------------------------------------------------------------ one job */

static int jobs_show(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "jobs show ID",
                .help = "What is known about a job: request, images, attempts, failure.\n",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (call_for_job("io.atelier.Queue.Get", argv[optind], false, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                return ctl_print_json(json_get_object(reply, "job"));
        job_print(json_get_object(reply, "job"));
        return EXIT_SUCCESS;
}

static int jobs_fetch(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "jobs fetch ID -o FILE [--force]",
                .help = "Writes a job's images, once it has ended; as `generate` does.\n\n"
                        "  -o, --output=FILE   where they go; several become FILE-1.png, FILE-2.png, ...\n"
                        "                      - is standard output\n"
                        "  --force             write over files that are there\n",
                .options = {
                        { "output", required_argument, NULL, 'o' },
                        { "force", no_argument, NULL, 'f' },
                },
                .letters = "o:",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *parameters = NULL;
        JobWait wait = { .method = "io.atelier.Queue.Watch" };
        Arguments arguments;
        int option, r;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                if (option == 'o')
                        wait.output.file = optarg;
                else
                        wait.output.force = true;
        if (option == ARGUMENTS_STOP)
                return arguments.result;
        if (!wait.output.file)
                return arguments_misused(&form, "-o FILE is missing (where the images go)");
        if (ctl->json && text_equal(wait.output.file, "-"))
                return arguments_misused(&form, "--json and the image can't both go to standard output");
        r = image_output_check_place(&wait.output);
        if (r != EXIT_SUCCESS)
                return r;

        wait.id = argv[optind];
        wait.parameters = parameters = build_parameters(wait.id);
        return parameters ? job_result_wait(ctl, &wait) : ctl_fail("memory is short");
}

/* Cancelling what has ended leaves it as it is, and the worker answers with that. */
static int jobs_cancel(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "jobs cancel ID",
                .help = "Cancels a job that waits. One that is with its provider can't be cancelled.\n",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *reply = NULL;
        _cleanup_free_ char *status = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (call_for_job("io.atelier.Queue.Cancel", argv[optind], false, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json && ctl_print_json(json_get_object(reply, "job")) != EXIT_SUCCESS)
                return EXIT_FAILURE;

        status = printable_text(job_state(json_get_object(reply, "job")), 0);
        if (text_equal(status, "cancelled"))
                return EXIT_SUCCESS;
        return ctl_fail("job %s is %s already; to remove it: atelierctl jobs delete %s", argv[optind],
                        status ?: "ended", argv[optind]);
}

/* Looked at first: a job that waits would be cancelled by the call that deletes one that has ended. */
static int jobs_delete(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "jobs delete ID",
                .help = "Removes a job that has ended, and its images unless other jobs have the same.\n",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *before = NULL, *reply = NULL;
        const char *status;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (call_for_job("io.atelier.Queue.Get", argv[optind], false, &before) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        status = json_get_string(json_get_object(before, "job"), "status");
        if (text_equal(status, "queued"))
                return ctl_fail("the job waits still; first: atelierctl jobs cancel %s", argv[optind]);

        if (call_for_job("io.atelier.Queue.Cancel", argv[optind], true, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        return ctl->json ? ctl_print_json(json_get_object(reply, "job")) : EXIT_SUCCESS;
}

int ctl_jobs(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "list", "[--status=STATUS] [--all]", "Show jobs, newest first", jobs_list },
                { "show", "ID", "Show all about one job", jobs_show },
                { "fetch", "ID -o FILE", "Write a job's images to files", jobs_fetch },
                { "cancel", "ID", "Cancel a job that waits", jobs_cancel },
                { "delete", "ID", "Remove a job that has ended, and its images", jobs_delete },
                { "resume", "ID...|--all", "Let jobs go on that a restore has held", ctl_jobs_resume },
                {},
        };
        static const CommandGroup group = { .name = "jobs", .commands = commands };

        return command_group_run(ctl, &group, argc, argv);
}
