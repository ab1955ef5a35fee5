#include "manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backup.h"
#include "base/log.h"
#include "base/text.h"
#include "byte-text.h"
#include "methods.h"
#include "verify.h"

/* The scheduler owns the archives and the history of its runs; the state itself it only carries, between the worker
 * and an archive. A run holds the service until it is over, whoever asked for it. */

#define STATE_DIRECTORY_DEFAULT "/var/lib/atelier-scheduler"

enum {
        METRIC_LAST_SUCCESS,
        METRIC_LAST_SIZE,
        METRIC_RUNS,
        METRIC_DURATION,
};

static const double duration_buckets[] = { 1, 5, 15, 60, 300, 900, 3600, 14400, 0 };   /* seconds */

static const MetricFamily scheduler_metrics[] = {
        [METRIC_LAST_SUCCESS] = {
                .name = "genai_backup_last_success_timestamp_seconds",
                .help = "When the last backup that succeeded ended; 0: none has.",
                .type = METRIC_GAUGE,
        },
        [METRIC_LAST_SIZE] = {
                .name = "genai_backup_last_size_bytes",
                .help = "Size of the newest archive.",
                .type = METRIC_GAUGE,
        },
        [METRIC_RUNS] = {
                .name = "genai_task_runs_total",
                .help = "Runs of tasks that have ended.",
                .type = METRIC_COUNTER,
                .labels = { "task", "result" },
        },
        [METRIC_DURATION] = {
                .name = "genai_task_duration_seconds",
                .help = "How long runs of tasks took.",
                .type = METRIC_HISTOGRAM,
                .labels = { "task" },
                .buckets = duration_buckets,
        },
        {},
};

/* ---------------------------------------------------------------- the service's hooks */

/* What runs is stopped, not waited for: a backup may have an hour to go, and the next one makes up for it. */
static void scheduler_quiesce(void *userdata) {
        SchedulerManager *manager = userdata;

        runs_cancel(manager->runs);
}

static bool scheduler_healthy(void *userdata) {
        SchedulerManager *manager = userdata;

        return !runs_stalled(manager->runs);
}

static void add_run(Buffer *text, const Run *run) {
        char amount[BYTE_TEXT_MAX];

        (void) buffer_printf(text, "%s%s, %s", text->size > 0 ? "; " : "", run->task->doing,
                             byte_text_of(task_done(run->context), task_total(run->context), amount));
}

static void scheduler_status(Buffer *text, void *userdata) {
        SchedulerManager *manager = userdata;
        char stamp[TIME_STAMP_MAX], size[BYTE_TEXT_MAX];

        for (size_t i = 0; i < TASK_LANES; i++)
                if (runs_in_lane(manager->runs, (TaskLane) i))
                        add_run(text, runs_in_lane(manager->runs, (TaskLane) i));
        if (text->size > 0)
                return;
        if (!*manager->newest.name.text)
                (void) buffer_append_text(text, "idle, no backup yet");
        else
                (void) buffer_printf(text, "idle, last backup %s, %s",
                                     time_format_stamp(manager->newest.name.created_at, stamp),
                                     byte_text(manager->newest.size_bytes, size));
}

static int add_fact(JsonValue *array, const char *name, const char *value) {
        _cleanup_(json_freep) JsonValue *fact = json_new_object();
        int r;

        r = json_add_string(fact, "name", name);
        if (r >= 0)
                r = json_add_string(fact, "value", value);
        return r < 0 ? r : json_append(array, TAKE_PTR(fact));
}

static int add_number(JsonValue *array, const char *name, uint64_t number) {
        char text[32];

        (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) number);
        return add_fact(array, name, text);
}

static int scheduler_facts(JsonValue *array, void *userdata) {
        SchedulerManager *manager = userdata;
        _cleanup_free_ BackupFile *files = NULL;
        char stamp[TIME_STAMP_MAX];
        uint64_t free_bytes;
        size_t count = 0;
        int r;

        r = add_fact(array, "backup_folder", manager->backup_folder);
        if (r < 0)
                return r;
        r = backup_folder_list(manager->backup_folder, &files, &count);
        if (r >= 0)
                r = backup_folder_free_bytes(manager->backup_folder, &free_bytes);
        if (r < 0)
                return add_fact(array, "backup_folder_error", strerror(-r));

        r = add_fact(array, "last_backup", count > 0 ? time_format_stamp(files[0].name.created_at, stamp) : "never");
        if (r >= 0)
                r = add_number(array, "backups", count);
        return r < 0 ? r : add_number(array, "free_bytes", free_bytes);
}

