#include "audit/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/text-clean.h"
#include "base/text.h"
#include "io/varlink-server.h"
#include "keys/client-keys.h"
#include "store/store-audit.h"

#define ACTION_UNKNOWN "unknown.method"
#define EMIT_RECORDS 32                  /* in one turn */
#define EMIT_RETRY_USEC (5 * USEC_PER_SEC)
#define FAILURE_LOG_INTERVAL_USEC USEC_PER_MINUTE

/* The same call again, since when the first of them was recorded. */
typedef struct Window {
        char *name;
        usec_t ends_at;          /* monotonic */
        AuditRecord record;      /* its count: of those not recorded yet */
} Window;

typedef struct Append {
        Write write;
        Audit *audit;
        AuditRecord record;
} Append;

struct Audit {
        Manager *manager;
        Map *windows;
        sd_event_source *window_timer, *emitter, *retry;
        uint64_t generation;     /* of the state that the numbers below are of */
        int64_t committed, emitted;
        char chain[AUDIT_CHAIN_MAX];
        usec_t failure_logged_at;
        bool holding;            /* the service, as there are records to be sent */
};

/* ------------------------------------------------------------------ writing */

static int apply_append(Write *write, Store *store) {
        return store_audit_append(store, &CONTAINER_OF(write, Append, write)->record);
}

/* Refused calls can bring this about as often as they like while the disk is full. */
static void log_failure(Audit *audit, int error) {
        usec_t now = time_now_monotonic();

        if (audit->failure_logged_at > 0 && now < audit->failure_logged_at + FAILURE_LOG_INTERVAL_USEC)
                return;
        audit->failure_logged_at = now;
        (void) log_error_errno(error, "calls can't be recorded in the audit trail");
}

static void on_appended(Write *write, int result) {
        Append *append = CONTAINER_OF(write, Append, write);

        if (result < 0 && result != -ECANCELED)
                log_failure(append->audit, result);
        audit_record_done(&append->record);
        free(append);
}

void audit_add(Audit *audit, AuditRecord *record) {
        Append *append = calloc(1, sizeof(*append));

        if (!append) {
                log_failure(audit, -ENOMEM);
                audit_record_done(record);
                return;
        }
        append->write.apply = apply_append;
        append->write.done = on_appended;
        append->audit = audit;
        append->record = *record;
        *record = (AuditRecord) {};
        commit_group_add(audit->manager->group, &append->write);
}

/* ------------------------------------------------------------------ the same again */

static Window *window_free(Window *window) {
        if (!window)
                return NULL;
        audit_record_done(&window->record);
        free(window->name);
        free(window);
        return NULL;
}

static void close_window(Audit *audit, Window *window) {
        (void) map_remove(audit->windows, window->name);
        if (window->record.count > 0)
                audit_add(audit, &window->record);
        (void) window_free(window);
}

static void close_all(Audit *audit) {
        Window *window;

        while ((window = map_first(audit->windows)))
                close_window(audit, window);
}

