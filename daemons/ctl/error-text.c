/* A sentence is a template. {daemon} and {method} are those of the call, {any.other} is a member of the error's
 * parameters; one that ends in _at is shown as a time, one that is absent as "?". In a pair of brackets, […
 * {member} …], all is left out when the member is absent. */
#include "error-text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "io/varlink.h"
#include "printable.h"

#define MEMBER_CHARS_MAX 64
#define ADMIN "be root or a member of group atelier-admin"
#define VERSIONS "the two are of different versions; after an update: systemctl restart atelier-{daemon}"

typedef struct ErrorSentence {
        const char *error, *sentence;
} ErrorSentence;

static const ErrorSentence sentences[] = {
        { "io.atelier.Daemon.ConfigurationInvalid",
          "the configuration is bad; atelier-{daemon} goes on with the old one" },

        { "io.atelier.Queue.Refused", "the request is refused[ ({code})]: {message}" },
        { "io.atelier.Queue.JobNotFound", "there is no job {id}; see: atelierctl jobs list" },
        { "io.atelier.Queue.BatchNotFound", "there is no batch {id}; see: atelierctl batches list" },
        { "io.atelier.Queue.JobInProgress",
          "job {id} is with its provider and may be paid already: it can't be cancelled; wait for its end" },

        { "io.atelier.Ledger.Refused", "the request is refused[ ({code})]: {message}" },
        { "io.atelier.Ledger.EntryNotFound", "the ledger has no entry {number}; see: atelierctl ledger list" },
        { "io.atelier.Ledger.ImageNotFound", "no job has the image {sha256}; see: atelierctl jobs list" },
        { "io.atelier.Ledger.StoreUnavailable",
          "the worker's job store is not available at the moment; see: journalctl -u atelier-worker" },

        { "io.atelier.Keys.KeyNotFound", "there is no key {id}; see: atelierctl keys list" },
        { "io.atelier.Keys.Refused", "the request is refused[ ({code})]: {message}" },
        { "io.atelier.Keys.StoreUnavailable",
          "the worker's state can't be used: {reason}; see: journalctl -u atelier-worker" },

        { "io.atelier.Links.ImageNotFound", "no job has the image {sha256}; see: atelierctl jobs list" },
        { "io.atelier.Links.Refused", "the request is refused[ ({code})]: {message}" },
        { "io.atelier.Links.StoreUnavailable",
          "the worker's state can't be used: {reason}; see: journalctl -u atelier-worker" },

        { "io.atelier.Audit.StoreUnavailable",
          "the worker's job store is not available at the moment; see: journalctl -u atelier-worker" },

        { "io.atelier.Store.ImageNotFound", "there is no image {sha256}" },
        { "io.atelier.Store.Refused", "the request is refused[ ({code})]: {message}" },
        { "io.atelier.Store.Busy",
          "a backup or a restore is under way; try again when it is over, see: atelierctl task history" },
        { "io.atelier.Store.AdoptionNotFound", "the restore was overtaken by another; begin it again" },
        { "io.atelier.Store.MemberRefused", "the worker refuses {name} of the archive: {reason}" },
        { "io.atelier.Store.StateRefused", "the worker refuses what was restored: {reason}; its state is as before" },

        { "io.atelier.Tasks.TaskNotFound", "there is no task '{task}'; see: atelierctl task list" },
        { "io.atelier.Tasks.TaskRunning",
          "task {run.task} is running already, since {run.started_at}; see: atelierctl task history {run.task}" },

        { "io.atelier.Backups.BackupNotFound", "there is no backup[ {name}]; see: atelierctl backup list" },
        { "io.atelier.Backups.BackupRefused",
          "{name} is refused: {reason}; the state in use is as before, try another of: atelierctl backup list" },
        { "io.atelier.Backups.RestoreFailed",
          "{name} could not be restored: {reason}" },
        { "io.atelier.Backups.Busy",
          "task {task} is running, since {started_at}; try again when it is over, see: atelierctl task history {task}" },

        { "io.atelier.Alerts.AlertNotFound", "there is no alert {id}; see: atelierctl alerts list --all" },
        { "io.atelier.Alerts.ReceiverNotFound",
          "there is no receiver '{receiver}'; they are listed as receivers in: atelierctl config show" },
        { "io.atelier.Alerts.TooManyAlerts",
          "{pending} alerts wait to be sent and no further one can be kept; see why: atelierctl alerts list" },

        { VARLINK_ERROR_PERMISSION_DENIED, "{method}: not allowed; " ADMIN },
        { VARLINK_ERROR_INVALID_PARAMETER, "atelier-{daemon} does not take this value for '{parameter}'" },
        { VARLINK_ERROR_INTERFACE_NOT_FOUND, "atelier-{daemon} does not know {method}: " VERSIONS },
        { VARLINK_ERROR_METHOD_NOT_FOUND, "atelier-{daemon} does not know {method}: " VERSIONS },
        { VARLINK_ERROR_METHOD_NOT_IMPLEMENTED, "atelier-{daemon} does not do {method}: " VERSIONS },
        { VARLINK_ERROR_EXPECTED_MORE, "{method} has several replies: " VERSIONS },
};

