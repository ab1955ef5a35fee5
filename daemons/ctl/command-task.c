/* task: what the scheduler runs. `task run` is also what atelier-task@.service starts. */
#include <stdio.h>

#include "arguments.h"
#include "base/text.h"
#include "follow.h"
#include "printable.h"
#include "progress-line.h"
#include "text-table.h"

#define HISTORY_DEFAULT 20
#define HISTORY_MAX 1000

/* ------------------------------------------------------------------ list */

static int print_tasks(const JsonValue *tasks) {
        static const char *const headings[] = { "TASK", "LAST RUN", "RESULT", "DESCRIPTION", NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *task;

        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(task, tasks) {
                const JsonValue *last = json_get_object(task, "last");

                text_table_add(table, json_get_string(task, "name"), 0);
                text_table_add_time(table, json_get_integer(last, "started_at", -1));
                text_table_add(table, json_get_string(last, "result"), 0);
                text_table_add(table, json_get_string(task, "description"), 0);
        }
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int task_list(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "task list",
                .help = "The tasks there are, and how each ran last.\n",
        };
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (ctl_call("scheduler", "io.atelier.Tasks.List", NULL, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        return ctl->json ? ctl_print_json(json_get_array(reply, "tasks"))
                         : print_tasks(json_get_array(reply, "tasks"));
}

/* ------------------------------------------------------------------ run */

typedef struct Running {
        const char *task;
        ProgressLine *line;
} Running;

static void on_reply(const JsonValue *parameters, void *userdata) {
        const char *message = json_get_string(json_get_object(parameters, "run"), "message");
        _cleanup_free_ char *what = NULL;
        Running *running = userdata;

        what = text_empty(message) ? strdup(running->task) : text_format("%s: %s", running->task, message);
        if (what)
                progress_line_show_bytes(running->line, what, json_get_integer(parameters, "done", 0),
                                         json_get_integer(parameters, "total", 0));
}

static void on_interrupt(void *userdata) {
        Running *running = userdata;

        progress_line_clear(running->line);
        (void) ctl_fail("the run goes on; see: atelierctl task history %s", running->task);
}

/* The exit status is that of the run. */
static int tell_result(const Ctl *ctl, const char *task, const JsonValue *run) {
        const char *result = json_get_string(run, "result");
        _cleanup_free_ char *message = printable_text(json_get_string(run, "message") ?: "", 0);
        bool succeeded = text_equal(result, "succeeded");

        if (ctl->json && ctl_print_json(run) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (!succeeded)
                return ctl_fail("task %s %s: %s", task,
                                text_equal(result, "interrupted") ? "was interrupted" : "failed",
                                text_empty(message) ? "it does not say why" : message);
        if (!ctl->json)
                printf("%s\n", text_empty(message) ? "done" : message);
        return EXIT_SUCCESS;
}

static int run_task(const Ctl *ctl, const char *task, const JsonValue *parameters) {
        _cleanup_(progress_line_freep) ProgressLine *line = NULL;
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        Running running = { .task = task };
        Follow follow = {
                .daemon = "scheduler",
                .method = "io.atelier.Tasks.Run",
                .parameters = parameters,
                .on_reply = on_reply,
                .on_interrupt = on_interrupt,
                .userdata = &running,
        };
        int r;

        if (progress_line_new(&line, ctl->json) < 0)
                return ctl_fail("memory is short");
        running.line = line;
        r = follow_call(&follow, &answer);
        progress_line_clear(line);
        return r == EXIT_SUCCESS ? tell_result(ctl, task, json_get_object(answer.parameters, "run")) : r;
}

static int task_run(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "task run TASK",
                .help = "Runs a task and waits for its end; succeeds when the task does.\n"
                        "There is one run of a task at a time.\n"
                        "Interrupted, it leaves the run to the scheduler.\n",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        _cleanup_free_ char *task = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        task = printable_text(argv[optind], 0);
        if (!task || json_add_string(parameters, "task", argv[optind]) < 0)
                return ctl_fail("memory is short");
        return run_task(ctl, task, parameters);
}

/* ------------------------------------------------------------------ history */

static void add_took(TextTable *table, const JsonValue *run) {
        int64_t started = json_get_integer(run, "started_at", -1), ended = json_get_integer(run, "ended_at", -1);
        _cleanup_free_ char *text = NULL;

        if (started >= 0 && ended >= started)
                text = text_format("%.1f s", (double) (ended - started) / (double) USEC_PER_SEC);
        text_table_add(table, text, 0);
}

static int print_runs(const JsonValue *runs) {
        static const char *const headings[] = { "TASK", "STARTED", ">TOOK", "RESULT", "MESSAGE", NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *run;

        if (cJSON_GetArraySize(runs) == 0) {
                puts("There was no run yet.");
                return EXIT_SUCCESS;
        }
        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(run, runs) {
                text_table_add(table, json_get_string(run, "task"), 0);
                text_table_add_time(table, json_get_integer(run, "started_at", -1));
                add_took(table, run);
                text_table_add(table, json_get_string(run, "result"), 0);
                text_table_add(table, json_get_string(run, "message"), 0);
        }
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int show_history(const Ctl *ctl, const char *task, uint64_t limit) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;

        if (json_add_string(parameters, "task", task) < 0 ||
            json_add_integer(parameters, "limit", (int64_t) limit) < 0)
                return ctl_fail("memory is short");
        if (ctl_call("scheduler", "io.atelier.Tasks.History", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        return ctl->json ? ctl_print_json(json_get_array(reply, "runs")) : print_runs(json_get_array(reply, "runs"));
}

static int task_history(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "task history [TASK] [--limit=N]",
                .help = "What came of the runs, newest first.\n\n"
                        "  --limit=N   so many (default 20)\n",
                .options = { { "limit", required_argument, NULL, 'l' } },
                .words_max = 1,
        };
        uint64_t limit = HISTORY_DEFAULT;
        Arguments arguments;
        int option;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                if (arguments_number(&form, "--limit", HISTORY_MAX, &limit) != EXIT_SUCCESS)
                        return CTL_USAGE;
        return option == ARGUMENTS_STOP ? arguments.result : show_history(ctl, argv[optind], limit);
}

int ctl_task(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "list", "", "Show the tasks", task_list },
                { "run", "TASK", "Run one and wait for its end", task_run },
                { "history", "[TASK] [--limit=N]", "Show what came of the runs", task_history },
                {},
        };
        static const CommandGroup group = { .name = "task", .commands = commands };

        return command_group_run(ctl, &group, argc, argv);
}