static int on_window_timer(sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        usec_t now = time_now_monotonic(), next = USEC_INFINITY;
        Audit *audit = userdata;
        Window *window;

        /* What is removed may move others about in the map: begin anew after each. */
        for (size_t slot = 0; (window = map_next(audit->windows, &slot));)
                if (window->ends_at <= now) {
                        close_window(audit, window);
                        slot = 0;
                        next = USEC_INFINITY;
                } else
                        next = MIN(next, window->ends_at);
        if (next == USEC_INFINITY)
                return 0;
        (void) sd_event_source_set_time(source, next);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int copy_text(char **ret, const char *text) {
        if (!text)
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int copy_record(AuditRecord *ret, const AuditRecord *record) {
        int r;

        *ret = (AuditRecord) { .uid = record->uid };
        r = copy_text(&ret->action, record->action);
        if (r >= 0)
                r = copy_text(&ret->outcome, record->outcome);
        if (r >= 0)
                r = copy_text(&ret->key, record->key);
        if (r >= 0)
                r = copy_text(&ret->origin, record->origin);
        return r < 0 ? r : copy_text(&ret->address, record->address);
}

static void open_window(Audit *audit, char *name, const AuditRecord *record) {
        Window *window = calloc(1, sizeof(*window));

        if (!window) {
                free(name);
                return;
        }
        window->name = name;
        window->ends_at = time_now_monotonic() + AUDIT_WINDOW_USEC;
        if (copy_record(&window->record, record) < 0 || map_put(audit->windows, window->name, window) < 0) {
                (void) window_free(window);
                return;
        }
        if (map_size(audit->windows) > 1)
                return;
        (void) sd_event_source_set_time(audit->window_timer, window->ends_at);
        (void) sd_event_source_set_enabled(audit->window_timer, SD_EVENT_ONESHOT);
}

/* Takes the record over. */
static void note(Audit *audit, AuditRecord *record) {
        char *name = text_format("%s %s %s %s %s %lld", record->action, record->outcome, record->key ?: "-",
                                 record->origin ?: "-", record->address ?: "-", (long long) record->uid);
        Window *window = name ? map_get(audit->windows, name) : NULL;

        if (window) {
                window->record.count++;
                audit_record_done(record);
                free(name);
                return;
        }
        if (map_size(audit->windows) >= AUDIT_WINDOWS_MAX)
                close_all(audit);
        if (name)
                open_window(audit, name, record);
        audit_add(audit, record);
}

/* ------------------------------------------------------------------ what is called */

/* What only looks at how the daemon does, and what its own transaction records when it succeeds. */
static const struct {
        const char *method; /* or an interface, with its final dot */
        bool refusals_too;
} unrecorded[] = {
        { "org.varlink.service.", true },
        { "io.atelier.Daemon.Ping", true },
        { "io.atelier.Daemon.GetStatus", true },
        { "io.atelier.Daemon.GetMetrics", true },
        { "io.atelier.Queue.Submit", false },
        { "io.atelier.Keys.Create", false },
        { "io.atelier.Keys.Rotate", false },
        { "io.atelier.Keys.Revoke", false },
        { "io.atelier.Audit.Append", false },
};

static bool is_recorded(const char *method, bool refused) {
        for (size_t i = 0; i < ELEMENTS(unrecorded); i++) {
                const char *rest = text_after(method, unrecorded[i].method);

                if (rest && (*rest == 0 || rest[-1] == '.'))
                        return refused && !unrecorded[i].refusals_too;
        }
        return true;
}

/* "invalid_api_key" where the error tells a code, else the error's own name. */
static const char *outcome_of(const char *error, const JsonValue *answer) {
        const char *code = error && answer ? json_get_string(answer, "code") : NULL;
        const char *dot = error ? strrchr(error, '.') : NULL;

        return !error ? AUDIT_OK : code ?: dot ? (code ?: dot + 1) : error;
}

/* Whose it is was judged before anything else, so that where the call got that far the key is who it says. */
static bool key_was_judged(const char *error, const JsonValue *answer) {
        if (!error)
                return true;
        if (text_after(error, "org.varlink.service."))
                return false;
        return !answer || (json_get_integer(answer, "status", 0) != 401 && json_get_integer(answer, "status", 0) != 503);
}

static int set_key(Audit *audit, AuditRecord *record, const JsonValue *caller) {
        const char *token = json_get_string(caller, "token");
        char id[CLIENT_KEY_ID_MAX];
        bool required;

        if (!token || !client_key_parse(token, id))
                return 0;
        if (!text_equal(record->origin, "remote") &&
            (client_keys_required(audit->manager->client_keys, &required) < 0 || !required))
                return 0;
        return copy_text(&record->key, id);
}

/* What others write is kept short, and without what would disturb a terminal. */
static int copy_fit(char **ret, const char *text) {
        _cleanup_free_ char *clean = text ? text_clean(text, strlen(text)) : NULL;

        if (!text)
                return 0;
        *ret = clean ? text_cut(clean, AUDIT_TEXT_BYTES_MAX) : NULL;
        return *ret ? 0 : -ENOMEM;
}

/* Methods that do not exist are one and the same, or their names would make records without end. */
static int set_action(AuditRecord *record, const char *method, const char *error) {
        bool unknown = text_equal(error, VARLINK_ERROR_METHOD_NOT_FOUND) || text_equal(error, VARLINK_ERROR_INTERFACE_NOT_FOUND);
        int r;

        r = copy_fit(&record->action, unknown ? ACTION_UNKNOWN : method);
        return r < 0 || !unknown ? r : copy_fit(&record->object, method);
}

static int set_object(AuditRecord *record, const JsonValue *parameters) {
        if (record->object)
                return 0;
        return copy_fit(&record->object, json_get_string(parameters, "id") ?: json_get_string(parameters, "sha256"));
}

static int describe(Audit *audit, VarlinkCall *call, const char *error, const JsonValue *answer, AuditRecord *record) {
        const JsonValue *parameters = varlink_call_parameters(call), *caller = json_get_object(parameters, "caller");
        int r;

        *record = (AuditRecord) { .uid = (int64_t) varlink_call_peer(call)->uid, .count = 1 };
        r = set_action(record, varlink_call_method(call), error);
        if (r >= 0)
                r = copy_text(&record->outcome, outcome_of(error, answer));
        if (r >= 0)
                r = copy_fit(&record->origin, json_get_string(caller, "origin"));
        if (r >= 0)
                r = copy_fit(&record->address, json_get_string(caller, "address"));
        if (r >= 0 && key_was_judged(error, answer))
                r = set_key(audit, record, caller);
        return r < 0 ? r : set_object(record, parameters);
}

void audit_observe(VarlinkCall *call, const char *error, const JsonValue *answer, void *userdata) {
        Audit *audit = userdata;
        AuditRecord record;

        if (!is_recorded(varlink_call_method(call), error))
                return;
        if (describe(audit, call, error, answer, &record) < 0) {
                log_failure(audit, -ENOMEM);
                audit_record_done(&record);
                return;
        }
        note(audit, &record);
}

/* ------------------------------------------------------------------ to the journal */

static void hold(Audit *audit, bool on) {
        if (audit->holding == on)
                return;
        audit->holding = on;
        if (on)
                service_hold(audit->manager->service);
        else
                service_release(audit->manager->service);
}

static int look_at_head(Audit *audit, Store *store) {
        AuditHead head;
        int r;

        r = store_audit_head(store, &head);
        if (r < 0)
                return r;
        audit->committed = head.number;
        if (audit->generation != audit->manager->state_generation) {
                audit->generation = audit->manager->state_generation;
                (void) strcpy(audit->chain, head.chain);
                audit->emitted = MIN(head.emitted, head.number);
        }
        return 0;
}

static void emit_later(Audit *audit) {
        (void) sd_event_source_set_time_relative(audit->retry, EMIT_RETRY_USEC);
        (void) sd_event_source_set_enabled(audit->retry, SD_EVENT_ONESHOT);
}

static int emit_some(Audit *audit, Store *store) {
        AuditRecord *records;
        size_t count;
        int r;

        r = store_audit_list(store, audit->emitted, NULL, EMIT_RECORDS, &records, &count);
        if (r < 0)
                return r;
        for (size_t i = 0; i < count && records[i].number <= audit->committed && r >= 0; i++) {
                r = audit_record_emit(&records[i], audit->chain);
                if (r >= 0)
                        audit->emitted = records[i].number;
        }
        /* Behind a gap there is nothing to be sent up to the head. */
        if (r >= 0 && count == 0)
                audit->emitted = audit->committed;
        audit_records_free(records, count);
        store_audit_note_emitted(store, audit->emitted);
        return r;
}

static int on_emitter(sd_event_source *source, void *userdata) {
        Audit *audit = userdata;
        Store *store = commit_group_store(audit->manager->group);

        if (!store || emit_some(audit, store) < 0) {
                emit_later(audit);
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        }
        if (audit->emitted < audit->committed)
                return 0;
        hold(audit, false);
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static int on_retry(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Audit *audit = userdata;

        return sd_event_source_set_enabled(audit->emitter, SD_EVENT_ON);
}

void audit_on_committed(Audit *audit) {
        Store *store = audit ? commit_group_store(audit->manager->group) : NULL;

        if (!store || look_at_head(audit, store) < 0 || audit->emitted >= audit->committed)
                return;
        hold(audit, true);
        (void) sd_event_source_set_enabled(audit->emitter, SD_EVENT_ON);
}

/* ------------------------------------------------------------------ life */

static int add_sources(Audit *audit) {
        sd_event *event = service_event(audit->manager->service);
        int r;

        r = sd_event_add_time(event, &audit->window_timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC, on_window_timer, audit);
        if (r >= 0)
                r = sd_event_source_set_enabled(audit->window_timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &audit->retry, CLOCK_MONOTONIC, 0, 0, on_retry, audit);
        if (r >= 0)
                r = sd_event_source_set_enabled(audit->retry, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &audit->emitter, on_emitter, audit);
        if (r >= 0)
                r = sd_event_source_set_enabled(audit->emitter, SD_EVENT_OFF);
        return r < 0 ? r : sd_event_source_set_priority(audit->emitter, SD_EVENT_PRIORITY_IDLE);
}

int audit_new(Audit **ret, Manager *manager) {
        _cleanup_(audit_freep) Audit *audit = calloc(1, sizeof(*audit));
        int r;

        if (!audit)
                return -ENOMEM;
        audit->manager = manager;
        audit->generation = UINT64_MAX;
        r = map_new(&audit->windows);
        if (r >= 0)
                r = add_sources(audit);
        if (r < 0)
                return r;
        audit_on_committed(audit);
        *ret = TAKE_PTR(audit);
        return 0;
}

void audit_quiesce(Audit *audit) {
        close_all(audit);
}

typedef struct Emitted {
        Write write;
        int64_t number;
} Emitted;

static int apply_emitted(Write *write, Store *store) {
        return store_audit_set_emitted(store, CONTAINER_OF(write, Emitted, write)->number);
}

static void on_emitted(Write *write, _unused_ int result) {
        free(CONTAINER_OF(write, Emitted, write));
}

/* Else they would be sent again by the next start. */
static void keep_emitted(Audit *audit) {
        Emitted *emitted = audit->emitted > 0 ? calloc(1, sizeof(*emitted)) : NULL;

        if (!emitted)
                return;
        emitted->write.apply = apply_emitted;
        emitted->write.done = on_emitted;
        emitted->number = audit->emitted;
        commit_group_add(audit->manager->group, &emitted->write);
}

void audit_close(Audit *audit) {
        if (!audit)
                return;
        close_all(audit);
        keep_emitted(audit);
}

Audit *audit_free(Audit *audit) {
        Window *window;

        if (!audit)
                return NULL;
        while (audit->windows && (window = map_first(audit->windows))) {
                (void) map_remove(audit->windows, window->name);
                (void) window_free(window);
        }
        (void) map_free(audit->windows);
        (void) sd_event_source_disable_unref(audit->emitter);
        (void) sd_event_source_disable_unref(audit->retry);
        (void) sd_event_source_disable_unref(audit->window_timer);
        free(audit);
        return NULL;
}
