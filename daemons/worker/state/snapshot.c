/* The problem: a backup wants everything as of one moment, while jobs go on, and may take minutes.
 *
 * The model, in three phases:
 *
 *     COPYING    the database is copied step by step (store-copy.h), after each commit and when the loop is idle
 *     PREPARING  a helper thread holds the copy's unfinished jobs and counts (state-database.h)
 *     SENDING    database, images and configuration go out, 16 members a reply; the next reply is made when the last one
 *                is with the kernel, so that a slow reader costs neither memory nor descriptors
 *
 * What an image is named after is its content, and images are only added or removed: those of the copy are those of the
 * moment as long as none is removed. Removals are remembered until the end (a crash in between leaves files that no job
 * uses, as one between a commit and a removal does).
 *
 * Clients come first: the source has the lowest priority, and has its turn all the same every few milliseconds. */
#include "state/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "config-files.h"
#include "dispatch/dispatcher.h"
#include "queue/uploads.h"
#include "state/state-database.h"
#include "store/store-copy.h"

#define COPY_NAME "images/tmp/snapshot.db"  /* emptied at start */
#define TURN_INTERVAL_USEC (5 * USEC_PER_MSEC)
#define MISSING_NAMES_MAX 100
#define REMOVALS_PER_TURN 16
#define REMOVALS_MAX 100000                  /* remembered; past that, files stay that no job uses */
#define MEMBER_NAME_MAX 128

typedef enum SnapshotState {
        SNAPSHOT_COPYING,
        SNAPSHOT_PREPARING,
        SNAPSHOT_SENDING,
        SNAPSHOT_REMOVING,                     /* over, but for what is to be removed now */
} SnapshotState;

struct Snapshot {
        Manager *manager;
        VarlinkCall *call;                     /* NULL: gone, while a helper thread is at work */
        sd_event_source *turn;
        usec_t turn_at;                        /* monotonic: the last one */
        SnapshotState state;

        char *path;                            /* of the copy; empty once it has no name any more */
        StateDatabase *database;
        int database_fd;
        ConfigFiles *config;
        size_t config_sent;
        bool images_sent;

        int64_t members_total, bytes_total, missing_total;
        int64_t members_sent, bytes_sent;
        JsonValue *missing;
        StateImage *removed;                   /* to be removed at the end */
        size_t n_removed;
};

bool snapshot_defers_removal(Snapshot *snapshot, const char *sha256, ImageFormat format) {
        StateImage *removed;

        if (!snapshot || snapshot->state == SNAPSHOT_REMOVING)
                return false;
        if (snapshot->n_removed == REMOVALS_MAX)
                return true;
        removed = reallocarray(snapshot->removed, snapshot->n_removed + 1, sizeof(*removed));
        if (!removed)
                return true;  /* it stays: a file that no job uses */
        snapshot->removed = removed;
        removed[snapshot->n_removed] = (StateImage) { .format = format };
        (void) stpncpy(removed[snapshot->n_removed].sha256, sha256, SHA256_TEXT_MAX - 1);
        snapshot->n_removed++;
        return true;
}

/* A few; without a store they stay. */
static void remove_deferred(Snapshot *snapshot) {
        Manager *manager = snapshot->manager;
        Store *store = commit_group_store(manager->group);

        for (unsigned i = 0; i < REMOVALS_PER_TURN && snapshot->n_removed > 0; i++) {
                const StateImage *image = &snapshot->removed[--snapshot->n_removed];
                int64_t uses;

                if (store && store_image_uses(store, image->sha256, image->format, &uses) == 0 && uses == 0 &&
                    !dispatcher_needs_image(manager->dispatcher, image->sha256, image->format) &&
                    !uploads_need_image(manager->uploads, image->sha256, image->format))
                        (void) image_store_remove(manager->images, image->sha256, image->format);
        }
}

