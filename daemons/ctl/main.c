#include <locale.h>
#include <stdio.h>

#include "arguments.h"
#include "base/log.h"

static const Command commands[] = {
        { "status", "[DAEMON]", "Show what the daemons are doing", ctl_status },
        { "generate", "PROMPT -o FILE", "Have an image made", ctl_generate },
        { "jobs", "list|show|fetch|cancel|...", "Look at jobs, cancel them, let held ones go on", ctl_jobs },
        { "batches", "list|show|cancel", "Look at batches, cancel them", ctl_batches },
        { "images", "receipt|link|revoke-links", "Show what an image cost, hand out links to it", ctl_images },
        { "usage", "[--by=all|model|key] ...", "Show what images cost", ctl_usage },
        { "budget", "show|pause|resume", "Look at budgets, stop and start what costs money", ctl_budget },
        { "ledger", "list|defects|verify", "Look at what was booked, and check it", ctl_ledger },
        { "audit", "show|export|verify", "See who did what, and whether the trail is whole", ctl_audit },
        { "task", "list|run|history", "Run a task and see what came of others", ctl_task },
        { "backup", "list|verify|restore|discard", "Check backups and bring them back", ctl_backup },
        { "alerts", "list|fire|resolve|test", "Look at alerts, and at whether they arrive", ctl_alerts },
        { "keys", "create|list|rotate|revoke", "Say who may ask, by keys for clients", ctl_keys },
        { "cache", "show|clear", "Look at what answers requests again, and forget it", ctl_cache },
        { "webhooks", "list|retry", "Look at who is told of the end of jobs", ctl_webhooks },
        { "queue", "pause|resume", "Stop or start the dispatching of jobs", ctl_queue },
        { "config", "check|show", "Check the configuration, or show what is in force", ctl_config },
        { "reload", "DAEMON", "Have a daemon read its configuration again", ctl_reload },
        {},
};

static const CommandGroup atelierctl = {
        .summary = "Each of them says more about itself: atelierctl COMMAND --help\n\n"
                   "  --config=FOLDER   the configuration's folder (config; default /etc/atelier)\n"
                   "  --version         show the version\n",
        .commands = commands,
};

int main(int argc, char *argv[]) {
        Ctl ctl = {};
        int result;

        log_open("atelierctl");
        (void) setlocale(LC_CTYPE, "C.UTF-8");  /* how wide characters are */
        result = command_group_run(&ctl, &atelierctl, argc, argv);
        if (fflush(stdout) != 0 || ferror(stdout))
                return ctl_fail("not all could be written to standard output");
        return result;
}
