#include <stdio.h>

#include "base/text.h"
#include "base/time.h"
#include "ctl.h"

/* status, reload, queue: what concerns whole daemons. */

static void print_status(const JsonValue *status) {
        usec_t started = (usec_t) json_get_integer(status, "started_at", 0);
        char since[TIME_STAMP_MAX];
        const JsonValue *fact;

        printf("atelier-%-10s %s\n", json_get_string(status, "daemon"), json_get_string(status, "status"));
        printf("  %lld since %s, %s, version %s\n", (long long) json_get_integer(status, "pid", 0),
               time_format_stamp(started, since), json_get_string(status, "environment"),
               json_get_string(status, "version"));
        cJSON_ArrayForEach(fact, json_get_array(status, "facts"))
                printf("  %s: %s\n", json_get_string(fact, "name"), json_get_string(fact, "value"));
}

/* Asking a daemon starts it: status of one is asked by name, and of all without. */
int ctl_status(const Ctl *ctl, int argc, char *argv[]) {
        _cleanup_(json_freep) JsonValue *all = json_new_array();
        int result = EXIT_SUCCESS;

        if (argc > 1 || (argc == 1 && !ctl_is_daemon(argv[0]))) {
                fprintf(stderr, "atelierctl: status takes api, worker, scheduler or alerter, or nothing for all\n");
                return CTL_USAGE;
        }

        for (const char *const *daemon = ctl_daemons; *daemon; daemon++) {
                _cleanup_(json_freep) JsonValue *status = NULL;

                if (argc == 1 && !text_equal(argv[0], *daemon))
                        continue;
                if (ctl_call(*daemon, "io.atelier.Daemon.GetStatus", NULL, &status) != EXIT_SUCCESS) {
                        result = EXIT_FAILURE;
                        continue;
                }
                if (!ctl->json)
                        print_status(status);
                else if (json_append(all, TAKE_PTR(status)) < 0)
                        return EXIT_FAILURE;
        }

        if (ctl->json) {
                _cleanup_free_ char *text = json_format(all);

                if (!text)
                        return EXIT_FAILURE;
                puts(text);
        }
        return result;
}

int ctl_reload(_unused_ const Ctl *ctl, int argc, char *argv[]) {
        if (argc != 1 || !ctl_is_daemon(argv[0])) {
                fprintf(stderr, "atelierctl: reload takes one of api, worker, scheduler, alerter\n");
                return CTL_USAGE;
        }
        return ctl_call(argv[0], "io.atelier.Daemon.Reload", NULL, NULL);
}

int ctl_queue(_unused_ const Ctl *ctl, int argc, char *argv[]) {
        if (argc == 1 && text_equal(argv[0], "pause"))
                return ctl_call("worker", "io.atelier.Queue.Pause", NULL, NULL);
        if (argc == 1 && text_equal(argv[0], "resume"))
                return ctl_call("worker", "io.atelier.Queue.Resume", NULL, NULL);
        fprintf(stderr, "atelierctl: queue takes pause or resume\n");
        return CTL_USAGE;
}
