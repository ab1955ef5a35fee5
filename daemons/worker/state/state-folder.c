#include "state/state-folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

#define CURRENT "current"
#define NEXT "next"
#define MARKER "replaced"              /* in a state that is about to be, or has been, replaced */
#define FORMER_PREFIX "former-"
#define FORMER_PER_SECOND_MAX 100
#define DEPTH_MAX 4                    /* of a state: images/ab/FILE */
#define FOLDER_MODE 0700

struct StateFolder {
        int fd;
        char *current, *next;
};

/* ------------------------------------------------------------------ removing */

static int remove_entry(int folder_fd, const char *name, unsigned depth);

static int remove_contents(int fd, unsigned depth) {
        struct dirent *entry;
        DIR *folder;
        int r = 0;

        folder = fdopendir(fd);
        if (!folder) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        while (r >= 0 && (errno = 0, entry = readdir(folder)))
                if (!text_equal(entry->d_name, ".") && !text_equal(entry->d_name, ".."))
                        r = remove_entry(dirfd(folder), entry->d_name, depth);
        if (r >= 0 && errno != 0)
                r = -errno;
        (void) closedir(folder);
        return r;
}

/* A link is removed, never followed. */
static int remove_entry(int folder_fd, const char *name, unsigned depth) {
        int fd, r;

        if (unlinkat(folder_fd, name, 0) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        if (depth == 0)
                return -ELOOP;

        fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = remove_contents(fd, depth - 1);
        if (r < 0)
                return r;
        return unlinkat(folder_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* ------------------------------------------------------------------ the marker */

static int open_state(const StateFolder *folder, const char *name) {
        int fd = openat(folder->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* 1 when the state has the marker; -ENOENT when there is no such state. */
static int has_marker(const StateFolder *folder, const char *name) {
        _cleanup_close_ int fd = open_state(folder, name);

        if (fd < 0)
                return fd;
        if (faccessat(fd, MARKER, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return 1;
        return errno == ENOENT ? 0 : -errno;
}

static int set_marker(const StateFolder *folder, const char *name) {
        _cleanup_close_ int fd = open_state(folder, name), marker = -1;

        if (fd < 0)
                return fd;
        marker = openat(fd, MARKER, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (marker < 0 || fsync(marker) < 0)
                return -errno;
        return file_sync_folder(fd);
}

static int clear_marker(const StateFolder *folder, const char *name) {
        _cleanup_close_ int fd = open_state(folder, name);

        if (fd < 0)
                return fd;
        if (unlinkat(fd, MARKER, 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        return file_sync_folder(fd);
}

/* ------------------------------------------------------------------ exchanging */

static int exchange_names(const StateFolder *folder) {
        if (renameat2(folder->fd, CURRENT, folder->fd, NEXT, RENAME_EXCHANGE) < 0)
                return -errno;
        return file_sync_folder(folder->fd);
}

int state_folder_exchange(StateFolder *folder) {
        int r;

        r = set_marker(folder, CURRENT);
        return r < 0 ? r : exchange_names(folder);
}

int state_folder_exchange_back(StateFolder *folder) {
        int r;

        r = has_marker(folder, NEXT);
        if (r == -ENOENT)
                r = 0;  /* nothing was exchanged */
        if (r > 0)
                r = exchange_names(folder);
        return r < 0 ? r : clear_marker(folder, CURRENT);
}

static int rename_former(const StateFolder *folder, usec_t now, char name[static STATE_FORMER_NAME_MAX]) {
        time_t seconds = (time_t) (now / USEC_PER_SEC);
        char stamp[sizeof("20261123T020000Z")];
        struct tm utc;

        (void) gmtime_r(&seconds, &utc);
        (void) strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
        for (unsigned number = 0; number < FORMER_PER_SECOND_MAX; number++) {
                (void) snprintf(name, STATE_FORMER_NAME_MAX, number == 0 ? FORMER_PREFIX "%s" : FORMER_PREFIX "%s-%u",
                                stamp, number);
                if (renameat2(folder->fd, NEXT, folder->fd, name, RENAME_NOREPLACE) >= 0)
                        return file_sync_folder(folder->fd);
                if (errno != EEXIST)
                        return -errno;
        }
        return -EEXIST;
}

/* The marker goes last: as long as the name is `next`, it is what keeps the state from being removed. */
int state_folder_keep_former(StateFolder *folder, usec_t now, char former[static STATE_FORMER_NAME_MAX]) {
        int r;

        r = rename_former(folder, now, former);
        return r < 0 ? r : clear_marker(folder, former);
}

/* ------------------------------------------------------------------ opening */

/* A `next` with the marker was in use once, whatever kept it from getting its name. */
int state_folder_remove_next(StateFolder *folder) {
        char former[STATE_FORMER_NAME_MAX];
        int r;

        r = has_marker(folder, NEXT);
        if (r > 0)
                return state_folder_keep_former(folder, time_now_realtime(), former);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return remove_entry(folder->fd, NEXT, DEPTH_MAX);
}

int state_folder_make_next(StateFolder *folder, int *ret_fd) {
        int fd, r;

        r = state_folder_remove_next(folder);
        if (r < 0)
                return r;
        if (mkdirat(folder->fd, NEXT, FOLDER_MODE) < 0)
                return -errno;
        fd = open_state(folder, NEXT);
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

/* Made once, and durable by its name as well: else a power cut could take all that was ever accepted. */
static int make_current(StateFolder *folder) {
        if (mkdirat(folder->fd, CURRENT, FOLDER_MODE) < 0)
                return errno == EEXIST ? clear_marker(folder, CURRENT) : -errno;
        return file_sync_folder(folder->fd);
}

int state_folder_open(StateFolder **ret, const char *path) {
        _cleanup_(state_folder_freep) StateFolder *folder = NULL;
        int r;

        folder = calloc(1, sizeof(*folder));
        if (!folder)
                return -ENOMEM;
        folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder->fd < 0)
                return -errno;
        folder->current = text_format("%s/" CURRENT, path);
        folder->next = text_format("%s/" NEXT, path);
        if (!folder->current || !folder->next)
                return -ENOMEM;

        r = state_folder_remove_next(folder);
        if (r >= 0)
                r = make_current(folder);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(folder);
        return 0;
}

StateFolder *state_folder_free(StateFolder *folder) {
        if (!folder)
                return NULL;
        (void) fd_close(folder->fd);
        free(folder->current);
        free(folder->next);
        free(folder);
        return NULL;
}

const char *state_folder_current(const StateFolder *folder) {
        return folder->current;
}

const char *state_folder_next(const StateFolder *folder) {
        return folder->next;
}

int state_folder_open_current(const StateFolder *folder) {
        return open_state(folder, CURRENT);
}

/* ------------------------------------------------------------------ former states */

int state_folder_discard_former(StateFolder *folder, void (*removed)(const char *name, void *userdata), void *userdata) {
        struct dirent *entry;
        DIR *entries;
        int fd, r = 0;

        fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        entries = fdopendir(fd);
        if (!entries) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        while (r >= 0 && (errno = 0, entry = readdir(entries))) {
                if (!text_after(entry->d_name, FORMER_PREFIX))
                        continue;
                r = remove_entry(folder->fd, entry->d_name, DEPTH_MAX);
                if (r >= 0)
                        removed(entry->d_name, userdata);
        }
        if (r >= 0 && errno != 0)
                r = -errno;
        (void) closedir(entries);
        return r;
}
