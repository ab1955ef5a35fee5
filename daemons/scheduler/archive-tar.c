#include "archive-tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "archive-manifest.h"
#include "archive-member.h"

#define TAR_BLOCK_BYTES 512
#define TAR_END_BYTES (2 * TAR_BLOCK_BYTES)
#define SHOWN_BYTES_MAX 160                    /* of text that the archive brought along */

typedef struct TarReader {
        const ArchivePull *pull;
        const ArchiveHandlers *handlers;
        void *userdata;
        Buffer *reason;
        struct archive *archive;
        ArchiveManifest *manifest;
        Sha256 *sha256;
        ArchiveTotals totals;

        int error;               /* of the pull, which libarchive cannot hand up */
        uint64_t pulled;         /* bytes */
        uint64_t zeros;          /* of these, zeros at the end */
        size_t header_bytes;     /* pulled for one header */
        bool in_header;

        char name[ARCHIVE_MEMBER_NAME_MAX];      /* of the member that is read; "" before the first */
        ArchiveMemberKind kind;
        uint64_t size;
} TarReader;

static void tar_reader_done(TarReader *reader) {
        (void) archive_read_free(reader->archive);
        archive_manifest_free(reader->manifest);
        sha256_free(reader->sha256);
}

/* Appends text that is not ours, so that it does nothing to a terminal. */
static int append_escaped(Buffer *buffer, const char *text) {
        int r = 0;

        for (size_t i = 0; text[i] && r == 0; i++) {
                uint8_t c = (uint8_t) text[i];

                if (i == SHOWN_BYTES_MAX)
                        return buffer_append_text(buffer, "...");
                if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
                        r = buffer_printf(buffer, "\\x%02x", c);
                else
                        r = buffer_append(buffer, &c, 1);
        }
        return r;
}

/* 'member "NAME": WHAT' */
static int refuse(TarReader *reader, const char *name, const char *what) {
        int r;

        r = buffer_append_text(reader->reason, "member \"");
        if (r == 0)
                r = append_escaped(reader->reason, name);
        if (r == 0)
                r = buffer_printf(reader->reason, "\": %s", what);
        return r < 0 ? r : ARCHIVE_REFUSED;
}

/* What libarchive says; or, if it only hands on that the pull did not work, why. */
static int refuse_stream(TarReader *reader) {
        const char *text = archive_error_string(reader->archive);
        int r;

        if (reader->error != 0)
                return reader->error;
        if (archive_errno(reader->archive) == ENOMEM)
                return -ENOMEM;

        r = buffer_append_text(reader->reason, reader->name[0] ? "behind the header of member \"" : "not a tar file");
        if (r == 0 && reader->name[0])
                r = buffer_printf(reader->reason, "%s\"", reader->name);
        if (r == 0)
                r = buffer_append_text(reader->reason, ": ");
        if (r == 0)
                r = append_escaped(reader->reason, text ?: "damaged");
        return r < 0 ? r : ARCHIVE_REFUSED;
}

/* ------------------------------------------------------------------ bytes for libarchive */

static uint64_t zeros_at_end(const uint8_t *data, size_t size) {
        size_t i = size;

        while (i > 0 && data[i - 1] == 0)
                i--;
        return size - i;
}

static int pull(TarReader *reader, const void **ret, size_t *ret_size) {
        uint64_t zeros;
        int r;

        r = reader->pull->next(reader->pull->userdata, ret, ret_size, reader->reason);
        if (r != 0)
                return r;

        zeros = zeros_at_end(*ret, *ret_size);
        reader->zeros = zeros == *ret_size ? reader->zeros + zeros : zeros;
        reader->pulled += *ret_size;
        return 0;
}

static int pull_for_header(TarReader *reader, size_t size) {
        reader->header_bytes += size;
        if (reader->header_bytes <= ARCHIVE_HEADER_BYTES_MAX)
                return 0;
        return refuse(reader, reader->name, "what follows it has a header of more than 256 KiB; expected a name and a "
                                            "size");
}

static la_ssize_t on_read(struct archive *archive, void *userdata, const void **ret) {
        TarReader *reader = userdata;
        size_t size = 0;

        if (reader->error == 0)
                reader->error = pull(reader, ret, &size);
        if (reader->error == 0 && reader->in_header)
                reader->error = pull_for_header(reader, size);
        if (reader->error != 0) {
                archive_set_error(archive, EIO, "no more input");
                return -1;
        }
        return (la_ssize_t) size;
}

