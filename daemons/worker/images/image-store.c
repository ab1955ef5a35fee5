/* The problem: a paid image must be on the disk, whole and under a name that stays, before its job is completed;
 * and the loop cannot wait for the disk.
 *
 * The model: bytes go to a file in images/tmp/ while they are hashed and followed by an ImageFile. A keep then runs in
 * a helper thread: fsync of the file, rename to images/ab/HASH.FORMAT, fsync of that folder. Several at a time are
 * renamed first and share one syncfs(2). For a single keep, fewer or weaker syncs (fdatasync, sync_file_range,
 * O_TMPFILE with linkat) were measured and are not faster.
 *
 * Invariants:
 *  - A file that a job names is whole and durable, at every moment: only what has been fsynced takes a name that is
 *    in use, since a crash could otherwise take the bytes of a job that has long been completed.
 *  - When a keep has returned 0, file, name and folder survive a crash. `durable_folders` remembers which of the 256
 *    folders are known to be durable themselves: until one is, every keep into it syncs images/ as well, since
 *    another thread may have made the folder and not have synced it yet. Those of an earlier run are synced at start.
 *  - Equal bytes have one file: a second keep renames its own copy over the first, in one step. Readers that have the
 *    first open are not disturbed.
 *  - A final name is removed by image_store_remove() alone. Remove and keep of equal bytes exclude each other in the
 *    worker's loop, which counts a keep under way as a use of its hash.
 *
 * The ImageStore itself is used from several threads without a lock: descriptors are fixed, the rest is atomic. A
 * crash leaves files in tmp/ (removed at start) and final files that no job names (they cost
 * their space; nobody can ask for them). */
#include "images/image-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "images/png-colour.h"

#define IMAGE_FOLDERS 256
#define IMAGE_FOLDER_MODE 0700
#define IMAGE_FILE_MODE 0600
#define IMAGE_PATH_MAX (sizeof("ab/") + SHA256_TEXT_MAX + sizeof(".jpeg"))

struct ImageStore {
        int images_fd, tmp_fd;
        atomic_ullong serial;                          /* of temporary names */
        atomic_bool durable_folders[IMAGE_FOLDERS];
};

struct TemporaryImage {
        ImageStore *store;
        unsigned long long serial;
        int fd;
        char name[24];                                 /* in tmp/; empty when nothing is there any more */
        Sha256 *hash;
        ImageFile *file;
        ImageFacts facts;
        int error;                                     /* of writing or syncing: it cannot be kept */
};

