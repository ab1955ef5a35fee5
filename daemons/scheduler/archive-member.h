/* What may stand in an archive, which the writer keeps to and the reader insists on. In this order: atelier.db, always;
 * images/ab/SHA256.FORMAT, ascending; config/NAME.conf, ascending; SHA256SUMS, always. Names are compared as bytes. */
#pragma once

#include "base/hash.h"
#include "base/macro.h"

#define ARCHIVE_MEMBER_NAME_MAX 128    /* with its NUL */
#define ARCHIVE_DATABASE "atelier.db"
#define ARCHIVE_MANIFEST "SHA256SUMS"
#define ARCHIVE_DATABASE_BYTES_MAX (UINT64_C(1) << 40)
#define ARCHIVE_IMAGE_BYTES_MAX (UINT64_C(64) << 20)   /* IMAGE_BYTES_MAX of the worker */
#define ARCHIVE_CONFIG_BYTES_MAX (UINT64_C(1) << 20)   /* CONF_FILE_BYTES_MAX */
#define ARCHIVE_MEMBERS_MAX 10000000                   /* without SHA256SUMS */
#define ARCHIVE_RATIO_MAX 200          /* bytes of the tar file for each byte of the archive, beyond ... */
#define ARCHIVE_RATIO_FREE_BYTES (UINT64_C(1) << 30)

typedef enum ArchiveMemberKind {
        ARCHIVE_MEMBER_DATABASE,
        ARCHIVE_MEMBER_IMAGE,
        ARCHIVE_MEMBER_CONFIG,
        ARCHIVE_MEMBER_MANIFEST,
        ARCHIVE_MEMBER_INVALID = -1,
} ArchiveMemberKind;

/* ARCHIVE_MEMBER_INVALID for every other name: absolute, with "..", of another depth, too long, …; an image's
 * folder is the first two digits of its hash, its format is one to eight letters; NAME is of letters, digits, "-",
 * "_" and ".", and does not begin with ".". */
ArchiveMemberKind archive_member_kind(const char *name);

uint64_t archive_member_bytes_max(ArchiveMemberKind kind);

/* What an archive of so many bytes may unpack to: a file of nothing but zeros is a bomb, not a backup. */
uint64_t archive_unpacked_max(uint64_t file_bytes);

/* May `name` follow `previous` (NULL: nothing yet)? Ascending names cannot repeat. */
bool archive_member_follows(const char *previous, const char *name);
