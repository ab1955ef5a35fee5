/* Any lines as names of members, and as a SHA256SUMS: names that pass are harmless and can be put in one order only, and
 * a manifest is equal to itself alone, in whatever pieces it comes. */
#include <fcntl.h>
#include <string.h>

#include "archive-handlers.h"
#include "archive-manifest.h"
#include "base/fd.h"

#define HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name, const char *previous) {
        if (archive_member_kind(name) == ARCHIVE_MEMBER_INVALID) {
                require(!archive_member_follows(NULL, name) && !archive_member_follows(previous, name));
                return;
        }

        require(name[0] != '/' && name[0] != '.' && !strstr(name, "/.") && !strstr(name, "//"));
        require(strlen(name) < ARCHIVE_MEMBER_NAME_MAX && name[strlen(name) - 1] != '/');
        for (const char *p = name; *p; p++)
                require(*p > ' ' && *p < 0x7f && *p != '\\' && *p != '"');
        require(!archive_member_follows(name, name));
        require(!(archive_member_follows(previous, name) && archive_member_follows(name, previous)));
}

/* The names of the lines that can follow each other, as a manifest of ours. */
static void add_names(ArchiveManifest *manifest, char *text, Buffer *expected) {
        const char *previous = ARCHIVE_DATABASE;
        char *rest = text;

        for (char *name; (name = strsep(&rest, "\n"));) {
                check_name(name, previous);
                if (!archive_member_follows(previous, name))
                        continue;
                require(archive_manifest_add(manifest, HASH, name) == 0);
                require(buffer_printf(expected, HASH "  %s\n", name) == 0);
                previous = name;
        }
}

static int compare(ArchiveManifest *manifest, const void *data, size_t size, size_t piece, Buffer *reason) {
        int r = 0;

        for (size_t i = 0; i < size && r == 0; i += piece)
                r = archive_manifest_compare(manifest, (const char *) data + i, MIN(piece, size - i), reason);
        if (r == 0)
                r = archive_manifest_compare_end(manifest, reason);
        require(r == 0 || (r == ARCHIVE_MANIFEST_DIFFERS && reason->size > 0));
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_close_ int folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(archive_manifest_freep) ArchiveManifest *ours = NULL, *other = NULL;
        Buffer expected = BUFFER_INIT(0), reason = BUFFER_INIT(0);
        _cleanup_free_ char *text = NULL;
        bool same;

        if (size == 0)
                return 0;
        text = strndup((const char *) data + 1, size - 1);
        require(text && folder >= 0);
        require(archive_manifest_new(&ours, folder) == 0 && archive_manifest_new(&other, folder) == 0);
        add_names(ours, text, &expected);
        require(compare(ours, expected.data, expected.size, data[0] + 1U, &reason) == 0);

        /* And what somebody else says it is. */
        require(archive_manifest_add(other, HASH, ARCHIVE_DATABASE) == 0);
        same = size - 1 == strlen(HASH "  " ARCHIVE_DATABASE "\n") &&
               memcmp(data + 1, HASH "  " ARCHIVE_DATABASE "\n", size - 1) == 0;
        require((compare(other, data + 1, size - 1, data[0] + 1U, &reason) == 0) == same);

        buffer_done(&expected);
        buffer_done(&reason);
        return 0;
}
