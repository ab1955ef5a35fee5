#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/id.h"

int file_read(int dir_fd, const char *path, size_t size_max, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = -1;
        _cleanup_free_ char *data = NULL;
        struct stat st;
        ssize_t size;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);  /* a FIFO would block */
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EBADF;
        if ((size_t) st.st_size > size_max)
                return -EFBIG;

        data = malloc((size_t) st.st_size + 1);
        if (!data)
                return -ENOMEM;
        size = fd_read_all(fd, data, (size_t) st.st_size);
        if (size < 0)
                return (int) size;

        data[size] = 0;
        *ret = TAKE_PTR(data);
        if (ret_size)
                *ret_size = (size_t) size;
        return 0;
}

int file_sync_folder(int dir_fd) {
        return fsync(dir_fd) < 0 ? -errno : 0;
}

/* A second fd of the folder that path lies in. */
static int open_folder(int dir_fd) {
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int file_replace(int dir_fd, const char *path, const void *data, size_t size, mode_t mode) {
        _cleanup_close_ int fd = -1, folder = -1;
        char temporary[sizeof(".new-") + ID_TEXT_MAX];
        char id[ID_TEXT_MAX];
        int r;

        folder = open_folder(dir_fd);
        if (folder < 0)
                return folder;

        (void) snprintf(temporary, sizeof(temporary), ".new-%s", id_new(id));
        fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0)
                return -errno;

        r = fd_write_all(fd, data, size);
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        if (r >= 0 && renameat(folder, temporary, folder, path) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(folder, temporary, 0);
                return r;
        }

        return file_sync_folder(folder);
}
