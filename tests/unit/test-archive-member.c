/* What may stand in an archive, and in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "archive-member.h"

#define HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define IMAGE "images/ba/" HASH ".png"
#define TEN "0123456789"

static void test_what_a_snapshot_has(void **state) {
        (void) state;
        assert_int_equal(archive_member_kind("atelier.db"), ARCHIVE_MEMBER_DATABASE);
        assert_int_equal(archive_member_kind(IMAGE), ARCHIVE_MEMBER_IMAGE);
        assert_int_equal(archive_member_kind("images/ba/" HASH ".jpeg"), ARCHIVE_MEMBER_IMAGE);
        assert_int_equal(archive_member_kind("config/atelier.conf"), ARCHIVE_MEMBER_CONFIG);
        assert_int_equal(archive_member_kind("config/10-my_prices.v2.conf"), ARCHIVE_MEMBER_CONFIG);
        assert_int_equal(archive_member_kind("SHA256SUMS"), ARCHIVE_MEMBER_MANIFEST);
}

static void test_every_other_name_is_invalid(void **state) {
        static const char *const wrong[] = {
                "",
                ".",
                "..",
                "/",
                "/atelier.db",
                "./atelier.db",
                "../atelier.db",
                "atelier.db/",
                "atelier.db-wal",
                "Atelier.db",
                "images",
                "images/",
                "images/ba",
                "images/ba/",
                "images/ab/" HASH ".png",
                "images/BA/" HASH ".png",
                "images/ba/" HASH,
                "images/ba/" HASH ".",
                "images/ba/" HASH ".PNG",
                "images/ba/" HASH ".png/",
                "images/ba/" HASH ".p g",
                "images/ba/" HASH ".abcdefghi",
                "images/ba/" HASH "0.png",
                "images/ba/../" HASH ".png",
                "images//ba/" HASH ".png",
                "images/ba//" HASH ".png",
                "images/tmp/x",
                "/" IMAGE,
                "../" IMAGE,
                "config/",
                "config/.conf",
                "config/..conf",
                "config/.hidden.conf",
                "config/a.conf.d/b.conf",
                "config/../a.conf",
                "config/../../a.conf",
                "config/a.CONF",
                "config/a+b.conf",
                "config/a b.conf",
                "config/a\nb.conf",
                "config/\303\244.conf",
                "config/a.conf~",
                "SHA256SUMS ",
                "sha256sums",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                assert_int_equal(archive_member_kind(wrong[i]), ARCHIVE_MEMBER_INVALID);
}

#define LONGEST "config/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "12345.conf"

_Static_assert(sizeof(LONGEST) == ARCHIVE_MEMBER_NAME_MAX, "at the limit");

static void test_longest_name(void **state) {
        (void) state;
        assert_int_equal(archive_member_kind(LONGEST), ARCHIVE_MEMBER_CONFIG);
        assert_int_equal(archive_member_kind("config/1" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "12345.conf"),
                         ARCHIVE_MEMBER_INVALID);
}

static void test_sizes(void **state) {
        (void) state;
        assert_int_equal(archive_member_bytes_max(ARCHIVE_MEMBER_IMAGE), 64 << 20);
        assert_int_equal(archive_member_bytes_max(ARCHIVE_MEMBER_CONFIG), 1 << 20);
        assert_true(archive_member_bytes_max(ARCHIVE_MEMBER_DATABASE) == UINT64_C(1) << 40);
        assert_true(archive_member_bytes_max(ARCHIVE_MEMBER_MANIFEST) > UINT64_C(1000000000));
        assert_int_equal(archive_member_bytes_max(ARCHIVE_MEMBER_INVALID), 0);
}

static void test_unpacked_size(void **state) {
        (void) state;
        assert_true(archive_unpacked_max(0) == UINT64_C(1) << 30);
        assert_true(archive_unpacked_max(1000) == (UINT64_C(1) << 30) + 200000);
        assert_true(archive_unpacked_max(UINT64_MAX / 200 + 1) == UINT64_MAX);
        assert_true(archive_unpacked_max(UINT64_MAX / 200) == UINT64_MAX);
}

static void test_order(void **state) {
        static const char *const order[] = {
                "atelier.db",
                "images/aa/aa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.png",
                "images/ba/" HASH ".jpeg",
                "images/ba/" HASH ".png",
                "config/10.conf",
                "config/9-Site.conf",
                "config/9.conf",
                "config/a.conf",
                "SHA256SUMS",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(order); i++)
                for (size_t j = 0; j < ELEMENTS(order); j++)
                        assert_int_equal(archive_member_follows(order[i], order[j]), i < j);
}

static void test_database_comes_first(void **state) {
        (void) state;
        assert_true(archive_member_follows(NULL, "atelier.db"));
        assert_false(archive_member_follows(NULL, IMAGE));
        assert_false(archive_member_follows(NULL, "SHA256SUMS"));
}

static void test_invalid_names_have_no_place(void **state) {
        (void) state;
        assert_false(archive_member_follows(NULL, "../atelier.db"));
        assert_false(archive_member_follows("atelier.db", "images/x"));
        assert_false(archive_member_follows("x", "SHA256SUMS"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_a_snapshot_has),
                cmocka_unit_test(test_every_other_name_is_invalid),
                cmocka_unit_test(test_longest_name),
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_unpacked_size),
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_database_comes_first),
                cmocka_unit_test(test_invalid_names_have_no_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
