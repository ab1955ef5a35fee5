#include "state/state-receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "images/image-store.h"

/* Files are written past the page cache where the file system can: nobody reads them soon, and what was written is on
 * the disk when all is synced at the end. */

#define BLOCK_BYTES (1024 * 1024)
#define ALIGN_BYTES 4096
#define FILE_MODE 0600
#define FOLDER_MODE 0700
#define CONFIG_PREFIX "config/"
#define DATABASE_NAME "atelier.db"
#define IMAGES_PREFIX "images/"

struct StateReceiver {
        int folder_fd;
        uint64_t free_min;
        Sha256 *hash;
        uint8_t *block;      /* BLOCK_BYTES, aligned */
        bool direct;         /* the file system takes O_DIRECT */
};

int state_receiver_new(StateReceiver **ret, int folder_fd, uint64_t free_min) {
        _cleanup_(state_receiver_freep) StateReceiver *receiver = NULL;
        int r;

        receiver = calloc(1, sizeof(*receiver));
        if (!receiver) {
                (void) fd_close(folder_fd);
                return -ENOMEM;
        }
        receiver->folder_fd = folder_fd;
        receiver->free_min = free_min;
        receiver->direct = true;
        receiver->block = aligned_alloc(ALIGN_BYTES, BLOCK_BYTES);
        if (!receiver->block)
                return -ENOMEM;
        r = sha256_new(&receiver->hash);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(receiver);
        return 0;
}

StateReceiver *state_receiver_free(StateReceiver *receiver) {
        if (!receiver)
                return NULL;
        (void) fd_close(receiver->folder_fd);
        (void) sha256_free(receiver->hash);
        free(receiver->block);
        free(receiver);
        return NULL;
}

int state_receiver_folder(const StateReceiver *receiver) {
        return receiver->folder_fd;
}

int state_receiver_sync(StateReceiver *receiver) {
        return syncfs(receiver->folder_fd) < 0 ? -errno : 0;
}

/* ------------------------------------------------------------------ names */

typedef enum MemberKind {
        MEMBER_DATABASE,
        MEMBER_IMAGE,
        MEMBER_CONFIG,
        MEMBER_INVALID = -1,
} MemberKind;

/* images/ab/abcd….png; `sha256` gets the hash. */
static bool parse_image(const char *name, char sha256[static SHA256_TEXT_MAX]) {
        const char *rest = text_after(name, IMAGES_PREFIX);

        if (!rest || strlen(rest) < 3 + SHA256_TEXT_MAX || rest[2] != '/' || strncmp(rest, rest + 3, 2) != 0)
                return false;
        (void) memcpy(sha256, rest + 3, SHA256_TEXT_MAX - 1);
        sha256[SHA256_TEXT_MAX - 1] = 0;
        rest += 3 + SHA256_TEXT_MAX - 1;
        return sha256_text_valid(sha256) && *rest == '.' && image_format_from_name(rest + 1) != IMAGE_FORMAT_INVALID;
}

static MemberKind member_kind(const char *name, char sha256[static SHA256_TEXT_MAX]) {
        if (text_equal(name, DATABASE_NAME))
                return MEMBER_DATABASE;
        if (parse_image(name, sha256))
                return MEMBER_IMAGE;
        return text_after(name, CONFIG_PREFIX) ? MEMBER_CONFIG : MEMBER_INVALID;
}

/* ------------------------------------------------------------------ writing */

