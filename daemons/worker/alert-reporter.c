#include "alert-reporter.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "io/varlink-messenger.h"

#define SOURCE "atelier-worker.service"

struct AlertReporter {
        Manager *manager;
        VarlinkMessenger *messenger;
};

static void on_busy(bool busy, void *userdata) {
        AlertReporter *reporter = userdata;

        if (busy)
                service_hold(reporter->manager->service);
        else
                service_release(reporter->manager->service);
}

int alert_reporter_new(AlertReporter **ret, Manager *manager) {
        _cleanup_(alert_reporter_freep) AlertReporter *reporter = calloc(1, sizeof(*reporter));
        int r;

        if (!reporter)
                return -ENOMEM;
        reporter->manager = manager;
        r = varlink_messenger_new(&reporter->messenger, service_event(manager->service), on_busy, reporter);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reporter);
        return 0;
}

AlertReporter *alert_reporter_free(AlertReporter *reporter) {
        if (!reporter)
                return NULL;
        (void) varlink_messenger_free(reporter->messenger);
        free(reporter);
        return NULL;
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

void alert_report(AlertReporter *reporter, const char *key, const char *name, const char *severity,
                  const char *summary) {
        _cleanup_free_ char *what = text_format("the alerter can't be told that %s", summary);

        varlink_messenger_send(reporter->messenger, "Alerter", "io.atelier.Alerts.Fire",
                               build_alert(key, name, severity, summary), what ?: "the alerter can't be told");
}
