#include "conf/conf-file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "conf/conf-scan.h"

struct ConfFile {
        char *path;
        config_t config;
};

ConfFile *conf_file_free(ConfFile *file) {
        if (!file)
                return NULL;
        config_destroy(&file->config);
        free(file->path);
        free(file);
        return NULL;
}

const char *conf_file_path(const ConfFile *file) {
        return file->path;
}

config_setting_t *conf_file_root(const ConfFile *file) {
        return config_root_setting(&file->config);
}

static int parse_text(ConfFile *file, const char *text, size_t size, Buffer *errors) {
        _cleanup_free_ char *whole = NULL;
        ConfPlace place = { .file = file->path };
        int r;

        r = conf_scan(file->path, text, size, errors);
        if (r != 0)
                return r < 0 ? r : CONF_FILE_BROKEN;

        /* A comment in the last line is one for libconfig only if the line has an end. */
        whole = text_format("%s\n", text);
        if (!whole)
                return -ENOMEM;
        if (config_read_string(&file->config, whole) == CONFIG_TRUE)
                return 0;

        place.line = (unsigned) config_error_line(&file->config);
        r = conf_error(errors, &place, "%s; expected settings of the form NAME = VALUE;",
                       config_error_text(&file->config));
        return r < 0 ? r : CONF_FILE_BROKEN;
}

static int read_failure(const char *path, int error, Buffer *errors) {
        ConfPlace place = { .file = path };
        int r;

        if (error == -ENOENT)
                return CONF_FILE_MISSING;
        if (error == -EFBIG)
                r = conf_error(errors, &place, "too large; expected at most %d bytes", CONF_FILE_BYTES_MAX);
        else
                r = conf_error(errors, &place, "cannot be read: %s; expected a readable file", strerror(-error));
        return r < 0 ? r : CONF_FILE_BROKEN;
}

int conf_file_read(ConfFile **ret, const char *folder, const char *name, Buffer *errors) {
        _cleanup_(conf_file_freep) ConfFile *file = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        file = calloc(1, sizeof(*file));
        if (!file)
                return -ENOMEM;
        config_init(&file->config);
        config_set_include_dir(&file->config, "/dev/null");  /* should conf_scan() ever miss an @include */
        file->path = text_format("%s/%s", folder, name);
        if (!file->path)
                return -ENOMEM;

        r = file_read(AT_FDCWD, file->path, CONF_FILE_BYTES_MAX, &text, &size);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return read_failure(file->path, r, errors);

        r = parse_text(file, text, size, errors);
        if (r == 0)
                *ret = TAKE_PTR(file);
        return r;
}

static int add_file(ConfFiles *files, const char *folder, const char *name, Buffer *errors) {
        _cleanup_(conf_file_freep) ConfFile *file = NULL;
        ConfFile **items;
        int r;

        r = conf_file_read(&file, folder, name, errors);
        if (r != 0)
                return r < 0 ? r : 0;

        items = reallocarray(files->items, files->count + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        files->items = items;
        files->items[files->count++] = TAKE_PTR(file);
        return 0;
}

static int is_drop_in(const struct dirent *entry) {
        size_t length = strlen(entry->d_name);

        return entry->d_name[0] != '.' && length > strlen(".conf") &&
               text_equal(entry->d_name + length - strlen(".conf"), ".conf");
}

/* Not alphasort(): the order of names must not depend on the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_entries(ConfFiles *files, const char *folder, struct dirent **entries, int count, Buffer *errors) {
        ConfPlace place = { .file = folder };
        int r = 0;

        if (count > CONF_DROP_INS_MAX)
                return conf_error(errors, &place, "%d files; expected at most %d", count, CONF_DROP_INS_MAX);

        for (int i = 0; i < count && r >= 0; i++)
                r = add_file(files, folder, entries[i]->d_name, errors);
        return r;
}

static int add_drop_ins(ConfFiles *files, const char *folder, Buffer *errors) {
        _cleanup_free_ char *path = text_format("%s/atelier.conf.d", folder);
        struct dirent **entries = NULL;
        int count, r;

        if (!path)
                return -ENOMEM;

        count = scandir(path, &entries, is_drop_in, compare_names);
        if (count < 0) {
                r = errno == ENOMEM ? -ENOMEM : read_failure(path, -errno, errors);
                return r < 0 ? r : 0;
        }

        r = add_entries(files, path, entries, count, errors);
        for (int i = 0; i < count; i++)
                free(entries[i]);
        free(entries);
        return r;
}

int conf_files_read(ConfFiles *files, const char *folder, Buffer *errors) {
        int r;

        r = add_file(files, folder, "models.conf", errors);
        if (r >= 0)
                r = add_file(files, folder, "prices.conf", errors);
        if (r >= 0)
                r = add_file(files, folder, "atelier.conf", errors);
        return r < 0 ? r : add_drop_ins(files, folder, errors);
}

void conf_files_done(ConfFiles *files) {
        for (size_t i = 0; i < files->count; i++)
                conf_file_free(files->items[i]);
        free(files->items);
        *files = (ConfFiles) {};
}
