#include "alert-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

/* A file holds an alert and its deliveries: what is still to be sent is read off the same files, so that there is no
 * outbox beside them that could tell another story. Each write replaces a whole file (base/file.h), so a crash leaves
 * the former or the new one. A few hundred alerts a day at most are written, and one file of a few kilobytes each is
 * looked at, mended and thrown away with the tools at hand.
 *
 * Damaged files are kept under another name, for people; a newer version's are left alone. */

#define ALERTS_FOLDER "alerts"
#define RECORD_SUFFIX ".json"
#define DAMAGED_SUFFIX ".damaged"
#define TEMPORARY_PREFIX ".new-"
#define RECORD_NAME_MAX (ID_TEXT_MAX + sizeof(RECORD_SUFFIX))

struct AlertStore {
        int folder_fd;
        Alert *alerts[ALERTS_MAX];   /* oldest first */
        size_t count;
};

static char *record_name(const char *id, char buffer[static RECORD_NAME_MAX]) {
        (void) snprintf(buffer, RECORD_NAME_MAX, "%s" RECORD_SUFFIX, id);
        return buffer;
}

/* ---------------------------------------------------------------- looking */

Alert *alert_store_at(const AlertStore *store, size_t i) {
        return i < store->count ? store->alerts[i] : NULL;
}

size_t alert_store_count(const AlertStore *store) {
        return store->count;
}

Alert *alert_store_find(const AlertStore *store, const char *id) {
        for (size_t i = 0; i < store->count; i++)
                if (text_equal(store->alerts[i]->id, id))
                        return store->alerts[i];
        return NULL;
}

Alert *alert_store_find_key(const AlertStore *store, const char *key, AlertSeverity least) {
        for (size_t i = store->count; i > 0; i--) {
                Alert *alert = store->alerts[i - 1];

                if (alert->state == ALERT_FIRING && alert->severity >= least && text_equal(alert->key, key))
                        return alert;
        }
        return NULL;
}

/* ---------------------------------------------------------------- changing */

/* What may go first; `count` when nothing may. */
static size_t find_droppable(const AlertStore *store) {
        size_t told = store->count;

        for (size_t i = store->count; i > 0; i--) {
                const Alert *alert = store->alerts[i - 1];

                if (!alert_is_pending(alert) && (alert->state == ALERT_RESOLVED || told == store->count ||
                                                 store->alerts[told]->state == ALERT_FIRING))
                        told = i - 1;
        }
        return told;
}

/* Not synced: one that comes back after a power cut is dropped again. */
static void drop(AlertStore *store, size_t i) {
        char name[RECORD_NAME_MAX];

        (void) unlinkat(store->folder_fd, record_name(store->alerts[i]->id, name), 0);
        (void) alert_free(store->alerts[i]);
        store->count--;
        memmove(&store->alerts[i], &store->alerts[i + 1], (store->count - i) * sizeof(*store->alerts));
}

int alert_store_save(const AlertStore *store, const Alert *alert) {
        _cleanup_(json_freep) JsonValue *record = alert_to_record(alert);
        _cleanup_free_ char *text = record ? json_format(record) : NULL;
        char name[RECORD_NAME_MAX];

        if (!text)
                return -ENOMEM;
        return file_replace(store->folder_fd, record_name(alert->id, name), text, strlen(text), 0600);
}

int alert_store_add(AlertStore *store, Alert *alert) {
        size_t dropped = store->count;
        char name[RECORD_NAME_MAX];
        int r;

        if (store->count == ALERTS_MAX) {
                dropped = find_droppable(store);
                if (dropped == store->count)
                        return ALERT_STORE_FULL;
        }
        r = alert_store_save(store, alert);
        if (r < 0) {
                /* It may be there after all: nobody shall hear of what was refused. */
                (void) unlinkat(store->folder_fd, record_name(alert->id, name), 0);
                return r;
        }
        if (dropped < store->count)
                drop(store, dropped);
        store->alerts[store->count++] = alert;
        return 0;
}

