/* The tar stream in an archive: whatever a snapshot does not have is refused, with a reason that names the member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "archive-fixture.h"
#include "archive-tar.h"

#define HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA256_OF_A "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"

/* ------------------------------------------------------------------ members */

typedef void (*MakeTar)(Buffer *tar, Buffer *manifest);

static void expect(void **state, MakeTar make, const char *why) {
        Buffer tar = BUFFER_INIT(0), manifest = BUFFER_INIT(0);
        ArchiveName name;

        make(&tar, &manifest);
        store_tar(state, &tar, &name);
        if (why)
                assert_refused(state, &name, why);
        else
                assert_reads(state, &name, 4);
        buffer_done(&tar);
        buffer_done(&manifest);
}

static void finish_tar(Buffer *tar, Buffer *manifest) {
        tar_manifest(tar, manifest);
        tar_end(tar);
}

static void make_good(Buffer *tar, Buffer *manifest) {
        tar_members(tar, manifest);
        finish_tar(tar, manifest);
}

static void test_made_by_hand(void **state) {
        expect(state, make_good, NULL);
}

static void test_names_are_refused(void **state) {
        static const char *const names[] = {
                "../atelier.db", "/etc/passwd", "images/../../x", "./atelier.db", "images/aa/x.png", "config/a+b.conf",
                "config/../x.conf", "atelier.db ", "x", "config/\033[2J.conf", "config/\xff.conf", "images/aa/",
        };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                Buffer tar = BUFFER_INIT(0), manifest = BUFFER_INIT(0);
                ArchiveName name;

                tar_file(&tar, &manifest, ARCHIVE_DATABASE, "database");
                tar_file(&tar, &manifest, names[i], "x");
                finish_tar(&tar, &manifest);
                store_tar(state, &tar, &name);
                assert_refused(state, &name, names[i][strlen(names[i]) - 1] == '/' ? "a directory" : "not a name");
                buffer_done(&tar);
                buffer_done(&manifest);
        }
}

static void test_names_are_escaped(void **state) {
        Buffer tar = BUFFER_INIT(0);
        ArchiveName name;

        tar_file(&tar, NULL, "\033[2J\"\n", "x");
        tar_end(&tar);
        store_tar(state, &tar, &name);
        assert_refused(state, &name, "member \"\\x1b[2J\\x22\\x0a\": ");
        buffer_done(&tar);
}

/* A member of `type` with the best of names. */
static void expect_type_refused(void **state, char type, const char *link, const char *why) {
        Buffer tar = BUFFER_INIT(0), manifest = BUFFER_INIT(0);
        ArchiveName name;

        tar_file(&tar, &manifest, ARCHIVE_DATABASE, "database");
        tar_header(&tar, IMAGE_A, type, 0, link);
        finish_tar(&tar, &manifest);
        store_tar(state, &tar, &name);
        assert_refused(state, &name, why);
        assert_refused(state, &name, IMAGE_A);
        buffer_done(&tar);
        buffer_done(&manifest);
}

static void test_only_files(void **state) {
        expect_type_refused(state, '1', ARCHIVE_DATABASE, "hard link");
        expect_type_refused(state, '2', "/etc/passwd", "symbolic link");
        expect_type_refused(state, '3', "", "device");
        expect_type_refused(state, '4', "", "device");
        expect_type_refused(state, '5', "", "directory");
        expect_type_refused(state, '6', "", "FIFO");
}

static void make_without_database(Buffer *tar, Buffer *manifest) {
        tar_file(tar, manifest, IMAGE_A, "a");
        finish_tar(tar, manifest);
}

static void make_manifest_alone(Buffer *tar, Buffer *manifest) {
        finish_tar(tar, manifest);
}

static void make_duplicate(Buffer *tar, Buffer *manifest) {
        tar_file(tar, manifest, ARCHIVE_DATABASE, "database");
        tar_file(tar, manifest, IMAGE_A, "a");
        tar_file(tar, manifest, IMAGE_A, "a");
        finish_tar(tar, manifest);
}

static void make_second_database(Buffer *tar, Buffer *manifest) {
        tar_members(tar, manifest);
        tar_file(tar, manifest, ARCHIVE_DATABASE, "other");
        finish_tar(tar, manifest);
}

