#include "methods.h"

#include <errno.h>

#include "backup.h"
#include "base/text.h"
#include "interfaces/interfaces.h"
#include "restore.h"
#include "verify.h"

#define HISTORY_LIMIT_DEFAULT 20

/* A caller that is told "not now" by a daemon on its way out would have to be told when: closed instead, its next try
 * reaches the next process. */
static bool turned_away(SchedulerManager *manager, VarlinkCall *call) {
        if (!service_stopping(manager->service))
                return false;
        varlink_call_abandon(call);
        return true;
}

/* ---------------------------------------------------------------- errors */

static int error_with(VarlinkCall *call, const char *error, const char *field, JsonValue *value) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add(parameters, field, value);
        return r < 0 ? r : varlink_call_error(call, error, TAKE_PTR(parameters));
}

static int task_not_found(VarlinkCall *call, const char *name) {
        return error_with(call, "io.atelier.Tasks.TaskNotFound", "task", cJSON_CreateString(name));
}

static int backup_not_found(VarlinkCall *call, const char *name) {
        if (!name)
                return varlink_call_error(call, "io.atelier.Backups.BackupNotFound", NULL);
        return error_with(call, "io.atelier.Backups.BackupNotFound", "name", cJSON_CreateString(name));
}

/* ---------------------------------------------------------------- io.atelier.Tasks */

static JsonValue *task_to_json(const SchedulerManager *manager, const Task *task) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        const RunRecord *last = run_history_last(manager->history, task->name, RUN_RESULT_INVALID);
        int r;

        r = json_add_string(value, "name", task->name);
        if (r >= 0)
                r = json_add_string(value, "description", task->description);
        if (r >= 0 && last)
                r = json_add(value, "last", run_record_to_json(last));
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int on_list_tasks(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        int r;

        r = json_add(reply, "tasks", array);
        for (const Task *const *task = tasks; r >= 0 && *task; task++)
                r = json_append(array, task_to_json(userdata, *task));
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int add_progress(JsonValue *reply, const Run *run) {
        uint64_t total = task_total(run->context);
        int r = 0;

        if (total == 0)
                return 0;
        r = json_add_integer(reply, "done", (int64_t) MIN(task_done(run->context), total));
        return r < 0 ? r : json_add_integer(reply, "total", (int64_t) total);
}

static JsonValue *task_reply(const Run *run, _unused_ const char **ret_error) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        r = json_add(reply, "run", run_to_json(run));
        if (r >= 0)
                r = add_progress(reply, run);
        return r < 0 ? NULL : TAKE_PTR(reply);
}

static int on_run(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        SchedulerManager *manager = userdata;
        const char *name = json_get_string(parameters, "task");
        const Task *task = task_find(name);
        const Run *other;
        BackupJob *job;
        int r;

        if (!task)
                return task_not_found(call, name);
        if (turned_away(manager, call))
                return 0;
        other = runs_in_lane(manager->runs, task->lane);
        if (other)
                return error_with(call, "io.atelier.Tasks.TaskRunning", "run", run_to_json(other));

        /* The only one so far; a second brings jobs of its own kind. */
        assert(task == &backup_task);
        r = backup_job_new(&job, manager->worker_path, manager->backup_folder,
                           service_settings(manager->service)->worker.storage_free_min);
        return r < 0 ? r : runs_start(manager->runs, task, job, call, task_reply);
}

/* Restores and verifications are in the history too. */
static bool task_known(const char *name) {
        return task_find(name) || text_equal(name, restore_task.name) || text_equal(name, verify_task.name);
}

static int on_history(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        SchedulerManager *manager = userdata;
        const char *task = json_get_string(parameters, "task");
        int64_t limit = json_get_integer(parameters, "limit", HISTORY_LIMIT_DEFAULT);
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        const RunRecord *record;
        int r;

        r = json_add(reply, "runs", array);
        if (r < 0)
                return r;
        if (task && !task_known(task))
                return task_not_found(call, task);
        if (limit < 1 || limit > HISTORY_RUNS_MAX)
                return varlink_call_invalid_parameter(call, "limit");

        for (size_t i = 0; limit > 0 && (record = run_history_at(manager->history, i)); i++) {
                if (task && !text_equal(task, record->task))
                        continue;
                r = json_append(array, run_record_to_json(record));
                if (r < 0)
                        return r;
                limit--;
        }
        return varlink_call_reply(call, TAKE_PTR(reply));
}

static const VarlinkMethod tasks_methods[] = {
        { "List", on_list_tasks, false },
        { "Run", on_run, false },
        { "History", on_history, false },
        {},
};

/* ---------------------------------------------------------------- io.atelier.Backups */

