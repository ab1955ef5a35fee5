/* What a fuzz target holds the reading of archives to: members that may be in one, in order, each of the size that was
 * announced, with the hash that it has. */
#pragma once

#include <string.h>

#include "archive-member.h"
#include "archive-reader.h"

typedef struct Checked {
        char name[ARCHIVE_MEMBER_NAME_MAX];
        uint64_t left, members, bytes;
        Sha256 *sha256;
} Checked;

/* A broken promise ends the program also where assert() is compiled out. */
static inline void require(bool kept) {
        if (!kept)
                abort();
}

static inline int check_begin(const char *name, uint64_t size, void *userdata) {
        Checked *checked = userdata;

        require(archive_member_follows(checked->name[0] ? checked->name : NULL, name));
        require(size <= archive_member_bytes_max(archive_member_kind(name)));
        require(checked->left == 0);
        memcpy(checked->name, name, strlen(name) + 1);
        checked->left = size;
        return 0;
}

static inline int check_data(const void *data, size_t size, void *userdata) {
        Checked *checked = userdata;

        require(size > 0 && size <= checked->left);
        require(sha256_add(checked->sha256, data, size) == 0);
        checked->left -= size;
        checked->bytes += size;
        return 0;
}

static inline int check_end(const char *sha256, void *userdata) {
        Checked *checked = userdata;
        char text[SHA256_TEXT_MAX];

        require(checked->left == 0);
        require(sha256_finish(checked->sha256, text) == 0 && strcmp(text, sha256) == 0);
        checked->members++;
        return 0;
}

static const ArchiveHandlers checking_handlers = { .begin = check_begin, .data = check_data, .end = check_end };

/* `r` as archive_read() returned it. */
static inline void check_outcome(const Checked *checked, int r, const ArchiveTotals *totals, const Buffer *reason) {
        require(r == 0 || r == ARCHIVE_REFUSED);
        require((r == ARCHIVE_REFUSED) == (reason->size > 0));
        for (size_t i = 0; i < reason->size; i++)
                require(reason->data[i] >= 0x20 && reason->data[i] < 0x7f);
        require(r != 0 || (totals->members == checked->members && totals->bytes == checked->bytes));
}
