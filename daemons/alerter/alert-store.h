/* The alerts, in memory and on disk: one file each, alerts/ID.json in the state folder. */
#pragma once

#include "alert.h"

#define ALERTS_MAX 1000

typedef struct AlertStore AlertStore;

/* Reads what is there. `folder` exists; alerts/ is made. A file that makes no sense is set aside as
 * ID.json.damaged. */
int alert_store_new(AlertStore **ret, const char *folder);
AlertStore *alert_store_free(AlertStore *store);
DEFINE_CLEANUP(AlertStore *, alert_store_free);

/* Oldest first; NULL past the end. They stay the store's, and where they are until something is added. */
Alert *alert_store_at(const AlertStore *store, size_t i);
size_t alert_store_count(const AlertStore *store);
Alert *alert_store_find(const AlertStore *store, const char *id);
/* The newest of that key that is firing, and at least so severe. */
Alert *alert_store_find_key(const AlertStore *store, const char *key, AlertSeverity least);

enum {
        ALERT_STORE_FULL = 1,   /* ALERTS_MAX alerts are there, and all of them wait to be sent */
};

/* Writes it, and takes it over once it is durable. The oldest that is resolved makes room, or else the oldest that
 * waits for nothing. After an error nothing has changed. */
int alert_store_add(AlertStore *store, Alert *alert);

/* Writes an alert of the store as it is now; durable when it returns 0. */
int alert_store_save(const AlertStore *store, const Alert *alert);