static int scheduler_format_metrics(Buffer *text, void *userdata) {
        SchedulerManager *manager = userdata;

        return metrics_format(manager->metrics, text);
}

static usec_t scheduler_idle_timeout(const Settings *settings) {
        return settings->scheduler.idle_timeout;
}

static usec_t scheduler_drain_timeout(const Settings *settings) {
        return settings->scheduler.drain_timeout;
}

const ServiceKind scheduler_service_kind = {
        .name = "scheduler",
        .summary = "runs backups, restores and maintenance",
        .access = scheduler_access,
        .quiesce = scheduler_quiesce,
        .healthy = scheduler_healthy,
        .status = scheduler_status,
        .facts = scheduler_facts,
        .metrics = scheduler_format_metrics,
        .idle_timeout = scheduler_idle_timeout,
        .drain_timeout = scheduler_drain_timeout,
};

/* ---------------------------------------------------------------- what runs tell */

static void look_for_newest(SchedulerManager *manager) {
        if (backup_folder_find(manager->backup_folder, NULL, &manager->newest) != 0)
                manager->newest = (BackupFile) {};
        metrics_set(manager->metrics, METRIC_LAST_SIZE, NULL, (double) manager->newest.size_bytes);
}

/* Who has asked is on record where a state is replaced, at the latest. */
static void log_run(int level, const Run *run, const char *what, const char *message) {
        char uid[16];

        if (run->call)
                (void) snprintf(uid, sizeof(uid), "%u", varlink_call_peer(run->call)->uid);
        (void) log_record(level, 0,
                          LOG_FIELDS({ "ATELIER_TASK", run->task->name }, { "ATELIER_RUN", run->id },
                                     { "ATELIER_CALLER_UID", run->call ? uid : NULL }),
                          "%s %s%s%s", run->task->name, what, message ? ": " : "", message ?: "");
}

static void on_began(const Run *run, void *userdata) {
        SchedulerManager *manager = userdata;

        service_hold(manager->service);
        log_run(LOG_INFO, run, "begins", NULL);
        service_status_changed(manager->service);
}

static void on_progressed(_unused_ const Run *run, void *userdata) {
        SchedulerManager *manager = userdata;

        service_status_changed(manager->service);
}

static const char *action_of(const Task *task) {
        return task == &backup_task ? "backup.made" : task == &verify_task ? "backup.verified" : "backup.restored";
}

/* In the worker's audit trail. */
static void record_run(SchedulerManager *manager, const Run *run) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        bool succeeded = run->result == RUN_SUCCEEDED;
        int r;

        r = json_add_string(parameters, "action", action_of(run->task));
        if (r >= 0)
                r = json_add_string(parameters, "outcome", succeeded ? "ok" : run_result_name(run->result));
        if (r >= 0)
                r = json_add_string(parameters, "object", run->id);
        if (r >= 0)
                r = json_add_string(parameters, "detail", task_message(run->context));
        varlink_messenger_send(manager->messenger, "Worker", "io.atelier.Audit.Append",
                               r < 0 ? NULL : TAKE_PTR(parameters), "the end of the task is not in the audit trail");
}

static void on_busy(bool busy, void *userdata) {
        SchedulerManager *manager = userdata;

        if (busy)
                service_hold(manager->service);
        else
                service_release(manager->service);
}

static void on_ended(const Run *run, void *userdata) {
        SchedulerManager *manager = userdata;
        double seconds = (double) (run->ended_at - MIN(run->started_at, run->ended_at)) / USEC_PER_SEC;

        if (run->result == RUN_SUCCEEDED)
                log_run(LOG_INFO, run, "succeeded", task_message(run->context));
        else
                log_run(run->stopped ? LOG_WARNING : LOG_ERR, run, "failed", task_message(run->context));

        metrics_add(manager->metrics, METRIC_RUNS, METRIC_VALUES(run->task->name, run_result_name(run->result)), 1);
        metrics_observe(manager->metrics, METRIC_DURATION, METRIC_VALUES(run->task->name), seconds);
        if (run->task == &backup_task && run->result == RUN_SUCCEEDED)
                metrics_set(manager->metrics, METRIC_LAST_SUCCESS, NULL, (double) (run->ended_at / USEC_PER_SEC));
        record_run(manager, run);
        look_for_newest(manager);
}

