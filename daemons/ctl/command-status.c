/* status, reload, queue: what concerns whole daemons. */
#include <stdio.h>

#include "arguments.h"
#include "base/text.h"
#include "follow.h"
#include "printable.h"

#define DAEMON_NAMES "one of api, worker, scheduler, alerter"
#define STATUS_TIMEOUT_USEC (10 * USEC_PER_SEC)  /* a daemon that hangs keeps the others' status back for so long */

static void print_fact(const char *name, const char *value) {
        _cleanup_free_ char *shown_name = printable_text(name ?: "", 0), *shown_value = printable_text(value ?: "", 0);

        printf("  %s: %s\n", shown_name ?: "", shown_value ?: "");
}

static void print_status(const JsonValue *status) {
        usec_t started = (usec_t) MAX(json_get_integer(status, "started_at", 0), 0);
        _cleanup_free_ char *text = printable_text(json_get_string(status, "status") ?: "", 0);
        char since[TIME_STAMP_MAX];
        const JsonValue *fact;

        printf("atelier-%-10s %s\n", json_get_string(status, "daemon"), text ?: "");
        printf("  %lld since %s, %s, version %s\n", (long long) json_get_integer(status, "pid", 0),
               time_format_stamp(started, since), json_get_string(status, "environment"),
               json_get_string(status, "version"));
        cJSON_ArrayForEach(fact, json_get_array(status, "facts"))
                print_fact(json_get_string(fact, "name"), json_get_string(fact, "value"));
}

static int get_status(const char *daemon, JsonValue **ret) {
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        Follow follow = {
                .daemon = daemon,
                .method = "io.atelier.Daemon.GetStatus",
                .timeout = STATUS_TIMEOUT_USEC,
                .tries = 3,
        };
        int r;

        r = follow_call(&follow, &answer);
        if (r == FOLLOW_TIMED_OUT)
                return ctl_fail("atelier-%s does not answer; see: journalctl -u atelier-%s", daemon, daemon);
        if (r == EXIT_SUCCESS)
                *ret = TAKE_PTR(answer.parameters);
        return r;
}

static int show_status(const Ctl *ctl, const char *wanted) {
        _cleanup_(json_freep) JsonValue *all = json_new_array();
        int result = EXIT_SUCCESS;

        for (const char *const *daemon = ctl_daemons; *daemon; daemon++) {
                _cleanup_(json_freep) JsonValue *status = NULL;

                if (wanted && !text_equal(wanted, *daemon))
                        continue;
                if (get_status(*daemon, &status) != EXIT_SUCCESS)
                        result = EXIT_FAILURE;
                else if (!ctl->json)
                        print_status(status);
                else if (json_append(all, TAKE_PTR(status)) < 0)
                        return ctl_fail("memory is short");
        }
        return ctl->json && ctl_print_json(all) != EXIT_SUCCESS ? EXIT_FAILURE : result;
}

/* Asking a daemon starts it: status of one is asked by name, and of all without. */
int ctl_status(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "status [DAEMON]",
                .help = "What the daemons are doing: api, worker, scheduler and alerter, or one of them.\n"
                        "Asking a daemon starts it.\n",
                .words_max = 1,
        };
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (optind < argc && !ctl_is_daemon(argv[optind]))
                return arguments_misused(&form, "status takes " DAEMON_NAMES ", or nothing for all");
        return show_status(ctl, argv[optind]);
}

/* A method that takes and answers nothing: programs get {}. */
static int call_plainly(const Ctl *ctl, const char *daemon, const char *method) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int r;

        r = ctl_call(daemon, method, NULL, &reply);
        return r == EXIT_SUCCESS && ctl->json ? ctl_print_json(reply) : r;
}

int ctl_reload(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "reload DAEMON",
                .help = "Has a daemon read its configuration again, all or nothing.\n",
                .words_max = 1,
        };
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (optind == argc || !ctl_is_daemon(argv[optind]))
                return arguments_misused(&form, "reload takes " DAEMON_NAMES);
        return call_plainly(ctl, argv[optind], "io.atelier.Daemon.Reload");
}

static int queue_pause(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "queue pause",
                .help = "Starts no further jobs, until `queue resume` or the end of the worker. Jobs are accepted.\n",
        };
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        return call_plainly(ctl, "worker", "io.atelier.Queue.Pause");
}

static int queue_resume(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "queue resume",
                .help = "Starts jobs again. Those that are held go on by `jobs resume`.\n",
        };
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        return call_plainly(ctl, "worker", "io.atelier.Queue.Resume");
}

int ctl_queue(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "pause", "", "Start no further jobs; they are accepted all the while", queue_pause },
                { "resume", "", "Start jobs again", queue_resume },
                {},
        };
        static const CommandGroup group = { .name = "queue", .commands = commands };

        return command_group_run(ctl, &group, argc, argv);
}
