#include "archive-name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive-partial.h"
#include "base/fd.h"
#include "base/text.h"

#define PREFIX "atelier-"
#define SUFFIX ".tar.zst"
#define PARTIAL_PREFIX ".atelier-"
#define PARTIAL_SUFFIX ".partial"
#define STAMP_CHARS 16           /* 20261123T020000Z */
#define PARTIAL_TAG_CHARS 6
#define DIGITS "0123456789"

static void format_stamp(usec_t realtime, char text[static STAMP_CHARS + 1]) {
        time_t seconds = (time_t) (realtime / USEC_PER_SEC);
        struct tm tm = {};

        (void) gmtime_r(&seconds, &tm);
        (void) strftime(text, STAMP_CHARS + 1, "%Y%m%dT%H%M%SZ", &tm);
}

static int two_digits(const char *text) {
        return (text[0] - '0') * 10 + text[1] - '0';
}

/* Only what format_stamp() writes for some time is one: not the 31st of June. */
static int parse_stamp(const char *text, usec_t *ret) {
        char again[STAMP_CHARS + 1];
        time_t seconds;
        struct tm tm;

        if (strspn(text, DIGITS) != 8 || text[8] != 'T' || strspn(text + 9, DIGITS) != 6 || text[15] != 'Z')
                return -EINVAL;

        tm = (struct tm) {
                .tm_year = two_digits(text) * 100 + two_digits(text + 2) - 1900,
                .tm_mon = two_digits(text + 4) - 1,
                .tm_mday = two_digits(text + 6),
                .tm_hour = two_digits(text + 9),
                .tm_min = two_digits(text + 11),
                .tm_sec = two_digits(text + 13),
        };
        seconds = timegm(&tm);
        if (seconds < 0)
                return -EINVAL;
        format_stamp((usec_t) seconds * USEC_PER_SEC, again);
        if (strncmp(text, again, STAMP_CHARS) != 0)
                return -EINVAL;

        *ret = (usec_t) seconds * USEC_PER_SEC;
        return 0;
}

void archive_name_format(ArchiveName *ret, usec_t created_at, const char *sha256) {
        char stamp[STAMP_CHARS + 1];

        assert(sha256_text_valid(sha256));

        *ret = (ArchiveName) { .created_at = created_at - created_at % USEC_PER_SEC };
        format_stamp(created_at, stamp);
        memcpy(ret->sha256, sha256, SHA256_TEXT_MAX);
        (void) snprintf(ret->text, sizeof(ret->text), PREFIX "%s-%s" SUFFIX, stamp, sha256);
}

int archive_name_parse(ArchiveName *ret, const char *text) {
        const char *p = text_after(text, PREFIX);
        ArchiveName name = {};
        int r;

        if (!p || strlen(p) != STAMP_CHARS + 1 + SHA256_TEXT_MAX - 1 + strlen(SUFFIX))
                return -EINVAL;
        r = parse_stamp(p, &name.created_at);
        if (r < 0)
                return r;
        p += STAMP_CHARS;
        if (*p++ != '-')
                return -EINVAL;

        memcpy(name.sha256, p, SHA256_TEXT_MAX - 1);
        if (!sha256_text_valid(name.sha256) || !text_equal(p + SHA256_TEXT_MAX - 1, SUFFIX))
                return -EINVAL;
        memcpy(name.text, text, strlen(text) + 1);
        *ret = name;
        return 0;
}

void archive_partial_name(char ret[static ARCHIVE_NAME_MAX], usec_t created_at, const char *tag) {
        char stamp[STAMP_CHARS + 1];

        format_stamp(created_at, stamp);
        (void) snprintf(ret, ARCHIVE_NAME_MAX, PARTIAL_PREFIX "%s-%.*s" PARTIAL_SUFFIX, stamp, PARTIAL_TAG_CHARS, tag);
}

static bool is_partial(const char *name) {
        const char *p = text_after(name, PARTIAL_PREFIX);
        usec_t created_at;

        return p && parse_stamp(p, &created_at) == 0 && p[STAMP_CHARS] == '-' &&
               strlen(p) == STAMP_CHARS + 1 + PARTIAL_TAG_CHARS + strlen(PARTIAL_SUFFIX) &&
               text_equal(p + STAMP_CHARS + 1 + PARTIAL_TAG_CHARS, PARTIAL_SUFFIX);
}

static void closedirp(DIR **dir) {
        if (*dir)
                (void) closedir(*dir);
}

/* A stream of its own: reading it does not move the caller's fd. */
static int open_folder(int folder_fd, DIR **ret) {
        _cleanup_close_ int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir;

        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir)
                return -errno;

        (void) TAKE_FD(fd);
        *ret = dir;
        return 0;
}

static bool is_regular(DIR *dir, const char *name) {
        struct stat st;

        return fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* The next regular file for which `wanted` holds: 1, 0 at the end. */
static int next_entry(DIR *dir, bool (*wanted)(const char *name), const char **ret) {
        for (;;) {
                struct dirent *entry;

                errno = 0;
                entry = readdir(dir);
                if (!entry)
                        return -errno;
                if (wanted(entry->d_name) && is_regular(dir, entry->d_name)) {
                        *ret = entry->d_name;
                        return 1;
                }
        }
}

static bool is_archive(const char *name) {
        ArchiveName parsed;

        return archive_name_parse(&parsed, name) == 0;
}

static int compare_newest_first(const void *a, const void *b) {
        return strcmp(((const ArchiveName *) b)->text, ((const ArchiveName *) a)->text);
}

static int append_name(ArchiveName **names, size_t *count, size_t *allocated, const char *text) {
        if (*count == *allocated) {
                size_t more = MAX(*allocated * 2, (size_t) 16);
                ArchiveName *grown = reallocarray(*names, more, sizeof(**names));

                if (!grown)
                        return -ENOMEM;
                *names = grown;
                *allocated = more;
        }
        return archive_name_parse(*names + (*count)++, text);
}

int archive_name_list(int folder_fd, ArchiveName **ret, size_t *ret_count) {
        _cleanup_free_ ArchiveName *names = NULL;
        _cleanup_(closedirp) DIR *dir = NULL;
        size_t count = 0, allocated = 0;
        const char *text = NULL;
        int r;

        r = open_folder(folder_fd, &dir);
        if (r < 0)
                return r;
        while ((r = next_entry(dir, is_archive, &text)) > 0) {
                r = append_name(&names, &count, &allocated, text);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;

        if (count > 0)
                qsort(names, count, sizeof(*names), compare_newest_first);
        *ret = TAKE_PTR(names);
        *ret_count = count;
        return 0;
}

int archive_remove_partials(int folder_fd, unsigned *ret_removed) {
        _cleanup_(closedirp) DIR *dir = NULL;
        unsigned removed = 0;
        const char *text = NULL;
        int r;

        r = open_folder(folder_fd, &dir);
        if (r < 0)
                return r;
        while ((r = next_entry(dir, is_partial, &text)) > 0) {
                if (unlinkat(dirfd(dir), text, 0) < 0)
                        return -errno;
                removed++;
        }
        if (r < 0)
                return r;

        if (ret_removed)
                *ret_removed = removed;
        return 0;
}
