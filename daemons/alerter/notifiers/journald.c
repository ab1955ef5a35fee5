/* The journal of this host: always there, at once, and the last resort of all others. The lines are in it already. */
#include <syslog.h>

#include "base/log.h"
#include "notifier.h"

#define MESSAGE_ALERT "545ca81f3a084e49bc9a683a5819de38"

static int level_of(const Notice *notice) {
        static const int levels[] = {
                [SEVERITY_INFO] = LOG_INFO,
                [SEVERITY_WARNING] = LOG_WARNING,
                [SEVERITY_CRITICAL] = LOG_CRIT,
        };

        return notice->state == ALERT_FIRING ? levels[notice->alert->severity] : LOG_NOTICE;
}

static void journald_tell(const Notice *notice) {
        const Alert *alert = notice->alert;

        (void) log_record(level_of(notice), 0,
                          LOG_FIELDS({ "MESSAGE_ID", MESSAGE_ALERT }, { "ATELIER_ALERT", alert->id },
                                     { "ATELIER_ALERT_NAME", alert->name },
                                     { "ATELIER_ALERT_SEVERITY", severity_name(alert->severity) },
                                     { "ATELIER_ALERT_STATE", alert_state_name(notice->state) },
                                     { "ATELIER_ALERT_RESULT", alert->result }, { "ATELIER_UNIT", alert->source }),
                          "alert %s, %s%s: %s (%s)", alert->name, notice->test ? "test, " : "",
                          notice->state == ALERT_FIRING ? severity_name(alert->severity) : "resolved", alert->summary,
                          alert->source);
}

const Notifier journald_notifier = {
        .kind = "journald",
        .tell = journald_tell,
};
