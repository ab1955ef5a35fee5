#include "archive-member.h"

#include <string.h>

#include "archive-reader.h"
#include "base/text.h"

#define IMAGES "images/"
#define CONFIG "config/"
#define CONFIG_SUFFIX ".conf"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define HEXADECIMAL "0123456789abcdef"
#define CONFIG_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LETTERS "0123456789-_."
#define FORMAT_CHARS_MAX 8

#define HASH_CHARS ((size_t) SHA256_TEXT_MAX - 1)
#define MANIFEST_LINE_BYTES_MAX (HASH_CHARS + 2 + ARCHIVE_MEMBER_NAME_MAX)  /* hash, two blanks, name, line end */

/* "ab/abcd….png" */
static bool is_image(const char *name) {
        const char *hash, *format;
        size_t length;

        if (strspn(name, HEXADECIMAL) != 2 || name[2] != '/')
                return false;
        hash = name + 3;
        if (strspn(hash, HEXADECIMAL) != HASH_CHARS || strncmp(hash, name, 2) != 0 || hash[HASH_CHARS] != '.')
                return false;

        format = hash + HASH_CHARS + 1;
        length = strspn(format, LETTERS);
        return length > 0 && length <= FORMAT_CHARS_MAX && !format[length];
}

/* "atelier.conf": not hidden, and something in front of the suffix. */
static bool is_config(const char *name) {
        size_t length = strlen(name);

        return name[0] != '.' && name[strspn(name, CONFIG_CHARS)] == 0 && length > strlen(CONFIG_SUFFIX) &&
               text_equal(name + length - strlen(CONFIG_SUFFIX), CONFIG_SUFFIX);
}

ArchiveMemberKind archive_member_kind(const char *name) {
        const char *rest;

        if (strlen(name) >= ARCHIVE_MEMBER_NAME_MAX)
                return ARCHIVE_MEMBER_INVALID;
        if (text_equal(name, ARCHIVE_DATABASE))
                return ARCHIVE_MEMBER_DATABASE;
        if (text_equal(name, ARCHIVE_MANIFEST))
                return ARCHIVE_MEMBER_MANIFEST;

        rest = text_after(name, IMAGES);
        if (rest)
                return is_image(rest) ? ARCHIVE_MEMBER_IMAGE : ARCHIVE_MEMBER_INVALID;
        rest = text_after(name, CONFIG);
        if (rest)
                return is_config(rest) ? ARCHIVE_MEMBER_CONFIG : ARCHIVE_MEMBER_INVALID;
        return ARCHIVE_MEMBER_INVALID;
}

uint64_t archive_member_bytes_max(ArchiveMemberKind kind) {
        switch (kind) {
        case ARCHIVE_MEMBER_DATABASE:
                return ARCHIVE_DATABASE_BYTES_MAX;
        case ARCHIVE_MEMBER_IMAGE:
                return ARCHIVE_IMAGE_BYTES_MAX;
        case ARCHIVE_MEMBER_CONFIG:
                return ARCHIVE_CONFIG_BYTES_MAX;
        case ARCHIVE_MEMBER_MANIFEST:
                return (uint64_t) ARCHIVE_MEMBERS_MAX * MANIFEST_LINE_BYTES_MAX;
        default:
                return 0;
        }
}

uint64_t archive_unpacked_max(uint64_t file_bytes) {
        uint64_t bytes;

        return __builtin_mul_overflow(file_bytes, ARCHIVE_RATIO_MAX, &bytes) ||
               __builtin_add_overflow(bytes, ARCHIVE_RATIO_FREE_BYTES, &bytes) ? UINT64_MAX : bytes;
}

bool archive_member_follows(const char *previous, const char *name) {
        ArchiveMemberKind before, kind = archive_member_kind(name);

        if (kind == ARCHIVE_MEMBER_INVALID)
                return false;
        if (!previous)
                return kind == ARCHIVE_MEMBER_DATABASE;

        before = archive_member_kind(previous);
        if (before != kind)
                return before != ARCHIVE_MEMBER_INVALID && before < kind;
        return strcmp(previous, name) < 0;
}
