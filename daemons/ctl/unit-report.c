#include "unit-report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/text.h"
#include "io/varlink-dialog.h"

/* Runs while things go wrong: one that cannot be had (the journal, the alerter) is done without, and what is known is
 * told all the same. The key makes one alert of the two triggers that a failure may have. */

#define ALERT_NAME "UnitFailed"
#define METHOD_FIRE "io.atelier.Alerts.Fire"
#define SOCKET_DEFAULT "/run/atelier"
#define RECORD_PATIENCE_USEC (5 * USEC_PER_SEC)   /* for the manager's record of the failure */
#define FIRE_PATIENCE_USEC (8 * USEC_PER_SEC)     /* in all */
#define FIRE_PAUSE_USEC (200 * USEC_PER_MSEC)

/* ---------------------------------------------------------------- words */

static char *describe_exit(const UnitStory *story) {
        uint64_t status = 0;
        const char *signal;

        if (!story->exit_code || !story->exit_status || text_to_unsigned(story->exit_status, 255, &status) < 0)
                return strdup("");
        if (text_equal(story->exit_code, "exited"))
                return text_format(" (exit status %u)", (unsigned) status);
        signal = sigabbrev_np((int) status);
        return text_format(" (killed by %s%s)", signal ?: story->exit_status,
                           text_equal(story->exit_code, "dumped") ? ", core dumped" : "");
}

static const char *result_of(const UnitInstance *instance, const UnitStory *story) {
        return story->result ?: instance->result;
}

char *unit_report_summary(const UnitInstance *instance, const UnitStory *story) {
        _cleanup_free_ char *exit = describe_exit(story);
        const char *result = result_of(instance, story);

        if (!exit)
                return NULL;
        return text_format("%s failed%s%s%s", instance->unit, result ? ": " : "", result ?: "", exit);
}

/* ---------------------------------------------------------------- firing */

static JsonValue *lines_to_json(const UnitStory *story) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();

        for (size_t i = 0; i < story->n_lines; i++)
                if (json_append(array, cJSON_CreateString(story->lines[i])) < 0)
                        return NULL;
        return TAKE_PTR(array);
}

static int add_key(JsonValue *parameters, const char *unit, const char *invocation) {
        _cleanup_free_ char *key = *invocation ? text_format("%s/%s", unit, invocation) : NULL;

        if (*invocation && !key)
                return -ENOMEM;
        return json_add_string(parameters, "key", key);
}

static JsonValue *format_alert(const UnitInstance *instance, const UnitStory *story, const char *summary) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = add_key(parameters, instance->unit, story->invocation);
        if (r >= 0)
                r = json_add_string(parameters, "name", ALERT_NAME);
        if (r >= 0)
                r = json_add_string(parameters, "severity", "critical");
        if (r >= 0)
                r = json_add_string(parameters, "source", instance->unit);
        if (r >= 0)
                r = json_add_string(parameters, "summary", summary);
        if (r >= 0)
                r = json_add_string(parameters, "result", result_of(instance, story));
        if (r >= 0)
                r = json_add(parameters, "lines", lines_to_json(story));
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

static int fire_once(const char *path, const JsonValue *alert, usec_t patience, VarlinkAnswer *ret) {
        _cleanup_(varlink_dialog_freep) VarlinkDialog *dialog = NULL;
        JsonValue *parameters;
        int r;

        r = varlink_dialog_open(&dialog, path, patience);
        if (r < 0)
                return r;
        parameters = cJSON_Duplicate(alert, true);
        return parameters ? varlink_dialog_call(dialog, METHOD_FIRE, parameters, patience, ret) : -ENOMEM;
}

/* An alerter that is on its way out closes the connection, and the next one answers; a socket unit may be just
 * starting. */
static int fire(const JsonValue *alert, VarlinkAnswer *ret) {
        const char *folder = getenv("ATELIER_RUNTIME_DIRECTORY");
        _cleanup_free_ char *path = text_format("%s/io.atelier.Alerter", text_empty(folder) ? SOCKET_DEFAULT : folder);
        usec_t deadline = time_now_monotonic() + FIRE_PATIENCE_USEC;
        int r;

        if (!path)
                return -ENOMEM;
        for (;;) {
                usec_t now = time_now_monotonic();

                r = now < deadline ? fire_once(path, alert, deadline - now, ret) : -ETIMEDOUT;
                if (r >= 0 || r == -ENOMEM || r == -EACCES || time_now_monotonic() + FIRE_PAUSE_USEC >= deadline)
                        return r;
                (void) usleep((useconds_t) FIRE_PAUSE_USEC);
        }
}

static char *join_lines(const UnitStory *story) {
        _cleanup_(buffer_done) Buffer text = {};

        for (size_t i = 0; i < story->n_lines; i++)
                if (buffer_printf(&text, "%s%s", i > 0 ? "\n" : "", story->lines[i]) < 0)
                        return NULL;
        return text.size > 0 ? buffer_take_text(&text) : NULL;
}

static int fall_back(const UnitInstance *instance, const UnitStory *story, const char *summary, const char *why) {
        _cleanup_free_ char *lines = join_lines(story);

        (void) log_record(LOG_CRIT, 0,
                          LOG_FIELDS({ "ATELIER_UNIT", instance->unit }, { "ATELIER_ALERT_NAME", ALERT_NAME },
                                     { "ATELIER_ALERT_SEVERITY", "critical" },
                                     { "ATELIER_ALERT_RESULT", result_of(instance, story) },
                                     { "ATELIER_ALERT_LINES", lines }),
                          "%s; nobody was told: %s", summary, why);
        return EXIT_FAILURE;
}

static int report(const Ctl *ctl, const UnitInstance *instance, const UnitStory *story) {
        _cleanup_free_ char *summary = unit_report_summary(instance, story);
        _cleanup_(json_freep) JsonValue *alert = summary ? format_alert(instance, story, summary) : NULL;
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        int r;

        if (!alert)
                return fall_back(instance, story, instance->unit, "memory is short");
        r = fire(alert, &answer);
        if (r < 0)
                return fall_back(instance, story, summary, strerror(-r));
        if (answer.error)
                return fall_back(instance, story, summary, answer.error);
        return ctl->json ? ctl_print_json(json_get_object(answer.parameters, "alert")) : EXIT_SUCCESS;
}

/* The manager tells what OnFailure= starts which invocation it is about. */
static void look_at_monitor(UnitInstance *instance) {
        const char *unit = getenv("MONITOR_UNIT"), *invocation = getenv("MONITOR_INVOCATION_ID");

        if (*instance->invocation || !text_equal(unit, instance->unit) || !invocation || !invocation_valid(invocation))
                return;
        (void) snprintf(instance->invocation, sizeof(instance->invocation), "%s", invocation);
}

int unit_report_fire(const Ctl *ctl, const char *text) {
        _cleanup_(unit_instance_done) UnitInstance instance = {};
        _cleanup_(unit_story_done) UnitStory story = {};
        int r;

        r = unit_instance_parse(&instance, text);
        if (r == -EINVAL)
                return ctl_misused("--unit= takes UNIT, UNIT:INVOCATION or UNIT:INVOCATION:RESULT, such as "
                                   "atelier-worker.service");
        if (r < 0)
                return ctl_fail_errno(r, "memory is short");
        look_at_monitor(&instance);

        r = unit_story_read(&story, instance.unit, instance.invocation, RECORD_PATIENCE_USEC);
        if (r < 0)
                (void) log_warning_errno(r, "the journal of %s can't be read", instance.unit);
        return report(ctl, &instance, &story);
}