Snapshot *snapshot_free(Snapshot *snapshot) {
        if (!snapshot)
                return NULL;

        if (snapshot->call)
                varlink_call_abandon(snapshot->call);
        if (snapshot->path)
                (void) unlink(snapshot->path);
        (void) sd_event_source_disable_unref(snapshot->turn);
        (void) state_database_free(snapshot->database);
        (void) fd_close(snapshot->database_fd);
        (void) config_files_free(snapshot->config);
        (void) json_free(snapshot->missing);
        free(snapshot->removed);
        free(snapshot->path);
        free(snapshot);
        return NULL;
}

static void forget(Snapshot *snapshot) {
        Manager *manager = snapshot->manager;

        manager->snapshot = NULL;
        (void) snapshot_free(snapshot);
        service_release(manager->service);
}

/* Over, one way or the other: the call has been answered or is gone. */
static void end(Snapshot *snapshot) {
        Store *store = commit_group_store(snapshot->manager->group);

        if (store && snapshot->state == SNAPSHOT_COPYING)
                store_copy_end(store);
        snapshot->state = SNAPSHOT_REMOVING;
        if (snapshot->n_removed > 0)
                (void) sd_event_source_set_enabled(snapshot->turn, SD_EVENT_ON);
        else
                forget(snapshot);
}

static void remove_step(Snapshot *snapshot) {
        remove_deferred(snapshot);
        if (snapshot->n_removed == 0)
                forget(snapshot);
}

static void fail(Snapshot *snapshot, int error) {
        VarlinkCall *call = TAKE_PTR(snapshot->call);

        (void) log_error_errno(error, "a snapshot can't be made");
        if (call) {
                varlink_call_set_closed_handler(call, NULL, NULL);
                (void) varlink_call_error_errno(call, error);
        }
        end(snapshot);
}

static void on_gone(_unused_ VarlinkCall *call, void *userdata) {
        Snapshot *snapshot = userdata;

        log_warning("the reader of a snapshot has gone, or read nothing for %d minutes",
                    (int) (VARLINK_STREAM_PATIENCE_USEC / USEC_PER_MINUTE));
        snapshot->call = NULL;
        if (snapshot->state != SNAPSHOT_PREPARING)
                end(snapshot);
}

void snapshot_abandon(Snapshot *snapshot) {
        if (!snapshot || !snapshot->call)
                return;
        varlink_call_abandon(TAKE_PTR(snapshot->call));
        if (snapshot->state != SNAPSHOT_PREPARING)
                end(snapshot);
}

/* ------------------------------------------------------------------ the copy */