static void on_over(void *userdata) {
        SchedulerManager *manager = userdata;

        service_status_changed(manager->service);
        service_release(manager->service);
}

static void on_unrecorded(const Run *run, int error, _unused_ void *userdata) {
        (void) log_record(LOG_ERR, error,
                          LOG_FIELDS({ "ATELIER_TASK", run->task->name }, { "ATELIER_RUN", run->id }),
                          "the history of runs can't be written");
}

/* ---------------------------------------------------------------- building */

static void report_cut_off(const SchedulerManager *manager) {
        const RunRecord *record;

        for (size_t i = 0; (record = run_history_at(manager->history, i)); i++) {
                if (!record->cut_off)
                        continue;
                (void) log_record(LOG_WARNING, 0,
                                  LOG_FIELDS({ "ATELIER_TASK", record->task }, { "ATELIER_RUN", record->id }),
                                  "%s was interrupted: %s", record->task, record->message);
                metrics_add(manager->metrics, METRIC_RUNS,
                            METRIC_VALUES(record->task, run_result_name(RUN_INTERRUPTED)), 1);
        }
}

static int open_history(SchedulerManager *manager) {
        const char *folder = getenv("STATE_DIRECTORY") ?: STATE_DIRECTORY_DEFAULT;
        unsigned dropped;
        int r;

        r = run_history_new(&manager->history, folder);
        if (r < 0)
                return log_error_errno(r, "the history of runs in %s can't be opened", folder);
        dropped = run_history_dropped_lines(manager->history);
        if (dropped > 0)
                log_warning("%u lines of the history of runs in %s made no sense and were dropped", dropped, folder);
        return 0;
}

/* Counters begin at zero after a reboot; when the last backup was made does not. */
static int open_metrics(SchedulerManager *manager) {
        const char *folder = getenv("RUNTIME_DIRECTORY");
        _cleanup_free_ char *path = folder ? text_format("%s/metrics", folder) : NULL;
        const RunRecord *last;
        int r;

        r = metrics_new(&manager->metrics, scheduler_metrics, path);
        if (r < 0)
                return log_error_errno(r, "the metrics can't be kept in %s", path ?: "memory");
        last = run_history_last(manager->history, backup_task.name, RUN_SUCCEEDED);
        metrics_set(manager->metrics, METRIC_LAST_SUCCESS, NULL, last ? (double) (last->ended_at / USEC_PER_SEC) : 0);
        return 0;
}

static int open_runs(SchedulerManager *manager) {
        static const RunHooks hooks = {
                .began = on_began,
                .progressed = on_progressed,
                .ended = on_ended,
                .over = on_over,
                .unrecorded = on_unrecorded,
        };

        return runs_new(&manager->runs, service_event(manager->service), manager->history, &hooks, manager);
}

int scheduler_manager_new(SchedulerManager **ret, Service *service) {
        _cleanup_(scheduler_manager_freep) SchedulerManager *manager = NULL;
        int r;

        manager = calloc(1, sizeof(*manager));
        if (!manager)
                return -ENOMEM;
        manager->service = service;
        manager->backup_folder = strdup(service_settings(service)->scheduler.backup_folder);
        manager->worker_path = service_peer_path(service, "Worker");
        if (!manager->backup_folder || !manager->worker_path)
                return -ENOMEM;

        r = open_history(manager);
        if (r >= 0)
                r = open_metrics(manager);
        if (r < 0)
                return r;
        report_cut_off(manager);
        look_for_newest(manager);
        r = varlink_messenger_new(&manager->messenger, service_event(service), on_busy, manager);
        if (r < 0)
                return r;
        r = open_runs(manager);
        if (r >= 0)
                r = scheduler_methods_add(service_varlink(service), manager);
        if (r < 0)
                return log_error_errno(r, "the scheduler can't be set up");

        *ret = TAKE_PTR(manager);
        return 0;
}

/* What still runs is told to stop, and recorded; hence the history goes last. */
SchedulerManager *scheduler_manager_free(SchedulerManager *manager) {
        if (!manager)
                return NULL;

        manager->runs = runs_free(manager->runs);
        manager->messenger = varlink_messenger_free(manager->messenger);
        manager->metrics = metrics_free(manager->metrics);
        manager->history = run_history_free(manager->history);
        free(manager->worker_path);
        free(manager->backup_folder);
        free(manager);
        return NULL;
}