static void make_descending(Buffer *tar, Buffer *manifest) {
        tar_file(tar, manifest, ARCHIVE_DATABASE, "database");
        tar_file(tar, manifest, IMAGE_B, "b");
        tar_file(tar, manifest, IMAGE_A, "a");
        finish_tar(tar, manifest);
}

static void make_behind_manifest(Buffer *tar, Buffer *manifest) {
        tar_file(tar, manifest, ARCHIVE_DATABASE, "database");
        tar_manifest(tar, manifest);
        tar_file(tar, manifest, "config/a.conf", "");
        tar_end(tar);
}

static void make_manifest_twice(Buffer *tar, Buffer *manifest) {
        tar_file(tar, manifest, ARCHIVE_DATABASE, "database");
        tar_manifest(tar, manifest);
        finish_tar(tar, manifest);
}

static void make_without_manifest(Buffer *tar, Buffer *manifest) {
        tar_members(tar, manifest);
        tar_end(tar);
}

static void make_empty(Buffer *tar, Buffer *manifest) {
        (void) manifest;
        tar_end(tar);
}

static void test_order_and_completeness(void **state) {
        expect(state, make_without_database, IMAGE_A "\": comes first; expected atelier.db");
        expect(state, make_manifest_alone, "SHA256SUMS\": comes first; expected atelier.db");
        expect(state, make_duplicate, IMAGE_A "\": is there twice");
        expect(state, make_second_database, "atelier.db\": out of order");
        expect(state, make_descending, IMAGE_A "\": out of order");
        expect(state, make_behind_manifest, "config/a.conf\": comes after SHA256SUMS");
        expect(state, make_manifest_twice, "SHA256SUMS\": comes after SHA256SUMS");
        expect(state, make_without_manifest, "SHA256SUMS\": missing");
        expect(state, make_empty, "missing");
}

static void make_too_large_image(Buffer *tar, Buffer *manifest) {
        tar_file(tar, manifest, ARCHIVE_DATABASE, "database");
        tar_header(tar, IMAGE_A, '0', ARCHIVE_IMAGE_BYTES_MAX + 1, "");
}

static void make_too_large_config(Buffer *tar, Buffer *manifest) {
        tar_file(tar, manifest, ARCHIVE_DATABASE, "database");
        tar_header(tar, "config/a.conf", '0', ARCHIVE_CONFIG_BYTES_MAX + 1, "");
}

static void make_cut_member(Buffer *tar, Buffer *manifest) {
        tar_file(tar, manifest, ARCHIVE_DATABASE, "database");
        tar_header(tar, IMAGE_A, '0', 100000, "");
        tar_end(tar);
}

/* A header of the pax format in front of the database's own. */
static void pax_database(Buffer *tar, const char *record) {
        tar_header(tar, "PaxHeader/x", 'x', strlen(record), "");
        assert_int_equal(buffer_append_text(tar, record), 0);
        tar_pad(tar);
}

static void make_pax_size(Buffer *tar, Buffer *manifest) {
        pax_database(tar, "9 size=8\n");
        make_good(tar, manifest);
}

static void make_pax_huge_size(Buffer *tar, Buffer *manifest) {
        pax_database(tar, "22 size=1099511627777\n");  /* 2^40 + 1 */
        make_good(tar, manifest);
}

static void make_pax_overflowing_size(Buffer *tar, Buffer *manifest) {
        pax_database(tar, "29 size=99999999999999999999\n");
        make_good(tar, manifest);
}

static void make_pax_path(Buffer *tar, Buffer *manifest) {
        pax_database(tar, "20 path=../../etc/x\n");
        make_good(tar, manifest);
}

static void make_pax_link(Buffer *tar, Buffer *manifest) {
        pax_database(tar, "24 linkpath=/etc/passwd\n");
        tar_header(tar, ARCHIVE_DATABASE, '2', 0, "x");
        finish_tar(tar, manifest);
}

static void make_pax_attribute(Buffer *tar, Buffer *manifest) {
        pax_database(tar, "31 SCHILY.xattr.user.name=text\n");
        make_good(tar, manifest);
}

static void make_pax_acl(Buffer *tar, Buffer *manifest) {
        pax_database(tar, "66 SCHILY.acl.access=user::rw-,user:joe:rwx,group::r--,other::r--\n");
        make_good(tar, manifest);
}

static void make_pax_sparse(Buffer *tar, Buffer *manifest) {
        pax_database(tar, "22 GNU.sparse.major=0\n22 GNU.sparse.minor=1\n26 GNU.sparse.map=0,1,9,1\n"
                          "23 GNU.sparse.size=100\n");
        make_good(tar, manifest);
}