static int prepare(void *userdata) {
        Snapshot *snapshot = userdata;
        struct stat st;
        int r;

        r = state_database_open(&snapshot->database, snapshot->path, false);
        if (r < 0)
                return r;
        snapshot->database_fd = open(snapshot->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (snapshot->database_fd < 0 || fstat(snapshot->database_fd, &st) < 0 || unlink(snapshot->path) < 0)
                return -errno;
        snapshot->bytes_total = st.st_size;
        return config_files_new(&snapshot->config, service_configuration_folder(snapshot->manager->service));
}

static void on_prepared(void *userdata, int result) {
        Snapshot *snapshot = userdata;
        const StateTotals *totals;

        if (!snapshot->call) {
                end(snapshot);
                return;
        }
        if (result < 0) {
                snapshot->state = SNAPSHOT_SENDING;
                fail(snapshot, result);
                return;
        }
        totals = state_database_totals(snapshot->database);
        snapshot->members_total = 1 + totals->images + (int64_t) config_files_count(snapshot->config);
        snapshot->bytes_total += totals->image_bytes + config_files_bytes(snapshot->config);
        snapshot->state = SNAPSHOT_SENDING;
        (void) sd_event_source_set_enabled(snapshot->turn, SD_EVENT_ON);
}

static void copy_step(Snapshot *snapshot) {
        Store *store = commit_group_store(snapshot->manager->group);
        int r;

        r = store ? store_copy_step(store) : -EIO;
        if (r == STORE_COPY_MORE)
                return;
        if (r == 0) {
                snapshot->state = SNAPSHOT_PREPARING;
                (void) sd_event_source_set_enabled(snapshot->turn, SD_EVENT_OFF);
                r = thread_pool_run(snapshot->manager->threads, prepare, on_prepared, snapshot);
        }
        if (r < 0) {
                snapshot->state = SNAPSHOT_SENDING;
                fail(snapshot, r);
        }
}

void snapshot_on_committed(Snapshot *snapshot) {
        if (snapshot && snapshot->state == SNAPSHOT_COPYING)
                copy_step(snapshot);
}

/* ------------------------------------------------------------------ handing over */

static int note_missing(Snapshot *snapshot, const char *name) {
        if (snapshot->missing_total++ >= MISSING_NAMES_MAX)
                return 0;
        return json_append(snapshot->missing, cJSON_CreateString(name));
}

/* The next image that is there: 1 with its fd, or 0. */
static int next_image(Snapshot *snapshot, char name[static MEMBER_NAME_MAX], int *ret_fd) {
        StateImage image;
        int r;

        while ((r = state_database_next_image(snapshot->database, &image)) > 0) {
                (void) snprintf(name, MEMBER_NAME_MAX, "images/%.2s/%s.%s", image.sha256, image.sha256,
                                image_format_name(image.format));
                r = image_store_open(snapshot->manager->images, image.sha256, image.format);
                if (r >= 0) {
                        *ret_fd = r;
                        return 1;
                }
                if (r != -ENOENT)
                        return r;
                r = note_missing(snapshot, name);
                if (r < 0)
                        return r;
        }
        return r;
}

static int next_member(Snapshot *snapshot, char name[static MEMBER_NAME_MAX], int *ret_fd) {
        int r;

        if (snapshot->database_fd >= 0) {
                (void) stpcpy(name, "atelier.db");
                *ret_fd = TAKE_FD(snapshot->database_fd);
                return 1;
        }
        if (!snapshot->images_sent) {
                r = next_image(snapshot, name, ret_fd);
                if (r != 0)
                        return r;
                snapshot->images_sent = true;
        }
        if (snapshot->config_sent == config_files_count(snapshot->config))
                return 0;
        (void) snprintf(name, MEMBER_NAME_MAX, "config/%s", config_files_name(snapshot->config, snapshot->config_sent));
        r = config_files_open(snapshot->config, snapshot->config_sent++);
        if (r < 0)
                return r;
        *ret_fd = r;
        return 1;
}

static int add_member(Snapshot *snapshot, JsonValue *members, const char *name, int fd) {
        _cleanup_(json_freep) JsonValue *member = json_new_object();
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        r = json_add_string(member, "name", name);
        if (r >= 0)
                r = json_add_integer(member, "size_bytes", st.st_size);
        if (r >= 0)
                r = varlink_call_push_fd(snapshot->call, fd);
        if (r < 0)
                return r;
        snapshot->members_sent++;
        snapshot->bytes_sent += st.st_size;
        return json_append(members, TAKE_PTR(member));
}

/* Fills the array with what fits into one reply. Returns their number. */
static int add_members(Snapshot *snapshot, JsonValue *members) {
        char name[MEMBER_NAME_MAX];
        int n, r = 0;

        for (n = 0; n < VARLINK_FDS_MAX; n++) {
                _cleanup_close_ int fd = -1;

                r = next_member(snapshot, name, &fd);
                if (r <= 0)
                        break;
                r = add_member(snapshot, members, name, fd);
                if (r < 0)
                        break;
        }
        return r < 0 ? r : n;
}

static int add_totals(Snapshot *snapshot, JsonValue *reply, bool last) {
        int r;

        r = json_add_integer(reply, "members_total", last ? snapshot->members_sent : snapshot->members_total);
        if (r >= 0)
                r = json_add_integer(reply, "bytes_total", last ? snapshot->bytes_sent : snapshot->bytes_total);
        if (r >= 0)
                r = json_add_integer(reply, "missing_total", snapshot->missing_total);
        if (r >= 0)
                r = json_add(reply, "missing", last ? TAKE_PTR(snapshot->missing) : json_new_array());
        return r;
}

/* 1: there is more; 0: that was the last reply. */
static int send_reply(Snapshot *snapshot) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *members = json_new_array();
        int n, r;

        r = json_add(reply, "members", members);
        if (r < 0)
                return r;
        n = add_members(snapshot, members);
        if (n < 0)
                return n;
        r = add_totals(snapshot, reply, n == 0);
        if (r < 0)
                return r;
        if (n > 0) {
                r = varlink_call_notify(snapshot->call, TAKE_PTR(reply));
                if (r == -ECONNRESET)
                        snapshot->call = NULL;
                return r < 0 ? r : 1;
        }
        varlink_call_set_closed_handler(snapshot->call, NULL, NULL);
        (void) varlink_call_reply(TAKE_PTR(snapshot->call), TAKE_PTR(reply));
        return 0;
}

