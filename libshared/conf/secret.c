#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "conf/conf.h"

static bool credential_name_valid(const char *name) {
        size_t length = strlen(name);

        return length > 0 && length <= SECRET_NAME_BYTES_MAX && name[0] != '.' &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}

static bool variable_name_valid(const char *name) {
        size_t length = strlen(name);

        return length > 0 && length <= SECRET_NAME_BYTES_MAX && !(name[0] >= '0' && name[0] <= '9') &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == length;
}

bool secret_reference_valid(const char *reference) {
        const char *rest;

        if ((rest = text_after(reference, "credential:")))
                return credential_name_valid(rest);
        if ((rest = text_after(reference, "env:")))
                return variable_name_valid(rest);
        return (rest = text_after(reference, "file:")) && rest[0] == '/';
}

static int take_secret(char *text, char **ret) {
        if (!*text) {
                free(text);
                return -ENOENT;
        }

        *ret = text;
        return 0;
}

static int read_secret(int dir_fd, const char *path, char **ret) {
        _cleanup_(secret_freep) char *text = NULL;
        size_t size;
        int r;

        /* one byte more for the final newline */
        r = file_read(dir_fd, path, SECRET_BYTES_MAX + 1, &text, &size);
        if (r < 0)
                return r;
        if (strlen(text) != size)
                return -EBADMSG;

        if (size > 0 && text[size - 1] == '\n')
                text[--size] = 0;
        if (size > SECRET_BYTES_MAX)
                return -EFBIG;
        return take_secret(TAKE_PTR(text), ret);
}

static int read_credential(const char *name, char **ret) {
        const char *folder = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;

        if (text_empty(folder))
                return -ENOENT;

        path = text_format("%s/%s", folder, name);
        if (!path)
                return -ENOMEM;
        return read_secret(AT_FDCWD, path, ret);
}

static int read_variable(const char *name, char **ret) {
        const char *value = getenv(name);
        char *text;

        if (!value)
                return -ENOENT;
        if (strlen(value) > SECRET_BYTES_MAX)
                return -EFBIG;

        text = strdup(value);
        return text ? take_secret(text, ret) : -ENOMEM;
}

int secret_resolve(const char *reference, char **ret) {
        const char *rest;

        if (!secret_reference_valid(reference))
                return -EINVAL;

        if ((rest = text_after(reference, "credential:")))
                return read_credential(rest, ret);
        if ((rest = text_after(reference, "env:")))
                return read_variable(rest, ret);
        return read_secret(AT_FDCWD, text_after(reference, "file:"), ret);
}

char *secret_free(char *secret) {
        if (secret)
                explicit_bzero(secret, strlen(secret));
        free(secret);
        return NULL;
}
