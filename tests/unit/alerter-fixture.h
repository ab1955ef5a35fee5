/* A store of alerts in a folder of its own, and alerts to put into it. */
#pragma once

#include "conf-folder.h"

#include "alert-store.h"

typedef struct AlertFolder {
        char path[64];
        AlertStore *store;
} AlertFolder;

static inline void alert_folder_open(AlertFolder *folder) {
        assert_int_equal(alert_store_new(&folder->store, folder->path), 0);
}

static inline void alert_folder_reopen(AlertFolder *folder) {
        folder->store = alert_store_free(folder->store);
        alert_folder_open(folder);
}

static inline int alert_folder_setup(void **state) {
        AlertFolder *folder = calloc(1, sizeof(*folder));

        if (!folder)
                return -1;
        (void) snprintf(folder->path, sizeof(folder->path), "/tmp/atelier-test-alerts-XXXXXX");
        if (!mkdtemp(folder->path))
                return -1;
        alert_folder_open(folder);
        *state = folder;
        return 0;
}

static inline int alert_folder_teardown(void **state) {
        AlertFolder *folder = *state;

        (void) alert_store_free(folder->store);
        (void) nftw(folder->path, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(folder);
        return 0;
}

/* The path of an alert's file. */
static inline char *alert_path(const AlertFolder *folder, const char *id) {
        char *path = text_format("%s/alerts/%s.json", folder->path, id);

        assert_non_null(path);
        return path;
}

static inline Alert *make_alert(const char *summary, usec_t now) {
        _cleanup_(json_freep) JsonValue *lines = json_new_array();
        AlertInput input = {
                .name = "UnitFailed",
                .source = "atelier-worker.service",
                .summary = summary,
                .result = "watchdog",
                .severity = SEVERITY_CRITICAL,
                .lines = lines,
        };
        const char *field;
        Alert *alert;

        assert_int_equal(json_append(lines, cJSON_CreateString("one <line> & `more`")), 0);
        assert_int_equal(alert_new(&alert, &input, now, &field), 0);
        return alert;
}

/* An alert in the store, to be told to `receiver` (NULL: to nobody). */
static inline Alert *add_alert(AlertFolder *folder, const char *summary, const char *receiver, usec_t now) {
        Alert *alert = make_alert(summary, now);
        Delivery *delivery;

        if (receiver)
                assert_int_equal(alert_add_delivery(alert, receiver, now, &delivery), 0);
        assert_int_equal(alert_store_add(folder->store, alert), 0);
        return alert;
}