static void send_step(Snapshot *snapshot) {
        int r;

        if (!varlink_call_is_drained(snapshot->call)) {
                (void) sd_event_source_set_enabled(snapshot->turn, SD_EVENT_OFF);
                return;
        }
        r = send_reply(snapshot);
        if (r == 0 || r == -ECONNRESET)
                end(snapshot);
        else if (r < 0)
                fail(snapshot, r);
}

static void on_drained(_unused_ VarlinkCall *call, void *userdata) {
        Snapshot *snapshot = userdata;

        if (snapshot->state == SNAPSHOT_SENDING)
                (void) sd_event_source_set_enabled(snapshot->turn, SD_EVENT_ON);
}

/* ------------------------------------------------------------------ turns */

static int on_turn(sd_event_source *source, void *userdata) {
        Snapshot *snapshot = userdata;

        snapshot->turn_at = time_now_monotonic();
        (void) sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IDLE);
        if (snapshot->state == SNAPSHOT_COPYING)
                copy_step(snapshot);
        else if (snapshot->state == SNAPSHOT_SENDING)
                send_step(snapshot);
        else
                remove_step(snapshot);
        return 0;
}

static int on_prepare(sd_event_source *source, void *userdata) {
        Snapshot *snapshot = userdata;

        if (snapshot->state >= SNAPSHOT_SENDING && time_now_monotonic() > snapshot->turn_at + TURN_INTERVAL_USEC)
                (void) sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
        return 0;
}

static int add_turn(Snapshot *snapshot) {
        int r;

        r = sd_event_add_defer(service_event(snapshot->manager->service), &snapshot->turn, on_turn, snapshot);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(snapshot->turn, "snapshot");
        (void) sd_event_source_set_priority(snapshot->turn, SD_EVENT_PRIORITY_IDLE);
        r = sd_event_source_set_prepare(snapshot->turn, on_prepare);
        return r < 0 ? r : sd_event_source_set_enabled(snapshot->turn, SD_EVENT_ON);
}

static int new_snapshot(Snapshot **ret, Manager *manager, Store *store) {
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        int r;

        snapshot = calloc(1, sizeof(*snapshot));
        if (!snapshot)
                return -ENOMEM;
        snapshot->manager = manager;
        snapshot->database_fd = -1;
        snapshot->missing = json_new_array();
        snapshot->path = text_format("%s/" COPY_NAME, state_folder_current(manager->state));
        if (!snapshot->missing || !snapshot->path)
                return -ENOMEM;
        r = add_turn(snapshot);
        if (r >= 0)
                r = store_copy_begin(store, snapshot->path);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(snapshot);
        return 0;
}

int snapshot_start(Manager *manager, VarlinkCall *call) {
        Store *store = commit_group_store(manager->group);
        int r;

        if (manager->snapshot || manager->adoption)
                return varlink_call_error(call, "io.atelier.Store.Busy", NULL);
        if (!store)
                return -EIO;
        r = new_snapshot(&manager->snapshot, manager, store);
        if (r < 0)
                return r;
        manager->snapshot->call = call;
        varlink_call_set_closed_handler(call, on_gone, manager->snapshot);
        varlink_call_set_drained_handler(call, on_drained, manager->snapshot);
        service_hold(manager->service);
        return 0;
}
