#include "backup-folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fd.h"

int backup_folder_open(const char *path) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* An archive may be removed by its owner at any moment: BACKUP_NOT_FOUND then, or when it is no file. */
static int look_at(int folder_fd, const ArchiveName *name, BackupFile *ret) {
        struct stat st;

        if (fstatat(folder_fd, name->text, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? BACKUP_NOT_FOUND : -errno;
        if (!S_ISREG(st.st_mode))
                return BACKUP_NOT_FOUND;
        *ret = (BackupFile) { .name = *name, .size_bytes = (uint64_t) st.st_size };
        return 0;
}

int backup_folder_list(const char *path, BackupFile **ret, size_t *ret_count) {
        _cleanup_free_ ArchiveName *names = NULL;
        _cleanup_free_ BackupFile *files = NULL;
        _cleanup_close_ int fd = -1;
        size_t n_names = 0, count = 0;
        int r;

        fd = backup_folder_open(path);
        if (fd < 0)
                return fd;
        r = archive_name_list(fd, &names, &n_names);
        if (r < 0)
                return r;
        files = calloc(MAX(n_names, (size_t) 1), sizeof(*files));
        if (!files)
                return -ENOMEM;
        for (size_t i = 0; i < n_names; i++) {
                r = look_at(fd, &names[i], &files[count]);
                if (r < 0)
                        return r;
                count += r == 0;
        }

        *ret = TAKE_PTR(files);
        *ret_count = count;
        return 0;
}

int backup_folder_find(const char *path, const char *text, BackupFile *ret) {
        _cleanup_free_ BackupFile *files = NULL;
        _cleanup_close_ int fd = -1;
        ArchiveName name;
        size_t count;
        int r;

        if (!text) {
                r = backup_folder_list(path, &files, &count);
                if (r < 0)
                        return r;
                if (count == 0)
                        return BACKUP_NOT_FOUND;
                *ret = files[0];
                return 0;
        }

        if (archive_name_parse(&name, text) < 0)
                return BACKUP_NOT_FOUND;
        fd = backup_folder_open(path);
        return fd < 0 ? fd : look_at(fd, &name, ret);
}

int backup_folder_free_bytes(const char *path, uint64_t *ret) {
        struct statvfs st;

        if (statvfs(path, &st) < 0)
                return -errno;
        *ret = (uint64_t) st.f_bavail * st.f_frsize;
        return 0;
}