static void make_many_headers(Buffer *tar, Buffer *manifest) {
        for (unsigned i = 0; i < 2000; i++)
                pax_database(tar, "9 size=8\n");
        make_good(tar, manifest);
}

/* A chain of GNU sparse headers, which libarchive would follow for ever and keep. */
static void make_endless_header(Buffer *tar, Buffer *manifest) {
        char *header;
        unsigned sum = 0;

        tar_header(tar, ARCHIVE_DATABASE, 'S', 0, "");
        header = (char *) tar->data;
        memcpy(header + 257, "ustar  ", 8);
        memset(header + 386, '0', 24);  /* the first piece */
        header[482] = 1;                /* more of them follow */
        memset(header + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK; i++)
                sum += (uint8_t) header[i];
        (void) snprintf(header + 148, 8, "%06o", sum);
        for (unsigned i = 0; i < 2000; i++) {
                char more[TAR_BLOCK];

                memset(more, '1', sizeof(more));
                assert_int_equal(buffer_append(tar, more, sizeof(more)), 0);
        }
        finish_tar(tar, manifest);
}

static void make_other_tar(Buffer *tar, Buffer *manifest) {
        unsigned sum = 0;

        make_good(tar, manifest);
        memcpy(tar->data + 257, "ustar  ", 8);
        memset(tar->data + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK; i++)
                sum += tar->data[i];
        (void) snprintf((char *) tar->data + 148, 8, "%06o", sum);
}

static void make_wrong_checksum(Buffer *tar, Buffer *manifest) {
        make_good(tar, manifest);
        tar->data[2 * TAR_BLOCK] ^= 1;  /* in the second header */
}

static void make_no_tar(Buffer *tar, Buffer *manifest) {
        (void) manifest;
        assert_int_equal(buffer_append_text(tar, "PK\003\004 a zip file, or anything"), 0);
}

static void test_headers(void **state) {
        expect(state, make_too_large_image, IMAGE_A "\": larger than");
        expect(state, make_too_large_config, "config/a.conf\": larger than");
        expect(state, make_cut_member, IMAGE_A);
        expect(state, make_pax_size, NULL);
        expect(state, make_pax_huge_size, "atelier.db\": larger than");
        expect(state, make_pax_overflowing_size, "");
        expect(state, make_pax_path, "../../etc/x\": not a name");
        expect(state, make_pax_link, "symbolic link");
        expect(state, make_pax_sparse, "sparse");
        expect(state, make_many_headers, "not a tar file: ");
        expect(state, make_endless_header, "header of more than");
        expect(state, make_other_tar, "of another kind of tar");
        expect(state, make_wrong_checksum, "behind the header of member \"atelier.db\": ");
        expect(state, make_no_tar, "not a tar file");
}

static void test_attributes(void **state) {
        expect(state, make_pax_attribute, "atelier.db\": with extended attributes");
        expect(state, make_pax_acl, "atelier.db\": with extended attributes");
}

static void make_one_block_at_the_end(Buffer *tar, Buffer *manifest) {
        make_good(tar, manifest);
        tar->size -= TAR_BLOCK;
}

static void make_no_end(Buffer *tar, Buffer *manifest) {
        make_good(tar, manifest);
        tar->size -= 2 * TAR_BLOCK;
}

static void make_record_of_tar(Buffer *tar, Buffer *manifest) {
        make_good(tar, manifest);
        for (unsigned i = 0; i < 8; i++)
                tar_end(tar);
        assert_true(tar->size >= ARCHIVE_TAIL_BYTES_MAX);
        tar->size = ARCHIVE_TAIL_BYTES_MAX;
}

static void make_text_behind_end(Buffer *tar, Buffer *manifest) {
        make_good(tar, manifest);
        assert_int_equal(buffer_append_text(tar, "hidden"), 0);
}

static void make_member_behind_end(Buffer *tar, Buffer *manifest) {
        make_good(tar, manifest);
        tar_file(tar, NULL, "config/b.conf", "hidden");
        tar_end(tar);
}

static void make_zeros_behind_end(Buffer *tar, Buffer *manifest) {
        make_good(tar, manifest);
        for (unsigned i = 0; i < 1000; i++)
                tar_end(tar);
}

