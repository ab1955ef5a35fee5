#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "conf/conf.h"

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

int secret_resolve(const char *text, char **ret) {
        SecretReference reference;
        int r;

        r = secret_reference_parse(text, &reference);
        if (r < 0)
                return r;
        switch (reference.place) {
        case SECRET_CREDENTIAL:
                return read_credential(reference.name, ret);
        case SECRET_FILE:
                return read_secret(AT_FDCWD, reference.name, ret);
        case SECRET_VARIABLE:
                return read_variable(reference.name, ret);
        default:
                return -EREMOTE;
        }
}

char *secret_free(char *secret) {
        if (secret)
                explicit_bzero(secret, strlen(secret));
        free(secret);
        return NULL;
}