static JsonValue *backup_to_json(const BackupFile *file) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "name", file->name.text);
        if (r >= 0)
                r = json_add_integer(value, "created_at", (int64_t) file->name.created_at);
        if (r >= 0)
                r = json_add_integer(value, "size_bytes", (int64_t) file->size_bytes);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int on_list_backups(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        SchedulerManager *manager = userdata;
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        _cleanup_free_ BackupFile *files = NULL;
        JsonValue *array = json_new_array();
        size_t count = 0;
        int r;

        r = json_add(reply, "backups", array);
        if (r >= 0)
                r = backup_folder_list(manager->backup_folder, &files, &count);
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = json_append(array, backup_to_json(&files[i]));
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int add_reading(JsonValue *reply, const Run *run, const BackupFile *file) {
        int64_t done = run->result == RUN_SUCCEEDED ? (int64_t) file->size_bytes : (int64_t) task_done(run->context);
        int r;

        r = json_add_string(reply, "name", file->name.text);
        if (r >= 0)
                r = json_add_integer(reply, "done", MIN(done, (int64_t) file->size_bytes));
        return r < 0 ? r : json_add_integer(reply, "total", (int64_t) file->size_bytes);
}

/* The parameters of an error that names the archive and says why. */
static JsonValue *refusal(const Run *run, const Reading *reading) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add_string(parameters, "name", reading->file.name.text);
        if (r >= 0)
                r = json_add_string(parameters, "reason",
                                    run->outcome == ARCHIVE_REFUSED ? reading->reason : task_message(run->context));
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

static JsonValue *errno_parameters(int error, const char **ret_error) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();

        *ret_error = VARLINK_ERROR_SYSTEM;
        return json_add_integer(parameters, "errno", -error) < 0 ? NULL : TAKE_PTR(parameters);
}

static JsonValue *verify_reply(const Run *run, const char **ret_error) {
        const VerifyJob *job = run->job;
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int r;

        if (run->result == RUN_FAILED && run->outcome == ARCHIVE_REFUSED) {
                *ret_error = "io.atelier.Backups.BackupRefused";
                return refusal(run, &job->reading);
        }
        if (run->result == RUN_FAILED)
                return errno_parameters(run->outcome, ret_error);

        reply = json_new_object();
        r = add_reading(reply, run, &job->reading.file);
        if (r >= 0 && run->result == RUN_SUCCEEDED)
                r = json_add_integer(reply, "members", (int64_t) job->reading.totals.members);
        if (r >= 0 && run->result == RUN_SUCCEEDED)
                r = json_add_integer(reply, "bytes", (int64_t) job->reading.totals.bytes);
        return r < 0 ? NULL : TAKE_PTR(reply);
}

static int add_adopted(JsonValue *reply, const RestoreJob *job) {
        int r;

        r = json_add_integer(reply, "jobs", job->jobs);
        if (r >= 0)
                r = json_add_integer(reply, "images", job->images);
        if (r >= 0)
                r = json_add_integer(reply, "held", job->held);
        if (r >= 0)
                r = json_add_integer(reply, "missing", job->missing);
        return r < 0 ? r : json_add_string(reply, "former", job->former);
}

static JsonValue *restore_reply(const Run *run, const char **ret_error) {
        const RestoreJob *job = run->job;
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int r;

        if (run->result == RUN_FAILED) {
                *ret_error = run->outcome == ARCHIVE_REFUSED ? "io.atelier.Backups.BackupRefused" :
                             "io.atelier.Backups.RestoreFailed";
                return refusal(run, &job->reading);
        }

        reply = json_new_object();
        r = add_reading(reply, run, &job->reading.file);
        if (r >= 0 && run->result == RUN_SUCCEEDED)
                r = add_adopted(reply, job);
        return r < 0 ? NULL : TAKE_PTR(reply);
}

/* Is a run of this task's lane under way? Then the caller is told so: 1. */
static int refuse_busy(SchedulerManager *manager, VarlinkCall *call, const Task *task) {
        const Run *run = runs_in_lane(manager->runs, task->lane);
        _cleanup_(json_freep) JsonValue *parameters = NULL;
        int r;

        if (!run)
                return 0;
        parameters = json_new_object();
        r = json_add_string(parameters, "task", run->task->name);
        if (r >= 0)
                r = json_add_integer(parameters, "started_at", (int64_t) run->started_at);
        if (r >= 0)
                r = varlink_call_error(call, "io.atelier.Backups.Busy", TAKE_PTR(parameters));
        return r < 0 ? r : 1;
}

static int on_verify(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        SchedulerManager *manager = userdata;
        const char *name = json_get_string(parameters, "name");
        BackupFile file;
        VerifyJob *job;
        int r;

        if (turned_away(manager, call))
                return 0;
        r = backup_folder_find(manager->backup_folder, name, &file);
        if (r == BACKUP_NOT_FOUND)
                return backup_not_found(call, name);
        if (r < 0)
                return r;
        r = refuse_busy(manager, call, &verify_task);
        if (r != 0)
                return MIN(r, 0);
        r = verify_job_new(&job, manager->backup_folder, &file);
        return r < 0 ? r : runs_start(manager->runs, &verify_task, job, call, verify_reply);
}

static int on_restore(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        SchedulerManager *manager = userdata;
        const char *name = json_get_string(parameters, "name");
        RestoreJob *job;
        BackupFile file;
        int r;

        if (turned_away(manager, call))
                return 0;
        r = backup_folder_find(manager->backup_folder, name, &file);
        if (r == BACKUP_NOT_FOUND)
                return backup_not_found(call, name);
        if (r < 0)
                return r;
        r = refuse_busy(manager, call, &restore_task);
        if (r != 0)
                return MIN(r, 0);
        r = restore_job_new(&job, manager->worker_path, manager->backup_folder, &file);
        return r < 0 ? r : runs_start(manager->runs, &restore_task, job, call, restore_reply);
}

static const VarlinkMethod backups_methods[] = {
        { "List", on_list_backups, false },
        { "Verify", on_verify, false },
        { "Restore", on_restore, false },
        {},
};

int scheduler_methods_add(VarlinkServer *server, SchedulerManager *manager) {
        int r;

        r = varlink_server_add_interface(server, interface_tasks, tasks_methods, manager);
        if (r < 0)
                return r;
        return varlink_server_add_interface(server, interface_backups, backups_methods, manager);
}
