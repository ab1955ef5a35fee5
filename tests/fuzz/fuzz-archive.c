/* Any bytes as the file of an archive, under the name that its hash gives it: read to its end, or refused with a
 * reason. */
#include <fcntl.h>
#include <unistd.h>

#include "archive-handlers.h"
#include "base/fd.h"

#define CREATED_AT (UINT64_C(1732327200) * USEC_PER_SEC)

static char folder_path[] = "/tmp/atelier-fuzz-archive-XXXXXX";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void remove_folder(void) {
        (void) rmdir(folder_path);
}

/* One for the whole run, empty between inputs. */
static int open_folder(void) {
        static int fd = -1;

        if (fd < 0) {
                require(mkdtemp(folder_path) && atexit(remove_folder) == 0);
                fd = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                require(fd >= 0);
        }
        return fd;
}

static void store(int folder, const uint8_t *data, size_t size, ArchiveName *ret) {
        _cleanup_close_ int fd = -1;
        char sha256[SHA256_TEXT_MAX];

        require(sha256_text(data, size, sha256) == 0);
        archive_name_format(ret, CREATED_AT, sha256);
        fd = openat(folder, ret->text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        require(fd >= 0 && fd_write_all(fd, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Buffer reason = BUFFER_INIT(0);
        ArchiveTotals totals = {};
        Checked checked = {};
        int folder = open_folder(), r;
        ArchiveName name;

        store(folder, data, size, &name);
        require(sha256_new(&checked.sha256) == 0);
        r = archive_read(folder, &name, &checking_handlers, &checked, NULL, &totals, &reason);
        require(unlinkat(folder, name.text, 0) == 0);
        check_outcome(&checked, r, &totals, &reason);
        require(r != 0 || totals.file_bytes == size);

        sha256_free(checked.sha256);
        buffer_done(&reason);
        return 0;
}
