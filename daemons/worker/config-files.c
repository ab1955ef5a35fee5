#include "config-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "conf/conf.h"

#define FOLDER_DEFAULT "/etc/atelier"
#define DROP_INS "atelier.conf.d"
#define SUFFIX ".conf"
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
#define NAME_BYTES_MAX 100
#define FILES_MAX (CONF_DROP_INS_MAX + 3)

struct ConfigFiles {
        char *names[FILES_MAX];   /* flat */
        int fds[FILES_MAX];
        size_t count;
        int64_t bytes;
};

static bool is_config_name(const char *name) {
        size_t length = strlen(name), suffix = strlen(SUFFIX);

        return length > suffix && text_equal(name + length - suffix, SUFFIX) && name[0] != '.';
}

/* The descriptor is kept, so that what is announced is what is handed out. */
static int add(ConfigFiles *files, int folder_fd, const char *file, const char *prefix) {
        _cleanup_free_ char *name = text_format("%s%s", prefix, file);
        _cleanup_close_ int fd = -1;
        struct stat st;

        if (!name)
                return -ENOMEM;
        if (strlen(name) > NAME_BYTES_MAX || name[strspn(name, NAME_CHARS)]) {
                log_warning("%s/%s is not backed up: its name has other characters than A-Z, a-z, 0-9, '-', '_', '.', "
                            "or more than %d", DROP_INS, file, NAME_BYTES_MAX);
                return 0;
        }
        fd = openat(folder_fd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || files->count == FILES_MAX)
                return 0;
        files->bytes += st.st_size;
        files->names[files->count] = TAKE_PTR(name);
        files->fds[files->count++] = TAKE_FD(fd);
        return 0;
}

static int add_drop_ins(ConfigFiles *files, int folder_fd) {
        struct dirent *entry;
        DIR *folder;
        int fd, r = 0;

        fd = openat(folder_fd, DROP_INS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        folder = fdopendir(fd);
        if (!folder) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        while (r >= 0 && (errno = 0, entry = readdir(folder)))
                if (is_config_name(entry->d_name))
                        r = add(files, dirfd(folder), entry->d_name, DROP_INS "-");
        if (r >= 0 && errno != 0)
                r = -errno;
        (void) closedir(folder);
        return r;
}

/* Ascending, by insertion: a handful. */
static void sort(ConfigFiles *files) {
        for (size_t i = 1; i < files->count; i++)
                for (size_t j = i; j > 0 && strcmp(files->names[j - 1], files->names[j]) > 0; j--) {
                        char *name = files->names[j];
                        int fd = files->fds[j];

                        files->names[j] = files->names[j - 1];
                        files->fds[j] = files->fds[j - 1];
                        files->names[j - 1] = name;
                        files->fds[j - 1] = fd;
                }
}

static int add_all(ConfigFiles *files, int folder_fd) {
        static const char *const names[] = { "atelier.conf", "models.conf", "prices.conf" };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                int r = add(files, folder_fd, names[i], "");

                if (r < 0)
                        return r;
        }
        return add_drop_ins(files, folder_fd);
}

int config_files_new(ConfigFiles **ret, const char *folder) {
        _cleanup_(config_files_freep) ConfigFiles *files = NULL;
        _cleanup_close_ int fd = -1;
        int r = 0;

        files = calloc(1, sizeof(*files));
        if (!files)
                return -ENOMEM;
        fd = open(folder ?: FOLDER_DEFAULT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
                return -errno;
        if (fd >= 0)
                r = add_all(files, fd);
        if (r < 0)
                return r;
        sort(files);
        *ret = TAKE_PTR(files);
        return 0;
}

ConfigFiles *config_files_free(ConfigFiles *files) {
        if (!files)
                return NULL;
        for (size_t i = 0; i < files->count; i++) {
                free(files->names[i]);
                (void) fd_close(files->fds[i]);
        }
        free(files);
        return NULL;
}

size_t config_files_count(const ConfigFiles *files) {
        return files->count;
}

int64_t config_files_bytes(const ConfigFiles *files) {
        return files->bytes;
}

const char *config_files_name(const ConfigFiles *files, size_t index) {
        return files->names[index];
}

int config_files_open(const ConfigFiles *files, size_t index) {
        int fd = fcntl(files->fds[index], F_DUPFD_CLOEXEC, 3);

        return fd < 0 ? -errno : fd;
}
