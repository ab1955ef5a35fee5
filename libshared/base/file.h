/* Whole files: reading with a bound, replacing atomically, folders made durable. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Reads a file of at most size_max bytes and adds a NUL behind it. -EFBIG when it is larger. */
int file_read(int dir_fd, const char *path, size_t size_max, char **ret, size_t *ret_size);

/* Puts data in place of path: temporary name, fsync, rename, fsync of the folder. After a crash the old or the new
 * content is there, whole. path may not contain a slash when dir_fd is a folder's; mode as open(2). */
int file_replace(int dir_fd, const char *path, const void *data, size_t size, mode_t mode);

/* Makes the names in a folder durable. */
int file_sync_folder(int dir_fd);
