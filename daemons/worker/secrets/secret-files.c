/* A folder is watched rather than its files: these are replaced by renaming, and a watch on a file that was replaced hears
 * nothing more. Of a folder that is itself removed the watch ends; the next reload watches it again. */
#include "secrets/secret-files.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"

#define SETTLE_USEC (100 * USEC_PER_MSEC)
#define SETTLE_ACCURACY_USEC (10 * USEC_PER_MSEC)
#define DATA_LINK "..data"
#define CHANGES (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE)

typedef struct Folder {
        struct Folder *next;
        char *path;
        sd_event_source *source;
} Folder;

struct SecretFiles {
        sd_event *event;
        sd_event_source *settled;
        Folder *folders;
        SecretFilesChanged changed;
        void *userdata;
};

static char *folder_of(const char *path) {
        const char *slash = strrchr(path, '/');

        return strndup(path, slash > path ? (size_t) (slash - path) : 1);
}

char *secret_files_generation(const char *path) {
        _cleanup_free_ char *folder = folder_of(path), *link = folder ? text_format("%s/" DATA_LINK, folder) : NULL;
        char target[PATH_MAX];
        ssize_t length = link ? readlink(link, target, sizeof(target)) : -1;

        return length < 0 ? NULL : strndup(target, (size_t) length);
}

static int on_settled(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        SecretFiles *files = userdata;

        files->changed(files->userdata);
        return 0;
}

static int on_change(_unused_ sd_event_source *source, _unused_ const struct inotify_event *event, void *userdata) {
        SecretFiles *files = userdata;
        int enabled;

        /* Not put off by further changes, so that nobody keeps it from being read. */
        if (sd_event_source_get_enabled(files->settled, &enabled) >= 0 && enabled != SD_EVENT_OFF)
                return 0;
        (void) sd_event_source_set_time_relative(files->settled, SETTLE_USEC);
        return sd_event_source_set_enabled(files->settled, SD_EVENT_ONESHOT);
}

int secret_files_new(SecretFiles **ret, sd_event *event, SecretFilesChanged changed, void *userdata) {
        _cleanup_(secret_files_freep) SecretFiles *files = calloc(1, sizeof(*files));
        int r;

        if (!files)
                return -ENOMEM;
        files->event = sd_event_ref(event);
        files->changed = changed;
        files->userdata = userdata;
        r = sd_event_add_time(event, &files->settled, CLOCK_MONOTONIC, 0, SETTLE_ACCURACY_USEC, on_settled, files);
        if (r >= 0)
                r = sd_event_source_set_enabled(files->settled, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(files);
        return 0;
}

void secret_files_forget(SecretFiles *files) {
        for (Folder *folder; (folder = files->folders);) {
                files->folders = folder->next;
                (void) sd_event_source_disable_unref(folder->source);
                free(folder->path);
                free(folder);
        }
}

SecretFiles *secret_files_free(SecretFiles *files) {
        if (!files)
                return NULL;
        secret_files_forget(files);
        (void) sd_event_source_disable_unref(files->settled);
        (void) sd_event_unref(files->event);
        free(files);
        return NULL;
}

int secret_files_watch(SecretFiles *files, const char *path) {
        _cleanup_free_ char *name = folder_of(path);
        Folder *folder;
        int r;

        if (!name)
                return -ENOMEM;
        for (folder = files->folders; folder; folder = folder->next)
                if (text_equal(folder->path, name))
                        return 0;
        folder = calloc(1, sizeof(*folder));
        if (!folder)
                return -ENOMEM;
        r = sd_event_add_inotify(files->event, &folder->source, name, CHANGES | IN_ONLYDIR, on_change, files);
        if (r < 0) {
                free(folder);
                return r;
        }
        folder->path = TAKE_PTR(name);
        folder->next = files->folders;
        files->folders = folder;
        return 0;
}