/* ------------------------------------------------------------------ members */

static const JsonValue *find_member(const JsonValue *object, char *path) {
        char *rest = NULL;

        for (const char *name = strtok_r(path, ".", &rest); name; name = strtok_r(NULL, ".", &rest))
                object = json_member(object, name);
        return cJSON_IsNull(object) ? NULL : object;
}

static int append_value(Buffer *buffer, const char *name, const JsonValue *value) {
        size_t length = strlen(name);
        char stamp[TIME_STAMP_MAX];
        _cleanup_free_ char *text = NULL;

        if (cJSON_IsString(value)) {
                text = printable_text(value->valuestring, 0);
                return text ? buffer_append_text(buffer, text) : -ENOMEM;
        }
        if (!json_is_integer(value) || json_to_integer(value) < 0)
                return buffer_append_text(buffer, "?");
        if (length > 3 && text_equal(name + length - 3, "_at"))
                return buffer_append_text(buffer, time_format_stamp((usec_t) json_to_integer(value), stamp));
        return buffer_printf(buffer, "%lld", (long long) json_to_integer(value));
}

typedef struct Sentence {
        const char *daemon, *method;
        const JsonValue *parameters;
        bool absent;    /* a member since the last bracket was */
} Sentence;

static int append_member(Buffer *buffer, Sentence *sentence, const char *begin, size_t length) {
        char name[MEMBER_CHARS_MAX], path[MEMBER_CHARS_MAX];
        const JsonValue *value;

        assert(length < sizeof(name));
        (void) snprintf(name, sizeof(name), "%.*s", (int) length, begin);
        if (text_equal(name, "daemon"))
                return buffer_append_text(buffer, sentence->daemon);
        if (text_equal(name, "method"))
                return buffer_append_text(buffer, sentence->method);

        (void) snprintf(path, sizeof(path), "%s", name);
        value = find_member(sentence->parameters, path);
        sentence->absent |= !value;
        return append_value(buffer, name, value);
}

static int fill_in(Buffer *buffer, Sentence *sentence, const char *template) {
        size_t bracket = 0;

        for (const char *p = template; *p; p++) {
                const char *end = strchr(p, '}');
                int r = 0;

                if (*p == '{') {
                        r = append_member(buffer, sentence, p + 1, (size_t) (end - p - 1));
                        p = end;
                } else if (*p == '[') {
                        bracket = buffer->size;
                        sentence->absent = false;
                } else if (*p == ']')
                        buffer->size = sentence->absent ? bracket : buffer->size;
                else
                        r = buffer_append(buffer, p, 1);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ------------------------------------------------------------------ sentences */

static int append_system_error(Buffer *buffer, const Sentence *sentence) {
        int64_t number = json_get_integer(sentence->parameters, "errno", 0);
        bool known = number > 0 && number < 4096;

        return buffer_printf(buffer, "atelier-%s failed at %s: %s; see: journalctl -u atelier-%s", sentence->daemon,
                             sentence->method, known ? strerror((int) number) : "it does not say why",
                             sentence->daemon);
}

int error_text(Buffer *buffer, const char *daemon, const char *method, const char *error,
               const JsonValue *parameters) {
        Sentence sentence = { .daemon = daemon, .method = method, .parameters = parameters };
        _cleanup_free_ char *name = NULL;

        for (size_t i = 0; i < ELEMENTS(sentences); i++)
                if (text_equal(sentences[i].error, error))
                        return fill_in(buffer, &sentence, sentences[i].sentence);
        if (text_equal(error, VARLINK_ERROR_SYSTEM))
                return append_system_error(buffer, &sentence);

        name = printable_text(error, 0);
        if (!name)
                return -ENOMEM;
        return buffer_printf(buffer, "atelier-%s answers %s to %s; see: journalctl -u atelier-%s", daemon, name,
                             method, daemon);
}

void error_text_print(const char *daemon, const char *method, const char *error, const JsonValue *parameters) {
        _cleanup_(buffer_done) Buffer buffer = {};
        const JsonValue *line;

        cJSON_ArrayForEach(line, json_get_array(parameters, "errors")) {
                _cleanup_free_ char *text = printable_text(cJSON_GetStringValue(line) ?: "", 0);

                fprintf(stderr, "%s\n", text ?: "");
        }
        if (error_text(&buffer, daemon, method, error, parameters) < 0)
                buffer.size = 0;
        fprintf(stderr, "atelierctl: %.*s\n", (int) buffer.size, (const char *) buffer.data);
}