static void test_end_of_the_tar_file(void **state) {
        expect(state, make_one_block_at_the_end, "end of the tar file is missing");
        expect(state, make_no_end, "end of the tar file is missing");
        expect(state, make_record_of_tar, NULL);
        expect(state, make_text_behind_end, "more behind the end of the tar file");
        expect(state, make_member_behind_end, "more behind the end of the tar file");
        expect(state, make_zeros_behind_end, "more behind the end of the tar file");
}

/* ------------------------------------------------------------------ SHA256SUMS */

static void expect_manifest(void **state, const char *text, const char *why) {
        Buffer tar = BUFFER_INIT(0), manifest = BUFFER_INIT(0), changed = BUFFER_INIT(0);
        ArchiveName name;

        tar_members(&tar, &manifest);
        assert_int_equal(buffer_append_text(&changed, text), 0);
        finish_tar(&tar, &changed);
        store_tar(state, &tar, &name);
        assert_refused(state, &name, why);
        buffer_done(&tar);
        buffer_done(&manifest);
        buffer_done(&changed);
}

/* The good one with a change, the change taken back. */
static void test_manifest_names_the_first_that_differs(void **state) {
        Buffer tar = BUFFER_INIT(0), manifest = BUFFER_INIT(0);
        _cleanup_free_ char *text = NULL;
        char *second, *third;

        tar_members(&tar, &manifest);
        text = buffer_take_text(&manifest);
        assert_non_null(text);
        second = strchr(text, '\n') + 1;
        third = strchr(second, '\n') + 1;

        expect_manifest(state, "", "SHA256SUMS: line 1 differs; expected");
        expect_manifest(state, second, "for \"atelier.db\"");
        text[0] ^= 1;
        expect_manifest(state, text, "line 1 differs");
        text[0] ^= 1;
        second[63] ^= 1;
        expect_manifest(state, text, "line 2 differs; expected \"" SHA256_OF_A "\" for \"" IMAGE_A "\"");
        second[63] ^= 1;
        third[-2] = 'h';
        expect_manifest(state, text, "line 2 differs");
        third[-2] = 'g';
        third[65] = '*';
        expect_manifest(state, text, "line 3 differs");
        third[65] = ' ';
        text[strlen(text) - 1] = 0;
        expect_manifest(state, text, "line 4 differs");
        *strrchr(text, '\n') = 0;
        expect_manifest(state, text, "line 3 differs");
        buffer_done(&tar);
}

static void test_manifest_names_more_than_there_is(void **state) {
        Buffer tar = BUFFER_INIT(0), manifest = BUFFER_INIT(0);
        ArchiveName name;

        tar_members(&tar, &manifest);
        assert_int_equal(buffer_append_text(&manifest, HASH "  config/z.conf\n"), 0);
        finish_tar(&tar, &manifest);
        store_tar(state, &tar, &name);
        assert_refused(state, &name, "SHA256SUMS: line 5 is more than the archive has members");
        buffer_done(&tar);
        buffer_done(&manifest);
}

/* Many lines: the comparison goes over pieces of both. */
static void test_manifest_far_in(void **state) {
        Buffer tar = BUFFER_INIT(0), manifest = BUFFER_INIT(0);
        char image[ARCHIVE_MEMBER_NAME_MAX];
        ArchiveName name;

        tar_file(&tar, &manifest, ARCHIVE_DATABASE, "database");
        for (unsigned i = 0; i < 3000; i++)
                tar_file(&tar, &manifest, image_name(image, i), "x");
        manifest.data[manifest.size - 200] ^= 1;
        finish_tar(&tar, &manifest);
        store_tar(state, &tar, &name);
        assert_refused(state, &name, "line 3000 differs");
        buffer_done(&tar);
        buffer_done(&manifest);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, archive_folder_setup, archive_folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_FOLDER(test_made_by_hand),
                IN_FOLDER(test_names_are_refused),
                IN_FOLDER(test_names_are_escaped),
                IN_FOLDER(test_only_files),
                IN_FOLDER(test_order_and_completeness),
                IN_FOLDER(test_headers),
                IN_FOLDER(test_attributes),
                IN_FOLDER(test_end_of_the_tar_file),
                IN_FOLDER(test_manifest_names_the_first_that_differs),
                IN_FOLDER(test_manifest_names_more_than_there_is),
                IN_FOLDER(test_manifest_far_in),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