/* Opens the folder, made if needed. */
static int open_folder(int parent_fd, const char *name) {
        int fd;

        if (mkdirat(parent_fd, name, IMAGE_FOLDER_MODE) < 0 && errno != EEXIST)
                return -errno;

        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

static int remove_leftovers(int tmp_fd) {
        struct dirent *entry;
        DIR *folder;
        int fd, r = 0;

        fd = openat(tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        folder = fdopendir(fd);
        if (!folder) {
                r = -errno;
                (void) close(fd);
                return r;
        }

        while ((errno = 0, entry = readdir(folder))) {
                if (entry->d_name[0] == '.')
                        continue;
                if (unlinkat(tmp_fd, entry->d_name, 0) < 0 && errno != ENOENT) {
                        r = -errno;
                        break;
                }
        }
        if (r == 0 && errno != 0)
                r = -errno;
        (void) closedir(folder);
        return r;
}

/* An earlier run may have made folders and crashed before it synced them. */
static int sync_folders(ImageStore *store) {
        int r;

        r = file_sync_folder(store->images_fd);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < IMAGE_FOLDERS; i++) {
                char name[4];

                (void) snprintf(name, sizeof(name), "%02x", i);
                atomic_store(&store->durable_folders[i], faccessat(store->images_fd, name, F_OK, 0) == 0);
        }
        return 0;
}

static int open_folders(ImageStore *store, int state_fd) {
        int r;

        store->images_fd = open_folder(state_fd, "images");
        if (store->images_fd < 0)
                return store->images_fd;
        store->tmp_fd = open_folder(store->images_fd, "tmp");
        if (store->tmp_fd < 0)
                return store->tmp_fd;
        r = file_sync_folder(state_fd);
        if (r < 0)
                return r;

        r = remove_leftovers(store->tmp_fd);
        if (r < 0)
                return r;
        return sync_folders(store);
}

int image_store_new(ImageStore **ret, int state_fd) {
        _cleanup_(image_store_freep) ImageStore *store = NULL;
        int r;

        store = calloc(1, sizeof(*store));
        if (!store)
                return -ENOMEM;
        store->images_fd = store->tmp_fd = -1;
        r = open_folders(store, state_fd);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(store);
        return 0;
}

int image_store_move(ImageStore *store, int state_fd) {
        _cleanup_(image_store_freep) ImageStore *moved = NULL;
        int r;

        r = image_store_new(&moved, state_fd);
        if (r < 0)
                return r;
        (void) fd_close(store->images_fd);
        (void) fd_close(store->tmp_fd);
        store->images_fd = TAKE_FD(moved->images_fd);
        store->tmp_fd = TAKE_FD(moved->tmp_fd);
        for (unsigned i = 0; i < IMAGE_FOLDERS; i++)
                atomic_store(&store->durable_folders[i], atomic_load(&moved->durable_folders[i]));
        return 0;
}

ImageStore *image_store_free(ImageStore *store) {
        if (!store)
                return NULL;
        (void) fd_close(store->tmp_fd);
        (void) fd_close(store->images_fd);
        free(store);
        return NULL;
}

int temporary_image_new(TemporaryImage **ret, ImageStore *store) {
        _cleanup_(temporary_image_freep) TemporaryImage *image = NULL;
        int r;

        image = calloc(1, sizeof(*image));
        if (!image)
                return -ENOMEM;
        image->store = store;
        image->fd = -1;

        r = sha256_new(&image->hash);
        if (r < 0)
                return r;
        r = image_file_new(&image->file);
        if (r < 0)
                return r;

        image->serial = atomic_fetch_add(&store->serial, 1);
        (void) snprintf(image->name, sizeof(image->name), "%llx", image->serial);
        image->fd = openat(store->tmp_fd, image->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, IMAGE_FILE_MODE);
        if (image->fd < 0) {
                image->name[0] = 0;
                return -errno;
        }

        *ret = TAKE_PTR(image);
        return 0;
}

TemporaryImage *temporary_image_free(TemporaryImage *image) {
        if (!image)
                return NULL;
        if (image->name[0])
                (void) unlinkat(image->store->tmp_fd, image->name, 0);
        (void) fd_close(image->fd);
        (void) sha256_free(image->hash);
        (void) image_file_free(image->file);
        free(image);
        return NULL;
}

int temporary_image_write(TemporaryImage *image, const void *data, size_t size) {
        int r = image->error;

        if (r < 0)
                return r;

        if (size > IMAGE_BYTES_MAX - image->facts.size_bytes)
                r = -EFBIG;
        if (r >= 0)
                r = fd_write_all(image->fd, data, size);
        if (r >= 0)
                r = sha256_add(image->hash, data, size);
        if (r < 0) {
                image->error = r;
                return r;
        }

        image->facts.size_bytes += size;
        (void) image_file_add(image->file, data, size);  /* what is wrong with it is told at the end */
        return 0;
}

int temporary_image_finish(TemporaryImage *image, const char **reason) {
        int r;

        if (reason)
                *reason = NULL;
        if (image->error < 0)
                return image->error;

        r = image_file_finish(image->file, reason);
        if (r < 0)
                return r;

        image->facts.format = image_file_format(image->file);
        image->facts.width = image_file_width(image->file);
        image->facts.height = image_file_height(image->file);
        return sha256_finish(image->hash, image->facts.sha256);
}

const ImageFacts *temporary_image_facts(const TemporaryImage *image) {
        return &image->facts;
}

int temporary_image_is_single_colour(const TemporaryImage *image) {
        return png_is_single_colour(image->fd, &image->facts);
}

int temporary_image_open(const TemporaryImage *image) {
        int fd;

        assert(image->name[0]);

        fd = openat(image->store->tmp_fd, image->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

static unsigned folder_index(const char *sha256) {
        const char prefix[3] = { sha256[0], sha256[1], 0 };

        return (unsigned) strtoul(prefix, NULL, 16);
}

/* Opens the folder that the hash belongs to, made if needed. */
static int open_folder_of(ImageStore *store, const char *sha256) {
        const char name[3] = { sha256[0], sha256[1], 0 };
        int fd;

        fd = openat(store->images_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0)
                return fd;
        return errno == ENOENT ? open_folder(store->images_fd, name) : -errno;
}

/* Syncs the folder, and images/ as long as it is not known to hold the folder for good. */
static int sync_folder_of(ImageStore *store, const char *sha256, int folder_fd) {
        atomic_bool *durable = &store->durable_folders[folder_index(sha256)];
        int r;

        r = file_sync_folder(folder_fd);
        if (r >= 0 && !atomic_load(durable)) {
                r = file_sync_folder(store->images_fd);
                if (r >= 0)
                        atomic_store(durable, true);
        }
        return r;
}

static int sync_file(int fd) {
        return fsync(fd) < 0 ? -errno : 0;
}

/* Gives the image its final name; flags as renameat2(2). *ret_folder_fd is the folder that holds it, to be synced. */
static int rename_image(TemporaryImage *image, unsigned flags, int *ret_folder_fd) {
        const ImageFacts *facts = &image->facts;
        _cleanup_close_ int folder_fd = -1;
        char name[IMAGE_PATH_MAX];

        folder_fd = open_folder_of(image->store, facts->sha256);
        if (folder_fd < 0)
                return folder_fd;

        (void) snprintf(name, sizeof(name), "%s.%s", facts->sha256, image_format_name(facts->format));
        if (image->name[0] && renameat2(image->store->tmp_fd, image->name, folder_fd, name, flags) < 0)
                return -errno;
        image->name[0] = 0;

        *ret_folder_fd = TAKE_FD(folder_fd);
        return 0;
}

int temporary_image_keep(TemporaryImage *image) {
        _cleanup_close_ int folder_fd = -1;
        int r;

        assert(image->facts.sha256[0]);

        if (image->error < 0)
                return image->error;

        r = sync_file(image->fd);
        if (r < 0) {
                image->error = -EIO;
                return r;
        }
        r = rename_image(image, 0, &folder_fd);
        if (r < 0)
                return r;
        r = sync_folder_of(image->store, image->facts.sha256, folder_fd);
        if (r < 0)
                image->error = -EIO;
        return r;
}

/* syncfs(2) tells a failed write-back once for each open file, and only what failed since that was opened. The oldest
 * of the images has seen all that befell any of them, and no other batch can have taken its error away. */
static int sync_all(TemporaryImage *const *images, size_t n) {
        const TemporaryImage *oldest = images[0];

        for (size_t i = 1; i < n; i++)
                if (images[i]->serial < oldest->serial)
                        oldest = images[i];
        return syncfs(oldest->fd) < 0 ? -errno : 0;
}

/* Renames all, then syncs them and their folders at once. One whose name is taken is kept alone. */
static void keep_by_syncfs(TemporaryImage *const *images, int *results, size_t n) {
        int r;

        for (size_t i = 0; i < n; i++) {
                _cleanup_close_ int folder_fd = -1;

                assert(images[i]->facts.sha256[0]);

                results[i] = images[i]->error;
                if (results[i] == 0)
                        results[i] = rename_image(images[i], RENAME_NOREPLACE, &folder_fd);
                if (results[i] == -EEXIST || results[i] == -EINVAL)  /* taken; or a file system that cannot tell */
                        results[i] = temporary_image_keep(images[i]);
        }

        r = sync_all(images, n);
        for (size_t i = 0; r < 0 && i < n; i++)
                if (results[i] == 0) {
                        images[i]->error = -EIO;
                        results[i] = r;
                }
}

void image_store_keep(_unused_ ImageStore *store, TemporaryImage *const *images, int *results, size_t n) {
        if (n >= IMAGE_SYNC_ALL_MIN) {
                keep_by_syncfs(images, results, n);
                return;
        }
        for (size_t i = 0; i < n; i++)
                results[i] = temporary_image_keep(images[i]);
}

/* images/-relative path of a kept image; -ENOENT for what is no hash or format. */
static int format_path(const char *sha256, ImageFormat format, char path[static IMAGE_PATH_MAX]) {
        const char *extension = image_format_name(format);

        if (!sha256 || !sha256_text_valid(sha256) || !extension)
                return -ENOENT;

        (void) snprintf(path, IMAGE_PATH_MAX, "%.2s/%s.%s", sha256, sha256, extension);
        return 0;
}

int image_store_open(ImageStore *store, const char *sha256, ImageFormat format) {
        char path[IMAGE_PATH_MAX];
        int fd, r;

        r = format_path(sha256, format, path);
        if (r < 0)
                return r;

        fd = openat(store->images_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

bool image_store_has(ImageStore *store, const char *sha256, ImageFormat format) {
        char path[IMAGE_PATH_MAX];

        return format_path(sha256, format, path) >= 0 && faccessat(store->images_fd, path, F_OK, 0) == 0;
}

int image_store_remove(ImageStore *store, const char *sha256, ImageFormat format) {
        char path[IMAGE_PATH_MAX];
        int r;

        r = format_path(sha256, format, path);
        if (r < 0)
                return r;

        return unlinkat(store->images_fd, path, 0) < 0 ? -errno : 0;
}
