#include "alert-reporter.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "io/varlink-client.h"

#define RUNTIME_DIRECTORY "/run/atelier"
#define SOURCE "atelier-worker.service"
#define REPORTS_MAX 16              /* under way at a time; a further one is only logged */

typedef struct Report {
        struct Report *next;
        AlertReporter *reporter;
        VarlinkClient *client;
} Report;

struct AlertReporter {
        Manager *manager;
        PollSet *poll;
        Report *reports;
        size_t n_reports;
};

int alert_reporter_new(AlertReporter **ret, Manager *manager) {
        _cleanup_(alert_reporter_freep) AlertReporter *reporter = calloc(1, sizeof(*reporter));
        int r;

        if (!reporter)
                return -ENOMEM;
        reporter->manager = manager;
        r = poll_set_new(&reporter->poll, service_event(manager->service), "alerts", SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reporter);
        return 0;
}

static void end_report(Report *report) {
        AlertReporter *reporter = report->reporter;

        for (Report **link = &reporter->reports; *link; link = &(*link)->next)
                if (*link == report) {
                        *link = report->next;
                        break;
                }
        reporter->n_reports--;
        (void) varlink_client_free(report->client);
        free(report);
        service_release(reporter->manager->service);
}

AlertReporter *alert_reporter_free(AlertReporter *reporter) {
        if (!reporter)
                return NULL;
        while (reporter->reports)
                end_report(reporter->reports);
        (void) poll_set_free(reporter->poll);
        free(reporter);
        return NULL;
}

static void on_told(_unused_ VarlinkClient *client, const VarlinkReply *reply, void *userdata) {
        if (reply->status < 0)
                (void) log_warning_errno(reply->status, "the alerter can't be told");
        else if (reply->error)
                log_warning("the alerter does not take an alert: %s", reply->error);
        end_report(userdata);
}

static JsonValue *build_alert(const char *key, const char *name, const char *severity, const char *summary) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add_string(parameters, "key", key);
        if (r >= 0)
                r = json_add_string(parameters, "name", name);
        if (r >= 0)
                r = json_add_string(parameters, "severity", severity);
        if (r >= 0)
                r = json_add_string(parameters, "source", SOURCE);
        if (r >= 0)
                r = json_add_string(parameters, "summary", summary);
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

static char *socket_path(void) {
        return text_format("%s/io.atelier.Alerter", getenv("ATELIER_RUNTIME_DIRECTORY") ?: RUNTIME_DIRECTORY);
}

static int begin_report(AlertReporter *reporter, JsonValue *parameters) {
        _cleanup_free_ char *path = socket_path();
        Report *report = calloc(1, sizeof(*report));
        int r;

        if (!report || !parameters || !path) {
                free(report);
                (void) json_free(parameters);
                return -ENOMEM;
        }
        report->reporter = reporter;
        report->next = reporter->reports;
        reporter->reports = report;
        reporter->n_reports++;
        service_hold(reporter->manager->service);
        r = varlink_client_connect(&report->client, service_event(reporter->manager->service), reporter->poll, path);
        if (r < 0)
                (void) json_free(parameters);
        else
                r = varlink_client_call(report->client, "io.atelier.Alerts.Fire", parameters, false,
                                        ALERT_PATIENCE_USEC, on_told, report);
        if (r < 0)
                end_report(report);
        return r;
}

void alert_report(AlertReporter *reporter, const char *key, const char *name, const char *severity,
                  const char *summary) {
        int r = -EBUSY;

        if (reporter->n_reports < REPORTS_MAX)
                r = begin_report(reporter, build_alert(key, name, severity, summary));
        if (r < 0)
                (void) log_warning_errno(r, "the alerter can't be told: %s", summary);
}
