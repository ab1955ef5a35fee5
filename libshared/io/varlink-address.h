/* Connecting to a Unix socket by its path. */
#pragma once

#include <stddef.h>

/* A non-blocking stream socket that is not connected yet. */
int varlink_socket_new(void);

/* 0 when connected, 1 when the listener's backlog is full and it should be tried again; -ENAMETOOLONG, errors of
 * connect(2). */
int varlink_socket_connect(int fd, const char *path);
