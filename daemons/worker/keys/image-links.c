#include "keys/image-links.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret-pages.h"

#define SECRET_FILE "image-link-secret"
#define SECRET_MODE 0600

struct ImageLinks {
        int folder_fd;
        bool has_secret;
        uint8_t *secret;
};

/* -EBADMSG for a file of another size: it was damaged, or is something else. */
static int read_secret(ImageLinks *links) {
        char *data;
        size_t size;
        int r;

        r = file_read(links->folder_fd, SECRET_FILE, IMAGE_LINK_SECRET_BYTES, &data, &size);
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : r;
        links->has_secret = size == IMAGE_LINK_SECRET_BYTES;
        if (links->has_secret)
                memcpy(links->secret, data, size);
        explicit_bzero(data, size);
        free(data);
        return links->has_secret ? 0 : -EBADMSG;
}

/* A file that could not be made durable may be there or not: what was in use is given up until it is read again. */
static int make_secret(ImageLinks *links) {
        int r;

        if (getrandom(links->secret, IMAGE_LINK_SECRET_BYTES, 0) != IMAGE_LINK_SECRET_BYTES)
                r = -EIO;
        else
                r = file_replace(links->folder_fd, SECRET_FILE, links->secret, IMAGE_LINK_SECRET_BYTES, SECRET_MODE);
        links->has_secret = r >= 0;
        return r;
}

/* Links last for a week at most: those that a damaged file has spoilt are not worth a worker that does not start. */
static int ensure_secret(ImageLinks *links) {
        int r;

        if (links->has_secret)
                return 0;
        r = read_secret(links);
        if (r == -EBADMSG)
                log_warning("the file " SECRET_FILE " in the state's folder is not of the right size: a new one is made, "
                            "and links to images that were handed out before are refused");
        return r == -ENOENT || r == -EBADMSG ? make_secret(links) : r;
}

int image_links_new(ImageLinks **ret, const char *state_path) {
        _cleanup_(image_links_freep) ImageLinks *links = calloc(1, sizeof(*links));
        void *pages;
        int r;

        if (!links)
                return -ENOMEM;
        links->folder_fd = open(state_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (links->folder_fd < 0)
                return -errno;
        r = secret_pages_new(&pages, IMAGE_LINK_SECRET_BYTES);
        if (r < 0)
                return r;
        links->secret = pages;
        r = ensure_secret(links);
        if (r < 0)
                (void) log_error_errno(r, "the secret of links to images, %s/" SECRET_FILE ", can't be read or made: "
                                       "there are no links until it can", state_path);

        *ret = TAKE_PTR(links);
        return 0;
}

ImageLinks *image_links_free(ImageLinks *links) {
        if (!links)
                return NULL;
        (void) fd_close(links->folder_fd);
        (void) secret_pages_free(links->secret, IMAGE_LINK_SECRET_BYTES);
        free(links);
        return NULL;
}

int image_links_make(ImageLinks *links, const char *sha256, ImageFormat format, uint64_t seconds, ImageLink *ret) {
        int r;

        r = ensure_secret(links);
        if (r < 0)
                return r;
        ret->expires = (time_now_realtime() + USEC_PER_SEC - 1) / USEC_PER_SEC + seconds;
        return image_link_format(links->secret, sha256, format, ret->expires, ret->path);
}

int image_links_check(ImageLinks *links, const char *sha256, ImageFormat format, const char *expires,
                      const char *signature) {
        int r;

        r = ensure_secret(links);
        if (r < 0)
                return r;
        return image_link_check(links->secret, sha256, format, expires, signature, time_now_realtime());
}

int image_links_revoke_all(ImageLinks *links) {
        int r;

        r = make_secret(links);
        if (r >= 0)
                log_notice("every link to an image that was handed out before is revoked");
        return r;
}
