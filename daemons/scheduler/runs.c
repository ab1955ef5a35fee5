#include "runs.h"

#include <errno.h>

#include "io/thread-pool.h"

/* Why a pool with a thread for each lane, and not threads of our own: its `done` comes back on the loop, and its end
 * waits for what still runs. */

struct Runs {
        sd_event *event;
        sd_event_source *timer;
        ThreadPool *threads;
        RunHistory *history;
        RunHooks hooks;
        void *userdata;
        Run *lanes[TASK_LANES];
};

static Run *run_free(Run *run) {
        run->context = task_context_free(run->context);
        if (run->job && run->task->free_job)
                run->task->free_job(run->job);
        free(run);
        return NULL;
}

DEFINE_CLEANUP(Run *, run_free);

/* ---------------------------------------------------------------- ticks */

static void look_for_life(Run *run) {
        uint64_t touches = task_touches(run->context);

        if (touches == run->touches)
                return;
        run->touches = touches;
        run->touched_at = time_now_monotonic();
}

static void tell_caller(Run *run) {
        _cleanup_(json_freep) JsonValue *parameters = NULL;
        const char *error = NULL;

        if (!run->call || !varlink_call_wants_more(run->call))
                return;
        parameters = run->reply(run, &error);
        if (parameters && varlink_call_notify(run->call, TAKE_PTR(parameters)) == -ECONNRESET)
                run->call = NULL;
}

static void answer_caller(Run *run) {
        JsonValue *parameters;
        const char *error = NULL;

        if (!run->call)
                return;
        varlink_call_set_closed_handler(run->call, NULL, NULL);
        parameters = run->reply(run, &error);
        if (!parameters)
                (void) varlink_call_error_errno(run->call, -ENOMEM);
        else if (error)
                (void) varlink_call_error(run->call, error, parameters);
        else
                (void) varlink_call_reply(run->call, parameters);
}

