/* Images at rest, by content: images/ab/abcd….png under the state folder.
 *
 * An image is written to images/tmp/, its bytes are checked and hashed while they are written, then it is fsynced,
 * renamed to the name that its hash gives it, and the folder is fsynced (many at a time are renamed first and synced
 * together); only then is a job completed with it. Two jobs with equal bytes share one file; links are counted in the database, not here. What a crash leaves in tmp/ is
 * removed at start. */
#pragma once

#include <sys/types.h>

#include "base/hash.h"
#include "base/macro.h"
#include "images/image-file.h"

typedef struct ImageStore ImageStore;
typedef struct TemporaryImage TemporaryImage;

#define IMAGE_BYTES_MAX (64 * 1024 * 1024)

/* What the bytes themselves say. */
typedef struct ImageFacts {
        char sha256[SHA256_TEXT_MAX];
        ImageFormat format;
        unsigned width, height;
        uint64_t size_bytes;
} ImageFacts;

/* `state_fd` is the folder of the state; images/ and images/tmp/ are made, leftovers removed. */
int image_store_new(ImageStore **ret, int state_fd);
ImageStore *image_store_free(ImageStore *store);
DEFINE_CLEANUP(ImageStore *, image_store_free);

/* The same for another state's folder, in the place of the first. Nobody may be using the store. On an error it is as
 * before. */
int image_store_move(ImageStore *store, int state_fd);

/* Begins an image. Any thread; a TemporaryImage is used by one thread at a time. */
int temporary_image_new(TemporaryImage **ret, ImageStore *store);
TemporaryImage *temporary_image_free(TemporaryImage *image);  /* removes the file unless it was kept */
DEFINE_CLEANUP(TemporaryImage *, temporary_image_free);

/* Appends bytes. -EFBIG past IMAGE_BYTES_MAX, -ENOSPC, -EDQUOT, -EIO. */
int temporary_image_write(TemporaryImage *image, const void *data, size_t size);

/* Ends the writing: parses the header, checks that the file is whole. -EBADMSG when it is not a PNG, JPEG or WebP
 * file from its first byte to its last. *reason (static text) says why. Facts stay with the image. */
int temporary_image_finish(TemporaryImage *image, const char **reason);
const ImageFacts *temporary_image_facts(const TemporaryImage *image);

/* As png_is_single_colour(), of a finished image. */
int temporary_image_is_single_colour(const TemporaryImage *image);

/* Another descriptor of a finished image, read-only. It stays good when the image is freed. */
int temporary_image_open(const TemporaryImage *image);

/* Makes images durable under their final names: fsync, rename, fsync of the folder; `results` gets 0 or a negative
 * errno for each. Blocks: for a helper thread.
 *
 * From IMAGE_SYNC_ALL_MIN on, all whose name is free are renamed first and one syncfs(2) stands for their fsyncs. A
 * crash in between may leave a name whose bytes are not there; no job has it then, since jobs end after this, and the
 * next image of that name replaces it. */
#define IMAGE_SYNC_ALL_MIN 4
void image_store_keep(ImageStore *store, TemporaryImage *const *images, int *results, size_t n);

/* One of them. After a failed fsync it never can be kept (-EIO from then on), since the kernel may have dropped what
 * it could not write; after anything else (-ENOSPC) it may be tried again. */
int temporary_image_keep(TemporaryImage *image);

bool image_store_has(ImageStore *store, const char *sha256, ImageFormat format);

/* Read-only fd; -ENOENT. */
int image_store_open(ImageStore *store, const char *sha256, ImageFormat format);

/* -ENOENT. Not durable by itself: after a crash the file may be back, unused. The caller sees to it that no
 * temporary_image_keep() of the same bytes is under way, which counts as a use. */
int image_store_remove(ImageStore *store, const char *sha256, ImageFormat format);
