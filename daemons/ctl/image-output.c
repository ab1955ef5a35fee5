#include "image-output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "ctl.h"
#include "printable.h"

#define FILE_MODE 0666  /* less the umask */
#define COPY_BYTES (64 * 1024)

static bool is_stdout(const ImageOutput *output) {
        return text_equal(output->file, "-");
}

/* ".png" of "a/picture.png", or "" where it is no ending of an image. */
static const char *ending_of(const char *file) {
        static const char *const endings[] = { ".png", ".jpg", ".jpeg", ".webp" };
        size_t length = strlen(file);

        for (size_t i = 0; i < ELEMENTS(endings); i++) {
                size_t size = strlen(endings[i]);

                if (length > size && strcasecmp(file + length - size, endings[i]) == 0 &&
                    file[length - size - 1] != '/')
                        return file + length - size;
        }
        return file + length;
}

char *image_output_name(const ImageOutput *output, size_t index, size_t count, const char *format) {
        const char *ending = ending_of(output->file);
        int stem = (int) (ending - output->file);

        if (count == 1)
                return strdup(output->file);
        if (*ending)
                return text_format("%.*s-%zu%s", stem, output->file, index + 1, ending);
        return text_format("%.*s-%zu.%s", stem, output->file, index + 1, format);
}

/* ------------------------------------------------------------------ folders */

/* dirname() and basename() change their argument. */
static char *folder_of(const char *name) {
        _cleanup_free_ char *copy = strdup(name);

        return copy ? strdup(dirname(copy)) : NULL;
}

static char *last_part_of(const char *name) {
        _cleanup_free_ char *copy = strdup(name);

        return copy ? strdup(basename(copy)) : NULL;
}

static int check_folder(const char *file) {
        _cleanup_free_ char *folder = folder_of(file), *shown = folder ? printable_text(folder, 0) : NULL;

        if (!shown)
                return ctl_fail("memory is short");
        if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0)
                return ctl_fail("nothing can be written to folder %s: %s", shown, strerror(errno));
        return EXIT_SUCCESS;
}

/* Formats are not known yet: what any of them would be called must not be there. */
static int check_absent(const ImageOutput *output, size_t index, size_t count) {
        static const char *const formats[] = { "png", "jpeg", "webp" };

        for (size_t i = 0; i < ELEMENTS(formats); i++) {
                _cleanup_free_ char *name = image_output_name(output, index, count, formats[i]);
                _cleanup_free_ char *shown = name ? printable_text(name, 0) : NULL;
                struct stat st;

                if (!shown)
                        return ctl_fail("memory is short");
                if (lstat(name, &st) < 0)
                        continue;
                if (S_ISDIR(st.st_mode))
                        return ctl_fail("%s is a folder; name a file in it", shown);
                if (!output->force)
                        return ctl_fail("%s is there already; name another file, or write over it with --force",
                                        shown);
        }
        return EXIT_SUCCESS;
}

int image_output_check_place(const ImageOutput *output) {
        if (text_empty(output->file))
                return ctl_misused("-o takes the name of a file, or - for standard output");
        if (!is_stdout(output))
                return check_folder(output->file);
        if (isatty(STDOUT_FILENO))
                return ctl_misused("an image is not for a terminal; name a file: -o FILE");
        return EXIT_SUCCESS;
}

int image_output_check_names(const ImageOutput *output, size_t count) {
        int r = EXIT_SUCCESS;

        if (is_stdout(output))
                return count > 1 ? ctl_misused("standard output takes one image; for several name a file: -o FILE")
                                 : EXIT_SUCCESS;
        for (size_t i = 0; r == EXIT_SUCCESS && i < count; i++)
                r = check_absent(output, i, count);
        return r;
}

/* ------------------------------------------------------------------ writing */

static int copy(int from, int to) {
        _cleanup_free_ uint8_t *data = malloc(COPY_BYTES);
        off_t offset = 0;

        if (!data)
                return -ENOMEM;
        for (;;) {
                ssize_t size;
                int r;

                size = fd_pread_all(from, data, COPY_BYTES, offset);
                if (size <= 0)
                        return (int) size;
                r = fd_write_all(to, data, (size_t) size);
                if (r < 0)
                        return r;
                offset += size;
        }
}

/* Not every file system knows RENAME_NOREPLACE; where it is missing a file that appears in this moment is lost. */
static int put_in_place(int folder, const char *temporary, const char *name, bool force) {
        struct stat st;

        if (!force) {
                if (renameat2(folder, temporary, folder, name, RENAME_NOREPLACE) == 0)
                        return 0;
                if (errno != EINVAL)
                        return -errno;
                if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        return -EEXIST;
        }
        return renameat(folder, temporary, folder, name) < 0 ? -errno : 0;
}

static int write_temporary(int folder, const char *temporary, int from) {
        _cleanup_close_ int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
        int r;

        if (fd < 0)
                return -errno;
        r = copy(from, fd);
        return r >= 0 && fsync(fd) < 0 ? -errno : r;
}

static int write_file(const ImageOutput *output, const char *path, int from) {
        _cleanup_free_ char *folder_path = folder_of(path), *name = last_part_of(path);
        char temporary[sizeof(".new-") + ID_TEXT_MAX], id[ID_TEXT_MAX];
        _cleanup_close_ int folder = -1;
        int r;

        if (!folder_path || !name)
                return -ENOMEM;
        folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                return -errno;

        (void) snprintf(temporary, sizeof(temporary), ".new-%s", id_new(id));
        r = write_temporary(folder, temporary, from);
        if (r >= 0)
                r = put_in_place(folder, temporary, name, output->force);
        if (r < 0) {
                (void) unlinkat(folder, temporary, 0);
                return r;
        }
        return file_sync_folder(folder);
}

int image_output_write(const ImageOutput *output, const char *name, int fd) {
        return is_stdout(output) ? copy(fd, STDOUT_FILENO) : write_file(output, name, fd);
}
