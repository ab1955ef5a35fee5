/* Runs a fuzz target over the files of its corpus, as an ordinary test (TAP): each file named on the command line is
 * one input, and a crash, a sanitizer's report or a failed assertion ends the program. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/file.h"

#define CORPUS_BYTES_MAX (16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(int folder, const char *name, unsigned number) {
        _cleanup_free_ char *text = NULL, *exact = NULL;
        size_t size;
        int r;

        r = file_read(folder, name, CORPUS_BYTES_MAX, &text, &size);
        if (r < 0) {
                printf("not ok %u - %s: %s\n", number, name, strerror(-r));
                return r;
        }

        /* A copy of just this size: a read past the end is then seen. */
        exact = malloc(size ?: 1);
        if (!exact)
                return -ENOMEM;
        memcpy(exact, text, size);
        (void) LLVMFuzzerTestOneInput((const uint8_t *) exact, size);
        printf("ok %u - %s\n", number, name);
        return 0;
}

int main(int argc, char *argv[]) {
        unsigned count = 0;
        int failed = 0;
        DIR *folder;

        if (argc != 2) {
                fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
                return 2;
        }
        folder = opendir(argv[1]);
        if (!folder) {
                fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
                return 2;
        }

        for (struct dirent *entry; (entry = readdir(folder));)
                if (entry->d_name[0] != '.')
                        failed |= replay(dirfd(folder), entry->d_name, ++count) < 0;
        (void) closedir(folder);

        printf("1..%u\n", count);
        return failed || count == 0;
}
