/* A configuration folder of a test's own, with the environment and the errors of one load. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "base/text.h"
#include "conf/conf.h"

#define CONF_FOLDER_VARIABLES_MAX 8

typedef struct ConfFolder {
        char path[64];
        char *environment[CONF_FOLDER_VARIABLES_MAX + 1];
        size_t variables;
        char *errors;  /* of the last load */
} ConfFolder;

static inline int folder_setup(void **state) {
        ConfFolder *folder = calloc(1, sizeof(*folder));
        _cleanup_free_ char *drop_ins = NULL;

        if (!folder)
                return -1;
        (void) snprintf(folder->path, sizeof(folder->path), "/tmp/atelier-test-conf-XXXXXX");
        if (!mkdtemp(folder->path) || !(drop_ins = text_format("%s/atelier.conf.d", folder->path)))
                return -1;
        *state = folder;
        return mkdir(drop_ins, 0700);
}

static inline int folder_remove_entry(const char *path, const struct stat *st _unused_, int type _unused_,
                                      struct FTW *walk _unused_) {
        return remove(path);
}

static inline int folder_teardown(void **state) {
        ConfFolder *folder = *state;

        free(folder->errors);
        (void) nftw(folder->path, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(folder);
        return 0;
}

static inline void folder_write_bytes(ConfFolder *folder, const char *name, const void *data, size_t size) {
        _cleanup_free_ char *path = text_format("%s/%s", folder->path, name);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data, size), 0);
}

static inline void folder_write(ConfFolder *folder, const char *name, const char *text) {
        folder_write_bytes(folder, name, text, strlen(text));
}

/* "NAME=VALUE", which stays the caller's */
static inline void folder_set(ConfFolder *folder, const char *variable) {
        assert_true(folder->variables < CONF_FOLDER_VARIABLES_MAX);
        folder->environment[folder->variables++] = (char *) variable;
}

static inline ConfSources folder_sources(ConfFolder *folder) {
        return (ConfSources) { folder->path, folder->environment };
}

/* Keeps the errors with the folder's path taken out, so that a line reads "atelier.conf:3: …". */
static inline void folder_keep_errors(ConfFolder *folder, Buffer *errors) {
        char *text = buffer_take_text(errors), *p;
        size_t length = strlen(folder->path) + 1;

        assert_non_null(text);
        while ((p = strstr(text, folder->path)))
                memmove(p, p + length, strlen(p + length) + 1);
        free(folder->errors);
        folder->errors = text;
}
