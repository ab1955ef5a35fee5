/* An alert: what happened, to what, and whether those who must hear of it have.
 *
 * As JSON it has two forms: that of io.atelier.Alerts for callers, and the record, which is the same with what only
 * the alerter needs. Records carry `version`; one of a higher version is not read. Members may be added, and are
 * ignored by those that do not know them. */
#pragma once

#include "base/id.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/time.h"

#define ALERT_NAME_BYTES_MAX 64
#define ALERT_SOURCE_BYTES_MAX 256
#define ALERT_KEY_BYTES_MAX 512
#define ALERT_RESULT_BYTES_MAX 128
#define ALERT_SUMMARY_BYTES_MAX 1024
#define ALERT_LINES_MAX 20
#define ALERT_LINE_BYTES_MAX 512
#define ALERT_ERROR_BYTES_MAX 256
#define ALERT_DELIVERIES_MAX 64
#define ALERT_RECORD_BYTES_MAX (256 * 1024)   /* 20 lines, and 64 errors, with every byte escaped */

typedef enum AlertSeverity {
        SEVERITY_INFO,
        SEVERITY_WARNING,
        SEVERITY_CRITICAL,
        SEVERITY_INVALID = -1,
} AlertSeverity;

typedef enum AlertState {
        ALERT_FIRING,
        ALERT_RESOLVED,
        ALERT_STATE_INVALID = -1,
} AlertState;

typedef enum DeliveryState {
        DELIVERY_PENDING,
        DELIVERY_SENT,
        DELIVERY_FAILED,
        DELIVERY_STATE_INVALID = -1,
} DeliveryState;

/* What one receiver is told. First that it fires, and once that is sent, that it is over. */
typedef struct Delivery {
        char *receiver;
        DeliveryState state;
        AlertState notice;     /* what is told */
        int64_t attempts;      /* to tell that */
        usec_t queued_at;      /* since when it is to be told; realtime, as all of these */
        usec_t next_at;        /* pending: not before */
        usec_t sent_at;        /* 0: not sent */
        char *error;           /* of the last attempt */
} Delivery;

typedef struct Alert {
        char id[ID_TEXT_MAX];
        char *key;             /* NULL: none */
        char *name, *source, *summary;
        char *result;          /* NULL: none */
        char *lines[ALERT_LINES_MAX];
        size_t n_lines;
        AlertSeverity severity;
        AlertState state;
        int64_t count;
        usec_t fired_at, updated_at, resolved_at;   /* resolved_at 0: it is not */
        Delivery *deliveries;
        size_t n_deliveries;
} Alert;

const char *severity_name(AlertSeverity severity);
AlertSeverity severity_from_name(const char *name);
const char *alert_state_name(AlertState state);
AlertState alert_state_from_name(const char *name);
const char *delivery_state_name(DeliveryState state);

/* What is fired; the texts as they came. */
typedef struct AlertInput {
        const char *key, *name, *source, *summary, *result;
        AlertSeverity severity;
        const JsonValue *lines;   /* an array of strings, or NULL */
} AlertInput;

enum {
        ALERT_BAD_FIELD = 1,      /* *ret_field names the one that is empty or too long */
};

/* Control characters become spaces; a summary or a line that is too long is cut. Deliveries are added afterwards. */
int alert_new(Alert **ret, const AlertInput *input, usec_t now, const char **ret_field);
Alert *alert_free(Alert *alert);
DEFINE_CLEANUP(Alert *, alert_free);

/* A delivery that is pending from now on. */
int alert_add_delivery(Alert *alert, const char *receiver, usec_t now, Delivery **ret);
Delivery *alert_find_delivery(const Alert *alert, const char *receiver);

/* True while anything of it is to be told. */
bool alert_is_pending(const Alert *alert);

/* It is over. Those that were told that it fires are to be told; those that still wait for that hear of both. */
void alert_resolve(Alert *alert, usec_t now);

/* After it was sent: an alert that is over by now is to be told again. */
void delivery_follow(const Alert *alert, Delivery *delivery, usec_t now);

/* Keeps the first ALERT_ERROR_BYTES_MAX bytes of what went wrong; NULL: nothing. */
int delivery_set_error(Delivery *delivery, const char *error);

JsonValue *delivery_to_json(const Delivery *delivery);
JsonValue *alert_to_json(const Alert *alert);

JsonValue *alert_to_record(const Alert *alert);
/* -EBADMSG for what is no record, -EPROTONOSUPPORT for one of a newer version. */
int alert_from_record(Alert **ret, const JsonValue *record);