static int make_image_folder(const StateReceiver *receiver, const char *name) {
        char folder[] = IMAGES_PREFIX "ab";

        (void) memcpy(folder, name, sizeof(folder) - 1);
        if (mkdirat(receiver->folder_fd, "images", FOLDER_MODE) < 0 && errno != EEXIST)
                return -errno;
        return mkdirat(receiver->folder_fd, folder, FOLDER_MODE) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_file(StateReceiver *receiver, const char *name) {
        int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
        int fd;

        if (receiver->direct) {
                fd = openat(receiver->folder_fd, name, flags | O_DIRECT, FILE_MODE);
                if (fd >= 0 || errno != EINVAL)
                        return fd < 0 ? -errno : fd;
                receiver->direct = false;
                (void) unlinkat(receiver->folder_fd, name, 0);  /* some file systems made it all the same */
        }
        fd = openat(receiver->folder_fd, name, flags, FILE_MODE);
        return fd < 0 ? -errno : fd;
}

/* Whole blocks as they are; the last one is filled up, and cut off by the caller. */
static int write_block(StateReceiver *receiver, int fd, size_t size) {
        size_t padded = (size + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
        int flags, r;

        if (!receiver->direct)
                return fd_write_all(fd, receiver->block, size);
        (void) memset(receiver->block + size, 0, padded - size);
        r = fd_write_all(fd, receiver->block, padded);
        if (r != -EINVAL)
                return r;

        receiver->direct = false;
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0)
                return -errno;
        return fd_write_all(fd, receiver->block, size);
}

/* From `from` to `to` (-1: nowhere), not a byte more than announced. */
static int transfer(StateReceiver *receiver, int from, int to, uint64_t size, const char **reason) {
        uint64_t done = 0;
        char surplus;

        while (done < size) {
                size_t wanted = (size_t) MIN(size - done, (uint64_t) BLOCK_BYTES);
                ssize_t got = fd_read_all(from, receiver->block, wanted);
                int r;

                if (got < 0)
                        return (int) got;
                if ((size_t) got < wanted) {
                        *reason = "it ends before its announced size";
                        return STATE_REFUSED;
                }
                r = sha256_add(receiver->hash, receiver->block, wanted);
                if (r >= 0 && to >= 0)
                        r = write_block(receiver, to, wanted);
                if (r < 0)
                        return r;
                done += wanted;
        }
        if (fd_read_all(from, &surplus, 1) != 0) {
                *reason = "it goes on behind its announced size";
                return STATE_REFUSED;
        }
        return to >= 0 && ftruncate(to, (off_t) size) < 0 ? -errno : 0;
}

static int check_space(const StateReceiver *receiver, uint64_t size, const char **reason) {
        struct statvfs fs;

        if (fstatvfs(receiver->folder_fd, &fs) < 0)
                return -errno;
        if ((uint64_t) fs.f_bavail * fs.f_frsize >= receiver->free_min + size)
                return 0;
        *reason = "the disk is too full: less than worker.storage_free_min would be left";
        return STATE_REFUSED;
}

static int check_member(const StateReceiver *receiver, MemberKind kind, uint64_t size, const char **reason) {
        if (kind == MEMBER_INVALID) {
                *reason = "nothing of that name belongs to a state";
                return STATE_REFUSED;
        }
        if (kind == MEMBER_IMAGE && size > IMAGE_BYTES_MAX) {
                *reason = "it is larger than an image may be";
                return STATE_REFUSED;
        }
        return kind == MEMBER_CONFIG ? 0 : check_space(receiver, size, reason);
}

/* The file, made anew. */
static int make_file(StateReceiver *receiver, MemberKind kind, const char *name, const char **reason) {
        int r;

        r = kind == MEMBER_IMAGE ? make_image_folder(receiver, name) : 0;
        if (r < 0)
                return r;
        r = open_file(receiver, name);
        if (r == -EEXIST) {
                *reason = "it comes twice";
                return -EEXIST;
        }
        return r;
}

int state_receiver_add(StateReceiver *receiver, const char *name, uint64_t size, int fd,
                       char sha256[static SHA256_TEXT_MAX], const char **reason) {
        char wanted[SHA256_TEXT_MAX];
        MemberKind kind = member_kind(name, wanted);
        _cleanup_close_ int to = -1;
        bool decayed;
        int q, r;

        r = check_member(receiver, kind, size, reason);
        if (r != 0)
                return r;
        if (kind != MEMBER_CONFIG) {
                to = make_file(receiver, kind, name, reason);
                if (to < 0)
                        return to == -EEXIST ? STATE_REFUSED : to;
        }
        r = transfer(receiver, fd, to, size, reason);
        q = sha256_finish(receiver->hash, sha256);  /* also to begin afresh */
        if (r == 0 && q < 0)
                r = q;

        /* What was refused is not there: nothing but its name would tell it from what was taken. An image that had decayed
         * before it was backed up goes as well; the state is the better for it, and no worse than it was. */
        decayed = r == 0 && kind == MEMBER_IMAGE && !text_equal(sha256, wanted);
        if (to >= 0 && (r != 0 || decayed))
                (void) unlinkat(receiver->folder_fd, name, 0);
        return r;
}
