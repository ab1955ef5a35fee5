/* Any bytes as configuration: it loads and can be shown, or there are errors that say where. A form feed parts the
 * input into models.conf and atelier.conf. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig 1.5 loses the string it was reading when a syntax error follows; nobody else's leaks are excused. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
        return "leak:libconfig.so\n";
}

static char folder[] = "/tmp/atelier-fuzz-conf-XXXXXX";
static int folder_fd = -1;

static void require(bool kept) {
        if (!kept)
                abort();
}

static void remove_folder(void) {
        (void) unlinkat(folder_fd, "models.conf", 0);
        (void) unlinkat(folder_fd, "atelier.conf", 0);
        (void) rmdir(folder);
}

static void make_folder(void) {
        if (folder_fd >= 0)
                return;
        require(mkdtemp(folder));
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        require(folder_fd >= 0 && atexit(remove_folder) == 0);
}

static void write_file(const char *name, const uint8_t *data, size_t size) {
        _cleanup_close_ int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        require(fd >= 0 && fd_write_all(fd, data, size) == 0);
}

static void require_errors(const Buffer *errors) {
        require(errors->size > 0 && errors->data[errors->size - 1] == '\n');
        require(utf8_valid((const char *) errors->data, errors->size));
        require(!memchr(errors->data, 0, errors->size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const uint8_t *parting = size > 0 ? memchr(data, '\f', size) : NULL;
        size_t models_size = parting ? (size_t) (parting - data) : 0;
        ConfSources sources = { folder, (char *[]) { NULL } };
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(buffer_done) Buffer errors = BUFFER_INIT(0), shown = BUFFER_INIT(0);
        int r;

        make_folder();
        write_file("models.conf", data, models_size);
        write_file("atelier.conf", data + models_size, size - models_size);

        r = settings_load(&settings, &sources, &errors);
        if (r < 0) {
                require(r == -EBADMSG && !settings);
                require_errors(&errors);
                return 0;
        }
        require(settings && errors.size == 0);
        require(settings_format(settings, NULL, &shown) == 0 && utf8_valid((const char *) shown.data, shown.size));
        return 0;
}