/* ------------------------------------------------------------------ one member */

/* A snapshot has files with a name and a size, and nothing else. Mode, owner and times are not looked at. */
static const char *unexpected_feature(TarReader *reader, struct archive_entry *entry) {
        int format = archive_format(reader->archive);
        size_t mac_bytes = 0;

        if (format != ARCHIVE_FORMAT_TAR_USTAR && format != ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE)
                return "of another kind of tar; expected ustar or pax";
        if (archive_entry_hardlink(entry))
                return "a hard link; expected a file";
        if (archive_entry_symlink(entry) || archive_entry_filetype(entry) == AE_IFLNK)
                return "a symbolic link; expected a file";
        if (archive_entry_filetype(entry) == AE_IFDIR)
                return "a directory; expected a file";
        if (archive_entry_filetype(entry) != AE_IFREG)
                return "a device, a FIFO or a socket; expected a file";
        if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)
                return "without a size";
        if (archive_entry_sparse_count(entry) > 0)
                return "a sparse file; expected one without holes";
        (void) archive_entry_mac_metadata(entry, &mac_bytes);
        if (archive_entry_xattr_count(entry) > 0 || archive_entry_acl_types(entry) != 0 ||
            archive_entry_fflags_text(entry) || mac_bytes > 0)
                return "with extended attributes; expected none";
        return NULL;
}

static const char *unexpected_place(const TarReader *reader, const char *name) {
        if (archive_member_kind(name) == ARCHIVE_MEMBER_INVALID)
                return "not a name that a backup has; expected " ARCHIVE_DATABASE ", images/ab/SHA256.FORMAT, "
                       "config/NAME.conf or " ARCHIVE_MANIFEST;
        if (archive_member_follows(reader->name[0] ? reader->name : NULL, name))
                return NULL;
        if (!reader->name[0])
                return "comes first; expected " ARCHIVE_DATABASE;
        if (reader->kind == ARCHIVE_MEMBER_MANIFEST)
                return "comes after " ARCHIVE_MANIFEST ", which must be the last";
        if (strcmp(reader->name, name) == 0)
                return "is there twice";
        return "out of order; expected the database, images and configuration, each ascending";
}

static int check_member(TarReader *reader, struct archive_entry *entry) {
        const char *name = archive_entry_pathname(entry), *what;
        ArchiveMemberKind kind;

        if (!name)
                return refuse(reader, "", "its name is not text");
        what = unexpected_feature(reader, entry);
        if (!what)
                what = unexpected_place(reader, name);
        if (what)
                return refuse(reader, name, what);

        kind = archive_member_kind(name);
        if ((uint64_t) archive_entry_size(entry) > archive_member_bytes_max(kind))
                return refuse(reader, name, "larger than such a file may be");
        if (kind != ARCHIVE_MEMBER_MANIFEST && reader->totals.members == ARCHIVE_MEMBERS_MAX)
                return refuse(reader, name, "is one too many; expected at most 10000000");

        memcpy(reader->name, name, strlen(name) + 1);
        reader->kind = kind;
        reader->size = (uint64_t) archive_entry_size(entry);
        return 0;
}

static int take_data(TarReader *reader, const void *data, size_t size) {
        const ArchiveHandlers *handlers = reader->handlers;
        int r;

        if (reader->kind == ARCHIVE_MEMBER_MANIFEST) {
                r = archive_manifest_compare(reader->manifest, data, size, reader->reason);
                return r > 0 ? ARCHIVE_REFUSED : r;
        }

        r = sha256_add(reader->sha256, data, size);
        if (r == 0 && handlers && handlers->data)
                r = handlers->data(data, size, reader->userdata);
        return MIN(r, 0);
}

/* Exactly `size` bytes, without a hole: more or less than the header says is not handed out. */
static int read_data(TarReader *reader) {
        uint64_t done = 0;

        for (;;) {
                const void *data;
                la_int64_t offset;
                size_t size;
                int r;

                r = archive_read_data_block(reader->archive, &data, &size, &offset);
                if (r == ARCHIVE_EOF)
                        break;
                if (r != ARCHIVE_OK)
                        return refuse_stream(reader);
                if ((uint64_t) offset != done || size > reader->size - done)
                        return refuse(reader, reader->name, "its content does not have the size that its header says");

                done += size;
                r = size > 0 ? take_data(reader, data, size) : 0;
                if (r != 0)
                        return r;
        }
        if (done != reader->size)
                return refuse(reader, reader->name, "cut short");
        return 0;
}

