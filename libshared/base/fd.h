/* File descriptors: closing, whole reads and writes, flags. Every fd is CLOEXEC at birth. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/macro.h"

/* Closes fd if it is one, keeps errno, returns -1: `fd = fd_close(fd)`. */
int fd_close(int fd);

static inline void fd_closep(int *fd) {
        *fd = fd_close(*fd);
}

#define _cleanup_close_ _cleanup_(fd_closep)

/* Writes all of it, through EINTR and short writes. Negative errno of write(2). */
int fd_write_all(int fd, const void *data, size_t size);

/* Reads until `size` bytes or the end of the file; returns the bytes read. Negative errno of read(2). */
ssize_t fd_read_all(int fd, void *data, size_t size);
ssize_t fd_pread_all(int fd, void *data, size_t size, off_t offset);

int fd_set_nonblocking(int fd);