/* ---------------------------------------------------------------- reading */

static int read_record(const AlertStore *store, const char *name, Alert **ret) {
        _cleanup_(alert_freep) Alert *alert = NULL;
        _cleanup_(json_freep) JsonValue *record = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read(store->folder_fd, name, ALERT_RECORD_BYTES_MAX, &text, &size);
        if (r >= 0)
                r = json_parse(text, size, &record, NULL);
        if (r >= 0)
                r = alert_from_record(&alert, record);
        if (r < 0)
                return r;
        if (strncmp(name, alert->id, strlen(alert->id)) != 0)
                return -EBADMSG;

        *ret = TAKE_PTR(alert);
        return 0;
}

static void set_aside(const AlertStore *store, const char *name, int error) {
        _cleanup_free_ char *aside = text_format("%s" DAMAGED_SUFFIX, name);

        if (!aside || renameat(store->folder_fd, name, store->folder_fd, aside) < 0)
                (void) log_warning_errno(error, "the alert in %s can't be read", name);
        else
                (void) log_warning_errno(error, "the alert in %s can't be read, and was set aside as %s", name, aside);
}

/* Keeps the newest ALERTS_MAX of what is read; what waits to be sent is newest by far in any sane folder. */
static void keep(AlertStore *store, Alert *alert) {
        if (store->count == ALERTS_MAX) {
                size_t i = find_droppable(store);

                if (i == store->count) {
                        log_warning("there are more than %d alerts to be sent; that in %s.json is left for later",
                                    ALERTS_MAX, alert->id);
                        (void) alert_free(alert);
                        return;
                }
                drop(store, i);
        }
        store->alerts[store->count++] = alert;
}

static int read_entry(AlertStore *store, const char *name) {
        size_t length = strlen(name);
        Alert *alert = NULL;
        int r;

        if (text_after(name, TEMPORARY_PREFIX)) {
                (void) unlinkat(store->folder_fd, name, 0);
                return 0;
        }
        if (length != ID_TEXT_MAX - 1 + strlen(RECORD_SUFFIX) || !text_equal(name + ID_TEXT_MAX - 1, RECORD_SUFFIX))
                return 0;

        r = read_record(store, name, &alert);
        if (r == -ENOMEM)
                return r;
        if (r == -EPROTONOSUPPORT)
                log_warning("the alert in %s was written by a newer version of Atelier, and is left alone", name);
        else if (r < 0)
                set_aside(store, name, r);
        else
                keep(store, alert);
        return 0;
}

/* Names begin with the time. */
static int compare_names(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_folder(AlertStore *store) {
        struct dirent **entries;
        int count, r = 0;

        count = scandirat(store->folder_fd, ".", &entries, NULL, compare_names);
        if (count < 0)
                return -errno;
        for (int i = 0; i < count; i++) {
                if (r >= 0)
                        r = read_entry(store, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int open_folder(const char *folder) {
        _cleanup_close_ int parent = -1;
        int fd;

        parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0)
                return -errno;
        if (mkdirat(parent, ALERTS_FOLDER, 0700) >= 0) {
                int r = file_sync_folder(parent);

                if (r < 0)
                        return r;
        } else if (errno != EEXIST)
                return -errno;
        fd = openat(parent, ALERTS_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int alert_store_new(AlertStore **ret, const char *folder) {
        _cleanup_(alert_store_freep) AlertStore *store = calloc(1, sizeof(*store));
        int r;

        if (!store)
                return -ENOMEM;
        store->folder_fd = open_folder(folder);
        if (store->folder_fd < 0)
                return store->folder_fd;
        r = read_folder(store);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(store);
        return 0;
}

AlertStore *alert_store_free(AlertStore *store) {
        if (!store)
                return NULL;

        for (size_t i = 0; i < store->count; i++)
                (void) alert_free(store->alerts[i]);
        (void) fd_close(store->folder_fd);
        free(store);
        return NULL;
}