static int read_manifest(TarReader *reader) {
        int r;

        r = read_data(reader);
        if (r != 0)
                return r;
        r = archive_manifest_compare_end(reader->manifest, reader->reason);
        return r > 0 ? ARCHIVE_REFUSED : r;
}

static int read_member(TarReader *reader) {
        const ArchiveHandlers *handlers = reader->handlers;
        char sha256[SHA256_TEXT_MAX];
        int r;

        if (reader->kind == ARCHIVE_MEMBER_MANIFEST)
                return read_manifest(reader);

        r = handlers && handlers->begin ? handlers->begin(reader->name, reader->size, reader->userdata) : 0;
        if (r < 0)
                return r;
        r = read_data(reader);
        if (r != 0)
                return r;
        r = sha256_finish(reader->sha256, sha256);
        if (r < 0)
                return r;
        r = archive_manifest_add(reader->manifest, sha256, reader->name);
        if (r < 0)
                return r;

        reader->totals.members++;
        reader->totals.bytes += reader->size;
        r = handlers && handlers->end ? handlers->end(sha256, reader->userdata) : 0;
        return MIN(r, 0);
}

/* ------------------------------------------------------------------ the whole */

static int next_member(TarReader *reader, bool *ret_more) {
        struct archive_entry *entry;
        int r;

        reader->in_header = true;
        reader->header_bytes = 0;
        r = archive_read_next_header(reader->archive, &entry);
        reader->in_header = false;

        *ret_more = r == ARCHIVE_OK;
        if (r == ARCHIVE_EOF)
                return 0;
        return r == ARCHIVE_OK ? check_member(reader, entry) : refuse_stream(reader);
}

/* libarchive has seen the end; behind it there may be some zeros, and there must be those that are the end. */
static int check_tail(TarReader *reader) {
        uint64_t consumed = (uint64_t) archive_filter_bytes(reader->archive, 0);
        const void *data;
        size_t size;
        int r;

        do {
                r = pull(reader, &data, &size);
                if (r != 0)
                        return r;
                if (reader->pulled - consumed > MIN(reader->zeros, (uint64_t) ARCHIVE_TAIL_BYTES_MAX))
                        return refuse(reader, reader->name, "there is more behind the end of the tar file");
        } while (size > 0);

        if (reader->zeros < TAR_END_BYTES)
                return refuse(reader, reader->name, "the end of the tar file is missing behind it");
        return 0;
}

static int open_stream(TarReader *reader) {
        int r;

        r = archive_manifest_new(&reader->manifest, -1);
        if (r < 0)
                return r;
        r = sha256_new(&reader->sha256);
        if (r < 0)
                return r;
        reader->archive = archive_read_new();
        if (!reader->archive || archive_read_support_format_tar(reader->archive) != ARCHIVE_OK)
                return -ENOMEM;

        reader->in_header = true;
        if (archive_read_open(reader->archive, reader, NULL, on_read, NULL) != ARCHIVE_OK)
                return refuse_stream(reader);
        return 0;
}

static int read_members(TarReader *reader) {
        bool more;
        int r;

        for (;;) {
                r = next_member(reader, &more);
                if (r != 0)
                        return r;
                if (!more)
                        break;
                r = read_member(reader);
                if (r != 0)
                        return r;
        }

        if (!reader->name[0])
                return refuse(reader, ARCHIVE_DATABASE, "missing; the tar file is empty");
        if (reader->kind != ARCHIVE_MEMBER_MANIFEST)
                return refuse(reader, ARCHIVE_MANIFEST, "missing; the tar file ends without it");
        return check_tail(reader);
}

int archive_tar_read(const ArchivePull *pull_from, const ArchiveHandlers *handlers, void *userdata,
                     ArchiveTotals *ret_totals, Buffer *reason) {
        _cleanup_(tar_reader_done) TarReader reader = {
                .pull = pull_from, .handlers = handlers, .userdata = userdata, .reason = reason,
        };
        int r;

        r = open_stream(&reader);
        if (r != 0)
                return r;
        r = read_members(&reader);
        if (r != 0)
                return r;

        if (ret_totals)
                *ret_totals = reader.totals;
        return 0;
}