static int on_tick(sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Runs *runs = userdata;
        bool any = false;

        for (size_t i = 0; i < TASK_LANES; i++) {
                Run *run = runs->lanes[i];

                if (!run)
                        continue;
                any = true;
                look_for_life(run);
                tell_caller(run);
                runs->hooks.progressed(run, runs->userdata);
        }
        if (!any)
                return 0;
        (void) sd_event_source_set_time_relative(source, RUN_TICK_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---------------------------------------------------------------- a run's way */

static int work(void *task) {
        Run *run = task;

        return run->task->work(run->context, run->job);
}

static const char *last_word(const Run *run) {
        const char *message = task_message(run->context);

        if (*message)
                return message;
        return run->stopped ? "stopped" : NULL;
}

static void done(void *task, int outcome) {
        Run *run = task;
        Runs *runs = run->runs;
        int r;

        run->outcome = outcome;
        run->result = outcome == 0 ? RUN_SUCCEEDED : RUN_FAILED;
        run->ended_at = time_now_realtime();
        runs->lanes[run->task->lane] = NULL;

        r = run_history_end(runs->history, run->id, run->result, run->ended_at, last_word(run));
        if (r < 0)
                runs->hooks.unrecorded(run, r, runs->userdata);
        runs->hooks.ended(run, runs->userdata);
        answer_caller(run);
        (void) run_free(run);
        runs->hooks.over(runs->userdata);
}

static void on_caller_gone(_unused_ VarlinkCall *call, void *userdata) {
        Run *run = userdata;

        run->call = NULL;
}

static int run_new(Run **ret, Runs *runs, const Task *task) {
        _cleanup_(run_freep) Run *run = NULL;
        int r;

        run = malloc(sizeof(*run));
        if (!run)
                return -ENOMEM;
        *run = (Run) {
                .task = task,
                .runs = runs,
                .result = RUN_RUNNING,
                .started_at = time_now_realtime(),
                .touched_at = time_now_monotonic(),
        };
        (void) id_new(run->id);
        r = task_context_new(&run->context);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(run);
        return 0;
}

static int arm_tick(Runs *runs) {
        int enabled, r;

        r = sd_event_source_get_enabled(runs->timer, &enabled);
        if (r < 0 || enabled != SD_EVENT_OFF)
                return r;
        r = sd_event_source_set_time_relative(runs->timer, RUN_TICK_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(runs->timer, SD_EVENT_ONESHOT);
}

/* The begin is on disk before the work begins. A history that can't be written is no reason to go without a backup. */
static void record_begin(Run *run) {
        Runs *runs = run->runs;
        int r;

        r = run_history_begin(runs->history, run->id, run->task->name, run->started_at);
        if (r < 0)
                runs->hooks.unrecorded(run, r, runs->userdata);
}

int runs_start(Runs *runs, const Task *task, void *job, VarlinkCall *call, RunReply reply) {
        _cleanup_(run_freep) Run *run = NULL;
        int r;

        r = runs->lanes[task->lane] ? -EBUSY : run_new(&run, runs, task);
        if (r < 0) {
                if (job && task->free_job)
                        task->free_job(job);
                return r;
        }
        run->job = job;

        r = arm_tick(runs);
        if (r < 0)
                return r;
        record_begin(run);
        r = thread_pool_run(runs->threads, work, done, run);
        if (r < 0) {
                (void) run_history_end(runs->history, run->id, RUN_FAILED, time_now_realtime(), "no thread for it");
                return r;
        }

        run->call = call;
        run->reply = reply;
        if (call)
                varlink_call_set_closed_handler(call, on_caller_gone, run);
        runs->lanes[task->lane] = run;
        runs->hooks.began(run, runs->userdata);
        tell_caller(TAKE_PTR(run));
        return 0;
}

/* ---------------------------------------------------------------- all of them */

int runs_new(Runs **ret, sd_event *event, RunHistory *history, const RunHooks *hooks, void *userdata) {
        _cleanup_(runs_freep) Runs *runs = NULL;
        int r;

        runs = malloc(sizeof(*runs));
        if (!runs)
                return -ENOMEM;
        *runs = (Runs) { .event = sd_event_ref(event), .history = history, .hooks = *hooks, .userdata = userdata };

        r = thread_pool_new(&runs->threads, event, "runs", TASK_LANES);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &runs->timer, CLOCK_MONOTONIC, 0, 0, on_tick, runs);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(runs->timer, "run tick");
        r = sd_event_source_set_enabled(runs->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(runs);
        return 0;
}

Runs *runs_free(Runs *runs) {
        if (!runs)
                return NULL;

        runs_cancel(runs);
        runs->threads = thread_pool_free(runs->threads);
        (void) sd_event_source_disable_unref(runs->timer);
        (void) sd_event_unref(runs->event);
        free(runs);
        return NULL;
}

const Run *runs_in_lane(const Runs *runs, TaskLane lane) {
        return runs->lanes[lane];
}

void runs_cancel(Runs *runs) {
        for (size_t i = 0; i < TASK_LANES; i++)
                if (runs->lanes[i]) {
                        runs->lanes[i]->stopped = true;
                        task_cancel(runs->lanes[i]->context);
                }
}

bool runs_stalled(const Runs *runs) {
        usec_t now = time_now_monotonic();

        for (size_t i = 0; i < TASK_LANES; i++) {
                Run *run = runs->lanes[i];

                if (!run)
                        continue;
                look_for_life(run);
                if (now - MIN(run->touched_at, now) >= RUN_STALL_USEC)
                        return true;
        }
        return false;
}

/* ---------------------------------------------------------------- for the wire */

static JsonValue *record_to_json(const char *id, const char *task, RunResult result, usec_t started_at,
                                 usec_t ended_at, const char *message) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "id", id);
        if (r >= 0)
                r = json_add_string(value, "task", task);
        if (r >= 0)
                r = json_add_string(value, "result", run_result_name(result));
        if (r >= 0)
                r = json_add_integer(value, "started_at", (int64_t) started_at);
        if (r >= 0 && ended_at > 0)
                r = json_add_integer(value, "ended_at", (int64_t) ended_at);
        if (r >= 0)
                r = json_add_string(value, "message", message);
        return r < 0 ? NULL : TAKE_PTR(value);
}

JsonValue *run_to_json(const Run *run) {
        return record_to_json(run->id, run->task->name, run->result, run->started_at, run->ended_at,
                              run->result == RUN_RUNNING ? run->task->doing : last_word(run));
}

JsonValue *run_record_to_json(const RunRecord *record) {
        return record_to_json(record->id, record->task, record->result, record->started_at, record->ended_at,
                              record->message);
}
